package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/workload"
)

// checkHook returns an error for a preStop hook that is not modelled.
func checkHook(c *corev1.Container) error {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return nil
	}
	switch h := c.Lifecycle.PreStop; {
	case h.Exec != nil:
		_, err := workload.ReadCommand(h.Exec.Command)
		return err
	case h.Sleep != nil:
		return nil
	}
	return engine.NotModelled("a preStop hook that neither executes nor sleeps")
}

// preStop runs a container's hook for at most the grace period, and calls then when it is over.
// Source: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, executePreStopHook.
func (k *Kubelets) preStop(w *Pod, c *container, grace int64, then func()) {
	e := k.cluster.Engine()
	over := false
	var limit engine.Timer
	end := func() {
		if !over {
			over = true
			e.Stop(limit)
			then()
		}
	}
	limit = e.After(time.Duration(grace)*time.Second, "kubelet: end of grace", engine.Func(end))
	hook := c.spec.Lifecycle.PreStop
	if hook.Sleep != nil {
		k.after(time.Duration(hook.Sleep.Seconds)*time.Second, "kubelet: preStop sleep", end)
		return
	}
	command, err := workload.ReadCommand(hook.Exec.Command)
	if err != nil {
		e.Fail(err)
		return
	}
	c.task.Exec(e, command, func(err error) {
		if err != nil && !w.Node.dead {
			w.Node.events.About(w.Object, "spec.containers{"+c.spec.Name+"}", corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed")
		}
		end()
	})
}
