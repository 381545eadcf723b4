package kubelet_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// What a kubelet does from the deletion of a pod on, in seconds since it.
// Sources: kubernetes/kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go (killContainer, executePreStopHook); sheet 28's rows about G and G + 2 s.
func TestStop(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	ignoring := corev1.EnvVar{Name: workload.EnvIgnoreStopSignal, Value: "true"}
	sleeper := func(c *corev1.Container) { c.Image, c.Command = "nicolaka/netshoot", []string{"sleep", "infinity"} }
	const hook, fails = "Killing web: Stopping container c", "FailedPreStopHook web: PreStopHook failed"
	for _, c := range []struct {
		name  string
		pod   corev1.PodSpec
		grace int64 // of the deletion; -1 is the pod's own
		want  []string
	}{
		{"nginx ends at its SIGQUIT", nginx(nil), -1, []string{"0.0 " + hook, "0.1 signal web c: SIGQUIT", "1.4 DEL web", "1.5 gone"}},
		{"a preStop hook is waited for", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Lifecycle = preStop("/bin/sh", "-c", "sleep 15") }), -1,
			[]string{"0.0 " + hook, "15.1 signal web c: SIGQUIT", "16.4 DEL web", "16.5 gone"}},
		{"a hook that sleeps by itself", nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 10}}}
		}), -1, []string{"0.0 " + hook, "10.1 signal web c: SIGQUIT", "11.4 DEL web", "11.5 gone"}},
		{"a hook longer than the grace is cut off", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Lifecycle = preStop("sleep", "40") }), -1,
			[]string{"0.0 " + hook, "30.1 signal web c: SIGQUIT", "30.1 " + fails, "31.4 DEL web", "31.5 gone"}},
		{"the same, and the signal is ignored: G and G + 2 s", nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle, c.Env = preStop("sleep", "40"), []corev1.EnvVar{ignoring}
		}), -1, []string{"0.0 " + hook, "30.1 signal web c: SIGQUIT", "32.1 signal web c: SIGKILL", "32.1 " + fails, "33.4 DEL web", "33.5 gone"}},
		{"the signal is ignored", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Env = []corev1.EnvVar{ignoring} }), -1,
			[]string{"0.0 " + hook, "0.1 signal web c: SIGQUIT", "30.1 signal web c: SIGKILL", "31.4 DEL web", "31.5 gone"}},
		{"what the hook takes is taken from the grace", nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle, c.Env, s.TerminationGracePeriodSeconds = preStop("sleep", "7.9"), []corev1.EnvVar{ignoring}, seconds(20)
		}), -1, []string{"0.0 " + hook, "8.0 signal web c: SIGQUIT", "21.0 signal web c: SIGKILL", "22.3 DEL web", "22.4 gone"}}, // whole seconds: 20 - 7
		{"a command that the image lacks", nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			c.Image, c.Lifecycle = "ekslab/web:1", preStop("/bin/sh", "-c", "sleep 15")
		}), -1, []string{"0.0 " + hook, "0.0 " + fails, "0.1 signal web c: SIGTERM", "1.4 DEL web", "1.5 gone"}},
		{"a hook that fails", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Lifecycle = preStop("sh", "-c", "sleep 3; false") }), -1,
			[]string{"0.0 " + hook, "3.0 " + fails, "3.1 signal web c: SIGQUIT", "4.4 DEL web", "4.5 gone"}},
		{"the first process takes no signal that it does not handle", nginx(func(s *corev1.PodSpec, c *corev1.Container) { sleeper(c) }), -1,
			[]string{"0.0 " + hook, "0.1 signal web c: SIGTERM", "30.1 signal web c: SIGKILL", "31.4 DEL web", "31.5 gone"}},
		{"a shorter grace of the deletion", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Env = []corev1.EnvVar{ignoring} }), 5,
			[]string{"0.0 " + hook, "0.1 signal web c: SIGQUIT", "5.1 signal web c: SIGKILL", "6.4 DEL web", "6.5 gone"}},
		{"a grace of one second is two", nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Env = []corev1.EnvVar{ignoring} }), 1,
			[]string{"0.0 " + hook, "0.1 signal web c: SIGQUIT", "2.1 signal web c: SIGKILL", "3.4 DEL web", "3.5 gone"}},
		{"containers stop side by side", nginx(func(s *corev1.PodSpec, c *corev1.Container) {
			s.Containers = append(s.Containers, corev1.Container{Name: "side", Image: "nicolaka/netshoot", Command: []string{"sleep", "infinity"}, Lifecycle: preStop("sleep", "10")})
		}), -1, []string{"0.0 " + hook, "0.0 Killing web: Stopping container side", "0.1 signal web c: SIGQUIT", "10.1 signal web side: SIGTERM", "30.1 signal web side: SIGKILL", "31.4 DEL web", "31.5 gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 1)
			b.create(c.pod)
			b.run(5 * time.Second)
			if ok, _ := b.ready(); !ok {
				t.Fatalf("not ready: %+v", b.pod().Status)
			}
			b.mark()
			b.delete(c.grace)
			b.gone()
			b.want(c.want...)
			b.run(2 * time.Minute)
			if extra := len(b.told) - len(c.want); extra > 0 {
				t.Errorf("and then %q", b.told[len(c.want):])
			}
			if b.kubelets.Running(webKey) != nil {
				t.Error("it runs")
			}
		})
	}
}

// A forced deletion removes the pod from the API at once; the node ends it all the same.
func TestForcedDeletion(t *testing.T) {
	b := newBench(t, 1)
	b.create(nginx(func(s *corev1.PodSpec, c *corev1.Container) {
		c.Env = []corev1.EnvVar{{Name: workload.EnvIgnoreStopSignal, Value: "true"}}
	}))
	b.run(5 * time.Second)
	b.mark()
	b.delete(0)
	b.gone()
	b.run(time.Minute)
	b.want("0.0 gone", "0.0 Killing web: Stopping container c", "0.1 signal web c: SIGQUIT", "2.1 signal web c: SIGKILL", "3.4 DEL web")
}

// A second deletion with a shorter grace hurries a pod that is being stopped; one with a longer grace does not give it more time.
// Source: kubernetes/kubernetes pkg/kubelet/pod_workers.go (calculateEffectiveGracePeriod, gracePeriodShortened): the containers are killed anew.
func TestGraceCanBeShortened(t *testing.T) {
	b := newBench(t, 1)
	b.create(nginx(func(s *corev1.PodSpec, c *corev1.Container) {
		c.Env = []corev1.EnvVar{{Name: workload.EnvIgnoreStopSignal, Value: "true"}}
	}))
	b.run(5 * time.Second)
	b.mark()
	b.delete(60)
	b.run(10 * time.Second)
	b.delete(300)
	b.delete(3)
	b.gone()
	b.want("0.0 Killing web: Stopping container c", "0.1 signal web c: SIGQUIT", "10.0 Killing web: Stopping container c", "10.1 signal web c: SIGQUIT", "13.1 signal web c: SIGKILL", "14.4 DEL web", "14.5 gone")
}

// A pod that is deleted while its sandbox is being made, or before, leaves nothing behind.
func TestDeletionDuringStart(t *testing.T) {
	for _, c := range []struct {
		name string
		at   time.Duration
		slow time.Duration
		want []string
	}{
		{"before the sandbox", 500 * time.Millisecond, 0, []string{"0.6 gone"}},
		{"while the plugin works", 1500 * time.Millisecond, 2 * time.Second, []string{"4.3 DEL web", "4.4 gone"}},
		{"before the containers", 1500 * time.Millisecond, 0, []string{"2.8 DEL web", "2.9 gone"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, 1)
			b.slow = c.slow
			b.create(nginx(nil))
			b.run(c.at)
			b.told = nil
			b.began = b.engine.Now() - c.at
			b.delete(-1)
			b.gone()
			if len(b.nets) > 0 {
				t.Error("its network stays")
			}
			b.want(c.want...)
			b.run(time.Minute)
			if b.kubelets.Running(webKey) != nil || len(b.told) != len(c.want) {
				t.Errorf("it runs: %q", b.told)
			}
		})
	}
}

// A sandbox that cannot be made is tried again after ten to fifteen seconds, at a look of the kubelet's, which comes every second; Events of it are counted.
// Source: kubernetes/kubernetes pkg/kubelet/pod_workers.go, completeWork.
func TestSandboxIsTriedAgain(t *testing.T) {
	for seed := range uint64(10) {
		b := newBench(t, seed)
		b.fails = 3
		b.create(nginx(nil))
		var at []time.Duration
		for last := 3; last > 0; {
			if err := b.engine.RunWhile(func() bool { return b.fails == last }, nil); err != nil {
				t.Fatal(err)
			}
			last = b.fails
			at = append(at, b.engine.Now())
		}
		for i := 1; i < len(at); i++ {
			if d := at[i] - at[i-1]; d < 10*time.Second || d > 17*time.Second { // one second for the look, one for the pod's start
				t.Errorf("seed %d: again after %v", seed, d)
			}
		}
		b.run(20 * time.Second)
		if ok, _ := b.ready(); !ok {
			t.Errorf("seed %d: %+v", seed, b.pod().Status)
		}
		n := int32(0)
		for _, e := range kube.Events(b.client) {
			if e.Reason == "FailedCreatePodSandBox" {
				n += e.Count
			}
		}
		if n != 3 {
			t.Errorf("seed %d: %d Events", seed, n)
		}
	}
}

// A node that loses power while a pod stops: nothing more is heard of it.
func TestCrashDuringStop(t *testing.T) {
	b := newBench(t, 1)
	b.create(nginx(func(s *corev1.PodSpec, c *corev1.Container) { c.Lifecycle = preStop("sleep", "10") }))
	b.run(5 * time.Second)
	b.mark()
	b.delete(-1)
	b.run(5 * time.Second)
	before := len(b.client.Cluster().Audit())
	if _, ok := b.kubelets.Crash("n1"); !ok {
		t.Fatal("no node")
	}
	b.run(5 * time.Minute)
	b.want("0.0 Killing web: Stopping container c")
	if now := b.client.Cluster().Audit()[before:]; len(now) > 0 {
		t.Errorf("%+v", now)
	}
	if b.pod().DeletionTimestamp == nil {
		t.Error("not being deleted")
	}
}
