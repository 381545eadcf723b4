package sim

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/controllers"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

var errTrying = errors.New("still trying")

// A packet to a pod whose program has ended is answered by a reset while the pod's network namespace is there. When that is gone, no route of the node
// leads to the address, so the node sends the packet back out of its interface, where the check of sources ends it.
func TestPacketsToADeadPod(t *testing.T) {
	s := newShop()
	s.replicas = 1
	seconds := func(n int) *[2]time.Duration {
		return &[2]time.Duration{time.Duration(n) * time.Second, time.Duration(n) * time.Second}
	}
	s.spec.Kubelet.NetnsTeardown = seconds(5)
	drops := map[string]int{}
	var log *trace.Log
	w := s.open(t, func(l *trace.Log) {
		log = l
		l.Attach(trace.Set(trace.Drop), func(r *trace.Record) { drops[log.String(r.Reason)]++ })
	})
	run(t, w, time.Minute)
	var pod *corev1.Pod
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		if p.Labels["app"] == "web" {
			pod = p
		}
	}
	d, err := kube.Get[*appsv1.Deployment](w.operator, key("default/web"))
	if err != nil {
		t.Fatal(err)
	}
	none := d.DeepCopy()
	none.Spec.Replicas = new(int32)
	if _, err := w.operator.Update(none); err != nil {
		t.Fatal(err)
	}
	from := w.Nodes[0]
	if from.Name == pod.Spec.NodeName {
		from = w.Nodes[1]
	}
	dial := func() (took time.Duration, result error) {
		began := w.Engine.Now()
		result = errTrying
		c, err := from.Root.Dial(netip.AddrPortFrom(netip.MustParseAddr(pod.Status.PodIP), 80))
		if err != nil {
			t.Fatal(err)
		}
		c.OnConnect = func(err error) { result, took = err, w.Engine.Now()-began }
		run(t, w, w.Engine.Now()+500*time.Millisecond)
		c.Close()
		return took, result
	}
	run(t, w, time.Minute+time.Second)
	if took, err := dial(); err != linux.ECONNREFUSED || took > 10*time.Millisecond {
		t.Errorf("its namespace is there: %v after %v", err, took)
	}
	run(t, w, time.Minute+10*time.Second)
	clear(drops)
	if _, err := dial(); err != errTrying || drops[vpc.DropSourceCheck] == 0 {
		t.Errorf("its namespace is gone: %v, drops %v", err, drops)
	}
}

// A node that falls silent is not ready when its lease is 40 s old, and its pods with it, at the next look of the controller, which comes every 5 s. The taint
// that evicts comes with the look after that; five minutes later the pods are deleted, which nobody there carries out.
func TestSilentNode(t *testing.T) {
	s := newShop()
	w := s.open(t, nil)
	run(t, w, time.Minute)
	name := ""
	mine := func() (ready, deleted, all int) {
		for _, p := range kube.List[*corev1.Pod](w.operator) {
			if p.Spec.NodeName != name || p.Labels["app"] != "web" {
				continue
			}
			all++
			if controllers.Ready(p) {
				ready++
			}
			if p.DeletionTimestamp != nil {
				deleted++
			}
		}
		return ready, deleted, all
	}
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		if p.Labels["app"] == "web" {
			name = p.Spec.NodeName
		}
	}
	_, _, had := mine()
	renewed, ok := w.Kubelets.Crash(name)
	if !ok || renewed > time.Minute || renewed < 50*time.Second {
		t.Fatalf("its last word was at %v: %v", renewed, ok)
	}
	w.monitor.Silent(name, renewed)
	for _, c := range []struct {
		at             time.Duration
		ready, deleted int
	}{{renewed + 40*time.Second - time.Millisecond, had, 0}, {renewed + 45*time.Second, 0, 0}, {renewed + 339*time.Second, 0, 0}, {renewed + 350*time.Second, 0, had}, {renewed + 20*time.Minute, 0, had}} {
		run(t, w, c.at)
		if ready, deleted, _ := mine(); ready != c.ready || deleted != c.deleted {
			t.Errorf("at %v: %d ready and %d deleted, want %d and %d", c.at-renewed, ready, deleted, c.ready, c.deleted)
		}
	}
}
