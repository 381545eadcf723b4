package controllers

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/kube"
)

type randSource = rand.Rand

func scale(l *lab, replicas int32) {
	l.edit(func(d *appsv1.DeploymentSpec) { d.Replicas = &replicas })
	l.run(100 * time.Millisecond)
}

func (l *lab) service() {
	l.t.Helper()
	if _, err := l.c.Create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"},
		Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}}}); err != nil {
		l.t.Fatal(err)
	}
}

// sizes are how many endpoints each slice has.
func sliceSizes(l *lab) (out []int) {
	for _, s := range kube.List[*discoveryv1.EndpointSlice](l.c) {
		out = append(out, len(s.Endpoints))
	}
	slices.Sort(out)
	return out
}

// A slice holds 100 endpoints; what stays stays where it is, and few slices are written.
func TestManyEndpoints(t *testing.T) {
	l := newLab(t, 1)
	l.service()
	l.run(time.Second)
	if got := sliceSizes(l); !slices.Equal(got, []int{0}) {
		t.Errorf("without pods: %v", got)
	}
	l.deploy(250, nil)
	l.run(time.Minute)
	if got := sliceSizes(l); len(got) != 3 || got[0]+got[1]+got[2] != 250 || got[2] > 100 {
		t.Errorf("250 pods: %v", got)
	}
	before := map[string]string{}
	for _, s := range kube.List[*discoveryv1.EndpointSlice](l.c) {
		for _, e := range s.Endpoints {
			before[e.Addresses[0]] = s.Name
		}
	}
	scale(l, 240)
	l.run(time.Minute)
	for _, s := range kube.List[*discoveryv1.EndpointSlice](l.c) {
		for _, e := range s.Endpoints {
			if before[e.Addresses[0]] != s.Name {
				t.Errorf("%s moved from %s to %s", e.Addresses[0], before[e.Addresses[0]], s.Name)
			}
		}
	}
	scale(l, 0)
	l.run(time.Minute)
	if got := sliceSizes(l); !slices.Equal(got, []int{0}) {
		t.Errorf("without pods again: %v", got)
	}
}

// A pod that is being deleted is terminating, serves while it is ready, and is never ready.
func TestEndpointConditions(t *testing.T) {
	l := newLab(t, 1)
	l.service()
	l.stop = func(*corev1.Pod, *rand.Rand) time.Duration { return 30 * time.Second }
	l.deploy(2, nil)
	conditions := func() (out []string) {
		for _, s := range kube.List[*discoveryv1.EndpointSlice](l.c) {
			for _, e := range s.Endpoints {
				text := ""
				for _, x := range []struct {
					name string
					is   *bool
				}{{"ready ", e.Conditions.Ready}, {"serving ", e.Conditions.Serving}, {"terminating ", e.Conditions.Terminating}} {
					if *x.is {
						text += x.name
					}
				}
				out = append(out, text)
			}
		}
		slices.Sort(out)
		return out
	}
	l.run(time.Minute)
	if got := conditions(); !slices.Equal(got, []string{"ready serving ", "ready serving "}) {
		t.Errorf("both run: %q", got)
	}
	scale(l, 1)
	if got := conditions(); !slices.Equal(got, []string{"ready serving ", "serving terminating "}) {
		t.Errorf("one is being deleted: %q", got)
	}
	for k, p := range l.pods {
		if p.DeletionTimestamp != nil {
			l.ready(k, corev1.ConditionFalse)
		}
	}
	l.run(time.Second)
	if got := conditions(); !slices.Equal(got, []string{"ready serving ", "terminating "}) {
		t.Errorf("its probe fails: %q", got)
	}
	l.run(time.Minute)
	if got := conditions(); !slices.Equal(got, []string{"ready serving "}) {
		t.Errorf("it is gone: %q", got)
	}
}

// With a Deployment goes what it made; with a Service go its slices.
func TestGarbage(t *testing.T) {
	l := newLab(t, 1)
	l.service()
	l.deploy(3, nil)
	l.run(time.Minute)
	l.image("2")
	l.run(time.Minute)
	if err := kube.Delete[*appsv1.Deployment](l.c, webKey); err != nil {
		t.Fatal(err)
	}
	if err := kube.Delete[*corev1.Service](l.c, webKey); err != nil {
		t.Fatal(err)
	}
	l.run(time.Minute)
	if a, b, c := kube.List[*appsv1.ReplicaSet](l.c), kube.List[*corev1.Pod](l.c), kube.List[*discoveryv1.EndpointSlice](l.c); len(a)+len(b)+len(c) > 0 {
		t.Errorf("left over: %d ReplicaSets, %d pods, %d slices", len(a), len(b), len(c))
	}
}
