package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// Garbage deletes what belonged to an object that is no more (background deletion).
// Source: kubernetes/kubernetes pkg/controller/garbagecollector.
type Garbage struct {
	client *kube.Client
	sets   *kube.Informer[*appsv1.ReplicaSet]
	pods   *kube.Informer[*corev1.Pod]
	slices *kube.Informer[*discoveryv1.EndpointSlice]
	queue  *kube.Queue
}

// NewGarbage starts the garbage collector. ReplicaSets and pods must be indexed by their controller, which NewReplicaSets sees to.
func NewGarbage(c *kube.Cluster, deployments *kube.Informer[*appsv1.Deployment], sets *kube.Informer[*appsv1.ReplicaSet], pods *kube.Informer[*corev1.Pod], services *kube.Informer[*corev1.Service], slices *kube.Informer[*discoveryv1.EndpointSlice]) *Garbage {
	g := &Garbage{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:generic-garbage-collector"}), sets: sets, pods: pods, slices: slices}
	g.queue = kube.NewQueue(c.Engine(), "garbage collector", kube.ControllerBackoff, g.reconcile)
	slices.Index("owner", func(s *discoveryv1.EndpointSlice) []string {
		if o := metav1.GetControllerOf(s); o != nil {
			return []string{string(o.UID)}
		}
		return nil
	})
	deployments.Handle(func(old, now *appsv1.Deployment) { gone(g, old, now == nil) })
	sets.Handle(func(old, now *appsv1.ReplicaSet) { gone(g, old, now == nil) })
	services.Handle(func(old, now *corev1.Service) { gone(g, old, now == nil) })
	return g
}

// gone has the dependents of an object deleted, whose UID stands for it in the queue.
func gone[T kube.Object](g *Garbage, old T, is bool) {
	if is {
		g.queue.Add(kube.Key{Name: string(old.GetUID())})
	}
}

func (g *Garbage) reconcile(_ *engine.Process, k kube.Key) error {
	if err := remove(g.client, g.sets.By("owner", k.Name)); err != nil {
		return err
	}
	if err := remove(g.client, g.pods.By("owner", k.Name)); err != nil {
		return err
	}
	return remove(g.client, g.slices.By("owner", k.Name))
}

// remove deletes objects, unless others have their names by now.
func remove[T kube.Object](cl *kube.Client, objects []T) error {
	for _, o := range objects {
		if o.GetDeletionTimestamp() != nil {
			continue
		}
		err := kube.DeleteWith[T](cl, kube.KeyOf(o), metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(o.GetUID()))})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	return nil
}
