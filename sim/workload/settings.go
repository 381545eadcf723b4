package workload

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Environment variables of a container by which a manifest says how its web server behaves.
const (
	// EnvServer is the Server header of its answers.
	EnvServer = "EKSLAB_SERVER"
	// EnvRequestSeconds is how long each request takes.
	EnvRequestSeconds = "EKSLAB_REQUEST_SECONDS"
	// EnvStopSeconds is how long the program needs to end after its stop signal, with its port closed already.
	EnvStopSeconds = "EKSLAB_STOP_SECONDS"
	// EnvIgnoreStopSignal is true for a program that goes on as if nothing had happened.
	EnvIgnoreStopSignal = "EKSLAB_IGNORE_STOP_SIGNAL"
	// EnvStatus is the status of answers by path, such as /healthz=500,/old=404.
	EnvStatus = "EKSLAB_STATUS"
	// EnvIdleSeconds is how long a connection without a request is kept.
	EnvIdleSeconds = "EKSLAB_IDLE_SECONDS"
)

// read takes what a container's environment says.
func (n *Nginx) read(c *corev1.Container) error {
	for _, e := range c.Env {
		var err error
		switch e.Name {
		case EnvServer:
			n.Server = e.Value
			if strings.ContainsAny(e.Value, "\r\n") {
				err = fmt.Errorf("a header is one line")
			}
		case EnvRequestSeconds:
			n.AnswerTime, err = duration(e.Value)
		case EnvStopSeconds:
			n.StopTime, err = duration(e.Value)
		case EnvIdleSeconds:
			n.KeepaliveTimeout, err = duration(e.Value)
		case EnvIgnoreStopSignal:
			n.Wrapped, err = strconv.ParseBool(e.Value)
			if err != nil {
				err = fmt.Errorf("must be true or false")
			}
		case EnvStatus:
			n.Statuses, err = statuses(e.Value)
		default:
			continue
		}
		if err == nil && e.ValueFrom != nil {
			err = fmt.Errorf("must be a value, not valueFrom")
		}
		if err != nil {
			return fmt.Errorf("container %s: env %s=%q: %w", c.Name, e.Name, e.Value, err)
		}
	}
	return nil
}

func duration(s string) (time.Duration, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1e6) {
		return 0, fmt.Errorf("must be a number of seconds, such as 1.5")
	}
	return time.Duration(f * float64(time.Second)), nil
}

func statuses(s string) (map[string]int, error) {
	out := map[string]int{}
	for _, part := range strings.Split(s, ",") {
		path, text, ok := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(text)
		if !ok || err != nil || n < 200 || n > 599 || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("must be paths with a status of 200 to 599, such as /healthz=500,/old=404")
		}
		out[path] = n
	}
	return out, nil
}

// Check returns an error for containers whose settings mean nothing, or whose hooks and probes run commands that are not modelled.
func Check(pod *corev1.PodSpec) error {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if err := new(Nginx).read(c); err != nil {
			return err
		}
		for _, x := range commands(c) {
			if _, err := parse(x.Command); err != nil {
				return fmt.Errorf("container %s: %w", c.Name, err)
			}
		}
	}
	return nil
}

// commands are what a container's hooks and probes execute.
func commands(c *corev1.Container) (out []*corev1.ExecAction) {
	add := func(a *corev1.ExecAction) {
		if a != nil && len(a.Command) > 0 {
			out = append(out, a)
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p != nil {
			add(p.Exec)
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, h := range []*corev1.LifecycleHandler{l.PostStart, l.PreStop} {
			if h != nil {
				add(h.Exec)
			}
		}
	}
	return out
}
