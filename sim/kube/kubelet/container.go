package kubelet

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// How long a container that ends again and again is kept waiting: the first time not at all, then this, then twice as long each time, at most the
// latter; one that has run for twice the latter begins anew.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (containerBackOffPeriod 10 s, MaxCrashLoopBackOff 300 s); client-go util/flowcontrol/backoff.go.
const (
	crashBackOff    = 10 * time.Second
	maxCrashBackOff = 300 * time.Second
)

// container is a container of a pod, through all its starts.
type container struct {
	pod  *Pod
	spec *corev1.Container
	// task is its first process; nil before the first start. It may have ended.
	task     *workload.Task
	state    corev1.ContainerState
	last     corev1.ContainerState
	restarts int32
	// backOff is how long the next start waits after the end before; since is when it was set.
	backOff time.Duration
	since   time.Duration
	// ended is when the last task ended, in the world's time.
	ended  time.Duration
	probes []*prober
	// doomed is why a probe has it restarted, doomedBy that probe.
	doomed   string
	doomedBy *corev1.Probe
	// startup, ready and live are what its probes say; without a probe of a kind it is true while it runs.
	startup, ready bool
	// waiter is the worker that waits for its end.
	waiter *engine.Process
}

func (c *container) running() bool { return c.task != nil && !c.task.Ended() }

// backingOff says whether a container that has ended may not be started yet.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go, doBackOff.
func (c *container) backingOff() error {
	if c.task == nil {
		return nil
	}
	now := c.pod.kubelets.engine.Now()
	if c.backOff > 0 && c.ended-c.since > 2*maxCrashBackOff {
		c.backOff = 0
	}
	if c.backOff > 0 && now-c.ended < c.backOff {
		c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %v restarting failed container=%s pod=%s_%s(%s)", c.backOff, c.spec.Name, c.pod.Object.Name, c.pod.Object.Namespace, c.pod.Object.UID)}}
		c.event(corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s", c.spec.Name, kube.KeyOf(c.pod.Object))
		return errors.New("CrashLoopBackOff")
	}
	c.backOff = min(max(crashBackOff, 2*c.backOff), maxCrashBackOff)
	c.since = now
	return nil
}

func (c *container) event(kind, reason, format string, args ...any) {
	r := c.pod.Node.events
	if c.pod.Node.dead {
		return
	}
	if kind == corev1.EventTypeNormal {
		r.Normal(c.pod.Object, reason, format, args...)
	} else {
		r.Warning(c.pod.Object, reason, format, args...)
	}
}

// start starts the container's program, and its postStart hook.
func (c *container) start(p *engine.Process) error {
	k := c.pod.kubelets
	program, err := k.opts.Images.Find(c.spec.Image)
	if invalid := (workload.InvalidNameError{}); errors.As(err, &invalid) {
		// Source: kubernetes/kubernetes pkg/kubelet/images/image_manager.go, EnsureImageExists.
		message := fmt.Sprintf("Failed to apply default image tag %q: %v", c.spec.Image, err)
		c.event(corev1.EventTypeWarning, "InspectFailed", "%s", message)
		c.event(corev1.EventTypeWarning, "Failed", "Error: InvalidImageName")
		c.state = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "InvalidImageName", Message: message}}
		return err
	}
	if err != nil {
		return fmt.Errorf("Pod %v, container %s: %w", kube.KeyOf(c.pod.Object), c.spec.Name, err)
	}
	task := workload.NewTask(k.engine)
	task.Exited = func(code int) { c.exited(task, code) }
	first := c.task == nil
	c.task = task
	c.doomed, c.doomedBy = "", nil
	c.event(corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine", c.spec.Image)
	c.event(corev1.EventTypeNormal, "Created", "Created container: %s", c.spec.Name)
	if err := program(workload.Container{Pod: c.pod.Object, Spec: c.spec, Namespace: c.pod.Namespace, Task: task}); err != nil {
		return fmt.Errorf("Pod %v, container %s: %w", kube.KeyOf(c.pod.Object), c.spec.Name, err)
	}
	c.event(corev1.EventTypeNormal, "Started", "Started container %s", c.spec.Name)
	if !first {
		c.restarts++
	}
	if task.Ended() {
		return nil
	}
	c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: k.cluster.Now()}}
	c.startup, c.ready = c.spec.StartupProbe == nil, c.spec.ReadinessProbe == nil && c.spec.StartupProbe == nil
	if l := c.spec.Lifecycle; l != nil && l.PostStart != nil {
		c.ready = false
		if err := c.hook(p, l.PostStart); err != nil {
			if errors.Is(err, engine.ErrNotModelled) {
				return err
			}
			c.event(corev1.EventTypeWarning, "FailedPostStartHook", "PostStartHook failed")
			c.kill(p, c.grace(), "FailedPostStartHook")
			return fmt.Errorf("PostStartHook failed: %w", err)
		}
		c.ready = c.spec.ReadinessProbe == nil && c.spec.StartupProbe == nil
	}
	c.probe()
	return nil
}

// exited is told when a container's first process has ended. A container that nobody stopped is seen to have ended by the kubelet's next look.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, genericPlegRelistPeriod.
func (c *container) exited(task *workload.Task, code int) {
	k := c.pod.kubelets
	if c.task != task {
		return
	}
	now := k.cluster.Now()
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	ended := &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason, FinishedAt: now}
	if c.state.Running != nil {
		ended.StartedAt = c.state.Running.StartedAt
	}
	c.state = corev1.ContainerState{Terminated: ended}
	c.last = c.state
	c.ended = k.engine.Now()
	c.stopProbes()
	c.ready, c.startup = false, false
	if c.waiter != nil {
		c.waiter.Wake()
		return
	}
	if !c.pod.ending {
		k.engine.At(c.pod.Node.tick(c.ended), "kubelet: relist", engine.Func(c.pod.wake))
	}
}

// grace is how many seconds the container has to end when it is stopped.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, setTerminationGracePeriod.
func (c *container) grace() int64 {
	o := c.pod.Object
	switch {
	case o.DeletionGracePeriodSeconds != nil:
		return *o.DeletionGracePeriodSeconds
	case c.doomedBy != nil && c.doomedBy.TerminationGracePeriodSeconds != nil:
		return *c.doomedBy.TerminationGracePeriodSeconds
	case o.Spec.TerminationGracePeriodSeconds != nil:
		return *o.Spec.TerminationGracePeriodSeconds
	}
	return minimumGraceSeconds
}

// status is the container's status.
func (c *container) status() corev1.ContainerStatus {
	s := corev1.ContainerStatus{Name: c.spec.Name, Image: c.spec.Image, State: c.state, RestartCount: c.restarts}
	if c.task == nil && c.state.Waiting == nil {
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	} else if c.state.Terminated == nil {
		s.LastTerminationState = c.last
	}
	started := c.running() && c.startup
	s.Started, s.Ready = &started, c.running() && c.ready
	return s
}
