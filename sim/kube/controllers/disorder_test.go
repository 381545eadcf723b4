package controllers_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/kube"
)

// Whatever people do to a Deployment, and in whatever order, in the end its pods are as many as it asks for, of its image, and it says that it is done.
func TestDisorderComesToRest(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for n := range 15 {
		d := webDeployment(int32(r.IntN(8)), "", "")
		d.Spec.MinReadySeconds = int32(r.IntN(2) * 5)
		b := newRolloutBench(t, uint64(n), d)
		b.stop = time.Duration(r.IntN(30)) * time.Second
		b.start = func(*corev1.Pod) time.Duration {
			if r.IntN(10) == 0 {
				return -1 // never ready
			}
			return time.Duration(r.IntN(8000)) * time.Millisecond
		}
		var did []string
		for range 3 + r.IntN(12) {
			b.run(time.Duration(r.IntN(9000)) * time.Millisecond)
			what := ""
			switch r.IntN(6) {
			case 0:
				size := int32(r.IntN(12))
				b.edit(func(d *appsv1.Deployment) { d.Spec.Replicas = &size })
				what = fmt.Sprint("scale to ", size)
			case 1, 2:
				image := fmt.Sprintf("nginx:%d", 1+r.IntN(4))
				b.edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
				what = image
			case 3:
				paused := r.IntN(2) == 0
				b.edit(func(d *appsv1.Deployment) { d.Spec.Paused = paused })
				what = fmt.Sprint("paused ", paused)
			case 4:
				if pods := kube.List[*corev1.Pod](b.client); len(pods) > 0 {
					p := pods[r.IntN(len(pods))]
					if err := kube.Delete[*corev1.Pod](b.client, kube.KeyOf(p)); err != nil {
						t.Fatal(err)
					}
					what = "delete " + p.Name
				}
			case 5:
				surge, unavailable := intstr.FromInt32(int32(r.IntN(3))), intstr.FromInt32(int32(1+r.IntN(3)))
				b.edit(func(d *appsv1.Deployment) {
					d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
				})
				what = fmt.Sprintf("surge %v unavailable %v", &surge, &unavailable)
			}
			did = append(did, what)
		}
		b.edit(func(d *appsv1.Deployment) { d.Spec.Paused = false })
		// Whatever was never to be ready is deleted by hand; what comes in its place is fine.
		b.start = func(*corev1.Pod) time.Duration { return time.Second }
		b.run(time.Minute)
		for _, p := range kube.List[*corev1.Pod](b.client) {
			if len(p.Status.Conditions) == 0 && p.DeletionTimestamp == nil {
				if err := kube.Delete[*corev1.Pod](b.client, kube.KeyOf(p)); err != nil {
					t.Fatal(err)
				}
			}
		}
		b.run(10 * time.Minute)
		now := b.deployment()
		image, pods := now.Spec.Template.Spec.Containers[0].Image, kube.List[*corev1.Pod](b.client)
		bad := 0
		for _, p := range pods {
			if p.Spec.Containers[0].Image != image || p.DeletionTimestamp != nil {
				bad++
			}
		}
		if s := now.Status; len(pods) != int(*now.Spec.Replicas) || bad > 0 || !b.done() || s.AvailableReplicas != *now.Spec.Replicas || s.ObservedGeneration != now.Generation {
			t.Errorf("case %d: %d pods, %d of them wrong, done %v, %+v; wanted %d of %s, after %q", n, len(pods), bad, b.done(), s, *now.Spec.Replicas, image, did)
		}
		b.engine.Close()
	}
}
