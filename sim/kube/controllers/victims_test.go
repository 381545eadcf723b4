package controllers

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Who goes first when a ReplicaSet shrinks.
func TestVictims(t *testing.T) {
	now := engine.Epoch.Add(time.Hour)
	at := func(age time.Duration) metav1.Time { return metav1.NewTime(now.Add(-age)) }
	pod := func(change func(*candidate)) *candidate {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "m", CreationTimestamp: at(time.Hour)}, Spec: corev1.PodSpec{NodeName: "n"}, Status: corev1.PodStatus{Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at(time.Hour)}}}}
		c := &candidate{pod: p, ready: true, rank: 1}
		change(c)
		return c
	}
	ready := func(c *candidate, age time.Duration) { c.pod.Status.Conditions[0].LastTransitionTime = at(age) }
	for _, c := range []struct {
		why          string
		first, other func(*candidate)
	}{
		{"without a node", func(c *candidate) { c.pod.Spec.NodeName = "" }, func(c *candidate) { c.pod.Status.Phase = corev1.PodPending }},
		{"pending before running", func(c *candidate) { c.pod.Status.Phase = corev1.PodPending }, func(c *candidate) { c.ready = false }},
		{"not ready before ready, whatever it costs", func(c *candidate) { c.ready, c.cost = false, 100 }, func(*candidate) {}},
		{"the cheaper", func(c *candidate) { c.cost = -1 }, func(c *candidate) { c.rank = 9 }},
		{"with more of its kind on the node", func(c *candidate) { c.rank = 2 }, func(c *candidate) { ready(c, time.Second) }},
		{"ready for a shorter time", func(c *candidate) { ready(c, time.Second) }, func(*candidate) {}},
		{"ready for about as long: the UID decides", func(c *candidate) { ready(c, 40*time.Minute); c.pod.UID = "a" }, func(c *candidate) { ready(c, 39*time.Minute) }},
		{"restarted more often", func(c *candidate) { c.pod.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 3}} }, func(c *candidate) { c.pod.CreationTimestamp = at(time.Second) }},
		{"the younger", func(c *candidate) { c.pod.CreationTimestamp = at(time.Second) }, func(*candidate) {}},
	} {
		a, b := pod(c.first), pod(c.other)
		if compareVictims(a, b, now) >= 0 || compareVictims(b, a, now) <= 0 {
			t.Errorf("%s: %d and %d", c.why, compareVictims(a, b, now), compareVictims(b, a, now))
		}
	}
}

// The ranks come from where the pods of all ReplicaSets of the Deployment are.
func TestScaleDownTakesFromTheFullestNode(t *testing.T) {
	l := newLab(t, 1)
	l.start = func(*corev1.Pod, *randSource) time.Duration { return time.Second }
	l.nodes = 2
	l.deploy(9, nil)
	l.run(time.Minute)
	per := func() map[string]int {
		out := map[string]int{}
		for _, p := range l.pods {
			if p.DeletionTimestamp == nil {
				out[p.Spec.NodeName]++
			}
		}
		return out
	}
	before := per()
	if before["n0"] == before["n1"] {
		t.Fatalf("an even start shows nothing: %v", before)
	}
	scale(l, 8)
	after := per()
	full := "n0"
	if before["n1"] > before["n0"] {
		full = "n1"
	}
	if after[full] != before[full]-1 {
		t.Errorf("%v became %v", before, after)
	}
}
