package kubelet_test

import (
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// A grace that is longer than any run is one: nothing is killed, and no time wraps around.
func TestEndlessGrace(t *testing.T) {
	for _, g := range []int64{1 << 40, math.MaxInt64} {
		b := newBench(t, 1)
		b.create(nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			s.TerminationGracePeriodSeconds = &g
			c.Env = []corev1.EnvVar{{Name: workload.EnvIgnoreStopSignal, Value: "true"}}
		}))
		b.run(5 * time.Second)
		b.mark()
		b.delete(-1)
		b.run(24 * time.Hour)
		b.want("0.0 Killing web: Stopping container c", "0.1 signal web c: SIGQUIT")
		if p := b.pod(); !p.DeletionTimestamp.After(p.CreationTimestamp.Time) {
			t.Errorf("deleted at %v", p.DeletionTimestamp)
		}
		b.mark()
		b.delete(2)
		b.gone()
	}
}

// A negative grace of a pod counts as one second. Source: kubernetes/kubernetes pkg/registry/core/pod/strategy.go, CheckGracefulDelete.
func TestNegativeGrace(t *testing.T) {
	g := int64(-5)
	b := newBench(t, 1)
	spec := nginx(func(s *corev1.PodSpec, c *corev1.Container) { s.TerminationGracePeriodSeconds = &g })
	b.create(spec)
	b.run(5 * time.Second)
	b.mark()
	b.delete(-1)
	b.gone()
	b.want("0.0 Killing web: Stopping container c", "0.1 signal web c: SIGQUIT", "1.4 DEL web", "1.5 gone")
}

// A pod that is deleted while one of its containers waits for its back-off ends at once; a new pod of the name has nothing to do with it.
func TestDeletionDuringBackOff(t *testing.T) {
	b := newBench(t, 1)
	spec := nginx(func(s *corev1.PodSpec, c *corev1.Container) {
		s.Containers = append(s.Containers, corev1.Container{Name: "short", Image: "nicolaka/netshoot", Command: []string{"sleep", "3"}})
	})
	b.create(spec)
	b.run(time.Minute)
	restarts := b.pod().Status.ContainerStatuses[1].RestartCount
	if restarts < 2 {
		t.Errorf("%d restarts", restarts)
	}
	if s := b.pod().Status.ContainerStatuses[1].State; s.Waiting == nil || s.Waiting.Reason != "CrashLoopBackOff" {
		t.Errorf("%+v", s)
	}
	b.mark()
	b.delete(-1)
	b.gone()
	b.want("0.0 Killing web: Stopping container c", "0.1 signal web c: SIGQUIT", "1.4 DEL web", "1.5 gone")
	b.create(nginx(nil))
	b.run(10 * time.Second)
	if ok, _ := b.ready(); !ok || b.pod().Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("%+v", b.pod().Status)
	}
}

// A pod that is removed by force and made again under the same name: each has its own network, and the old one's end does not touch the new one.
func TestSameNameAgain(t *testing.T) {
	b := newBench(t, 1)
	b.create(nginx(func(s *corev1.PodSpec, c *corev1.Container) {
		c.Env = []corev1.EnvVar{{Name: workload.EnvIgnoreStopSignal, Value: "true"}}
	}))
	b.run(5 * time.Second)
	b.delete(0)
	b.create(nginx(nil))
	b.run(time.Minute)
	if ok, _ := b.ready(); !ok {
		t.Errorf("%+v", b.pod().Status)
	}
	if p := b.kubelets.Running(webKey); p == nil || p.Object.UID != b.pod().UID {
		t.Errorf("%+v runs", p)
	}
	if _, err := kube.Get[*corev1.Pod](b.client, webKey); err != nil {
		t.Error(err)
	}
}
