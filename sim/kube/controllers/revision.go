package controllers

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxHistory is how long the list of a ReplicaSet's former revisions may grow. Source: pkg/controller/deployment/sync.go, maxRevHistoryLengthInChars.
const maxHistory = 2000

// notCopied are the annotations of a Deployment that its ReplicaSets do not get.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, annotationsToSkip.
var notCopied = map[string]bool{corev1.LastAppliedConfigAnnotation: true, annotationRevision: true, annotationHistory: true, annotationDesired: true, annotationMax: true,
	appsv1.DeprecatedRollbackTo: true}

// revise keeps the revision of the current template's ReplicaSet the highest, and the Deployment's the same. It makes that ReplicaSet, if it may.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, getNewReplicaSet.
func (x *Deployments) revise(r *rollout, create bool) error {
	next := int64(1)
	for _, rs := range r.old {
		next = max(next, revision(rs)+1)
	}
	if r.newest == nil {
		if create {
			return x.make(r, next)
		}
		return nil
	}
	d := r.d
	now := r.newest.DeepCopy()
	changed := annotate(now, d, next)
	if changed || now.Spec.MinReadySeconds != d.Spec.MinReadySeconds {
		now.Spec.MinReadySeconds = d.Spec.MinReadySeconds
		o, err := x.client.Update(now)
		if err == nil {
			r.newest = o.(*appsv1.ReplicaSet)
		}
		return err
	}
	changed = setRevision(d, now.Annotations[annotationRevision])
	if hasDeadline(d) && condition(&d.Status, appsv1.DeploymentProgressing) == nil {
		x.set(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", now.Name))
		changed = true
	}
	if !changed {
		return nil
	}
	_, err := x.client.UpdateStatus(d)
	return err
}

// annotate writes a Deployment's annotations and a revision into its ReplicaSet, and says whether that is new.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, SetNewReplicaSetAnnotations.
func annotate(rs *appsv1.ReplicaSet, d *appsv1.Deployment, next int64) bool {
	changed := false
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	for k, v := range d.Annotations { // the order is of no effect
		if old, ok := rs.Annotations[k]; !notCopied[k] && (!ok || old != v) {
			rs.Annotations[k] = v
			changed = true
		}
	}
	before := rs.Annotations[annotationRevision]
	if revision(rs) >= next {
		return changed
	}
	rs.Annotations[annotationRevision] = strconv.FormatInt(next, 10)
	if before == "" {
		return true
	}
	history := before
	if h := rs.Annotations[annotationHistory]; h != "" {
		history = h + "," + before
	}
	for len(history) > maxHistory {
		_, history, _ = strings.Cut(history, ",")
	}
	rs.Annotations[annotationHistory] = history
	return true
}

func setRevision(d *appsv1.Deployment, revision string) bool {
	if d.Annotations[annotationRevision] == revision {
		return false
	}
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[annotationRevision] = revision
	return true
}

// make creates the ReplicaSet of the current template, as large as it may be at once.
func (x *Deployments) make(r *rollout, next int64) error {
	d := r.d
	hash := templateHash(&d.Spec.Template, d.Status.CollisionCount)
	template := *d.Spec.Template.DeepCopy()
	template.Labels = maps.Clone(template.Labels)
	if template.Labels == nil {
		template.Labels = map[string]string{}
	}
	template.Labels[hashLabel] = hash
	selector := d.Spec.Selector.DeepCopy()
	if selector.MatchLabels == nil {
		selector.MatchLabels = map[string]string{}
	}
	selector.MatchLabels[hashLabel] = hash
	size := newSize(r)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: d.Name + "-" + hash, Labels: maps.Clone(template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}},
		Spec: appsv1.ReplicaSetSpec{Replicas: &size, MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: template},
	}
	annotate(rs, d, next)
	annotateSize(rs, d)
	o, err := x.client.Create(rs)
	exists := apierrors.IsAlreadyExists(err)
	switch {
	case exists:
		// The cache has not seen it yet, or two templates have the same hash.
		old, ok := x.sets.Get(rsKey(rs))
		if !ok {
			return err
		}
		if !metav1.IsControlledBy(old, d) || !sameTemplate(&old.Spec.Template, &d.Spec.Template) {
			count := int32(1)
			if d.Status.CollisionCount != nil {
				count = *d.Status.CollisionCount + 1
			}
			d.Status.CollisionCount = &count
			if _, err := x.client.UpdateStatus(d); err != nil {
				return err
			}
			return err
		}
		r.newest = old
	case err != nil:
		message := fmt.Sprintf("Failed to create new replica set %q: %v", rs.Name, err)
		if hasDeadline(d) {
			x.set(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError", message)
			if _, err := x.client.UpdateStatus(d); err != nil {
				return err
			}
		}
		x.events.Warning(d, "ReplicaSetCreateError", "%s", message)
		return err
	default:
		r.newest = o.(*appsv1.ReplicaSet)
		if size > 0 {
			x.events.Normal(d, "ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", rs.Name, size)
		}
	}
	changed := setRevision(d, strconv.FormatInt(next, 10))
	if !exists && hasDeadline(d) {
		x.set(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", rs.Name))
		changed = true
	}
	if !changed {
		return nil
	}
	_, err = x.client.UpdateStatus(d)
	return err
}

// templateHash is the pod-template-hash: ten characters of the alphabet of generated names.
// Unlike Kubernetes, which prints a Go struct into FNV-32a, this hashes its JSON; the value is never compared with another cluster's.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	b, _ := json.Marshal(t)
	if collisions != nil {
		b = binary.LittleEndian.AppendUint32(b, uint32(*collisions))
	}
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
