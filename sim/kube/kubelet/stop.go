package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// minimumGrace is what a container has at least between its stop signal and SIGKILL.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, minimumGracePeriodInSeconds.
const minimumGrace = 2

// removalTick is how often a kubelet looks for what the runtime has done: a pod that was stopped is removed from the API at the next look.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, genericPlegRelistPeriod.
const removalTick = time.Second

// terminate asks for a pod to be stopped within some seconds. Asked again, it can only become sooner.
// Source: kubernetes/kubernetes pkg/kubelet/pod_workers.go, calculateEffectiveGracePeriod.
func (k *Kubelets) terminate(w *Pod, grace int64) {
	grace = max(grace, 1)
	if w.grace != 0 && grace >= w.grace {
		return
	}
	w.grace = grace
	w.attempt++
	if w.worker != nil {
		w.worker.Wake()
		return
	}
	w.worker = k.cluster.Engine().Go("kubelet "+w.Node.Name, func(p *engine.Process) { k.stop(p, w) })
}

// stop ends a pod: its containers, its sandbox, its place in the API.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (SyncTerminatingPod, SyncTerminatedPod), status/status_manager.go (syncPod).
func (k *Kubelets) stop(p *engine.Process, w *Pod) {
	n, e := w.Node, k.cluster.Engine()
	for !n.dead {
		attempt := w.attempt
		for _, c := range w.containers {
			if c.running() {
				k.kill(w, c, "Stopping container "+c.spec.Name, w.grace, func() bool { return w.attempt == attempt }, p.Wake)
			}
		}
		for !n.dead && w.attempt == attempt && w.alive() {
			p.Wait(-1)
		}
		if w.attempt == attempt {
			break
		}
	}
	if n.dead {
		return
	}
	if w.sandbox {
		p.Sleep(k.opts.NetnsTeardown)
		if n.dead {
			return
		}
		if err := n.CNI.Del(p, w.Object.Namespace, w.Object.Name); err != nil {
			e.Fail(err)
			return
		}
		w.sandbox = false
	}
	if k.running[kube.KeyOf(w.Object)] == w {
		delete(k.running, kube.KeyOf(w.Object))
	}
	k.report(w)
	p.Sleep((e.Now() + removalTick).Truncate(removalTick) - e.Now())
	if n.dead {
		return
	}
	delete(k.pods, w.Object.UID)
	if w.removed {
		return
	}
	zero, uid := int64(0), w.Object.UID
	// The answer is of no matter: the pod may have been removed by force, and another may have its name.
	_ = kube.DeleteWith[*corev1.Pod](n.client, kube.KeyOf(w.Object), metav1.DeleteOptions{GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid}})
}

func (w *Pod) alive() bool {
	for _, c := range w.containers {
		if c.running() {
			return true
		}
	}
	return false
}

// kill stops a container within some seconds, which begin now: by its preStop hook, its stop signal and, at the end, SIGKILL.
// It goes on only while current says so; exited is called when the container has ended.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, killContainer.
func (k *Kubelets) kill(w *Pod, c *container, why string, grace int64, current func() bool, exited func()) {
	e, t := k.cluster.Engine(), c.task
	w.Node.events.About(w.Object, "spec.containers{"+c.spec.Name+"}", corev1.EventTypeNormal, "Killing", why)
	t.AtExit(exited)
	began := e.Now()
	signal := func() {
		if !current() || t.Exited() {
			return
		}
		// The seconds that the hook took are counted whole.
		left := max(grace-int64((e.Now()-began)/time.Second), minimumGrace)
		k.after(k.opts.ContainerStop, "kubelet: stop signal", func() {
			if !current() || t.Exited() {
				return
			}
			s := t.StopSignal
			if s == 0 {
				s = workload.SIGTERM
			}
			k.signal(w, c, t, s)
			k.after(time.Duration(left)*time.Second, "kubelet: SIGKILL", func() {
				if current() && !t.Exited() && !w.Node.dead {
					k.signal(w, c, t, workload.SIGKILL)
				}
			})
		})
	}
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		signal()
		return
	}
	k.preStop(w, c, grace, signal)
}

func (k *Kubelets) after(d time.Duration, label string, f func()) {
	k.cluster.Engine().After(d, label, engine.Func(f))
}

// signal sends a signal, and puts it on record.
func (k *Kubelets) signal(w *Pod, c *container, t *workload.Task, s workload.Signal) {
	if w.Node.dead {
		return
	}
	log := k.cluster.Log()
	log.Emit(trace.Record{Kind: trace.Config, Actor: log.Name("kubelet " + w.Node.Name), What: log.Name("kill " + s.String()), Text: kube.KeyOf(w.Object).String() + "/" + c.spec.Name})
	t.Signal(s)
}

// exited is the end of a container's first process.
func (k *Kubelets) exited(w *Pod, c *container, t *workload.Task, code int) {
	if c.task != t || w.Node.dead {
		return
	}
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	x := &corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: reason, FinishedAt: k.cluster.Now()}
	if c.state.Running != nil {
		x.StartedAt = c.state.Running.StartedAt
	}
	c.state = corev1.ContainerState{Terminated: x}
}
