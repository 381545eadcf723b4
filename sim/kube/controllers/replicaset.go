package controllers

import (
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// ReplicaSets keeps each ReplicaSet's pods.
type ReplicaSets struct {
	client *kube.Client
	queue  *kube.Queue
	pods   *kube.Informer[*corev1.Pod]
	// expected counts, by ReplicaSet, pods that were created and are not in the cache yet: until they are, nothing is done.
	expected map[kube.Key]int
}

// slowStart is the size of the first batch of creations; each one that succeeds doubles it.
// Source: kubernetes/kubernetes pkg/controller/controller_utils.go, SlowStartInitialBatchSize.
const slowStart = 1

// NewReplicaSets starts the replicaset controller. Pods must be indexed by namespace, under "namespace".
func NewReplicaSets(c *kube.Cluster, sets *kube.Informer[*appsv1.ReplicaSet], pods *kube.Informer[*corev1.Pod]) *ReplicaSets {
	r := &ReplicaSets{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:replicaset-controller"}), pods: pods, expected: map[kube.Key]int{}}
	r.queue = kube.NewQueue(c.Engine(), "replicaset-controller", kube.ControllerBackoff, r.reconcile)
	pods.Index("owner", func(p *corev1.Pod) []string {
		if o := metav1.GetControllerOf(p); o != nil {
			return []string{string(o.UID)}
		}
		return []string{"orphan/" + p.Namespace}
	})
	sets.Handle(func(_, now *appsv1.ReplicaSet) {
		if now != nil {
			r.queue.Add(kube.KeyOf(now))
		}
	})
	pods.Handle(func(old, now *corev1.Pod) {
		p := now
		if p == nil {
			p = old
		}
		if o := metav1.GetControllerOf(p); o != nil {
			k := kube.Key{Namespace: p.Namespace, Name: o.Name}
			if old == nil && r.expected[k] > 0 {
				r.expected[k]--
			}
			r.queue.Add(k)
			return
		}
		for _, rs := range sets.List() { // an orphan: who selects it?
			if rs.Namespace == p.Namespace && selects(rs.Spec.Selector, p) {
				r.queue.Add(kube.KeyOf(rs))
			}
		}
	})
	return r
}

func selects(s *metav1.LabelSelector, p *corev1.Pod) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(p.Labels))
}

func (r *ReplicaSets) reconcile(_ *engine.Process, k kube.Key) error {
	rs, err := kube.Get[*appsv1.ReplicaSet](r.client, k)
	if apierrors.IsNotFound(err) || r.expected[k] > 0 {
		return nil
	}
	owned := r.pods.By("owner", string(rs.UID))
	for _, p := range r.pods.By("owner", "orphan/"+k.Namespace) {
		if p.DeletionTimestamp == nil && selects(rs.Spec.Selector, p) {
			now := p.DeepCopy()
			now.OwnerReferences = append(now.OwnerReferences, *controllerRef(rs))
			if _, err := r.client.Update(now); err != nil {
				return err
			}
			owned = append(owned, now)
		}
	}
	var active []*corev1.Pod
	for _, p := range owned {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			active = append(active, p)
		}
	}
	missing := int(*rs.Spec.Replicas) - len(active)
	if missing < 0 {
		err := engine.NotModelled("ReplicaSet %v: scaling down", k)
		r.client.Cluster().Engine().Fail(err)
		return err
	}
	for batch := slowStart; missing > 0; batch *= 2 {
		for range min(batch, missing) {
			r.expected[k]++
			if err := r.create(rs); err != nil {
				r.expected[k]--
				return err
			}
			missing--
		}
	}
	return r.status(rs, active)
}

func controllerRef(rs *appsv1.ReplicaSet) *metav1.OwnerReference {
	return metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
}

func (r *ReplicaSets) create(rs *appsv1.ReplicaSet) error {
	t := rs.Spec.Template.DeepCopy()
	_, err := r.client.Create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: rs.Namespace, GenerateName: rs.Name + "-", Labels: t.Labels, Annotations: t.Annotations, OwnerReferences: []metav1.OwnerReference{*controllerRef(rs)}},
		Spec:       t.Spec,
	})
	return err
}

func (r *ReplicaSets) status(rs *appsv1.ReplicaSet, active []*corev1.Pod) error {
	now := rs.DeepCopy()
	s := &now.Status
	s.ObservedGeneration, s.Replicas, s.FullyLabeledReplicas = rs.Generation, int32(len(active)), int32(len(active))
	s.ReadyReplicas = 0
	for _, p := range active {
		if Ready(p) {
			s.ReadyReplicas++
		}
	}
	s.AvailableReplicas = s.ReadyReplicas // minReadySeconds 0
	if rs.Spec.MinReadySeconds != 0 {
		err := engine.NotModelled("ReplicaSet %v: minReadySeconds", kube.KeyOf(rs))
		r.client.Cluster().Engine().Fail(err)
		return err
	}
	if reflect.DeepEqual(now.Status, rs.Status) {
		return nil
	}
	_, err := r.client.UpdateStatus(now)
	return err
}

// Ready says whether a pod's Ready condition is true.
func Ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
