package kubelet

import (
	"errors"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// How long a pod's worker waits after a failure: this, and up to half as much again.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, backOffPeriod; pod_workers.go, completeWork and workerBackOffPeriodJitterFactor.
const (
	backOffPeriod = 10 * time.Second
	backOffJitter = 0.5
)

// errStopped is returned by what gives up because the pod is to be stopped.
var errStopped = errors.New("the pod is being stopped")

// wake has the pod's worker look at it, and starts one if there is none.
func (pod *Pod) wake() {
	if pod.stopped || pod.Node.dead {
		return
	}
	pod.again = true
	if pod.worker != nil {
		pod.worker.Wake()
		return
	}
	pod.worker = pod.kubelets.engine.Go("kubelet "+pod.Node.Name, pod.work)
}

// end has the pod stopped within some seconds, at least one. Asked again, it can only become sooner.
// Source: kubernetes/kubernetes pkg/kubelet/pod_workers.go, calculateEffectiveGracePeriod.
func (pod *Pod) end(graceSeconds int64) {
	graceSeconds = max(graceSeconds, 1)
	if pod.ending && graceSeconds >= pod.graceSeconds {
		return
	}
	pod.ending, pod.graceSeconds = true, graceSeconds
	pod.attempt++
	pod.wake()
}

// work is the pod's worker. It ends when there is nothing to do.
// Source: kubernetes/kubernetes pkg/kubelet/pod_workers.go, podWorkerLoop.
func (pod *Pod) work(p *engine.Process) {
	defer func() { pod.worker = nil }()
	k := pod.kubelets
	for pod.again && !pod.Node.dead {
		pod.again = false
		if pod.ending {
			pod.stop(p)
			return
		}
		err := pod.sync(p)
		if err == nil || pod.ending {
			continue
		}
		if errors.Is(err, engine.ErrNotModelled) {
			k.engine.Fail(err)
			return
		}
		r := k.engine.Rand("kubelet: back-off")
		due := k.engine.Now() + backOffPeriod + time.Duration(r.Float64()*backOffJitter*float64(backOffPeriod))
		for wait := pod.Node.tick(due) - k.engine.Now(); wait > 0 && !pod.ending; wait = pod.Node.tick(due) - k.engine.Now() {
			p.Wait(wait)
		}
		pod.again = true
	}
}

// tick is when the kubelet, which looks once a second, sees what is due at a time.
func (n *Node) tick(due time.Duration) time.Duration {
	t := due.Truncate(time.Second) + n.phase
	if t < due {
		t += time.Second
	}
	return t
}

// pause waits, but no longer than until the pod is to be stopped.
func (pod *Pod) pause(p *engine.Process, d time.Duration) error {
	until := pod.kubelets.engine.Now() + d
	for !pod.ending && !pod.Node.dead {
		left := until - pod.kubelets.engine.Now()
		if left <= 0 {
			return nil
		}
		p.Wait(left)
	}
	return errStopped
}

// sync brings a pod nearer to what it should be: its network first, then its containers.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go, SyncPod.
func (pod *Pod) sync(p *engine.Process) error {
	k := pod.kubelets
	defer pod.report()
	var idle bool
	for _, c := range pod.containers {
		if c.running() && c.doomed != "" {
			c.kill(p, c.grace(), c.doomed)
		}
		idle = idle || !c.running()
	}
	if !idle {
		return nil
	}
	pod.report()
	half := k.draw("pod start", k.opts.PodStart) / 2
	began := k.engine.Now()
	if !pod.sandbox {
		if err := pod.pause(p, half); err != nil {
			return err
		}
		if err := pod.network(p); err != nil {
			return err
		}
		began += half
	}
	if pod.ending {
		return errStopped
	}
	var last error
	waited := false
	for _, c := range pod.containers {
		if c.running() {
			continue
		}
		if err := c.backingOff(); err != nil {
			last = err
			continue
		}
		if !waited { // containers of a pod are started one after the other, all within this time
			if err := pod.pause(p, began+half-k.engine.Now()); err != nil {
				return err
			}
			waited = true
		}
		if err := c.start(p); err != nil {
			last = err
		}
	}
	pod.started = true
	k.running[kube.KeyOf(pod.Object)] = pod
	return last
}

// network makes the pod's sandbox.
func (pod *Pod) network(p *engine.Process) error {
	n, o := pod.Node, pod.Object
	if pod.Shared {
		pod.Namespace, pod.Addr, pod.sandbox = n.Root, n.Root.Device("eth0").Addr(), true
		return nil
	}
	ns, a, err := n.CNI.Add(p, o.Namespace, o.Name)
	if err != nil {
		if errors.Is(err, engine.ErrNotModelled) {
			return err
		}
		n.events.Warning(o, "FailedCreatePodSandBox", "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: plugin type=\"aws-cni\" name=\"aws-cni\" failed (add): %v", err)
		// The container runtime cleans up after itself. Source: containerd internal/cri/server/sandbox_run.go, teardownPodNetwork.
		if err := n.CNI.Del(p, o.Namespace, o.Name); err != nil {
			return err
		}
		return err
	}
	pod.Namespace, pod.Addr, pod.sandbox = ns, a, true
	return nil
}
