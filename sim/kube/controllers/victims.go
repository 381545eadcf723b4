package controllers

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// victims are the pods that a ReplicaSet deletes first when it has too many: so many of pods. Related are all pods of the ReplicaSets of
// the same owner.
// Source: kubernetes/kubernetes pkg/controller/replicaset/replica_set.go (getPodsToDelete), pkg/controller/controller_utils.go
// (ActivePodsWithRanks), with PodDeletionCost and LogarithmicScaleDown, which are on from 1.22.
func victims(pods, related []*corev1.Pod, many int, now time.Time) []*corev1.Pod {
	if many >= len(pods) {
		return pods
	}
	onNode := map[string]int{}
	for _, p := range related {
		if active(p) {
			onNode[p.Spec.NodeName]++
		}
	}
	pods = slices.Clone(pods)
	slices.SortStableFunc(pods, func(a, b *corev1.Pod) int { return compareVictims(a, b, onNode, now) })
	return pods[:many]
}

var phaseOrder = map[corev1.PodPhase]int{corev1.PodPending: 0, corev1.PodUnknown: 1, corev1.PodRunning: 2}

// before orders by a condition: who meets it comes first.
func before(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func compareVictims(a, b *corev1.Pod, onNode map[string]int, now time.Time) int {
	if c := cmp.Or(
		before(a.Spec.NodeName == "", b.Spec.NodeName == ""),
		cmp.Compare(phaseOrder[a.Status.Phase], phaseOrder[b.Status.Phase]),
		before(!Ready(a), !Ready(b)),
		cmp.Compare(deletionCost(a), deletionCost(b)),
		cmp.Compare(onNode[b.Spec.NodeName], onNode[a.Spec.NodeName]),
	); c != 0 {
		return c
	}
	if ra, rb := readySince(a), readySince(b); Ready(a) && !ra.Equal(rb) {
		return cmp.Or(cmp.Compare(ageRank(ra, now), ageRank(rb, now)), cmp.Compare(a.UID, b.UID))
	}
	if c := cmp.Compare(restarts(b), restarts(a)); c != 0 {
		return c
	}
	if ca, cb := a.CreationTimestamp.Time, b.CreationTimestamp.Time; !ca.Equal(cb) {
		return cmp.Or(cmp.Compare(ageRank(ca, now), ageRank(cb, now)), cmp.Compare(a.UID, b.UID))
	}
	return 0
}

// ageRank is the binary logarithm of an age: ages of one rank count as the same.
func ageRank(t, now time.Time) int64 {
	if d := now.Sub(t); d > 0 {
		return int64(math.Log2(float64(d)))
	}
	return -1
}

func deletionCost(p *corev1.Pod) int {
	n, err := strconv.ParseInt(p.Annotations[corev1.PodDeletionCost], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func restarts(p *corev1.Pod) (most int32) {
	for _, c := range p.Status.ContainerStatuses {
		most = max(most, c.RestartCount)
	}
	return most
}

// active says whether a pod counts: it is neither finished nor being deleted.
func active(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

// Ready says whether a pod's Ready condition is true.
func Ready(p *corev1.Pod) bool {
	c := readyCondition(p)
	return c != nil && c.Status == corev1.ConditionTrue
}

func readyCondition(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == corev1.PodReady {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func readySince(p *corev1.Pod) time.Time {
	if c := readyCondition(p); c != nil && c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

// available says whether a pod has been ready for long enough.
// Source: kubernetes/kubernetes pkg/api/v1/pod/util.go, IsPodAvailable.
func available(p *corev1.Pod, minReadySeconds int32, now time.Time) bool {
	if !Ready(p) {
		return false
	}
	return minReadySeconds == 0 || readySince(p).Add(time.Duration(minReadySeconds)*time.Second).Before(now)
}
