package kubelet

import (
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// minimumGraceSeconds is what a container gets to end after its signal, however little of the grace period is left.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, minimumGracePeriodInSeconds.
const minimumGraceSeconds = 2

// cleanup is from the end of a pod's sandbox to the last word about the pod: volumes are unmounted, which is looked at so often.
// Source: kubernetes/kubernetes pkg/kubelet/volumemanager/volume_manager.go, reconcilerLoopSleepPeriod.
const cleanup = 100 * time.Millisecond

// stop ends a pod: its containers at the same time, then its network; then it may leave the API.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, SyncTerminatingPod and SyncTerminatedPod; kuberuntime_manager.go, killPodWithSyncResult.
func (pod *Pod) stop(p *engine.Process) {
	k := pod.kubelets
	pod.report()
	for attempt := 0; attempt != pod.attempt && !pod.Node.dead; {
		attempt = pod.attempt
		left := 0
		for _, c := range pod.containers {
			if !c.running() {
				continue
			}
			left++
			pod.stopping = append(pod.stopping, k.engine.Go("kubelet "+pod.Node.Name+": stop", func(q *engine.Process) {
				c.kill(q, pod.graceSeconds, "")
				left--
				p.Wake()
			}))
		}
		for left > 0 {
			p.Wait(-1)
			if attempt != pod.attempt { // a shorter grace: whoever waits for a longer one gives up
				for _, q := range pod.stopping {
					q.Wake()
				}
			}
		}
		pod.stopping = nil
	}
	for _, c := range pod.containers {
		c.stopProbes()
	}
	if pod.Node.dead {
		return
	}
	if pod.sandbox && !pod.Shared {
		p.Sleep(k.draw("network namespace teardown", *k.opts.NetnsTeardown))
		if err := pod.Node.CNI.Del(p, pod.Object.Namespace, pod.Object.Name); err != nil {
			k.engine.Fail(err)
			return
		}
	}
	pod.sandbox = false
	pod.stopped = true
	if k.running[kube.KeyOf(pod.Object)] == pod {
		delete(k.running, kube.KeyOf(pod.Object))
	}
	pod.report()
	p.Sleep(cleanup)
	pod.flush()
	if pod.Node.dead {
		return
	}
	none := int64(0)
	err := kube.DeleteWith[*corev1.Pod](pod.Node.client, kube.KeyOf(pod.Object), metav1.DeleteOptions{GracePeriodSeconds: &none, Preconditions: metav1.NewUIDPreconditions(string(pod.Object.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		k.engine.Fail(err)
	}
	k.forget(pod)
}

// kill stops a container: its preStop hook, its stop signal, and SIGKILL when what is left of its grace period is over.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer.
func (c *container) kill(p *engine.Process, graceSeconds int64, message string) {
	k := c.pod.kubelets
	if message == "" {
		message = "Stopping container " + c.spec.Name
	}
	attempt := c.pod.attempt
	c.event(corev1.EventTypeNormal, "Killing", "%s", message)
	c.stopProbes(liveness, startup)
	if l := c.spec.Lifecycle; l != nil && l.PreStop != nil && graceSeconds > 0 {
		graceSeconds -= c.preStop(p, l.PreStop, graceSeconds)
	}
	grace := kube.Seconds(max(graceSeconds, minimumGraceSeconds))
	if !c.running() || c.pod.attempt != attempt || c.pod.Node.dead {
		return
	}
	p.Sleep(k.draw("container stop", *k.opts.ContainerStop))
	if !c.running() || c.pod.attempt != attempt || c.pod.Node.dead {
		return
	}
	task := c.task
	signal := c.stopSignal()
	k.say(c, "signal", string(signal))
	c.waiter = p
	defer func() { c.waiter = nil }()
	task.Signal(signal)
	if c.awaitEnd(p, task, grace) || c.pod.attempt != attempt || c.pod.Node.dead {
		return
	}
	k.say(c, "signal", string(workload.SIGKILL))
	task.Signal(workload.SIGKILL)
}

// awaitEnd waits for a task's end, and says whether it came in time.
func (c *container) awaitEnd(p *engine.Process, task *workload.Task, limit time.Duration) bool {
	e, attempt := c.pod.kubelets.engine, c.pod.attempt
	until := e.Now() + limit
	for !task.Ended() && c.pod.attempt == attempt {
		left := until - e.Now()
		if left <= 0 {
			return false
		}
		p.Wait(left)
	}
	return task.Ended()
}

// stopSignal is the signal that asks the container to end.
func (c *container) stopSignal() workload.Signal {
	if l := c.spec.Lifecycle; l != nil && l.StopSignal != nil {
		return workload.Signal(*l.StopSignal)
	}
	if c.task.StopSignal != "" {
		return c.task.StopSignal
	}
	return workload.SIGTERM
}

// preStop runs the hook, for as long as the grace period lasts, and returns the whole seconds that it took.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, executePreStopHook.
func (c *container) preStop(p *engine.Process, h *corev1.LifecycleHandler, graceSeconds int64) int64 {
	e, attempt := c.pod.kubelets.engine, c.pod.attempt
	began := e.Now()
	done := false
	e.Go("kubelet: preStop", func(q *engine.Process) {
		err := c.hook(q, h)
		done = true
		switch {
		case errors.Is(err, engine.ErrNotModelled):
			e.Fail(err)
		case err != nil: // also when nobody waits for it any more: it ends with its container
			c.event(corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
		}
		p.Wake()
	})
	for until := began + kube.Seconds(graceSeconds); !done && e.Now() < until && c.pod.attempt == attempt; {
		p.Wait(until - e.Now())
	}
	return int64((e.Now() - began) / time.Second)
}
