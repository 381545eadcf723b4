package sim

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// A node that loses power is called unknown when its lease is 40 s old at the controller's look, which comes every 5 s; then its pods leave the
// endpoints. After 300 s more they are evicted: replaced, though their kubelet never lets them go.
// Source: kubernetes/kubernetes v1.27 pkg/controller/nodelifecycle.
func TestNodeThatLosesPower(t *testing.T) {
	w := small(t, InTree, 3, false, nil)
	settle(t, w)
	pods := func() (out []*corev1.Pod) {
		for _, p := range kube.List[*corev1.Pod](w.operator) {
			if p.Labels["app"] == "web" {
				out = append(out, p)
			}
		}
		return out
	}
	lost := pods()[0]
	began := w.Engine.Now()
	if err := w.crash("default/" + lost.Name); err != nil {
		t.Fatal(err)
	}
	node := func() *corev1.Node {
		n, err := kube.Get[*corev1.Node](w.operator, kube.Key{Name: lost.Spec.NodeName})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	when := func(what string, done func() bool) time.Duration {
		t.Helper()
		limit := w.Engine.Now() + 10*time.Minute
		if err := w.Engine.RunWhile(func() bool { return !done() && w.Engine.Now() < limit }, nil); err != nil {
			t.Fatal(err)
		}
		if !done() {
			t.Fatalf("never: %s", what)
		}
		return w.Engine.Now() - began
	}
	in := func(what string, got, low, high time.Duration) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s after %v, want %v to %v", what, got, low, high)
		}
	}
	status := func() corev1.NodeCondition {
		for _, c := range node().Status.Conditions {
			if c.Type == corev1.NodeReady {
				return c
			}
		}
		return corev1.NodeCondition{}
	}
	// The last renewal was up to 10 s before, and was seen up to 5 s after it was made.
	unknown := when("unknown", func() bool { return status().Status == corev1.ConditionUnknown })
	in("unknown", unknown, 30*time.Second, 45*time.Second)
	if c := status(); c.Reason != "NodeStatusUnknown" || c.Message != "Kubelet stopped posting node status." {
		t.Errorf("%+v", c)
	}
	left := when("out of the endpoints", func() bool {
		for _, s := range kube.List[*discoveryv1.EndpointSlice](w.operator) {
			for _, e := range s.Endpoints {
				if e.TargetRef.Name == lost.Name {
					return !*e.Conditions.Ready
				}
			}
		}
		return false
	})
	in("out of the endpoints", left-unknown, 0, 100*time.Millisecond)
	tainted := when("tainted", func() bool {
		return slices.ContainsFunc(node().Spec.Taints, func(x corev1.Taint) bool {
			return x.Key == corev1.TaintNodeUnreachable && x.Effect == corev1.TaintEffectNoExecute
		})
	})
	in("tainted", tainted-unknown, 5*time.Second, 5200*time.Millisecond)
	ask := func() *corev1.Pod {
		p, err := kube.Get[*corev1.Pod](w.operator, kube.KeyOf(lost))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	evicted := when("evicted", func() bool { return ask().DeletionTimestamp != nil })
	in("evicted", evicted-tainted, 300*time.Second, 301*time.Second)
	when("replaced", func() bool { return len(pods()) > 3 })
	if err := w.Engine.Run(w.Engine.Now()+5*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	ask() // it stays, as being deleted
	reasons := map[string]bool{}
	for _, e := range kube.Events(w.operator) {
		if e.InvolvedObject.Name == lost.Name {
			reasons[e.Reason] = true
		}
	}
	if !reasons["NodeNotReady"] || !reasons["TaintManagerEviction"] || reasons["Killing"] {
		t.Error(reasons)
	}
	if w.Kubelets.Running(kube.KeyOf(lost)) != nil {
		t.Error("a pod runs on a node without power")
	}
}

// When no node is ready, nobody is evicted: the taint that the first of them has got is taken away again.
func TestEvictionIsHeldBack(t *testing.T) {
	w := small(t, InTree, 3, false, nil)
	settle(t, w)
	// Ten seconds apart, so that the first has its taint before the last is called unknown.
	for i, n := range w.Nodes {
		if _, ok := w.Kubelets.Crash(n.Name); !ok {
			t.Fatalf("%s has no kubelet", n.Name)
		}
		w.monitor.Silent(n.Name, w.Engine.Now()+time.Duration(i)*10*time.Second)
	}
	if err := w.Engine.Run(w.Engine.Now()+15*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		if p.DeletionTimestamp != nil {
			t.Errorf("%v was evicted while no node is ready", kube.KeyOf(p))
		}
	}
}
