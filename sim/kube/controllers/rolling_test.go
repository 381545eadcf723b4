package controllers

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/kube"
)

// The surge is rounded up and what may be missing down, and if both are none one may be missing.
func TestFenceposts(t *testing.T) {
	percent, number := intstr.FromString, intstr.FromInt32
	quarter := percent("25%")
	for _, c := range []struct {
		replicas           int32
		maxSurge, maxUnav  intstr.IntOrString
		surge, unavailable int32
	}{
		{1, quarter, quarter, 1, 0},
		{2, quarter, quarter, 1, 0},
		{3, quarter, quarter, 1, 0},
		{4, quarter, quarter, 1, 1},
		{5, quarter, quarter, 2, 1},
		{10, quarter, quarter, 3, 2},
		{20, quarter, quarter, 5, 5},
		{10, number(0), percent("9%"), 0, 1}, // 0.9 of a pod is none, and then one
		{10, number(0), percent("10%"), 0, 1},
		{10, percent("1%"), number(0), 1, 0},
		{10, percent("100%"), percent("100%"), 10, 10},
		{10, percent("200%"), number(0), 20, 0},
		{0, quarter, quarter, 0, 1},
		{3, number(7), number(5), 7, 5},
	} {
		if s, u := fenceposts(&c.maxSurge, &c.maxUnav, c.replicas); s != c.surge || u != c.unavailable {
			t.Errorf("%d replicas, %s, %s: %d and %d, want %d and %d", c.replicas, c.maxSurge.String(), c.maxUnav.String(), s, u, c.surge, c.unavailable)
		}
	}
}

// Ten replicas: three new ones, two old ones at once, two more new ones; then each new one that is available lets one go and one more start. What
// kubectl says goes with it.
func TestRollingUpdateOfTen(t *testing.T) {
	for seed := range uint64(5) {
		l := newLab(t, seed)
		l.deploy(10, nil)
		l.run(time.Minute)
		l.steps = nil
		var messages []string
		kube.NewInformer[*appsv1.Deployment](l.c.Cluster()).Handle(func(_, now *appsv1.Deployment) {
			if m, _, err := RolloutStatus(now); err != nil {
				t.Error(err)
			} else if len(messages) == 0 || messages[len(messages)-1] != m {
				messages = append(messages, m)
			}
		})
		l.seen = func() {
			if all, available := l.count(); all > 13 || available < 8 {
				t.Errorf("seed %d: %d pods, %d available", seed, all, available)
			}
		}
		l.image("2")
		l.run(time.Minute)
		if want := [][2]int32{{3, 10}, {3, 8}, {5, 8}}; len(l.steps) < 3 || !reflect.DeepEqual(l.steps[:3], want) {
			t.Errorf("seed %d: steps %v, want them to begin with %v", seed, l.steps, want)
		}
		if last := l.steps[len(l.steps)-1]; last != [2]int32{10, 0} || !l.done() {
			t.Errorf("seed %d: the last step is %v, done is %v", seed, last, l.done())
		}
		for _, s := range l.steps {
			if s[0]+s[1] > 13 {
				t.Errorf("seed %d: step %v", seed, s)
			}
		}
		say := func(format string, args ...any) string {
			return fmt.Sprintf("Waiting for deployment %q rollout to finish: "+format, append([]any{"web"}, args...)...)
		}
		for _, m := range []string{"Waiting for deployment spec update to be observed...", say("5 out of 10 new replicas have been updated..."), say("3 old replicas are pending termination..."),
			say("8 of 10 updated replicas are available..."), `deployment "web" successfully rolled out`} {
			if !slices.Contains(messages, m) {
				t.Errorf("seed %d: nobody said %q; what was said: %q", seed, m, messages)
			}
		}
	}
}

// Never are more pods asked for than replicas and surge, nor are there more for long; never are fewer available than replicas without what may be missing,
// whatever the sizes, the times and a second update that comes in between; and in the end all is new; no old ReplicaSet grows. There may be more pods for a moment: what a
// ReplicaSet deletes and another creates is not done by one hand.
func TestRollingUpdateKeepsItsLimits(t *testing.T) {
	for seed := range uint64(60) {
		l := newLab(t, seed)
		r := rand.New(rand.NewPCG(seed, 1))
		replicas := 1 + r.Int32N(30)
		some := func() intstr.IntOrString {
			if r.IntN(2) == 0 {
				return intstr.FromInt32(r.Int32N(replicas + 1))
			}
			return intstr.FromString(fmt.Sprint(r.IntN(101), "%"))
		}
		surge, unavailable := some(), some()
		if isZero(surge) && isZero(unavailable) {
			surge = intstr.FromInt32(1)
		}
		minReady := r.Int32N(3) * 5
		slow := time.Duration(r.IntN(60)) * time.Second
		l.stop = func(_ *corev1.Pod, r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(slow) + 1)) }
		l.start = func(_ *corev1.Pod, r *rand.Rand) time.Duration {
			return time.Duration(r.Int64N(int64(10 * time.Second)))
		}
		l.deploy(replicas, func(d *appsv1.DeploymentSpec) {
			rollingBy(surge, unavailable)(d)
			d.MinReadySeconds = minReady
		})
		l.run(2 * time.Minute)
		most, least := fenceposts(&surge, &unavailable, replicas)
		most, least = replicas+most, replicas-min(least, replicas)
		what := fmt.Sprintf("seed %d: %d replicas, surge %s, unavailable %s, minReadySeconds %d", seed, replicas, surge.String(), unavailable.String(), minReady)
		over := time.Duration(-1)
		l.seen = func() {
			all, available := l.count()
			switch {
			case t.Failed():
			case all <= most:
				over = -1
			case over < 0:
				over = l.e.Now()
			case l.e.Now()-over > 20*time.Millisecond:
				t.Errorf("%s: %d pods since %v", what, all, over)
			}
			if n := l.total(); (n > most || available < least) && !t.Failed() {
				t.Errorf("%s: %d pods are wanted, %d available", what, n, available)
			}
		}
		l.image("2")
		if r.IntN(2) == 0 {
			l.run(time.Duration(r.Int64N(int64(20 * time.Second))))
			l.image("3")
		}
		l.run(20 * time.Minute)
		if all, available := l.count(); !l.done() || all != replicas || available != replicas {
			t.Errorf("%s: not done: %d pods, %d available", what, all, available)
		}
		if len(l.grew) > 0 {
			t.Errorf("%s: old ReplicaSets grew: %v", what, l.grew)
		}
	}
}

func isZero(x intstr.IntOrString) bool {
	n, _ := intstr.GetScaledValueFromIntOrPercent(&x, 100, true)
	return n == 0
}

// New pods that never become ready stop the update where availability begins, and after progressDeadlineSeconds the Deployment says so. Going back gets it
// out of there, and the pods that never worked go first.
func TestStalledUpdate(t *testing.T) {
	l := newLab(t, 1)
	start := l.start
	l.start = func(p *corev1.Pod, r *rand.Rand) time.Duration {
		if p.Spec.Containers[0].Image == "nginx:bad" {
			return -1
		}
		return start(p, r)
	}
	l.deploy(10, nil)
	l.run(time.Minute)
	l.image("bad")
	began := l.e.Now()
	l.run(595 * time.Second)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{5, 8} {
		t.Errorf("stopped at %v", last)
	}
	if _, _, err := RolloutStatus(l.deployment()); err != nil {
		t.Errorf("%v after %v", err, l.e.Now()-began)
	}
	l.run(10 * time.Second)
	c := condition(&l.deployment().Status, appsv1.DeploymentProgressing)
	if _, _, err := RolloutStatus(l.deployment()); err == nil || c.Reason != "ProgressDeadlineExceeded" || c.Status != corev1.ConditionFalse {
		t.Errorf("after %v: %v, %+v", l.e.Now()-began, err, c)
	}
	l.seen = func() {
		if _, available := l.count(); available < 8 {
			t.Errorf("%d available", available)
		}
	}
	l.image("1")
	l.run(time.Minute)
	if all, available := l.count(); !l.done() || all != 10 || available != 10 {
		t.Errorf("not back: %d pods, %d available", all, available)
	}
}

// A pod is available when it has been ready for minReadySeconds; the update waits for that.
func TestMinReadySeconds(t *testing.T) {
	took := func(minReady int32) time.Duration {
		l := newLab(t, 3)
		l.deploy(4, func(d *appsv1.DeploymentSpec) { d.MinReadySeconds = minReady })
		l.run(5 * time.Minute)
		l.image("2")
		began := l.e.Now()
		for !l.done() && l.e.Now() < began+10*time.Minute {
			l.run(100 * time.Millisecond)
		}
		return l.e.Now() - began
	}
	without, with := took(0), took(30)
	// Four replicas with one more and one fewer are two waves.
	if added := with - without; added < 55*time.Second || added > 100*time.Second {
		t.Errorf("%v without, %v with 30 s", without, with)
	}
}

// With Recreate no new pod is made while an old one is there, even one that is being deleted.
func TestRecreate(t *testing.T) {
	l := newLab(t, 1)
	l.deploy(5, func(d *appsv1.DeploymentSpec) { d.Strategy.Type = appsv1.RecreateDeploymentStrategyType })
	l.run(time.Minute)
	l.stop = func(*corev1.Pod, *rand.Rand) time.Duration { return 40 * time.Second }
	images := func() map[string]int {
		out := map[string]int{}
		for _, p := range l.pods {
			out[p.Spec.Containers[0].Image]++
		}
		return out
	}
	l.seen = func() {
		if n := images(); len(n) > 1 {
			t.Errorf("old and new at once: %v", n)
		}
	}
	l.image("2")
	l.run(39 * time.Second)
	if n := images(); n["nginx:1"] != 5 {
		t.Errorf("after 39 s: %v", n)
	}
	l.run(10 * time.Second)
	if n := images(); n["nginx:2"] != 5 || !l.done() {
		t.Errorf("after 49 s: %v", n)
	}
}

// A Deployment that is made larger in the middle of an update grows in all its ReplicaSets, by their size: the example of the Kubernetes documentation,
// "Proportional scaling".
func TestProportionalScaling(t *testing.T) {
	l := newLab(t, 1)
	l.start = func(p *corev1.Pod, _ *rand.Rand) time.Duration {
		if p.Spec.Containers[0].Image == "nginx:2" {
			return -1
		}
		return time.Second
	}
	l.deploy(10, rollingBy(intstr.FromInt32(3), intstr.FromInt32(2)))
	l.run(time.Minute)
	l.image("2")
	l.run(time.Minute)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{5, 8} {
		t.Fatalf("before: %v", last)
	}
	fifteen, ten := int32(15), int32(10)
	l.edit(func(d *appsv1.DeploymentSpec) { d.Replicas = &fifteen })
	l.run(time.Second)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{7, 11} {
		t.Errorf("15 replicas: %v, want 7 new and 11 old", last)
	}
	l.edit(func(d *appsv1.DeploymentSpec) { d.Replicas = &ten })
	l.run(time.Minute)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{5, 8} {
		t.Errorf("10 replicas again: %v", last)
	}
}

// A paused Deployment keeps to its pods, but takes a new size.
func TestPaused(t *testing.T) {
	l := newLab(t, 1)
	l.deploy(3, nil)
	l.run(time.Minute)
	five := int32(5)
	l.edit(func(d *appsv1.DeploymentSpec) { d.Paused = true })
	l.image("2")
	l.edit(func(d *appsv1.DeploymentSpec) { d.Replicas = &five })
	l.run(time.Hour)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{5, 0} || len(l.sizes) != 1 {
		t.Errorf("paused: %v", l.steps)
	}
	if c := condition(&l.deployment().Status, appsv1.DeploymentProgressing); c.Reason != reasonPaused {
		t.Errorf("paused: %+v", c)
	}
	l.edit(func(d *appsv1.DeploymentSpec) { d.Paused = false })
	l.run(time.Minute)
	if last := l.steps[len(l.steps)-1]; last != [2]int32{5, 0} || len(l.sizes) != 2 || !l.done() {
		t.Errorf("resumed: %v", l.steps)
	}
}

// Revisions are numbered; going back to an old template brings its ReplicaSet back with a new number; what is too old is deleted.
func TestRevisions(t *testing.T) {
	l := newLab(t, 1)
	two := int32(2)
	l.deploy(2, func(d *appsv1.DeploymentSpec) { d.RevisionHistoryLimit = &two })
	l.run(time.Minute)
	for _, tag := range []string{"2", "3", "1"} {
		l.image(tag)
		l.run(time.Minute)
	}
	if got := l.deployment().Annotations[annotationRevision]; got != "4" {
		t.Errorf("revision %s", got)
	}
	for _, rs := range kube.List[*appsv1.ReplicaSet](l.c) {
		if rs.Spec.Template.Spec.Containers[0].Image == "nginx:1" && (rs.Annotations[annotationRevision] != "4" || rs.Annotations[annotationHistory] != "1") {
			t.Errorf("the one that is back: %v", rs.Annotations)
		}
	}
	for _, tag := range []string{"4", "5", "6"} {
		l.image(tag)
		l.run(time.Minute)
	}
	if n := len(kube.List[*appsv1.ReplicaSet](l.c)); n != 3 {
		t.Errorf("%d ReplicaSets, want the newest and two old ones", n)
	}
}
