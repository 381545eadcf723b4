package sim

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// crash takes the power from the node of a pod: nothing on it sends or receives a packet any more.
func (w *World) crash(pod string) error {
	want := key(pod)
	prefix, any := strings.CutSuffix(want.Name, "*")
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		if p.Namespace != want.Namespace || p.Name != want.Name && !(any && strings.HasPrefix(p.Name, prefix)) || p.Spec.NodeName == "" {
			continue
		}
		for _, n := range w.Nodes {
			if n.Name == p.Spec.NodeName {
				w.Log.Say(trace.Config, n.Name, "power lost", "the node of "+kube.KeyOf(p).String())
				for _, d := range n.Root.Devices() {
					d.Up = false
				}
				if renewed, ok := w.Kubelets.Crash(n.Name); ok {
					w.monitor.Silent(n.Name, renewed)
				}
				return nil
			}
		}
	}
	return fmt.Errorf("no node to crash: no pod %s runs", pod)
}
