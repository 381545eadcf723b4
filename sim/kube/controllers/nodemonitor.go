package controllers

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// Times of the node lifecycle controller. Sources: kubernetes/kubernetes cmd/kube-controller-manager (--node-monitor-grace-period, 40 s up to 1.31;
// --node-monitor-period); plugin/pkg/admission/defaulttolerationseconds (--default-unreachable-toleration-seconds).
const (
	nodeMonitorGrace  = 40 * time.Second
	nodeMonitorPeriod = 5 * time.Second
	unreachableAfter  = 300 * time.Second
)

// NodeMonitor notices nodes whose kubelets have fallen silent: it says so in the node's status, makes their pods not ready, taints the node, and
// evicts its pods when they have tolerated that for long enough. Silence is the only thing that it looks for, so it is told when it begins.
// Source: kubernetes/kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go, monitorNodeHealth; pkg/controller/tainteviction.
type NodeMonitor struct {
	client *kube.Client
	events *kube.Recorder
	pods   *kube.Informer[*corev1.Pod]
}

// NewNodeMonitor starts it.
func NewNodeMonitor(c *kube.Cluster, pods *kube.Informer[*corev1.Pod]) *NodeMonitor {
	pods.Index("node", func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	return &NodeMonitor{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:node-controller"}), events: c.Recorder("node-controller", ""), pods: pods}
}

// Silent tells it that a node's kubelet renewed its lease for the last time then.
func (m *NodeMonitor) Silent(node string, renewed time.Duration) {
	e := m.client.Cluster().Engine()
	due := renewed + nodeMonitorGrace
	at := due.Truncate(nodeMonitorPeriod)
	if at < due {
		at += nodeMonitorPeriod
	}
	e.At(max(at, e.Now()), "node-controller: no lease", engine.Func(func() { m.lost(node) }))
}

func (m *NodeMonitor) lost(node string) {
	c := m.client.Cluster()
	o, err := kube.Get[*corev1.Node](m.client, kube.Key{Name: node})
	if err != nil {
		return
	}
	now, t := o.DeepCopy(), c.Now()
	for i := range now.Status.Conditions {
		if x := &now.Status.Conditions[i]; x.Type == corev1.NodeReady {
			x.Status, x.Reason, x.Message, x.LastTransitionTime = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.", t
		}
	}
	if _, err := m.client.UpdateStatus(now); m.failed(err) {
		return
	}
	m.events.Normal(now, "NodeNotReady", "Node %s status is now: NodeNotReady", node)
	if o, err = kube.Get[*corev1.Node](m.client, kube.Key{Name: node}); err != nil {
		return
	}
	now = o.DeepCopy()
	for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
		now.Spec.Taints = append(now.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: effect, TimeAdded: &t})
	}
	if _, err := m.client.Update(now); m.failed(err) {
		return
	}
	for _, p := range m.pods.By("node", node) {
		m.notReady(p)
		m.evict(p)
	}
}

func (m *NodeMonitor) failed(err error) bool {
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		m.client.Cluster().Engine().Fail(err)
	}
	return err != nil
}

// notReady makes a pod of a lost node not ready, since nobody else will. Source: pkg/util/node/node.go and pkg/controller/util/node, MarkPodsNotReady.
func (m *NodeMonitor) notReady(p *corev1.Pod) {
	o, err := kube.Get[*corev1.Pod](m.client, kube.KeyOf(p))
	if err != nil || !Ready(o) {
		return
	}
	now := o.DeepCopy()
	for i := range now.Status.Conditions {
		if c := &now.Status.Conditions[i]; c.Type == corev1.PodReady {
			c.Status, c.LastTransitionTime = corev1.ConditionFalse, m.client.Cluster().Now()
		}
	}
	if _, err := m.client.UpdateStatus(now); !m.failed(err) {
		m.events.Warning(now, "NodeNotReady", "Node is not ready")
	}
}

// evict deletes a pod when it has tolerated the taint for as long as it does. Nobody is there to finish the deletion.
func (m *NodeMonitor) evict(p *corev1.Pod) {
	after := unreachableAfter
	for i := range p.Spec.Tolerations {
		t := &p.Spec.Tolerations[i]
		if (t.Key == corev1.TaintNodeUnreachable || t.Key == "" && t.Operator == corev1.TolerationOpExists) && (t.Effect == "" || t.Effect == corev1.TaintEffectNoExecute) {
			if t.TolerationSeconds == nil {
				return
			}
			after = time.Duration(*t.TolerationSeconds) * time.Second
		}
	}
	m.client.Cluster().Engine().After(after, "node-controller: eviction", engine.Func(func() {
		o, err := kube.Get[*corev1.Pod](m.client, kube.KeyOf(p))
		if err != nil || o.UID != p.UID || o.DeletionTimestamp != nil {
			return
		}
		m.events.Normal(o, "TaintManagerEviction", "Marking for deletion Pod %v", kube.KeyOf(o))
		m.failed(kube.Delete[*corev1.Pod](m.client, kube.KeyOf(o)))
	}))
}
