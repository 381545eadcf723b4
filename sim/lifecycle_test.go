package sim

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

func webPods(w *World) (out []*corev1.Pod) {
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		if p.Labels["app"] == "web" {
			out = append(out, p)
		}
	}
	return out
}

// A pod that is scaled away leaves the API, the host's routes and rules, and its address to nobody for 30 s; what is sent to the address
// meets a reset while the namespace is there, then nothing.
func TestScaleDownEndsAPod(t *testing.T) {
	var drops []string
	w := small(t, InTree, 3, false, func(l *trace.Log) {
		l.Attach(trace.Set(trace.Drop), func(r *trace.Record) { drops = append(drops, l.String(r.Reason)) })
	})
	settle(t, w)
	before := webPods(w)
	if err := kube.ScaleTo(w.operator, kube.Key{Namespace: "default", Name: "web"}, 2); err != nil {
		t.Fatal(err)
	}
	var victim *corev1.Pod
	gone := func() bool {
		for _, p := range before {
			if now, err := kube.Get[*corev1.Pod](w.operator, kube.KeyOf(p)); err != nil || now.DeletionTimestamp != nil {
				victim = p
			}
		}
		return victim != nil
	}
	if err := w.Engine.RunWhile(func() bool { return !gone() }, nil); err != nil {
		t.Fatal(err)
	}
	marked, err := kube.Get[*corev1.Pod](w.operator, kube.KeyOf(victim))
	if err != nil || *marked.DeletionGracePeriodSeconds != 30 || !marked.DeletionTimestamp.Time.Equal(w.Kube.Now().Add(30*time.Second)) {
		t.Fatalf("%v %+v", err, marked)
	}
	began := w.Engine.Now()
	to := netip.AddrPortFrom(netip.MustParseAddr(victim.Status.PodIP), 80)
	// dial says how a connection to the pod from another pod ends.
	dial := func(at time.Duration) string {
		if err := w.Engine.Run(began+at, nil); err != nil {
			t.Fatal(err)
		}
		drops = nil
		c, err := w.Kubelets.Running(kube.Key{Namespace: "default", Name: "client"}).Namespace.Dial(to)
		if err != nil {
			t.Fatal(err)
		}
		got := "silence"
		c.OnConnect = func(err error) {
			if got = "open"; err != nil {
				got = err.Error()
			}
		}
		if err := w.Engine.Run(w.Engine.Now()+500*time.Millisecond, nil); err != nil {
			t.Fatal(err)
		}
		c.Abort()
		return got
	}
	if got := dial(0); got != "open" {
		t.Error("before the stop signal: ", got)
	}
	if got := dial(600 * time.Millisecond); got != string(linux.ECONNREFUSED) {
		t.Error("with the listener closed: ", got)
	}
	// The connection from before held the process until it was aborted, after 0.5 s: so the namespace went 1.3 s after that.
	if got := dial(2 * time.Second); got != "silence" || !slices.Contains(drops, vpc.DropSourceCheck) {
		t.Error("without the namespace: ", got, drops)
	}
	if err := w.Engine.Run(began+4*time.Second, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(webPods(w)); n != 2 {
		t.Error("pods left: ", n)
	}
	for _, n := range w.Nodes {
		for _, r := range n.Root.Routes().Rules() {
			if strings.Contains(r.String(), victim.Status.PodIP) {
				t.Error(r.String())
			}
		}
	}
	var reasons []string
	for _, e := range w.Kube.Events() {
		if e.InvolvedObject.Name == victim.Name || e.Reason == "SuccessfulDelete" {
			reasons = append(reasons, e.Reason)
		}
	}
	if !slices.Equal(reasons, []string{"Started", "SuccessfulDelete", "Killing"}) {
		t.Error(reasons)
	}
}
