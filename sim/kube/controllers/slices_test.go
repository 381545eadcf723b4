package controllers_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/controllers"
	"github.com/ekslab/ekslab/sim/trace"
)

// endpointsBench is an API server with the endpointslice controller alone; the test plays the kubelets.
type endpointsBench struct {
	t      *testing.T
	engine *engine.Engine
	client *kube.Client
	next   int
}

func newEndpointsBench(t *testing.T, svc *corev1.Service) *endpointsBench {
	e := engine.New(engine.Options{Seed: 1})
	t.Cleanup(e.Close)
	c := kube.New(e, trace.New(e), kube.Options{})
	controllers.NewEndpointSlices(c, kube.NewInformer[*corev1.Service](c), kube.NewInformer[*corev1.Pod](c), kube.NewInformer[*corev1.Node](c))
	b := &endpointsBench{t: t, engine: e, client: c.As(kube.Caller{User: "test"})}
	if _, err := b.client.Create(svc); err != nil {
		t.Fatal(err)
	}
	b.settle()
	return b
}

func (b *endpointsBench) settle() {
	b.t.Helper()
	if err := b.engine.Run(b.engine.Now()+time.Second, nil); err != nil {
		b.t.Fatal(err)
	}
}

// pods makes ready pods whose port "web" has a number, and returns their names.
func (b *endpointsBench) pods(n int, port int32) (names []string) {
	b.t.Helper()
	for range n {
		b.next++
		o, err := b.client.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("p%04d", b.next), Labels: map[string]string{"app": "web"}},
			Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{{Name: "c", Image: "nginx", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: port}}}}}})
		if err != nil {
			b.t.Fatal(err)
		}
		p := o.(*corev1.Pod).DeepCopy()
		p.Status.PodIP = fmt.Sprintf("10.0.%d.%d", b.next/250, b.next%250)
		b.ready(p, corev1.ConditionTrue)
		names = append(names, p.Name)
	}
	b.settle()
	return names
}

func (b *endpointsBench) ready(p *corev1.Pod, s corev1.ConditionStatus) {
	b.t.Helper()
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: s}}
	if _, err := b.client.UpdateStatus(p); err != nil {
		b.t.Fatal(err)
	}
}

func (b *endpointsBench) get(name string) *corev1.Pod {
	b.t.Helper()
	p, err := kube.Get[*corev1.Pod](b.client, kube.Key{Namespace: "default", Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	return p.DeepCopy()
}

func (b *endpointsBench) remove(names ...string) {
	b.t.Helper()
	zero := int64(0)
	for _, n := range names {
		if err := kube.DeleteWith[*corev1.Pod](b.client, kube.Key{Namespace: "default", Name: n}, metav1.DeleteOptions{GracePeriodSeconds: &zero}); err != nil {
			b.t.Fatal(err)
		}
	}
	b.settle()
}

// sizes is the number of endpoints in each slice, in order.
func (b *endpointsBench) sizes() (out []int) {
	for _, s := range kube.List[*discoveryv1.EndpointSlice](b.client) {
		out = append(out, len(s.Endpoints))
	}
	slices.Sort(out)
	return out
}

// of is the endpoint of a pod, and how many slices have it.
func (b *endpointsBench) of(name string) (e discoveryv1.Endpoint, port int32, many int) {
	for _, s := range kube.List[*discoveryv1.EndpointSlice](b.client) {
		for i := range s.Endpoints {
			if s.Endpoints[i].TargetRef.Name == name {
				e, port = s.Endpoints[i], *s.Ports[0].Port
				many++
			}
		}
	}
	return e, port, many
}

func webService(target intstr.IntOrString) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80, TargetPort: target}}}}
}

// Slices hold at most 100 endpoints; what is there stays where it is, new endpoints fill what is written anyway, and the last slice stays.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/reconciler.go.
func TestSlicesAreFilled(t *testing.T) {
	b := newEndpointsBench(t, webService(intstr.FromInt32(80)))
	want := func(when string, sizes ...int) {
		t.Helper()
		if got := b.sizes(); !slices.Equal(got, sizes) {
			t.Errorf("%s: slices of %v, want %v", when, got, sizes)
		}
	}
	want("no pod", 0)
	first := b.pods(100, 80)
	want("100 pods", 100)
	more := b.pods(1, 80)
	want("one more", 1, 100)
	b.remove(first[:60]...)
	want("60 gone", 1, 40)
	b.pods(70, 80)
	// One endpoint at a time goes to the slice that is the fullest after it.
	want("70 more", 11, 100)
	for _, n := range append(first[60:], more...) {
		if _, _, many := b.of(n); many != 1 {
			t.Errorf("%s is in %d slices", n, many)
		}
	}
	var all []string
	for _, p := range kube.List[*corev1.Pod](b.client) {
		all = append(all, p.Name)
	}
	b.remove(all...)
	want("all gone", 0)
}

// A pod that is being deleted is terminating, and serves while it is ready; it never is a ready endpoint.
func TestEndpointConditions(t *testing.T) {
	b := newEndpointsBench(t, webService(intstr.FromInt32(80)))
	name := b.pods(1, 80)[0]
	check := func(when string, ready, serving, terminating bool) {
		t.Helper()
		e, _, many := b.of(name)
		if c := e.Conditions; many != 1 || *c.Ready != ready || *c.Serving != serving || *c.Terminating != terminating {
			t.Errorf("%s: in %d slices, ready %v serving %v terminating %v", when, many, *c.Ready, *c.Serving, *c.Terminating)
		}
	}
	check("ready", true, true, false)
	b.ready(b.get(name), corev1.ConditionFalse)
	b.settle()
	check("not ready", false, false, false)
	b.ready(b.get(name), corev1.ConditionTrue)
	if err := kube.Delete[*corev1.Pod](b.client, kube.Key{Namespace: "default", Name: name}); err != nil {
		t.Fatal(err)
	}
	b.settle()
	check("being deleted", false, true, true)
	b.ready(b.get(name), corev1.ConditionFalse)
	b.settle()
	check("stopped", false, false, true)
	b.remove(name)
	if _, _, many := b.of(name); many != 0 {
		t.Error("a pod that is gone has an endpoint")
	}
}

// While a named port moves from one number to another, each number has slices of its own.
func TestNamedPortThatMoves(t *testing.T) {
	b := newEndpointsBench(t, webService(intstr.FromString("web")))
	old, now := b.pods(2, 8080), b.pods(3, 9090)
	for name, want := range map[string]int32{old[0]: 8080, old[1]: 8080, now[0]: 9090, now[2]: 9090} {
		if _, port, many := b.of(name); many != 1 || port != want {
			t.Errorf("%s: port %d in %d slices, want %d", name, port, many, want)
		}
	}
	b.remove(old...)
	if got := b.sizes(); !slices.Equal(got, []int{3}) {
		t.Errorf("slices of %v", got)
	}
}
