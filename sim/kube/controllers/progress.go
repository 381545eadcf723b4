package controllers

import (
	"fmt"
	"math"
	"reflect"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// Reasons of the condition Progressing. Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go.
const (
	reasonUpdated   = "ReplicaSetUpdated"
	reasonAvailable = "NewReplicaSetAvailable"
	reasonTimedOut  = "ProgressDeadlineExceeded"
	reasonPaused    = "DeploymentPaused"
	reasonResumed   = "DeploymentResumed"
)

func rsKey(rs *appsv1.ReplicaSet) kube.Key { return kube.KeyOf(rs) }

// hasDeadline says whether a Deployment is to make progress in a certain time.
func hasDeadline(d *appsv1.Deployment) bool {
	return d.Spec.ProgressDeadlineSeconds != nil && *d.Spec.ProgressDeadlineSeconds != math.MaxInt32
}

func condition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// set writes a condition, unless it has the same status for the same reason already.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, SetDeploymentCondition.
func (x *Deployments) set(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, status corev1.ConditionStatus, reason, message string) {
	now := x.cluster.Now()
	c := appsv1.DeploymentCondition{Type: t, Status: status, Reason: reason, Message: message, LastUpdateTime: now, LastTransitionTime: now}
	if old := condition(s, t); old != nil {
		if old.Status == status && old.Reason == reason {
			return
		}
		if old.Status == status {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	unset(s, t)
	s.Conditions = append(s.Conditions, c)
}

func unset(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	var rest []appsv1.DeploymentCondition
	for _, c := range s.Conditions {
		if c.Type != t {
			rest = append(rest, c)
		}
	}
	s.Conditions = rest
}

// paused keeps the condition Progressing in step with spec.paused, so that a pause counts for no lack of progress.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, checkPausedConditions.
func (x *Deployments) paused(d *appsv1.Deployment) error {
	c := condition(&d.Status, appsv1.DeploymentProgressing)
	if !hasDeadline(d) || c != nil && c.Reason == reasonTimedOut {
		return nil
	}
	switch known := c != nil && c.Reason == reasonPaused; {
	case d.Spec.Paused && !known:
		x.set(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonPaused, "Deployment is paused")
	case !d.Spec.Paused && known:
		x.set(&d.Status, appsv1.DeploymentProgressing, corev1.ConditionUnknown, reasonResumed, "Deployment is resumed")
	default:
		return nil
	}
	_, err := x.client.UpdateStatus(d)
	return err
}

// complete says whether all pods are new and available. Source: deployment_util.go, DeploymentComplete.
func complete(d *appsv1.Deployment, s *appsv1.DeploymentStatus) bool {
	want := *d.Spec.Replicas
	return s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want && s.ObservedGeneration >= d.Generation
}

// progressed says whether more has been done than at the last look. Source: deployment_util.go, DeploymentProgressing.
func progressed(old, now *appsv1.DeploymentStatus) bool {
	return now.UpdatedReplicas > old.UpdatedReplicas || now.Replicas-now.UpdatedReplicas < old.Replicas-old.UpdatedReplicas ||
		now.ReadyReplicas > old.ReadyReplicas || now.AvailableReplicas > old.AvailableReplicas
}

// count is the status that the ReplicaSets make. Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, calculateStatus.
func (x *Deployments) count(r *rollout) appsv1.DeploymentStatus {
	d := r.d
	s := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, CollisionCount: d.Status.CollisionCount}
	var wanted int32
	for _, rs := range r.all() {
		wanted += *rs.Spec.Replicas
		s.Replicas += rs.Status.Replicas
		s.ReadyReplicas += rs.Status.ReadyReplicas
		s.AvailableReplicas += rs.Status.AvailableReplicas
	}
	if r.newest != nil {
		s.UpdatedReplicas = r.newest.Status.Replicas
	}
	s.UnavailableReplicas = max(0, wanted-s.AvailableReplicas)
	s.Conditions = append(s.Conditions, d.Status.Conditions...)
	if s.AvailableReplicas >= *d.Spec.Replicas-mayMiss(d) {
		x.set(&s, appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.")
	} else {
		x.set(&s, appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
	}
	return s
}

// plainStatus writes the status outside of an update. Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, syncDeploymentStatus.
func (x *Deployments) plainStatus(r *rollout) error {
	s := x.count(r)
	if reflect.DeepEqual(s, r.d.Status) {
		return nil
	}
	r.d.Status = s
	_, err := x.client.UpdateStatus(r.d)
	return err
}

// status writes the status during an update, and what can be said of its progress.
// Source: kubernetes/kubernetes pkg/controller/deployment/progress.go, syncRolloutStatus.
func (x *Deployments) status(r *rollout) error {
	d := r.d
	s := x.count(r)
	before := condition(&d.Status, appsv1.DeploymentProgressing)
	if !hasDeadline(d) {
		unset(&s, appsv1.DeploymentProgressing)
	}
	done := s.Replicas == s.UpdatedReplicas && before != nil && before.Reason == reasonAvailable
	if hasDeadline(d) && !done {
		who := fmt.Sprintf("Deployment %q", d.Name)
		if r.newest != nil {
			who = fmt.Sprintf("ReplicaSet %q", r.newest.Name)
		}
		switch {
		case complete(d, &s):
			x.set(&s, appsv1.DeploymentProgressing, corev1.ConditionTrue, reasonAvailable, who+" has successfully progressed.")
		case progressed(&d.Status, &s):
			since := x.cluster.Now()
			if before != nil && before.Status == corev1.ConditionTrue {
				since = before.LastTransitionTime
			}
			unset(&s, appsv1.DeploymentProgressing)
			s.Conditions = append(s.Conditions, appsv1.DeploymentCondition{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: reasonUpdated, Message: who + " is progressing.",
				LastUpdateTime: x.cluster.Now(), LastTransitionTime: since})
		case x.timedOut(d, &s):
			x.set(&s, appsv1.DeploymentProgressing, corev1.ConditionFalse, reasonTimedOut, who+" has timed out progressing.")
		}
	}
	if f := failure(r); f != nil {
		x.set(&s, appsv1.DeploymentReplicaFailure, f.Status, f.Reason, f.Message)
	} else {
		unset(&s, appsv1.DeploymentReplicaFailure)
	}
	if reflect.DeepEqual(s, d.Status) {
		x.comeBack(d, &s)
		return nil
	}
	d.Status = s
	_, err := x.client.UpdateStatus(d)
	return err
}

// failure is the condition of a ReplicaSet that cannot create pods, the newest one's first.
func failure(r *rollout) *appsv1.ReplicaSetCondition {
	sets := r.old
	if r.newest != nil {
		sets = append([]*appsv1.ReplicaSet{r.newest}, r.old...)
	}
	for _, rs := range sets {
		for i := range rs.Status.Conditions {
			if rs.Status.Conditions[i].Type == appsv1.ReplicaSetReplicaFailure {
				return &rs.Status.Conditions[i]
			}
		}
	}
	return nil
}

// deadline is when a lack of progress becomes a failure.
func deadline(d *appsv1.Deployment, c *appsv1.DeploymentCondition) time.Duration {
	return c.LastUpdateTime.Sub(engine.Epoch) + time.Duration(*d.Spec.ProgressDeadlineSeconds)*time.Second
}

// timedOut says whether nothing has moved for too long. Source: deployment_util.go, DeploymentTimedOut.
func (x *Deployments) timedOut(d *appsv1.Deployment, s *appsv1.DeploymentStatus) bool {
	c := condition(s, appsv1.DeploymentProgressing)
	switch {
	case c == nil || c.Reason == reasonAvailable:
		return false
	case c.Reason == reasonTimedOut:
		return true
	}
	return deadline(d, c) < x.cluster.Engine().Now()
}

// comeBack looks again when the deadline has passed, if nothing else happens. Source: progress.go, requeueStuckDeployment.
func (x *Deployments) comeBack(d *appsv1.Deployment, s *appsv1.DeploymentStatus) {
	c := condition(&d.Status, appsv1.DeploymentProgressing)
	if !hasDeadline(d) || c == nil || complete(d, s) || c.Reason == reasonTimedOut {
		return
	}
	x.queue.AddAfter(kube.KeyOf(d), max(0, deadline(d, c)-x.cluster.Engine().Now())+time.Second)
}

// RolloutStatus is what kubectl rollout status says of a Deployment, and whether the update is done. It returns an error when the deadline was exceeded.
// Source: kubernetes/kubectl pkg/polymorphichelpers/rollout_status.go.
func RolloutStatus(d *appsv1.Deployment) (message string, done bool, err error) {
	s := &d.Status
	if d.Generation > s.ObservedGeneration {
		return "Waiting for deployment spec update to be observed...", false, nil
	}
	if c := condition(s, appsv1.DeploymentProgressing); c != nil && c.Reason == reasonTimedOut {
		return "", false, fmt.Errorf("deployment %q exceeded its progress deadline", d.Name)
	}
	waiting := fmt.Sprintf("Waiting for deployment %q rollout to finish: ", d.Name)
	switch {
	case d.Spec.Replicas != nil && s.UpdatedReplicas < *d.Spec.Replicas:
		return waiting + fmt.Sprintf("%d out of %d new replicas have been updated...", s.UpdatedReplicas, *d.Spec.Replicas), false, nil
	case s.Replicas > s.UpdatedReplicas:
		return waiting + fmt.Sprintf("%d old replicas are pending termination...", s.Replicas-s.UpdatedReplicas), false, nil
	case s.AvailableReplicas < s.UpdatedReplicas:
		return waiting + fmt.Sprintf("%d of %d updated replicas are available...", s.AvailableReplicas, s.UpdatedReplicas), false, nil
	}
	return fmt.Sprintf("deployment %q successfully rolled out", d.Name), true, nil
}
