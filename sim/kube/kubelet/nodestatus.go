package kubelet

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// How often a kubelet asks the container runtime how it is, and how often it reports its node's status.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (updateRuntimeUp every 5 s); nodeStatusUpdateFrequency 10s in KubeletConfiguration.
const (
	runtimePeriod    = 5 * time.Second
	nodeStatusPeriod = 10 * time.Second
)

// Register has a node's kubelet create its Node, not ready: the container runtime finds no CNI configuration yet. The API server gives it the taint that
// goes with that (admission plugin TaintNodesByCondition).
func (n *Node) Register(o *corev1.Node) error {
	o.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady",
		Message:            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:docker: network plugin is not ready: cni config uninitialized",
		LastTransitionTime: n.client.Cluster().Now()}}
	o.Spec.Taints = append(o.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule})
	_, err := n.client.Create(o)
	return err
}

// NetworkReady tells a kubelet that there is a CNI configuration. It sees that when it next asks the container runtime, and reports it with the next status.
func (n *Node) NetworkReady() {
	e := n.client.Cluster().Engine()
	seen := e.Now().Truncate(runtimePeriod) + runtimePeriod
	report := (seen + nodeStatusPeriod - 1).Truncate(nodeStatusPeriod)
	e.At(report, "kubelet: node status", engine.Func(func() {
		node, err := kube.Get[*corev1.Node](n.client, kube.Key{Name: n.Name})
		if err != nil {
			return
		}
		now := node.DeepCopy()
		for i := range now.Status.Conditions {
			if c := &now.Status.Conditions[i]; c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				*c = corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status", LastTransitionTime: n.client.Cluster().Now()}
			}
		}
		if _, err := n.client.UpdateStatus(now); err != nil {
			e.Fail(err)
		}
	}))
}
