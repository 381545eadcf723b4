package controllers

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// NodeLifecycle gives nodes the taints of their state: not ready, and cordoned. It does not evict pods.
// Source: kubernetes/kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go (doNoScheduleTaintingPass).
type NodeLifecycle struct {
	client *kube.Client
	nodes  *kube.Informer[*corev1.Node]
	queue  *kube.Queue
}

// NewNodeLifecycle starts the node-lifecycle-controller.
func NewNodeLifecycle(c *kube.Cluster, nodes *kube.Informer[*corev1.Node]) *NodeLifecycle {
	n := &NodeLifecycle{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:node-controller"}), nodes: nodes}
	n.queue = kube.NewQueue(c.Engine(), "node-lifecycle-controller", kube.ControllerBackoff, n.reconcile)
	nodes.Handle(func(_, now *corev1.Node) {
		if now != nil && len(wrongTaints(now)) > 0 {
			n.queue.Add(kube.KeyOf(now))
		}
	})
	return n
}

// stateTaints are the taints that follow from a node's state, and whether it has to have each.
func stateTaints(n *corev1.Node) map[string]bool {
	unknown := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown
	})
	return map[string]bool{corev1.TaintNodeNotReady: !NodeReady(n) && !unknown, corev1.TaintNodeUnreachable: unknown, corev1.TaintNodeUnschedulable: n.Spec.Unschedulable}
}

// NodeReady says whether a node's Ready condition is true.
func NodeReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// wrongTaints are those that a node has and should not, or lacks, in order.
func wrongTaints(n *corev1.Node) (out []string) {
	for key, want := range stateTaints(n) {
		if want != slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key && t.Effect == corev1.TaintEffectNoSchedule }) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

func (n *NodeLifecycle) reconcile(_ *engine.Process, k kube.Key) error {
	node, err := kube.Get[*corev1.Node](n.client, k)
	if apierrors.IsNotFound(err) {
		return nil
	}
	wrong := wrongTaints(node)
	if len(wrong) == 0 {
		return nil
	}
	now := node.DeepCopy()
	want := stateTaints(node)
	for _, key := range wrong {
		now.Spec.Taints = slices.DeleteFunc(now.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key && t.Effect == corev1.TaintEffectNoSchedule })
		if want[key] {
			t := n.client.Cluster().Now()
			now.Spec.Taints = append(now.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule, TimeAdded: &t})
		}
	}
	_, err = n.client.Update(now)
	return err
}
