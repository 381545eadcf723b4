package controllers

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// candidate is a pod that may be deleted.
type candidate struct {
	pod   *corev1.Pod
	ready bool
	cost  int64
	// rank is how many active pods of the same controller are on its node.
	rank int
}

// victims chooses the pods that a ReplicaSet deletes.
// Source: kubernetes/kubernetes pkg/controller/replicaset/replica_set.go, getPodsToDelete and getPodsRankedByRelatedPodsOnSameNode.
func (r *ReplicaSets) victims(rs *appsv1.ReplicaSet, pods []*corev1.Pod, n int) []*corev1.Pod {
	if n >= len(pods) {
		return pods
	}
	onNode := map[string]int{}
	count := func(s *appsv1.ReplicaSet) {
		for _, p := range r.pods.By("owner", string(s.UID)) {
			if active(p) {
				onNode[p.Spec.NodeName]++
			}
		}
	}
	if o := metav1.GetControllerOf(rs); o != nil {
		for _, s := range r.sets.By("owner", string(o.UID)) {
			count(s)
		}
	} else {
		count(rs)
	}
	all := make([]candidate, len(pods))
	for i, p := range pods {
		cost, _ := strconv.ParseInt(p.Annotations[corev1.PodDeletionCost], 10, 32)
		all[i] = candidate{p, Ready(p), cost, onNode[p.Spec.NodeName]}
	}
	now := engine.Epoch.Add(r.client.Cluster().Engine().Now())
	slices.SortStableFunc(all, func(a, b candidate) int { return compareVictims(&a, &b, now) })
	out := make([]*corev1.Pod, n)
	for i := range out {
		out[i] = all[i].pod
	}
	return out
}

// phaseOrder is the order in which phases go. Source: pkg/controller/controller_utils.go, podPhaseToOrdinal.
func phaseOrder(p corev1.PodPhase) int {
	switch p {
	case corev1.PodPending:
		return 0
	case corev1.PodUnknown:
		return 1
	case corev1.PodRunning:
		return 2
	}
	return 0
}

// compareVictims is negative if a goes before b.
// Source: kubernetes/kubernetes pkg/controller/controller_utils.go, ActivePodsWithRanks.Less.
func compareVictims(a, b *candidate, now time.Time) int {
	first := func(yes bool) int {
		if yes {
			return -1
		}
		return 1
	}
	if x, y := a.pod.Spec.NodeName == "", b.pod.Spec.NodeName == ""; x != y {
		return first(x)
	}
	if d := phaseOrder(a.pod.Status.Phase) - phaseOrder(b.pod.Status.Phase); d != 0 {
		return d
	}
	if a.ready != b.ready {
		return first(!a.ready)
	}
	if a.cost != b.cost {
		return cmp.Compare(a.cost, b.cost)
	}
	if a.rank != b.rank {
		return b.rank - a.rank
	}
	if a.ready && b.ready {
		if x, y := readyTime(a.pod), readyTime(b.pod); !x.Equal(y) {
			return compareAges(x, y, a.pod, b.pod, now)
		}
	}
	if x, y := maxRestarts(a.pod), maxRestarts(b.pod); x != y {
		return int(y - x)
	}
	if x, y := a.pod.CreationTimestamp.Time, b.pod.CreationTimestamp.Time; !x.Equal(y) {
		return compareAges(x, y, a.pod, b.pod, now)
	}
	return 0
}

// compareAges puts the younger first, where ages count by powers of two (LogarithmicScaleDown); among like ages the UID decides, which is as good as a draw.
func compareAges(x, y time.Time, a, b *corev1.Pod, now time.Time) int {
	if d := logAge(x, now) - logAge(y, now); d != 0 {
		return d
	}
	return cmp.Compare(a.UID, b.UID)
}

func logAge(t, now time.Time) int {
	if d := now.Sub(t); d > 0 {
		return int(math.Log2(float64(d)))
	}
	return -1
}

func readyTime(p *corev1.Pod) time.Time {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func maxRestarts(p *corev1.Pod) (n int32) {
	for i := range p.Status.ContainerStatuses {
		n = max(n, p.Status.ContainerStatuses[i].RestartCount)
	}
	return n
}
