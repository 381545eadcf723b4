package controllers

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// How the controller manager watches nodes.
// Source: kubernetes/kubernetes v1.27 pkg/controller/nodelifecycle/config/v1alpha1/defaults.go (NodeMonitorGracePeriod 40 s; 50 s from 1.32),
// pkg/controller/apis/config/v1alpha1/defaults.go (NodeMonitorPeriod 5 s), pkg/controller/nodelifecycle/scheduler (NodeEvictionPeriod 100 ms),
// plugin/pkg/admission/defaulttolerationseconds/admission.go (300 s),
// cmd/kube-controller-manager (--node-eviction-rate 0.1, --unhealthy-zone-threshold 0.55, --large-cluster-size-threshold 50).
const (
	monitorPeriod      = 5 * time.Second
	monitorGrace       = 40 * time.Second
	taintPeriod        = 100 * time.Millisecond
	defaultToleration  = 300 * time.Second
	evictionInterval   = 10 * time.Second
	unhealthyThreshold = 0.55
	largeZone          = 50
)

// NodeMonitor notices nodes whose kubelet is silent: it calls them unknown and their pods not ready, taints them, and evicts their pods when
// they have tolerated that for long enough.
//
// Kubelets renew a lease every few seconds. As long as they do nothing follows from it, so leases are not written: who silences a kubelet
// says so, and when it last renewed its lease. What follows then is as if leases were watched.
type NodeMonitor struct {
	cluster *kube.Cluster
	client  *kube.Client
	events  *kube.Recorder
	evictor *kube.Client
	evicted *kube.Recorder
	pods    *kube.Informer[*corev1.Pod]
	// tainted is when the last node of a zone was tainted.
	tainted map[string]time.Duration
}

// NewNodeMonitor starts the part of the node lifecycle controller that watches leases, and the taint manager.
func NewNodeMonitor(c *kube.Cluster, pods *kube.Informer[*corev1.Pod]) *NodeMonitor {
	pods.Index("host", func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	return &NodeMonitor{cluster: c, client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:node-controller"}), events: c.Recorder("node-controller", ""),
		evictor: c.As(kube.Caller{User: "system:serviceaccount:kube-system:node-controller"}), evicted: c.Recorder("taint-eviction-controller", ""),
		pods: pods, tainted: map[string]time.Duration{}}
}

// Silent tells that a node's kubelet says nothing more, and when it last renewed its lease. The controller saw that at its next look, and
// gives the node its grace from there.
// Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go, tryUpdateNodeHealth.
func (m *NodeMonitor) Silent(node string, renewed time.Duration) {
	e := m.cluster.Engine()
	seen := (renewed + monitorPeriod - 1).Truncate(monitorPeriod)
	e.At(max(seen+monitorGrace, e.Now()), "node-controller: monitor", engine.Func(func() { m.unknown(node) }))
}

// unknown is the look at which the grace is over.
func (m *NodeMonitor) unknown(name string) {
	node, err := kube.Get[*corev1.Node](m.client, kube.Key{Name: name})
	if err != nil {
		return
	}
	now := node.DeepCopy()
	at := slices.IndexFunc(now.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if at < 0 {
		return
	}
	wasReady := now.Status.Conditions[at].Status == corev1.ConditionTrue
	for i := range now.Status.Conditions {
		switch c := &now.Status.Conditions[i]; c.Type {
		case corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure:
			*c = corev1.NodeCondition{Type: c.Type, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.", LastHeartbeatTime: c.LastHeartbeatTime, LastTransitionTime: m.cluster.Now()}
		}
	}
	if _, err := m.client.UpdateStatus(now); err != nil {
		m.cluster.Engine().Fail(err)
		return
	}
	if wasReady {
		m.events.Normal(node, "NodeNotReady", "Node %s status is now: NodeNotReady", name)
		m.unready(name)
	}
	m.taint(name, corev1.TaintEffectNoSchedule)
	m.spare()
	// The look after this one finds the condition unknown, and has the node tainted by another loop.
	m.cluster.Engine().After(monitorPeriod+taintPeriod, "node-controller: monitor", engine.Func(func() { m.queueTaint(name) }))
}

// unready says of a node's pods that they are not ready. Source: pkg/controller/util/node/controller_utils.go, MarkPodsNotReady.
func (m *NodeMonitor) unready(node string) {
	for _, p := range m.pods.By("host", node) {
		pod, err := kube.Get[*corev1.Pod](m.client, kube.KeyOf(p))
		if err != nil || pod.UID != p.UID {
			continue
		}
		now := pod.DeepCopy()
		at := slices.IndexFunc(now.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
		if at < 0 || now.Status.Conditions[at].Status == corev1.ConditionFalse {
			continue
		}
		now.Status.Conditions[at].Status, now.Status.Conditions[at].LastTransitionTime = corev1.ConditionFalse, m.cluster.Now()
		if _, err := m.client.UpdateStatus(now); err != nil {
			m.cluster.Engine().Fail(err)
			return
		}
		m.events.Warning(pod, "NodeNotReady", "Node is not ready")
	}
}

// taint adds the taint of a node that cannot be reached.
func (m *NodeMonitor) taint(name string, effect corev1.TaintEffect) {
	node, err := kube.Get[*corev1.Node](m.client, kube.Key{Name: name})
	if err != nil || slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeUnreachable && t.Effect == effect }) {
		return
	}
	now, t := node.DeepCopy(), m.cluster.Now()
	now.Spec.Taints = append(now.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: effect, TimeAdded: &t})
	if _, err := m.client.Update(now); err != nil {
		m.cluster.Engine().Fail(err)
	}
}

// spare takes the taints that evict away again when no node at all is ready: then the fault is more likely on this side.
// Source: node_lifecycle_controller.go, handleDisruption.
func (m *NodeMonitor) spare() {
	nodes := kube.List[*corev1.Node](m.client)
	if slices.ContainsFunc(nodes, nodeIsReady) {
		return
	}
	for _, n := range nodes {
		at := slices.IndexFunc(n.Spec.Taints, evicts)
		if at < 0 {
			continue
		}
		now := n.DeepCopy()
		now.Spec.Taints = slices.DeleteFunc(now.Spec.Taints, evicts)
		if _, err := m.client.Update(now); err != nil {
			m.cluster.Engine().Fail(err)
			return
		}
	}
}

func evicts(t corev1.Taint) bool {
	return t.Key == corev1.TaintNodeUnreachable && t.Effect == corev1.TaintEffectNoExecute
}

func nodeIsReady(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// queueTaint taints a node so that its pods are evicted, not more than one node of a zone in ten seconds; never when no node at all is ready,
// nor in a small zone most of whose nodes are not.
// Source: node_lifecycle_controller.go (doNoExecuteTaintingPass, handleDisruption, ComputeZoneState, ReducedQPSFunc).
func (m *NodeMonitor) queueTaint(name string) {
	e := m.cluster.Engine()
	node, err := kube.Get[*corev1.Node](m.client, kube.Key{Name: name})
	if err != nil {
		return
	}
	zone := node.Labels[corev1.LabelTopologyZone]
	if last, ok := m.tainted[zone]; ok && e.Now() < last+evictionInterval {
		e.At(last+evictionInterval, "node-controller: taint", engine.Func(func() { m.queueTaint(name) }))
		return
	}
	ready, inZone, notReady := 0, 0, 0
	for _, n := range kube.List[*corev1.Node](m.client) {
		ok := nodeIsReady(n)
		if ok {
			ready++
		}
		if n.Labels[corev1.LabelTopologyZone] == zone {
			inZone++
			if !ok {
				notReady++
			}
		}
	}
	partial := notReady < inZone && notReady > 2 && float64(notReady)/float64(inZone) >= unhealthyThreshold
	if ready == 0 || partial && inZone <= largeZone {
		return
	}
	m.tainted[zone] = e.Now()
	m.taint(name, corev1.TaintEffectNoExecute)
	for _, p := range m.pods.By("host", name) {
		if d, forever := toleration(p); !forever {
			e.After(d, "taint-eviction-controller", engine.Func(func() { m.evict(p) }))
		}
	}
}

// toleration is for how long a pod tolerates that its node cannot be reached. The API server gives pods that say nothing 300 s; those of a
// DaemonSet stay. Source: pkg/controller/tainteviction (getMinTolerationTime), pkg/controller/daemon/util (AddOrUpdateDaemonPodTolerations).
func toleration(p *corev1.Pod) (d time.Duration, forever bool) {
	if o := metav1.GetControllerOf(p); o != nil && o.Kind == "DaemonSet" {
		return 0, true
	}
	found, forever := false, true
	for _, t := range p.Spec.Tolerations {
		if t.Effect != "" && t.Effect != corev1.TaintEffectNoExecute || t.Key != corev1.TaintNodeUnreachable && !(t.Key == "" && t.Operator == corev1.TolerationOpExists) ||
			t.Operator != corev1.TolerationOpExists && t.Value != "" {
			continue
		}
		found = true
		if s := t.TolerationSeconds; s != nil {
			x := kube.Seconds(max(*s, 0))
			if forever || x < d {
				d = x
			}
			forever = false
		}
	}
	if !found {
		return defaultToleration, false
	}
	return d, forever
}

// evict deletes a pod of a tainted node. Its kubelet does not hear of it, so it stays there as being deleted.
func (m *NodeMonitor) evict(p *corev1.Pod) {
	pod, err := kube.Get[*corev1.Pod](m.evictor, kube.KeyOf(p))
	if err != nil || pod.UID != p.UID || pod.DeletionTimestamp != nil {
		return
	}
	if node, err := kube.Get[*corev1.Node](m.evictor, kube.Key{Name: pod.Spec.NodeName}); err != nil || !slices.ContainsFunc(node.Spec.Taints, evicts) {
		return // the taint was taken away again
	}
	m.evicted.Normal(pod, "TaintManagerEviction", "Marking for deletion Pod %s", kube.KeyOf(pod))
	if err := kube.Delete[*corev1.Pod](m.evictor, kube.KeyOf(pod)); err != nil && !apierrors.IsNotFound(err) {
		m.cluster.Engine().Fail(err)
	}
}
