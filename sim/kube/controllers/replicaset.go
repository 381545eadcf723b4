package controllers

import (
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// ReplicaSets keeps each ReplicaSet's pods.
type ReplicaSets struct {
	client *kube.Client
	events *kube.Recorder
	queue  *kube.Queue
	sets   *kube.Informer[*appsv1.ReplicaSet]
	pods   *kube.Informer[*corev1.Pod]
	// expected is, by ReplicaSet, what was done and is not in the cache yet: until it is, nothing is done.
	expected map[kube.Key]*expectation
}

// expectation counts pods that were created, and names those that were deleted.
// Source: kubernetes/kubernetes pkg/controller/controller_utils.go, UIDTrackingControllerExpectations.
type expectation struct {
	creations int
	deletions map[types.UID]bool
}

func (x *expectation) met() bool { return x == nil || x.creations <= 0 && len(x.deletions) == 0 }

// How many pods a ReplicaSet creates or deletes at most at once, and the size of the first batch of creations; each batch that succeeds doubles it.
// Source: kubernetes/kubernetes pkg/controller/replicaset/replica_set.go, BurstReplicas; pkg/controller/controller_utils.go, SlowStartInitialBatchSize.
const (
	burst     = 500
	slowStart = 1
)

// NewReplicaSets starts the replicaset controller.
func NewReplicaSets(c *kube.Cluster, sets *kube.Informer[*appsv1.ReplicaSet], pods *kube.Informer[*corev1.Pod]) *ReplicaSets {
	r := &ReplicaSets{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:replicaset-controller"}), events: c.Recorder("replicaset-controller", ""), sets: sets, pods: pods,
		expected: map[kube.Key]*expectation{}}
	r.queue = kube.NewQueue(c.Engine(), "replicaset-controller", kube.ControllerBackoff, r.reconcile)
	pods.Index("owner", func(p *corev1.Pod) []string {
		if o := metav1.GetControllerOf(p); o != nil {
			return []string{string(o.UID)}
		}
		return []string{"orphan/" + p.Namespace}
	})
	sets.Index("owner", func(s *appsv1.ReplicaSet) []string {
		if o := metav1.GetControllerOf(s); o != nil {
			return []string{string(o.UID)}
		}
		return nil
	})
	sets.Index("namespace", func(s *appsv1.ReplicaSet) []string { return []string{s.Namespace} })
	sets.Handle(func(old, now *appsv1.ReplicaSet) {
		if now == nil {
			delete(r.expected, kube.KeyOf(old))
			return
		}
		r.queue.Add(kube.KeyOf(now))
	})
	pods.Handle(r.podChanged)
	return r
}

func (r *ReplicaSets) podChanged(old, now *corev1.Pod) {
	p := now
	if p == nil {
		p = old
	}
	if o := metav1.GetControllerOf(p); o != nil {
		if o.Kind != "ReplicaSet" {
			return
		}
		k := kube.Key{Namespace: p.Namespace, Name: o.Name}
		if x := r.expected[k]; x != nil {
			if old == nil {
				x.creations--
			}
			if now == nil || now.DeletionTimestamp != nil {
				delete(x.deletions, p.UID)
			}
		}
		if old != nil && now != nil && !replicaChanged(old, now) {
			return
		}
		r.queue.Add(k)
		return
	}
	for _, rs := range r.sets.By("namespace", p.Namespace) { // an orphan: who selects it?
		if selects(rs.Spec.Selector, p) {
			r.queue.Add(kube.KeyOf(rs))
		}
	}
}

// replicaChanged says whether a change of a pod may change what its ReplicaSet does or reports. The real controller looks at every change.
func replicaChanged(old, now *corev1.Pod) bool {
	return Ready(old) != Ready(now) || (old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) || old.Status.Phase != now.Status.Phase ||
		metav1.GetControllerOf(old) == nil || !reflect.DeepEqual(old.Labels, now.Labels)
}

func selects(s *metav1.LabelSelector, p *corev1.Pod) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(p.Labels))
}

// active says whether a pod counts for its ReplicaSet. Source: kubernetes/kubernetes pkg/controller/controller_utils.go, IsPodActive.
func active(p *corev1.Pod) bool {
	return p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed
}

func (r *ReplicaSets) reconcile(p *engine.Process, k kube.Key) error {
	rs, ok := r.sets.Get(k)
	if !ok {
		return nil
	}
	met := r.expected[k].met()
	var pods []*corev1.Pod
	for _, pod := range r.pods.By("owner", string(rs.UID)) {
		if active(pod) {
			pods = append(pods, pod)
		}
	}
	for _, pod := range r.pods.By("owner", "orphan/"+k.Namespace) {
		if active(pod) && selects(rs.Spec.Selector, pod) {
			now := pod.DeepCopy()
			now.OwnerReferences = append(now.OwnerReferences, *controllerRef(rs))
			if _, err := r.client.Update(now); err != nil {
				return err
			}
			pods = append(pods, now)
		}
	}
	var failed error
	if met && rs.DeletionTimestamp == nil {
		failed = r.manage(p, k, rs, pods)
	}
	if err := r.status(k, rs, pods, failed); err != nil {
		return err
	}
	return failed
}

// manage creates or deletes pods.
// Source: kubernetes/kubernetes pkg/controller/replicaset/replica_set.go, manageReplicas.
func (r *ReplicaSets) manage(p *engine.Process, k kube.Key, rs *appsv1.ReplicaSet, pods []*corev1.Pod) error {
	x := &expectation{deletions: map[types.UID]bool{}}
	diff := int(*rs.Spec.Replicas) - len(pods)
	if diff > 0 {
		diff = min(diff, burst)
		r.expected[k] = x
		for batch := slowStart; diff > 0; batch *= 2 {
			for range min(batch, diff) {
				x.creations++
				if err := r.create(p, rs); err != nil {
					x.creations--
					r.events.Warning(rs, "FailedCreate", "Error creating: %v", err)
					return err
				}
				diff--
			}
		}
		return nil
	}
	if diff == 0 {
		return nil
	}
	r.expected[k] = x
	for _, pod := range r.victims(rs, pods, min(-diff, burst)) {
		x.deletions[pod.UID] = true
		if err := kube.Delete[*corev1.Pod](r.client, kube.KeyOf(pod)); err != nil {
			delete(x.deletions, pod.UID)
			if !apierrors.IsNotFound(err) {
				r.events.Warning(rs, "FailedDelete", "Error deleting: %v", err)
				return err
			}
			continue
		}
		r.events.Normal(rs, "SuccessfulDelete", "Deleted pod: %s", pod.Name)
	}
	return nil
}

func controllerRef(rs *appsv1.ReplicaSet) *metav1.OwnerReference {
	return metav1.NewControllerRef(rs, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))
}

func (r *ReplicaSets) create(p *engine.Process, rs *appsv1.ReplicaSet) error {
	t := rs.Spec.Template.DeepCopy()
	pod, err := r.client.On(p).Create(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: rs.Namespace, GenerateName: rs.Name + "-", Labels: t.Labels, Annotations: t.Annotations, OwnerReferences: []metav1.OwnerReference{*controllerRef(rs)}},
		Spec:       t.Spec,
	})
	if err == nil {
		r.events.Normal(rs, "SuccessfulCreate", "Created pod: %s", pod.GetName())
	}
	return err
}

// status reports, and comes back when the next pod has been ready for minReadySeconds.
func (r *ReplicaSets) status(k kube.Key, rs *appsv1.ReplicaSet, pods []*corev1.Pod, failed error) error {
	c := r.client.Cluster()
	now := rs.DeepCopy()
	s := &now.Status
	s.ObservedGeneration, s.Replicas, s.FullyLabeledReplicas = rs.Generation, int32(len(pods)), 0
	s.ReadyReplicas, s.AvailableReplicas = 0, 0
	template := labels.SelectorFromSet(rs.Spec.Template.Labels)
	next := time.Duration(-1)
	for _, p := range pods {
		if template.Matches(labels.Set(p.Labels)) {
			s.FullyLabeledReplicas++
		}
		if !Ready(p) {
			continue
		}
		s.ReadyReplicas++
		left := untilAvailable(p, rs.Spec.MinReadySeconds, c)
		if left <= 0 {
			s.AvailableReplicas++
		} else if next < 0 || left < next {
			next = left
		}
	}
	if next >= 0 {
		r.queue.AddAfter(k, next)
	}
	setReplicaFailure(s, failed, int(*rs.Spec.Replicas)-len(pods), c.Now())
	if reflect.DeepEqual(now.Status, rs.Status) {
		return nil
	}
	_, err := r.client.UpdateStatus(now)
	return err
}

// untilAvailable is how long a ready pod has yet to be ready until it is available.
// Source: kubernetes/kubernetes pkg/api/v1/pod/util.go, IsPodAvailable.
func untilAvailable(p *corev1.Pod, minReadySeconds int32, c *kube.Cluster) time.Duration {
	if minReadySeconds == 0 {
		return 0
	}
	for i := range p.Status.Conditions {
		if x := &p.Status.Conditions[i]; x.Type == corev1.PodReady {
			since := x.LastTransitionTime.Sub(engine.Epoch)
			return max(0, since+time.Duration(minReadySeconds)*time.Second+1-c.Engine().Now())
		}
	}
	return 0
}

// setReplicaFailure keeps the condition ReplicaFailure.
// Source: kubernetes/kubernetes pkg/controller/replicaset/replica_set_utils.go, calculateStatus.
func setReplicaFailure(s *appsv1.ReplicaSetStatus, failed error, diff int, now metav1.Time) {
	for i := range s.Conditions {
		if s.Conditions[i].Type == appsv1.ReplicaSetReplicaFailure {
			if failed == nil {
				s.Conditions = append(s.Conditions[:i], s.Conditions[i+1:]...)
			}
			return
		}
	}
	if failed == nil {
		return
	}
	reason := "FailedCreate"
	if diff < 0 {
		reason = "FailedDelete"
	}
	s.Conditions = append(s.Conditions, appsv1.ReplicaSetCondition{Type: appsv1.ReplicaSetReplicaFailure, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: reason, Message: failed.Error()})
}

// Ready says whether a pod's Ready condition is true.
func Ready(p *corev1.Pod) bool {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
