package controllers

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// rolling takes the next step of a rolling update: at most one change of size in one direction, upwards first.
// Source: kubernetes/kubernetes pkg/controller/deployment/rolling.go, rolloutRolling.
func (x *Deployments) rolling(r *rollout) error {
	if r.newest == nil {
		if err := x.revise(r, true); err != nil {
			return err
		}
	}
	now, up, err := x.scale(r.d, r.newest, newSize(r))
	if err != nil {
		return err
	}
	r.newest = now
	if up {
		return x.status(r)
	}
	down := x.shrink(r)
	if !down && complete(r.d, &r.d.Status) {
		if err := x.cleanup(r); err != nil {
			return err
		}
	}
	return x.status(r)
}

// newSize is what the ReplicaSet of the current template may grow to now.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, NewRSNewReplicas.
func newSize(r *rollout) int32 {
	want, has := *r.d.Spec.Replicas, int32(0)
	if r.newest != nil {
		has = *r.newest.Spec.Replicas
	}
	if has >= want {
		return want
	}
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return want
	}
	surge, _ := Fenceposts(r.d)
	room := want + surge - specReplicas(r.all())
	if room <= 0 {
		return has
	}
	return has + min(room, want-has)
}

// Fenceposts are how many pods a Deployment may have beyond its replicas, and how many of them may be unavailable, while it is updated: the former rounded
// up, the latter down, and one unavailable if both are none.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, ResolveFenceposts.
func Fenceposts(d *appsv1.Deployment) (surge, unavailable int32) {
	r := d.Spec.Strategy.RollingUpdate
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || r == nil {
		return 0, 0
	}
	return fenceposts(r.MaxSurge, r.MaxUnavailable, *d.Spec.Replicas)
}

func fenceposts(maxSurge, maxUnavailable *intstr.IntOrString, replicas int32) (surge, unavailable int32) {
	zero := intstr.FromInt32(0)
	// The values were checked when the object was written.
	s, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(maxSurge, zero), int(replicas), true)
	u, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(maxUnavailable, zero), int(replicas), false)
	if s == 0 && u == 0 {
		u = 1
	}
	return int32(s), int32(u)
}

// mayMiss is how many of a Deployment's replicas may be unavailable. Source: deployment_util.go, MaxUnavailable.
func mayMiss(d *appsv1.Deployment) int32 {
	if *d.Spec.Replicas == 0 {
		return 0
	}
	_, unavailable := Fenceposts(d)
	return min(unavailable, *d.Spec.Replicas)
}

// shrink makes old ReplicaSets smaller: first by what is not available anyway, then by what more pods than needed are available.
// Source: kubernetes/kubernetes pkg/controller/deployment/rolling.go, reconcileOldReplicaSets, which swallows the errors of both.
func (x *Deployments) shrink(r *rollout) bool {
	if specReplicas(r.old) == 0 {
		return false
	}
	least := *r.d.Spec.Replicas - mayMiss(r.d)
	most := specReplicas(r.all()) - least - (*r.newest.Spec.Replicas - r.newest.Status.AvailableReplicas)
	if most <= 0 {
		return false
	}
	byCreation(r.old)
	var gone int32
	for i, rs := range r.old {
		unhealthy := *rs.Spec.Replicas - rs.Status.AvailableReplicas
		if gone >= most || *rs.Spec.Replicas == 0 || unhealthy == 0 {
			continue
		}
		n := min(most-gone, unhealthy)
		if n < 0 { // its status is of a time when it was larger: nothing is done until that is written anew
			return false
		}
		now, _, err := x.scale(r.d, rs, *rs.Spec.Replicas-n)
		if err != nil { // somebody has changed it: it will come again when the cache has seen that
			return false
		}
		r.old[i] = now
		gone += n
	}
	spare := availableReplicas(r.all()) - least
	var scaled int32
	for i, rs := range r.old {
		if scaled >= spare || *rs.Spec.Replicas == 0 {
			continue
		}
		n := min(*rs.Spec.Replicas, spare-scaled)
		now, _, err := x.scale(r.d, rs, *rs.Spec.Replicas-n)
		if err != nil { // somebody has changed it: it will come again when the cache has seen that
			return false
		}
		r.old[i] = now
		scaled += n
	}
	return gone+scaled > 0
}

// specReplicas is how many pods ReplicaSets want.
func specReplicas(sets []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range sets {
		n += *rs.Spec.Replicas
	}
	return n
}

// availableReplicas is how many pods of ReplicaSets are available.
func availableReplicas(sets []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range sets {
		n += rs.Status.AvailableReplicas
	}
	return n
}
