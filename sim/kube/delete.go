package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Delete removes an object as kubectl delete without flags does.
func Delete[T Object](cl *Client, key Key) error {
	return DeleteWith[T](cl, key, metav1.DeleteOptions{})
}

// DeleteWith removes an object, or marks it as being deleted while it has finalizers or a grace period. It returns NotFound, Conflict where a
// precondition does not hold, or BadRequest.
// Source: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go, BeforeDelete; registry/generic/registry/store.go, Delete.
func DeleteWith[T Object](cl *Client, key Key, opts metav1.DeleteOptions) error {
	c, kind := cl.c, kindOf(*new(T))
	err := c.delete(kind, key, opts)
	cl.done("delete", kind, key, err)
	return err
}

func (c *Cluster) delete(kind string, key Key, opts metav1.DeleteOptions) error {
	k := c.kind(kind)
	old := k.objects[key]
	if old == nil {
		return apierrors.NewNotFound(resource(kind), key.Name)
	}
	if g := opts.GracePeriodSeconds; g != nil && *g < 0 {
		return apierrors.NewBadRequest(fmt.Sprintf("gracePeriodSeconds: Invalid value: %d: must be greater than or equal to 0", *g))
	}
	if opts.PropagationPolicy != nil && *opts.PropagationPolicy != metav1.DeletePropagationBackground {
		return engine.NotModelled("deletion with propagationPolicy %s", *opts.PropagationPolicy)
	}
	if p := opts.Preconditions; p != nil {
		if p.UID != nil && *p.UID != old.GetUID() {
			//lint:ignore ST1005 the API server words it so
			return apierrors.NewConflict(resource(kind), key.Name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", *p.UID, old.GetUID()))
		}
		if p.ResourceVersion != nil && *p.ResourceVersion != old.GetResourceVersion() {
			//lint:ignore ST1005 the API server words it so
			return apierrors.NewConflict(resource(kind), key.Name, fmt.Errorf("Precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", *p.ResourceVersion, old.GetResourceVersion()))
		}
	}
	var grace int64
	if pod, ok := old.(*corev1.Pod); ok {
		grace = podGrace(pod, opts.GracePeriodSeconds)
	}
	t := old.GetDeletionTimestamp()
	if t != nil && old.GetDeletionGracePeriodSeconds() != nil {
		before := *old.GetDeletionGracePeriodSeconds()
		if opts.GracePeriodSeconds == nil || grace >= before {
			return nil // it is being deleted, and this asks for nothing sooner
		}
		t = &metav1.Time{Time: t.Add(Seconds(grace) - Seconds(before))}
	} else if t == nil {
		t = &metav1.Time{Time: c.Now().Add(Seconds(grace))}
	}
	now := old.DeepCopyObject().(Object)
	now.SetDeletionTimestamp(t)
	now.SetDeletionGracePeriodSeconds(&grace)
	if old.GetDeletionTimestamp() == nil {
		now.SetGeneration(old.GetGeneration() + 1)
	}
	c.bump(now)
	if grace == 0 && len(old.GetFinalizers()) == 0 {
		if _, ok := old.(*corev1.Pod); ok {
			// What can be deleted gracefully is written once more before it goes, so that a kubelet learns that its time is up.
			c.notify(kind, old, now)
			old = now
		}
		c.remove(k, key, old)
		c.notify(kind, old, nil)
		return nil
	}
	k.objects[key] = now
	c.notify(kind, old, now)
	return nil
}

// podGrace is how many seconds a pod has to stop: what is asked for, else its own setting; none if no kubelet has it, or nothing of it runs.
// Source: kubernetes/kubernetes pkg/registry/core/pod/strategy.go, CheckGracefulDelete.
func podGrace(pod *corev1.Pod, asked *int64) int64 {
	var grace int64
	switch {
	case asked != nil:
		grace = *asked
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		grace = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.Spec.NodeName == "" || pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		grace = 0
	}
	if grace < 0 { // since 1.22
		grace = 1
	}
	return grace
}
