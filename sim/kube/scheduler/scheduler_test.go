package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// cluster is nodes n1, n2 and n3, each with room for some pods, and pods that are created one after the other.
type cluster struct {
	e *engine.Engine
	c *kube.Client
}

func newCluster(t *testing.T, seed uint64, room int64) *cluster {
	e := engine.New(engine.Options{Seed: seed})
	k := kube.New(e, trace.New(e), kube.Options{})
	cl := &cluster{e, k.As(kube.Caller{User: "test"})}
	New(k, kube.NewInformer[*corev1.Pod](k), kube.NewInformer[*corev1.Node](k))
	for i := range 3 {
		name := fmt.Sprintf("n%d", i+1)
		if _, err := cl.c.Create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name, "even": fmt.Sprint(i%2 == 1)}},
			Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(room, resource.DecimalSI)}}}); err != nil {
			t.Fatal(err)
		}
	}
	return cl
}

func (c *cluster) pod(t *testing.T, name, app string, change func(*corev1.PodSpec)) {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": app}}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if change != nil {
		change(&p.Spec)
	}
	if _, err := c.c.Create(p); err != nil {
		t.Fatal(err)
	}
	if err := c.e.Run(c.e.Now()+time.Second, nil); err != nil {
		t.Fatal(err)
	}
}

// node is where a pod went, or why it went nowhere.
func (c *cluster) node(t *testing.T, name string) string {
	t.Helper()
	p, err := kube.Get[*corev1.Pod](c.c, kube.Key{Namespace: "default", Name: name})
	if err != nil {
		t.Fatal(err)
	}
	if p.Spec.NodeName != "" {
		return p.Spec.NodeName
	}
	if len(p.Status.Conditions) == 0 {
		return "not looked at"
	}
	return p.Status.Conditions[0].Message
}

func away(app string) func(*corev1.PodSpec) {
	return func(s *corev1.PodSpec) {
		s.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}}}}
	}
}

func TestSpreadOneEachBeforeASecondOnAny(t *testing.T) {
	for seed := uint64(1); seed < 5; seed++ {
		c := newCluster(t, seed, 10)
		spread := func(s *corev1.PodSpec) {
			s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}}}
		}
		c.pod(t, "other", "x", nil)
		var got []string
		for i := range 6 {
			c.pod(t, fmt.Sprint("web-", i), "web", spread)
			got = append(got, c.node(t, fmt.Sprint("web-", i)))
		}
		for _, three := range [][]string{got[:3], got[3:]} {
			s := slices.Sorted(slices.Values(three))
			if !slices.Equal(s, []string{"n1", "n2", "n3"}) {
				t.Errorf("seed %d: %v", seed, got)
			}
		}
	}
}

func TestFilters(t *testing.T) {
	c := newCluster(t, 1, 10)
	c.pod(t, "chosen", "a", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"even": "true"} })
	if n := c.node(t, "chosen"); n != "n2" {
		t.Errorf("node selector: %s", n)
	}
	for i := range 3 {
		c.pod(t, fmt.Sprint("far-", i), "b", away("a"))
		if n := c.node(t, fmt.Sprint("far-", i)); n == "n2" {
			t.Errorf("anti-affinity: %s", n)
		}
	}
	c.pod(t, "impossible", "a", func(s *corev1.PodSpec) { s.NodeSelector = map[string]string{"even": "maybe"} })
	if n := c.node(t, "impossible"); n != "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector" {
		t.Error(n)
	}
	// Those that run keep others away, too.
	d := newCluster(t, 1, 10)
	d.pod(t, "hermit", "h", away("web"))
	for i := range 4 {
		d.pod(t, fmt.Sprint("web-", i), "web", nil)
		if d.node(t, fmt.Sprint("web-", i)) == d.node(t, "hermit") {
			t.Error("a pod went to the node whose pod wants none like it")
		}
	}
}

func TestFullNodes(t *testing.T) {
	c := newCluster(t, 1, 1)
	for i := range 3 {
		c.pod(t, fmt.Sprint("p", i), "a", nil)
	}
	c.pod(t, "late", "a", nil)
	if n := c.node(t, "late"); n != "0/3 nodes are available: 3 Too many pods" {
		t.Error(n)
	}
	// Room appears: it is looked at again.
	n, err := kube.Get[*corev1.Node](c.c, kube.Key{Name: "n3"})
	if err != nil {
		t.Fatal(err)
	}
	more := n.DeepCopy()
	more.Status.Allocatable[corev1.ResourcePods] = resource.MustParse("2")
	if _, err := c.c.UpdateStatus(more); err != nil {
		t.Fatal(err)
	}
	c.e.Run(c.e.Now()+20*time.Second, nil)
	if n := c.node(t, "late"); n != "n3" {
		t.Error(n)
	}
}

func TestWhatIsNotModelledEndsTheRun(t *testing.T) {
	c := newCluster(t, 1, 9)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}}}}}
	if _, err := c.c.Create(p); err != nil {
		t.Fatal(err)
	}
	if err := c.e.Run(time.Minute, nil); err == nil || !strings.Contains(err.Error(), "resource requests: not modelled") {
		t.Error(err)
	}
}
