package scheduler

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// waiting is the pods that fit nowhere, by what may help them: a change of a node that their node selector and node affinity may choose, or of other pods.
// Source: kubernetes/kubernetes pkg/scheduler/framework/plugins/nodeaffinity, isSchedulableAfterNodeChange (v1.32; earlier versions look at every pod again).
type waiting struct {
	pods map[kube.Key]*corev1.Pod
	// pinned is the pods by a label, or the name, without which no node is chosen; the empty text has those that any node may take.
	pinned map[string]map[kube.Key]bool
	// minding are the pods that mind where others are.
	minding map[kube.Key]bool
}

func (w *waiting) init() {
	w.pods, w.pinned, w.minding = map[kube.Key]*corev1.Pod{}, map[string]map[kube.Key]bool{}, map[kube.Key]bool{}
}

func pinOfName(node string) string        { return "name " + node }
func pinOfLabel(key, value string) string { return "label " + key + "=" + value }

// pinOf is where a pod is kept: by its one node, or by one of the labels that it selects, the host name before others.
func pinOf(p *corev1.Pod) string {
	if name, ok := named(p); ok {
		return pinOfName(name)
	}
	if v, ok := p.Spec.NodeSelector[corev1.LabelHostname]; ok {
		return pinOfLabel(corev1.LabelHostname, v)
	}
	pin := ""
	for k, v := range p.Spec.NodeSelector {
		if l := pinOfLabel(k, v); pin == "" || l < pin {
			pin = l
		}
	}
	return pin
}

func (w *waiting) add(p *corev1.Pod) {
	k, pin := kube.KeyOf(p), pinOf(p)
	w.remove(k)
	w.pods[k] = p
	if w.pinned[pin] == nil {
		w.pinned[pin] = map[kube.Key]bool{}
	}
	w.pinned[pin][k] = true
	a := p.Spec.Affinity
	if a != nil && (a.PodAffinity != nil || a.PodAntiAffinity != nil) || len(p.Spec.TopologySpreadConstraints) > 0 {
		w.minding[k] = true
	}
}

func (w *waiting) remove(k kube.Key) {
	p := w.pods[k]
	if p == nil {
		return
	}
	pin := pinOf(p)
	if delete(w.pinned[pin], k); len(w.pinned[pin]) == 0 {
		delete(w.pinned, pin)
	}
	delete(w.pods, k)
	delete(w.minding, k)
}

// forNode lists the pods that a change of a node may help, in any order.
func (w *waiting) forNode(n *corev1.Node) (keys []kube.Key) {
	if len(w.pods) == 0 {
		return nil
	}
	look := func(pin string) {
		for k := range w.pinned[pin] {
			if p := w.pods[k]; selected(p, n) && nodeAffinity(p, n) {
				keys = append(keys, k)
			}
		}
	}
	look("")
	look(pinOfName(n.Name))
	for k, v := range n.Labels {
		look(pinOfLabel(k, v))
	}
	return keys
}

// sociable lists the pods that a change of other pods may help, in any order.
func (w *waiting) sociable() (keys []kube.Key) {
	for k := range w.minding {
		keys = append(keys, k)
	}
	return keys
}
