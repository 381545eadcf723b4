package controllers_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/controllers"
	"github.com/ekslab/ekslab/sim/trace"
)

// rolloutBench is an API server with the controllers of Deployments and ReplicaSets. Scheduler and kubelets are the bench's: a pod becomes ready
// some time after its creation, and is gone some time after its deletion.
type rolloutBench struct {
	t       testing.TB
	engine  *engine.Engine
	client  *kube.Client
	start   func(*corev1.Pod) time.Duration // negative: never
	stop    time.Duration
	steps   [][2]int32 // (new, old) as either changes
	said    []string   // what kubectl rollout status says, without repetitions
	most    int        // pods not terminating
	all     int        // pods
	least   int        // pods that are ready and not terminating, from the update on
	updated bool
	sizes   map[string]*appsv1.ReplicaSet
	// over is since when there are more pods than limit, longest for how long at most there were.
	limit         int
	over, longest time.Duration
}

var web = kube.Key{Namespace: "default", Name: "web"}

func newRolloutBench(t testing.TB, seed uint64, d *appsv1.Deployment) *rolloutBench {
	t.Helper()
	e := engine.New(engine.Options{Seed: seed})
	t.Cleanup(e.Close)
	c := kube.New(e, trace.New(e), kube.Options{})
	deployments, sets, pods := kube.NewInformer[*appsv1.Deployment](c), kube.NewInformer[*appsv1.ReplicaSet](c), kube.NewInformer[*corev1.Pod](c)
	controllers.NewReplicaSets(c, sets, pods)
	controllers.NewDeployments(c, deployments, sets, pods)
	b := &rolloutBench{t: t, engine: e, client: c.As(kube.Caller{User: "test"}), stop: time.Second, sizes: map[string]*appsv1.ReplicaSet{}, over: -1}
	r := e.Rand("test: pod start")
	b.start = func(*corev1.Pod) time.Duration {
		return 2200*time.Millisecond + time.Duration(r.Int64N(int64(1100*time.Millisecond)))
	}
	pods.Handle(b.pod)
	sets.Handle(func(old, now *appsv1.ReplicaSet) {
		if now == nil {
			delete(b.sizes, old.Name)
		} else {
			b.sizes[now.Name] = now
		}
		b.observe()
	})
	deployments.Handle(func(_, now *appsv1.Deployment) {
		if now == nil || !b.updated {
			return
		}
		if s, _, err := controllers.RolloutStatus(now); err == nil && (len(b.said) == 0 || b.said[len(b.said)-1] != s) {
			b.said = append(b.said, s)
		}
	})
	if _, err := b.client.Create(d); err != nil {
		t.Fatal(err)
	}
	return b
}

// pod plays scheduler and kubelet.
func (b *rolloutBench) pod(old, now *corev1.Pod) {
	switch {
	case now == nil:
	case old == nil && now.Spec.NodeName == "":
		b.engine.After(10*time.Millisecond, "test: bind", engine.Func(func() { b.change(now, func(p *corev1.Pod) { p.Spec.NodeName = "n" }, false) }))
		if d := b.start(now); d >= 0 {
			b.engine.After(d, "test: start", engine.Func(func() {
				b.change(now, func(p *corev1.Pod) {
					p.Status.Phase = corev1.PodRunning
					p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: b.client.Cluster().Now()}}
				}, true)
			}))
		}
	case now.DeletionTimestamp != nil && (old == nil || old.DeletionTimestamp == nil):
		b.engine.After(b.stop, "test: stop", engine.Func(func() {
			zero := int64(0)
			_ = kube.DeleteWith[*corev1.Pod](b.client, kube.KeyOf(now), metav1.DeleteOptions{GracePeriodSeconds: &zero})
		}))
	}
	b.observe()
}

func (b *rolloutBench) change(p *corev1.Pod, f func(*corev1.Pod), status bool) {
	stored, err := kube.Get[*corev1.Pod](b.client, kube.KeyOf(p))
	if err != nil || stored.DeletionTimestamp != nil {
		return
	}
	now := stored.DeepCopy()
	f(now)
	if status {
		_, err = b.client.UpdateStatus(now)
	} else {
		_, err = b.client.Update(now)
	}
	if err != nil {
		b.engine.Fail(err)
	}
}

// observe takes the numbers as they are in the API.
func (b *rolloutBench) observe() {
	if !b.updated {
		return
	}
	pods, alive, ready := kube.List[*corev1.Pod](b.client), 0, 0
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			alive++
			if controllers.Ready(p) {
				ready++
			}
		}
	}
	b.all, b.most, b.least = max(b.all, len(pods)), max(b.most, alive), min(b.least, ready)
	switch now := b.engine.Now(); {
	case alive <= b.limit:
		b.over = -1
	case b.over < 0:
		b.over = now
	default:
		b.longest = max(b.longest, now-b.over)
	}
	image := b.deployment().Spec.Template.Spec.Containers[0].Image
	var step [2]int32
	for _, rs := range b.sizes {
		if rs.Spec.Template.Spec.Containers[0].Image == image {
			step[0] += *rs.Spec.Replicas
		} else {
			step[1] += *rs.Spec.Replicas
		}
	}
	if len(b.steps) == 0 || b.steps[len(b.steps)-1] != step {
		b.steps = append(b.steps, step)
	}
}

func (b *rolloutBench) deployment() *appsv1.Deployment {
	d, err := kube.Get[*appsv1.Deployment](b.client, web)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

func (b *rolloutBench) run(d time.Duration) {
	b.t.Helper()
	if err := b.engine.Run(b.engine.Now()+d, nil); err != nil {
		b.t.Fatal(err)
	}
}

func (b *rolloutBench) edit(f func(*appsv1.Deployment)) {
	b.t.Helper()
	now := b.deployment().DeepCopy()
	f(now)
	if _, err := b.client.Update(now); err != nil {
		b.t.Fatal(err)
	}
}

// update changes the image, and takes numbers from there.
func (b *rolloutBench) update(image string) {
	b.t.Helper()
	if !b.updated {
		surge, _ := controllers.Fenceposts(b.deployment())
		b.least, b.limit = int(*b.deployment().Spec.Replicas), int(*b.deployment().Spec.Replicas+surge)
	}
	b.updated = true
	b.edit(func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image })
}

func (b *rolloutBench) done() bool {
	_, done, err := controllers.RolloutStatus(b.deployment())
	return done && err == nil
}

func webDeployment(replicas int32, surge, unavailable string) *appsv1.Deployment {
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1"}}}}}}
	if surge != "" {
		s, u := intstr.Parse(surge), intstr.Parse(unavailable)
		d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &s, MaxUnavailable: &u}}
	}
	return d
}

// How many pods more and how many fewer: with the defaults of 25 %, and where percentages are rounded or both are none.
func TestFenceposts(t *testing.T) {
	for _, c := range []struct {
		replicas                   int32
		maxSurge, maxUnavailable   string
		wantSurge, wantUnavailable int32
	}{
		{1, "25%", "25%", 1, 0}, {2, "25%", "25%", 1, 0}, {3, "25%", "25%", 1, 0}, {4, "25%", "25%", 1, 1}, {5, "25%", "25%", 2, 1}, {10, "25%", "25%", 3, 2}, {20, "25%", "25%", 5, 5},
		{10, "0", "0%", 0, 1}, {3, "0", "25%", 0, 1}, {10, "0", "100%", 0, 10}, {10, "100%", "0", 10, 0}, {7, "3", "2", 3, 2}, {10, "1%", "1%", 1, 0}, {10, "30%", "19%", 3, 1},
	} {
		s, u := controllers.Fenceposts(webDeployment(c.replicas, c.maxSurge, c.maxUnavailable))
		if s != c.wantSurge || u != c.wantUnavailable {
			t.Errorf("%d replicas, maxSurge %s, maxUnavailable %s: %d and %d, want %d and %d", c.replicas, c.maxSurge, c.maxUnavailable, s, u, c.wantSurge, c.wantUnavailable)
		}
	}
}

// The path of an update of ten replicas with 25 % and 25 %: three new, two old away at once, two new; then by ones as they become available.
// Seen on EKS: kubectl rollout status begins with 5 out of 10, since the steps before are over when it looks.
func TestPathOfARollingUpdate(t *testing.T) {
	for seed := range uint64(6) {
		b := newRolloutBench(t, seed, webDeployment(10, "", ""))
		b.run(30 * time.Second)
		began := b.engine.Now()
		b.update("nginx:2")
		if err := b.engine.RunWhile(func() bool { return !b.done() }, nil); err != nil {
			t.Fatal(err)
		}
		took := b.engine.Now() - began
		if len(b.steps) < 4 || !slices.Equal(b.steps[:3], [][2]int32{{3, 10}, {3, 8}, {5, 8}}) {
			t.Errorf("seed %d: %v", seed, b.steps)
		}
		if last := b.steps[len(b.steps)-1]; last != [2]int32{10, 0} {
			t.Errorf("seed %d: ends at %v", seed, last)
		}
		for i, s := range b.steps {
			if s[0]+s[1] > 13 || i > 0 && (s[0] < b.steps[i-1][0] || s[1] > b.steps[i-1][1]) {
				t.Errorf("seed %d: step %v of %v", seed, s, b.steps)
			}
		}
		if b.most < 13 || b.longest > lag || b.least != 8 {
			t.Errorf("seed %d: at most %d pods, more than 13 for %v, at least %d available", seed, b.most, b.longest, b.least)
		}
		if took < 4*time.Second || took > 8*time.Second {
			t.Errorf("seed %d: took %v", seed, took)
		}
		if all := len(kube.List[*appsv1.ReplicaSet](b.client)); all != 2 {
			t.Errorf("seed %d: %d ReplicaSets", seed, all)
		}
		// First the new replicas grow, then the old ones end, then the last of the new ones become available.
		last, phase := -1, 0
		for _, m := range b.said {
			for i, form := range []string{"%d out of 10 new", "%d old replicas", "%d of 10 updated"} {
				_, rest, _ := strings.Cut(m, "finish: ")
				var n int
				if _, err := fmt.Sscanf(rest, form, &n); err != nil {
					continue
				}
				if i != phase {
					last = -1
				}
				if i < phase || i != 1 && n < last || i == 1 && last >= 0 && n > last {
					t.Errorf("seed %d: %q is out of turn in %q", seed, m, b.said)
				}
				phase, last = i, n
			}
		}
		if !slices.ContainsFunc(b.said, func(s string) bool { return strings.Contains(s, "5 out of 10 new replicas have been updated...") }) {
			t.Errorf("seed %d: %q", seed, b.said)
		}
	}
}

// Pods that take long to end are in no count: old and new are there together, and the update is no slower for it.
func TestTerminatingPodsAreNotCounted(t *testing.T) {
	b := newRolloutBench(t, 1, webDeployment(10, "", ""))
	b.stop = 72 * time.Second
	b.run(30 * time.Second)
	began := b.engine.Now()
	b.update("nginx:2")
	if err := b.engine.RunWhile(func() bool { return !b.done() }, nil); err != nil {
		t.Fatal(err)
	}
	if took := b.engine.Now() - began; took > 8*time.Second || b.longest > lag || b.all != 20 {
		t.Errorf("took %v, %d pods not terminating, %d pods", took, b.most, b.all)
	}
}

// lag is for how long there may be more pods than a Deployment's bound: it holds for what ReplicaSets are asked for, and one of them may create
// while another has yet to see that its last deletion is done (pkg/controller/replicaset, SatisfiedExpectations).
const lag = 20 * time.Millisecond

// While all pods are healthy a Deployment never asks for more pods than replicas and surge, and never are fewer available than replicas less
// maxUnavailable; and every update ends, also when another follows it before.
func TestBoundsOfARollingUpdate(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for n := range 30 {
		replicas := int32(1 + r.IntN(12))
		number := func() string {
			if r.IntN(2) == 0 {
				return fmt.Sprint(r.IntN(5))
			}
			return fmt.Sprintf("%d%%", r.IntN(101))
		}
		surge, unavailable := number(), number()
		if strings.Trim(surge, "0%") == "" && strings.Trim(unavailable, "0%") == "" {
			unavailable = "1" // the API server takes no two zeros
		}
		d := webDeployment(replicas, surge, unavailable)
		d.Spec.MinReadySeconds = int32(r.IntN(2) * r.IntN(10))
		s, u := controllers.Fenceposts(d)
		b := newRolloutBench(t, uint64(n), d)
		b.stop = time.Duration(r.IntN(40)) * time.Second
		low := time.Duration(r.IntN(5000)) * time.Millisecond
		b.start = func(*corev1.Pod) time.Duration { return low + time.Duration(r.IntN(20000))*time.Millisecond }
		b.run(2 * time.Minute)
		what := fmt.Sprintf("case %d: %d replicas, maxSurge %s, maxUnavailable %s", n, replicas, surge, unavailable)
		if !b.done() {
			t.Errorf("%s: the first rollout is not done", what)
		}
		b.update("nginx:2")
		if r.IntN(2) == 0 {
			b.run(time.Duration(r.IntN(20000)) * time.Millisecond)
			b.update("nginx:3")
		}
		b.run(20 * time.Minute)
		if !b.done() {
			t.Errorf("%s: not done", what)
		}
		for _, x := range b.steps {
			if x[0]+x[1] > replicas+s {
				t.Errorf("%s: asks for %v", what, x)
			}
		}
		if most, least := int(replicas+s), int(replicas-u); b.longest > lag || b.least < least {
			t.Errorf("%s: %d pods, for %v more than %d; %d available, at least %d", what, b.most, b.longest, most, b.least, least)
		}
		b.engine.Close()
	}
}

// A new version that never becomes ready holds the update at the plateau, with as many old pods as must be available; after
// progressDeadlineSeconds it counts as failed.
func TestUpdateThatMakesNoProgress(t *testing.T) {
	b := newRolloutBench(t, 1, webDeployment(10, "", ""))
	b.run(30 * time.Second)
	b.start = func(*corev1.Pod) time.Duration { return -1 }
	began := b.engine.Now()
	b.update("nginx:bad")
	failed := func() bool {
		_, _, err := controllers.RolloutStatus(b.deployment())
		return err != nil
	}
	if err := b.engine.RunWhile(func() bool { return !failed() && b.engine.Now() < began+time.Hour }, nil); err != nil {
		t.Fatal(err)
	}
	if took := b.engine.Now() - began; took < 600*time.Second || took > 602*time.Second {
		t.Errorf("failed after %v", took)
	}
	if last := b.steps[len(b.steps)-1]; last != [2]int32{5, 8} || b.least != 8 {
		t.Errorf("stands at %v with at least %d available", b.steps, b.least)
	}
	for _, c := range b.deployment().Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && (c.Status != corev1.ConditionFalse || c.Reason != "ProgressDeadlineExceeded") {
			t.Errorf("%+v", c)
		}
	}
	// Back to what was: the old ReplicaSet grows again.
	b.start = func(*corev1.Pod) time.Duration { return time.Second }
	b.update("nginx:1")
	b.run(time.Minute)
	if !b.done() || b.least < 8 || len(kube.List[*appsv1.ReplicaSet](b.client)) != 2 {
		t.Errorf("back: done %v, at least %d available", b.done(), b.least)
	}
}

// Recreate ends all old pods before it starts new ones.
func TestRecreate(t *testing.T) {
	d := webDeployment(4, "", "")
	d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	b := newRolloutBench(t, 1, d)
	b.stop = 30 * time.Second
	b.run(30 * time.Second)
	began := b.engine.Now()
	b.update("nginx:2")
	if err := b.engine.RunWhile(func() bool { return !b.done() && b.engine.Now() < began+5*time.Minute }, nil); err != nil {
		t.Fatal(err)
	}
	if took := b.engine.Now() - began; took < 32*time.Second || took > 35*time.Second || b.all != 4 || b.least != 0 {
		t.Errorf("took %v, %d pods, at least %d available", took, b.all, b.least)
	}
}

// A Deployment that is scaled keeps its ReplicaSet; old ReplicaSets are kept up to revisionHistoryLimit, and revisions count on.
func TestRevisions(t *testing.T) {
	d := webDeployment(2, "", "")
	two := int32(2)
	d.Spec.RevisionHistoryLimit = &two
	b := newRolloutBench(t, 1, d)
	b.run(30 * time.Second)
	for i := range 5 {
		b.update(fmt.Sprintf("nginx:%d", i+2))
		b.run(time.Minute)
	}
	b.edit(func(d *appsv1.Deployment) { n := int32(5); d.Spec.Replicas = &n })
	b.run(time.Minute)
	var revisions []string
	for _, rs := range kube.List[*appsv1.ReplicaSet](b.client) {
		revisions = append(revisions, rs.Annotations["deployment.kubernetes.io/revision"])
		if hash := rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey]; rs.Name != "web-"+hash || rs.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] != hash {
			t.Errorf("%s has the hash %q", rs.Name, hash)
		}
	}
	slices.Sort(revisions)
	if !slices.Equal(revisions, []string{"4", "5", "6"}) || b.deployment().Annotations["deployment.kubernetes.io/revision"] != "6" {
		t.Errorf("revisions %v", revisions)
	}
	if n := len(kube.List[*corev1.Pod](b.client)); n != 5 || !b.done() {
		t.Errorf("%d pods", n)
	}
}
