package controllers

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// hashLabel tells the ReplicaSets of a Deployment apart.
const hashLabel = appsv1.DefaultDeploymentUniqueLabelKey

// Deployments keeps each Deployment's ReplicaSet.
type Deployments struct {
	client *kube.Client
	queue  *kube.Queue
}

// NewDeployments starts the deployment controller.
func NewDeployments(c *kube.Cluster, deployments *kube.Informer[*appsv1.Deployment], sets *kube.Informer[*appsv1.ReplicaSet]) *Deployments {
	d := &Deployments{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:deployment-controller"})}
	d.queue = kube.NewQueue(c.Engine(), "deployment-controller", kube.ControllerBackoff, d.reconcile)
	deployments.Handle(func(old, now *appsv1.Deployment) {
		if now != nil {
			d.queue.Add(kube.KeyOf(now))
		}
	})
	sets.Handle(func(old, now *appsv1.ReplicaSet) {
		if now == nil {
			return
		}
		if owner := metav1.GetControllerOf(now); owner != nil && owner.Kind == "Deployment" {
			d.queue.Add(kube.Key{Namespace: now.Namespace, Name: owner.Name})
		}
	})
	return d
}

func (d *Deployments) reconcile(_ *engine.Process, k kube.Key) error {
	dep, err := kube.Get[*appsv1.Deployment](d.client, k)
	if apierrors.IsNotFound(err) {
		return nil
	}
	hash := templateHash(&dep.Spec.Template)
	key := kube.Key{Namespace: k.Namespace, Name: k.Name + "-" + hash}
	rs, err := kube.Get[*appsv1.ReplicaSet](d.client, key)
	if apierrors.IsNotFound(err) {
		for _, other := range kube.List[*appsv1.ReplicaSet](d.client) {
			if metav1.IsControlledBy(other, dep) {
				return d.notModelled("Deployment %v: a changed pod template", k)
			}
		}
		labels := maps.Clone(dep.Spec.Template.Labels)
		labels[hashLabel] = hash
		selector := dep.Spec.Selector.DeepCopy()
		selector.MatchLabels = maps.Clone(selector.MatchLabels)
		selector.MatchLabels[hashLabel] = hash
		template := *dep.Spec.Template.DeepCopy()
		template.Labels = labels
		_, err := d.client.Create(&appsv1.ReplicaSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: key.Name, Labels: labels, OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(dep, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
			Spec:       appsv1.ReplicaSetSpec{Replicas: dep.Spec.Replicas, Selector: selector, Template: template},
		})
		return err
	}
	if *rs.Spec.Replicas != *dep.Spec.Replicas {
		now := rs.DeepCopy()
		now.Spec.Replicas = dep.Spec.Replicas
		if _, err := d.client.Update(now); err != nil {
			return err
		}
	}
	return d.status(dep, rs)
}

func (d *Deployments) notModelled(format string, args ...any) error {
	err := engine.NotModelled(format, args...)
	d.client.Cluster().Engine().Fail(err)
	return err
}

func (d *Deployments) status(dep *appsv1.Deployment, rs *appsv1.ReplicaSet) error {
	now := dep.DeepCopy()
	s := &now.Status
	s.ObservedGeneration = dep.Generation
	s.Replicas, s.UpdatedReplicas = rs.Status.Replicas, rs.Status.Replicas
	s.ReadyReplicas, s.AvailableReplicas = rs.Status.ReadyReplicas, rs.Status.AvailableReplicas
	s.UnavailableReplicas = max(0, *dep.Spec.Replicas-s.AvailableReplicas)
	if reflect.DeepEqual(now.Status, dep.Status) {
		return nil
	}
	_, err := d.client.UpdateStatus(now)
	return err
}

// templateHash is the pod-template-hash: ten characters of the alphabet of generated names.
// Unlike Kubernetes, which prints a Go struct into FNV-32a, this hashes its JSON; the value is never compared with another cluster's.
func templateHash(t *corev1.PodTemplateSpec) string {
	b, _ := json.Marshal(t)
	sum := sha256.Sum256(b)
	n := binary.BigEndian.Uint64(sum[:8])
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	out := make([]byte, 10)
	for i := range out {
		out[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	return string(out)
}
