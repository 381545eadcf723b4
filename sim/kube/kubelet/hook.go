package kubelet

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// hookTimeout is as long as the kubelet waits for the answer to a hook's request: for ever, but for the kernel and the grace period.
const hookTimeout = 366 * 24 * time.Hour

// hook runs a lifecycle hook to its end.
// Source: kubernetes/kubernetes pkg/kubelet/lifecycle/handlers.go: the status of an HTTP answer does not matter.
func (c *container) hook(p *engine.Process, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		code, err := c.task.Exec(p, h.Exec.Command)
		if err == nil && code != 0 {
			err = fmt.Errorf("command '%v' exited with %d", h.Exec.Command, code)
		}
		return err
	case h.Sleep != nil:
		p.Sleep(kube.Seconds(h.Sleep.Seconds))
		return nil
	case h.HTTPGet != nil:
		to, err := c.address(h.HTTPGet.Host, h.HTTPGet.Port)
		if err != nil {
			return err
		}
		_, err = c.pod.Node.get(p, to, h.HTTPGet, "kube-lifecycle/", hookTimeout)
		return err
	}
	return engine.NotModelled("a lifecycle hook of this kind")
}
