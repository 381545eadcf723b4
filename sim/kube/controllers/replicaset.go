package controllers

import (
	"reflect"
	"time"

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
	client   *kube.Client
	events   *kube.Recorder
	queue    *kube.Queue
	sets     *kube.Informer[*appsv1.ReplicaSet]
	pods     *kube.Informer[*corev1.Pod]
	expected expectations
}

// Sizes. Source: kubernetes/kubernetes pkg/controller/controller_utils.go (SlowStartInitialBatchSize: each batch of creations that succeeds
// doubles the next), pkg/controller/replicaset/replica_set.go (BurstReplicas: as many are created or deleted at once).
const (
	slowStart     = 1
	burstReplicas = 500
)

// NewReplicaSets starts the replicaset controller.
func NewReplicaSets(c *kube.Cluster, sets *kube.Informer[*appsv1.ReplicaSet], pods *kube.Informer[*corev1.Pod]) *ReplicaSets {
	r := &ReplicaSets{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:replicaset-controller"}), events: c.Recorder("replicaset-controller", ""),
		sets: sets, pods: pods, expected: newExpectations()}
	r.queue = kube.NewQueue(c.Engine(), "replicaset-controller", kube.ControllerBackoff, r.reconcile)
	pods.Index("owner", func(p *corev1.Pod) []string {
		if o := metav1.GetControllerOf(p); o != nil {
			return []string{string(o.UID)}
		}
		return []string{"orphan/" + p.Namespace}
	})
	sets.Index("owner", ownerOf[*appsv1.ReplicaSet])
	sets.Index("namespace", func(s *appsv1.ReplicaSet) []string { return []string{s.Namespace} })
	sets.Handle(func(old, now *appsv1.ReplicaSet) {
		if now != nil {
			r.queue.Add(kube.KeyOf(now))
		} else {
			r.expected.forget(kube.KeyOf(old))
		}
	})
	pods.Handle(r.podChanged)
	return r
}

func ownerOf[T kube.Object](o T) []string {
	if c := metav1.GetControllerOf(o); c != nil {
		return []string{string(c.UID)}
	}
	return nil
}

// podChanged is the watch of pods. Source: replica_set.go, addPod, updatePod, deletePod.
func (r *ReplicaSets) podChanged(old, now *corev1.Pod) {
	p := now
	if p == nil {
		p = old
	}
	o := metav1.GetControllerOf(p)
	if o == nil {
		for _, rs := range r.sets.By("namespace", p.Namespace) { // an orphan: who selects it?
			if now != nil && selects(rs.Spec.Selector, p) {
				r.queue.Add(kube.KeyOf(rs))
			}
		}
		return
	}
	if o.Kind != "ReplicaSet" {
		return
	}
	k := kube.Key{Namespace: p.Namespace, Name: o.Name}
	switch {
	case now == nil || now.DeletionTimestamp != nil:
		r.expected.deleted(k, kube.KeyOf(p))
		if old == nil {
			r.expected.created(k)
		}
	case old == nil:
		r.expected.created(k)
	case !Ready(old) && Ready(now):
		if rs, ok := r.sets.Get(k); ok && rs.Spec.MinReadySeconds > 0 {
			r.queue.AddAfter(k, time.Duration(rs.Spec.MinReadySeconds+1)*time.Second)
		}
	}
	r.queue.Add(k)
}

func selects(s *metav1.LabelSelector, p *corev1.Pod) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(p.Labels))
}

// reconcile is one sync. Source: replica_set.go, syncReplicaSet.
func (r *ReplicaSets) reconcile(p *engine.Process, k kube.Key) error {
	rs, ok := r.sets.Get(k)
	if !ok {
		r.expected.forget(k)
		return nil
	}
	satisfied := r.expected.satisfied(k)
	pods, err := r.claim(rs)
	if err != nil {
		return err
	}
	if satisfied && rs.DeletionTimestamp == nil {
		err = r.manage(p, rs, pods)
	}
	if e := r.status(k, pods, err); e != nil {
		return e
	}
	return err
}

// claim is the active pods of a ReplicaSet, after it has adopted the orphans that it selects.
func (r *ReplicaSets) claim(rs *appsv1.ReplicaSet) (pods []*corev1.Pod, err error) {
	for _, p := range r.pods.By("owner", string(rs.UID)) {
		if active(p) {
			pods = append(pods, p)
		}
	}
	for _, p := range r.pods.By("owner", "orphan/"+rs.Namespace) {
		if !active(p) || !selects(rs.Spec.Selector, p) {
			continue
		}
		now := p.DeepCopy()
		now.OwnerReferences = append(now.OwnerReferences, *controllerRef(rs))
		if _, err := r.client.Update(now); err != nil {
			return nil, err
		}
		pods = append(pods, now)
	}
	return pods, nil
}

// manage creates what is missing, or deletes what is too much. Source: replica_set.go, manageReplicas.
func (r *ReplicaSets) manage(p *engine.Process, rs *appsv1.ReplicaSet, pods []*corev1.Pod) error {
	missing := int(*rs.Spec.Replicas) - len(pods)
	if missing < 0 {
		return r.shrink(rs, pods, min(-missing, burstReplicas))
	}
	missing = min(missing, burstReplicas)
	k := kube.KeyOf(rs)
	for batch := slowStart; missing > 0; batch *= 2 {
		n := min(batch, missing)
		for range n {
			r.expected.creations[k]++
		}
		if err := r.batch(p, rs, n); err != nil {
			return err
		}
		missing -= n
	}
	return nil
}

// batch creates pods side by side. It returns an error of one of them.
func (r *ReplicaSets) batch(p *engine.Process, rs *appsv1.ReplicaSet, n int) (err error) {
	one := func(cl *kube.Client) {
		if e := r.create(cl, rs); e != nil {
			r.expected.created(kube.KeyOf(rs))
			err = e
		}
	}
	if !r.client.Cluster().Waits("Pod") {
		for range n {
			one(r.client)
		}
		return err
	}
	left := n
	for range n {
		p.Engine().Go("replicaset-controller", func(each *engine.Process) {
			one(r.client.On(each))
			left--
			p.Wake()
		})
	}
	for left > 0 {
		p.Wait(-1)
	}
	return err
}

func (r *ReplicaSets) shrink(rs *appsv1.ReplicaSet, pods []*corev1.Pod, many int) (err error) {
	var related []*corev1.Pod
	if o := metav1.GetControllerOf(rs); o != nil {
		for _, other := range r.sets.By("owner", string(o.UID)) {
			related = append(related, r.pods.By("owner", string(other.UID))...)
		}
	} else {
		related = pods
	}
	k, now := kube.KeyOf(rs), engine.Epoch.Add(r.client.Cluster().Engine().Now())
	chosen := victims(pods, related, many, now)
	for _, p := range chosen {
		r.expected.expectDeletion(k, kube.KeyOf(p))
	}
	for _, p := range chosen {
		if e := kube.Delete[*corev1.Pod](r.client, kube.KeyOf(p)); e != nil {
			r.expected.deleted(k, kube.KeyOf(p))
			if !apierrors.IsNotFound(e) {
				err = e
			}
			continue
		}
		r.events.Event(rs, corev1.EventTypeNormal, "SuccessfulDelete", "Deleted pod: "+p.Name)
	}
	return err
}

func controllerRef(rs *appsv1.ReplicaSet) *metav1.OwnerReference {
	return metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
}

func (r *ReplicaSets) create(cl *kube.Client, rs *appsv1.ReplicaSet) error {
	t := rs.Spec.Template.DeepCopy()
	o, err := cl.Create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: rs.Namespace, GenerateName: rs.Name + "-", Labels: t.Labels, Annotations: t.Annotations, OwnerReferences: []metav1.OwnerReference{*controllerRef(rs)}},
		Spec:       t.Spec,
	})
	if err != nil {
		r.events.Event(rs, corev1.EventTypeWarning, "FailedCreate", "Error creating: "+err.Error())
		return err
	}
	r.events.Event(rs, corev1.EventTypeNormal, "SuccessfulCreate", "Created pod: "+o.GetName())
	return nil
}

// status writes what the ReplicaSet has. Source: replica_set_utils.go, calculateStatus, updateReplicaSetStatus.
func (r *ReplicaSets) status(k kube.Key, pods []*corev1.Pod, failed error) error {
	rs, err := kube.Get[*appsv1.ReplicaSet](r.client, k)
	if err != nil {
		return nil
	}
	seen, ok := r.sets.Get(k)
	if !ok {
		return nil
	}
	now, at := rs.DeepCopy(), engine.Epoch.Add(r.client.Cluster().Engine().Now())
	s := &now.Status
	s.ObservedGeneration, s.Replicas = seen.Generation, int32(len(pods))
	s.FullyLabeledReplicas, s.ReadyReplicas, s.AvailableReplicas = 0, 0, 0
	template := labels.SelectorFromSet(rs.Spec.Template.Labels)
	for _, p := range pods {
		if template.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if Ready(p) {
			s.ReadyReplicas++
		}
		if available(p, rs.Spec.MinReadySeconds, at) {
			s.AvailableReplicas++
		}
	}
	r.failure(s, len(pods)-int(*rs.Spec.Replicas), failed)
	if rs.Spec.MinReadySeconds > 0 && s.ReadyReplicas == *rs.Spec.Replicas && s.AvailableReplicas != s.ReadyReplicas {
		r.queue.AddAfter(k, time.Duration(rs.Spec.MinReadySeconds)*time.Second)
	}
	if reflect.DeepEqual(now.Status, rs.Status) {
		return nil
	}
	_, err = r.client.UpdateStatus(now)
	return err
}

// failure sets or clears the condition that says why pods could not be created or deleted.
func (r *ReplicaSets) failure(s *appsv1.ReplicaSetStatus, surplus int, failed error) {
	had := len(s.Conditions) > 0
	switch {
	case failed == nil && had:
		s.Conditions = nil
	case failed != nil && !had:
		reason := "FailedCreate"
		if surplus > 0 {
			reason = "FailedDelete"
		}
		s.Conditions = []appsv1.ReplicaSetCondition{{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, Reason: reason, Message: failed.Error(), LastTransitionTime: r.client.Cluster().Now()}}
	}
}
