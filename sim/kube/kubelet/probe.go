package kubelet

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/workload"
)

// probeKind is what a probe's result is for.
type probeKind string

const (
	readiness probeKind = "Readiness"
	liveness  probeKind = "Liveness"
	startup   probeKind = "Startup"
)

// prober probes a container, from its start to its end.
// Source: kubernetes/kubernetes pkg/kubelet/prober/worker.go.
type prober struct {
	c       *container
	kind    probeKind
	spec    *corev1.Probe
	task    *workload.Task
	timer   engine.Timer
	last    bool
	run     int32 // how often in a row the result was last
	stopped bool
}

// probe starts the container's probes. The kubelet has the readiness of a container that has come up probed at once, and again each period from there; the
// ticks of the other probes count from when it first saw the pod. Source: pkg/kubelet/prober/prober_manager.go, UpdatePodStatus (manualTriggerCh).
func (c *container) probe() {
	c.probes = nil
	for _, x := range []struct {
		kind probeKind
		spec *corev1.Probe
	}{{startup, c.spec.StartupProbe}, {liveness, c.spec.LivenessProbe}, {readiness, c.spec.ReadinessProbe}} {
		if x.spec == nil {
			continue
		}
		pr := &prober{c: c, kind: x.kind, spec: x.spec, task: c.task}
		c.probes = append(c.probes, pr)
		if x.kind == readiness {
			if c.startup {
				pr.after(0)
			}
			continue
		}
		e, period := c.pod.kubelets.engine, pr.period()
		pr.after(period - (e.Now()-c.pod.begun)%period)
	}
}

func (pr *prober) period() time.Duration { return time.Duration(pr.spec.PeriodSeconds) * time.Second }

func (pr *prober) after(d time.Duration) {
	e := pr.c.pod.kubelets.engine
	pr.timer = e.After(d, "kubelet: probe", pr)
}

// stopProbes ends the probes of some kinds, of all if none is named.
func (c *container) stopProbes(kinds ...probeKind) {
	for _, pr := range c.probes {
		stop := len(kinds) == 0
		for _, k := range kinds {
			stop = stop || pr.kind == k
		}
		if stop {
			pr.stopped = true
			c.pod.kubelets.engine.Stop(pr.timer)
		}
	}
}

// Fire begins a probe. The engine calls it.
func (pr *prober) Fire() {
	if pr.stopped || pr.task.Ended() || pr.c.pod.Node.dead {
		return
	}
	k := pr.c.pod.kubelets
	k.engine.SetCause(0)
	began := k.engine.Now()
	if started := pr.c.state.Running; started != nil {
		age := k.cluster.Now().Sub(started.StartedAt.Time)
		if age < time.Duration(pr.spec.InitialDelaySeconds)*time.Second || pr.kind == liveness && !pr.c.startup {
			pr.after(pr.period())
			return
		}
	}
	k.engine.Go("kubelet: probe", func(p *engine.Process) {
		why, err := pr.ask(p)
		if err != nil {
			k.engine.Fail(err)
			return
		}
		if pr.stopped || pr.task.Ended() || pr.c.pod.Node.dead {
			return
		}
		if why != "" {
			pr.c.event(corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %s", pr.kind, why)
		}
		pr.result(why == "")
		if !pr.stopped {
			// A tick that came while the probe ran is kept, but only one.
			pr.after(max(0, began+pr.period()-k.engine.Now()))
		}
	})
}

// result takes the result of a probe.
func (pr *prober) result(ok bool) {
	if pr.run > 0 && pr.last == ok {
		pr.run++
	} else {
		pr.last, pr.run = ok, 1
	}
	if ok && pr.run < pr.spec.SuccessThreshold || !ok && pr.run < pr.spec.FailureThreshold {
		return
	}
	c := pr.c
	switch {
	case pr.kind == readiness:
		if c.ready != ok {
			c.ready = ok
			c.pod.report()
		}
	case pr.kind == startup && ok:
		pr.stopped = true
		c.startup = true
		c.ready = c.spec.ReadinessProbe == nil
		for _, other := range c.probes {
			if other.kind == readiness {
				other.after(0)
			}
		}
		c.pod.report()
	case !ok:
		pr.stopped = true // until there is a new container
		c.doomed = fmt.Sprintf("Container %s failed %s probe, will be restarted", c.spec.Name, lower(pr.kind))
		c.doomedBy = pr.spec
		c.pod.wake()
	}
}

func lower(k probeKind) string {
	if k == startup {
		return "startup"
	}
	return "liveness"
}

// ask runs a probe and says why it failed; empty if it did not.
func (pr *prober) ask(p *engine.Process) (why string, err error) {
	c, s := pr.c, pr.spec
	timeout := time.Duration(s.TimeoutSeconds) * time.Second
	switch {
	case s.HTTPGet != nil:
		to, err := c.address(s.HTTPGet.Host, s.HTTPGet.Port)
		if err != nil {
			return hard(err)
		}
		status, err := c.pod.Node.get(p, to, s.HTTPGet, "kube-probe/", timeout)
		if err != nil {
			return err.Error(), nil
		}
		if status < 200 || status >= 400 {
			return fmt.Sprintf("HTTP probe failed with statuscode: %d", status), nil
		}
	case s.TCPSocket != nil:
		to, err := c.address(s.TCPSocket.Host, s.TCPSocket.Port)
		if err != nil {
			return hard(err)
		}
		conn, err := c.pod.Node.dial(p, to, p.Engine().Now()+timeout)
		if err != nil {
			return err.Error(), nil
		}
		conn.Close()
	case s.Exec != nil:
		done := false
		var code int
		e := p.Engine()
		e.Go("kubelet: exec probe", func(q *engine.Process) {
			code, err = pr.task.Exec(q, s.Exec.Command)
			done = true
			p.Wake()
		})
		for until := e.Now() + timeout; !done && e.Now() < until; {
			p.Wait(until - e.Now())
		}
		switch {
		case !done:
			return fmt.Sprintf("command timed out: %q timed out after %v", s.Exec.Command, timeout), nil
		case err != nil:
			return hard(err)
		case code != 0:
			return fmt.Sprintf("command %q exited with %d", s.Exec.Command, code), nil
		}
	default:
		return "", engine.NotModelled("a probe of this kind")
	}
	return "", nil
}

// hard tells a probe that failed from one that is not modelled.
func hard(err error) (string, error) {
	if errors.Is(err, engine.ErrNotModelled) {
		return "", err
	}
	return err.Error(), nil
}
