package kube

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Delete asks for an object to be deleted, as kubectl delete and the controllers do: a pod that a kubelet may run gets its grace period.
func Delete[T Object](cl *Client, key Key) error {
	return DeleteWith[T](cl, key, metav1.DeleteOptions{})
}

// DeleteWith is Delete with options: a grace period (zero removes the object at once, whatever still runs: a forced deletion) and a
// precondition on the UID.
func DeleteWith[T Object](cl *Client, key Key, o metav1.DeleteOptions) error {
	kind := kindOf(*new(T))
	err := cl.c.delete(kind, key, o)
	cl.done("delete", kind, key, err)
	if err == nil {
		cl.c.deliver()
	}
	return err
}

// delete is the work of DeleteWith. What watchers are to be told is kept until deliver, so that the call is on record first.
// Source: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go (BeforeDelete), registry/generic/registry/store.go
// (Delete, updateForGracefulDeletionAndFinalizers).
func (c *Cluster) delete(kind string, key Key, o metav1.DeleteOptions) error {
	k := c.kind(kind)
	old := k.objects[key]
	if old == nil {
		return apierrors.NewNotFound(resource(kind), key.Name)
	}
	if o.Preconditions != nil && o.Preconditions.UID != nil && *o.Preconditions.UID != old.GetUID() {
		return apierrors.NewConflict(resource(kind), key.Name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", *o.Preconditions.UID, old.GetUID()))
	}
	if d := o.PropagationPolicy; d != nil && *d != metav1.DeletePropagationBackground {
		return apierrors.NewBadRequest(fmt.Sprintf("propagationPolicy %s: not modelled", *d))
	}
	grace := o.GracePeriodSeconds
	if grace != nil && *grace < 0 {
		one := int64(1)
		grace = &one
	}
	if old.GetDeletionTimestamp() != nil {
		return c.deleteSooner(k, key, old, grace)
	}
	pod, graceful := old.(*corev1.Pod)
	if !graceful {
		if len(old.GetFinalizers()) == 0 {
			c.remove(k, key, old)
			c.pend(kind, old, nil)
			return nil
		}
		zero := int64(0)
		c.mark(k, key, old, zero)
		return nil
	}
	seconds := podGrace(pod, grace)
	if seconds == 0 && len(old.GetFinalizers()) == 0 {
		c.removeMarked(k, key, old)
		return nil
	}
	c.mark(k, key, old, seconds)
	return nil
}

// podGrace is how long a pod may take to stop.
// Source: kubernetes/kubernetes pkg/registry/core/pod/strategy.go, CheckGracefulDelete.
func podGrace(p *corev1.Pod, asked *int64) int64 {
	var seconds int64
	switch {
	case asked != nil:
		seconds = *asked
	case p.Spec.TerminationGracePeriodSeconds != nil:
		seconds = *p.Spec.TerminationGracePeriodSeconds
	}
	if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return 0 // no kubelet has anything to stop
	}
	if seconds < 0 {
		return 1
	}
	return seconds
}

// deleteSooner is a deletion of what is being deleted: it may only shorten the grace period.
func (c *Cluster) deleteSooner(k *collection, key Key, old Object, grace *int64) error {
	had := old.GetDeletionGracePeriodSeconds()
	if had == nil || grace == nil || *grace >= *had {
		return nil
	}
	if *grace == 0 && len(old.GetFinalizers()) == 0 {
		c.removeMarked(k, key, old)
		return nil
	}
	now := old.DeepCopyObject().(Object)
	t := metav1.NewTime(old.GetDeletionTimestamp().Add(time.Duration(*grace-*had) * time.Second))
	now.SetDeletionTimestamp(&t)
	now.SetDeletionGracePeriodSeconds(grace)
	c.bump(now)
	k.objects[key] = now
	c.pend(k.kind, old, now)
	return nil
}

// marked is an object as it is from its deletion on.
func (c *Cluster) marked(old Object, seconds int64) Object {
	now := old.DeepCopyObject().(Object)
	t := metav1.NewTime(c.Now().Add(time.Duration(seconds) * time.Second))
	now.SetDeletionTimestamp(&t)
	now.SetDeletionGracePeriodSeconds(&seconds)
	now.SetGeneration(old.GetGeneration() + 1)
	c.bump(now)
	return now
}

func (c *Cluster) mark(k *collection, key Key, old Object, seconds int64) {
	now := c.marked(old, seconds)
	k.objects[key] = now
	c.pend(k.kind, old, now)
}

// removeMarked removes an object that a kubelet may still see to: watchers are first told that its grace is over, then that it is gone.
func (c *Cluster) removeMarked(k *collection, key Key, old Object) {
	now := old
	if s := old.GetDeletionGracePeriodSeconds(); s == nil || *s != 0 {
		now = c.marked(old, 0)
		c.pend(k.kind, old, now)
	}
	c.remove(k, key, now)
	c.pend(k.kind, now, nil)
}

// change is what watchers are to be told.
type change struct {
	kind     string
	old, now Object
}

func (c *Cluster) pend(kind string, old, now Object) {
	c.pending = append(c.pending, change{kind, old, now})
}

func (c *Cluster) deliver() {
	for len(c.pending) > 0 {
		x := c.pending[0]
		c.pending = c.pending[1:]
		c.notify(x.kind, x.old, x.now)
	}
	c.pending = nil
}

// remove takes an object out of the store, and gives back what was allocated for it.
func (c *Cluster) remove(k *collection, key Key, o Object) {
	delete(k.objects, key)
	if s, ok := o.(*corev1.Service); ok {
		c.release(s)
	}
}
