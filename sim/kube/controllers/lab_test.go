package controllers

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// lab is the controllers with nodes that are as simple as can be: a pod is ready a while after it was made, and gone a while after it was deleted.
type lab struct {
	t  testing.TB
	e  *engine.Engine
	c  *kube.Client
	rs *kube.Informer[*appsv1.ReplicaSet]
	// start and stop are what a pod takes to become ready and to end. A negative start means never.
	start, stop func(p *corev1.Pod, r *rand.Rand) time.Duration
	nodes       int

	pods map[kube.Key]*corev1.Pod
	// sizes is the size of every ReplicaSet, steps each change of one: [of the newest, of all others].
	sizes map[string]int32
	order []string
	steps [][2]int32
	// grew are the ReplicaSets that grew while there was a newer one.
	grew []string
	// seen is called after every change of a pod.
	seen func()
}

func newLab(t testing.TB, seed uint64) *lab {
	e := engine.New(engine.Options{Seed: seed})
	t.Cleanup(e.Close)
	k := kube.New(e, trace.New(e), kube.Options{})
	l := &lab{t: t, e: e, c: k.As(kube.Caller{User: "test"}), pods: map[kube.Key]*corev1.Pod{}, sizes: map[string]int32{}, nodes: 3}
	l.start = func(_ *corev1.Pod, r *rand.Rand) time.Duration {
		return 2200*time.Millisecond + time.Duration(r.Int64N(int64(1100*time.Millisecond)))
	}
	l.stop = func(*corev1.Pod, *rand.Rand) time.Duration { return time.Second }
	pods, deployments := kube.NewInformer[*corev1.Pod](k), kube.NewInformer[*appsv1.Deployment](k)
	sets, services := kube.NewInformer[*appsv1.ReplicaSet](k), kube.NewInformer[*corev1.Service](k)
	NewReplicaSets(k, sets, pods)
	NewDeployments(k, deployments, sets, pods)
	slices := kube.NewInformer[*discoveryv1.EndpointSlice](k)
	NewEndpointSlices(k, services, pods, kube.NewInformer[*corev1.Node](k))
	NewGarbage(k, deployments, sets, pods, services, slices)
	l.rs = kube.NewInformer[*appsv1.ReplicaSet](k)
	l.rs.Handle(l.resized)
	kube.NewInformer[*corev1.Pod](k).Handle(l.kubelet)
	return l
}

func (l *lab) resized(old, now *appsv1.ReplicaSet) {
	if now == nil {
		delete(l.sizes, old.Name)
		return
	}
	size, known := l.sizes[now.Name]
	if known && size == *now.Spec.Replicas {
		return
	}
	if known && size < *now.Spec.Replicas && now.Name != l.order[len(l.order)-1] {
		l.grew = append(l.grew, fmt.Sprintf("%s from %d to %d", now.Name, size, *now.Spec.Replicas))
	}
	if !known {
		l.order = append(l.order, now.Name)
	}
	l.sizes[now.Name] = *now.Spec.Replicas
	var step [2]int32
	for name, n := range l.sizes {
		if name == l.order[len(l.order)-1] {
			step[0] += n
		} else {
			step[1] += n
		}
	}
	l.steps = append(l.steps, step)
}

// kubelet starts and ends pods.
func (l *lab) kubelet(old, now *corev1.Pod) {
	r := l.e.Rand("test: kubelet")
	switch {
	case now == nil:
		delete(l.pods, kube.KeyOf(old))
	case old == nil:
		l.pods[kube.KeyOf(now)] = now
		bound := now.DeepCopy()
		bound.Spec.NodeName = fmt.Sprint("n", r.IntN(l.nodes))
		if _, err := l.c.Update(bound); err != nil {
			if !apierrors.IsNotFound(err) { // it may have been deleted before it had a node
				l.t.Error(err)
			}
			return
		}
		if d := l.start(now, r); d >= 0 {
			l.e.After(d, "test", engine.Func(func() { l.ready(kube.KeyOf(now), corev1.ConditionTrue) }))
		}
	default:
		l.pods[kube.KeyOf(now)] = now
		if now.DeletionTimestamp != nil && old.DeletionTimestamp == nil {
			none := int64(0)
			l.e.After(l.stop(now, r), "test", engine.Func(func() {
				if err := kube.DeleteWith[*corev1.Pod](l.c, kube.KeyOf(now), metav1.DeleteOptions{GracePeriodSeconds: &none}); err != nil {
					l.t.Error(err)
				}
			}))
		}
	}
	if l.seen != nil {
		l.seen()
	}
}

// ready makes a pod's condition say whether it is.
func (l *lab) ready(k kube.Key, s corev1.ConditionStatus) {
	p, err := kube.Get[*corev1.Pod](l.c, k)
	if err != nil {
		return
	}
	now := p.DeepCopy()
	now.Status.Phase, now.Status.PodIP = corev1.PodRunning, address(p)
	now.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: s, LastTransitionTime: l.c.Cluster().Now()}}
	if _, err := l.c.UpdateStatus(now); err != nil {
		l.t.Error(err)
	}
}

// address is one for each pod.
func address(p *corev1.Pod) string {
	return fmt.Sprintf("10.%d.%d.%d", p.UID[0], p.UID[1], p.UID[2]) + string(p.UID[:8])
}

// total is how many pods the ReplicaSets ask for.
func (l *lab) total() (n int32) {
	for _, size := range l.sizes {
		n += size
	}
	return n
}

// count is the pods that are not being deleted, and those of them that are available.
func (l *lab) count() (all, available int32) {
	for _, p := range l.pods {
		if p.DeletionTimestamp == nil {
			all++
			if Ready(p) {
				available++
			}
		}
	}
	return all, available
}

func (l *lab) run(d time.Duration) {
	l.t.Helper()
	if err := l.e.Run(l.e.Now()+d, nil); err != nil {
		l.t.Fatal(err)
	}
}

var webKey = kube.Key{Namespace: "default", Name: "web"}

// deploy makes a Deployment.
func (l *lab) deploy(replicas int32, change func(*appsv1.DeploymentSpec)) {
	l.t.Helper()
	labels := map[string]string{"app": "web"}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1"}}}}}}
	if change != nil {
		change(&d.Spec)
	}
	if _, err := l.c.Create(d); err != nil {
		l.t.Fatal(err)
	}
}

// edit changes the Deployment.
func (l *lab) edit(change func(*appsv1.DeploymentSpec)) {
	l.t.Helper()
	d := l.deployment().DeepCopy()
	change(&d.Spec)
	if _, err := l.c.Update(d); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) image(tag string) {
	l.edit(func(d *appsv1.DeploymentSpec) { d.Template.Spec.Containers[0].Image = "nginx:" + tag })
}

func (l *lab) deployment() *appsv1.Deployment {
	l.t.Helper()
	d, err := kube.Get[*appsv1.Deployment](l.c, webKey)
	if err != nil {
		l.t.Fatal(err)
	}
	return d
}

func (l *lab) done() bool {
	_, done, _ := RolloutStatus(l.deployment())
	return done
}

func rollingBy(surge, unavailable intstr.IntOrString) func(*appsv1.DeploymentSpec) {
	return func(d *appsv1.DeploymentSpec) {
		d.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
	}
}
