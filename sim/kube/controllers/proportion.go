package controllers

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
)

// Annotations of ReplicaSets. Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go.
const (
	annotationRevision = "deployment.kubernetes.io/revision"
	annotationHistory  = "deployment.kubernetes.io/revision-history"
	annotationDesired  = "deployment.kubernetes.io/desired-replicas"
	annotationMax      = "deployment.kubernetes.io/max-replicas"
)

// annotateSize writes what the Deployment wants now into a ReplicaSet, and says whether that is new.
func annotateSize(rs *appsv1.ReplicaSet, d *appsv1.Deployment) bool {
	surge, _ := Fenceposts(d)
	changed := false
	for _, x := range []struct {
		key  string
		size int32
	}{{annotationDesired, *d.Spec.Replicas}, {annotationMax, *d.Spec.Replicas + surge}} {
		text := strconv.Itoa(int(x.size))
		if rs.Annotations[x.key] != text {
			if rs.Annotations == nil {
				rs.Annotations = map[string]string{}
			}
			rs.Annotations[x.key] = text
			changed = true
		}
	}
	return changed
}

// scaled says whether a person has changed the Deployment's size since its ReplicaSets were made to fit.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, isScalingEvent.
func scaled(r *rollout) bool {
	for _, rs := range r.all() {
		if *rs.Spec.Replicas == 0 {
			continue
		}
		if n, err := strconv.Atoi(rs.Annotations[annotationDesired]); err == nil && int32(n) != *r.d.Spec.Replicas {
			return true
		}
	}
	return false
}

// resize fits ReplicaSets to a new size of the Deployment without hastening an update that is under way, or while it is paused.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, sync and scale.
func (x *Deployments) resize(r *rollout) error {
	if err := x.spread(r); err != nil {
		return err
	}
	if r.d.Spec.Paused {
		if err := x.cleanup(r); err != nil {
			return err
		}
	}
	return x.plainStatus(r)
}

func (x *Deployments) spread(r *rollout) error {
	want := *r.d.Spec.Replicas
	var active []*appsv1.ReplicaSet
	for _, rs := range r.all() {
		if *rs.Spec.Replicas > 0 {
			active = append(active, rs)
		}
	}
	one := r.newest
	switch {
	case len(active) == 1:
		one = active[0]
	case len(active) > 1:
		one = nil
	case one == nil && len(r.old) > 0:
		one = r.old[len(r.old)-1]
	}
	if one != nil {
		_, _, err := x.scale(r.d, one, want)
		return err
	}
	if len(active) == 0 {
		return nil
	}
	if n := r.newest; n != nil && *n.Spec.Replicas == want && n.Status.AvailableReplicas == want && n.Annotations[annotationDesired] == strconv.Itoa(int(want)) {
		for _, rs := range r.old {
			if _, _, err := x.scale(r.d, rs, 0); err != nil {
				return err
			}
		}
		return nil
	}
	if r.d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType {
		return nil
	}
	allowed := int32(0)
	if surge, _ := Fenceposts(r.d); want > 0 {
		allowed = want + surge
	}
	sizes := shares(r.d, active, allowed-specReplicas(active))
	for i, rs := range active {
		if _, _, err := x.rescale(r.d, rs, sizes[i]); err != nil {
			return err
		}
	}
	return nil
}

// shares orders ReplicaSets by size and says how large each is to be when so many pods are added in all; what rounding leaves goes to the largest.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, scale; util/deployment_util.go, GetReplicaSetProportion;
// pkg/controller/controller_utils.go, ReplicaSetsBySizeNewer and ReplicaSetsBySizeOlder.
func shares(d *appsv1.Deployment, sets []*appsv1.ReplicaSet, add int32) []int32 {
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		age := cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
		if add > 0 {
			age = -age
		}
		return cmp.Or(cmp.Compare(*b.Spec.Replicas, *a.Spec.Replicas), age)
	})
	out := make([]int32, len(sets))
	var added int32
	for i, rs := range sets {
		share := int32(0)
		if left := add - added; left != 0 {
			share = fraction(d, rs)
			if add > 0 {
				share = min(share, left)
			} else {
				share = max(share, left)
			}
		}
		out[i] = *rs.Spec.Replicas + share
		added += share
	}
	if add != 0 {
		out[0] = max(0, out[0]+add-added)
	}
	return out
}

// fraction is by how much a ReplicaSet grows when it keeps its share of the Deployment.
func fraction(d *appsv1.Deployment, rs *appsv1.ReplicaSet) int32 {
	has := *rs.Spec.Replicas
	if *d.Spec.Replicas == 0 {
		return -has
	}
	before, err := strconv.Atoi(rs.Annotations[annotationMax])
	if err != nil || before == 0 {
		if before = int(d.Status.Replicas); before == 0 {
			return 0
		}
	}
	surge, _ := Fenceposts(d)
	return int32(math.Round(float64(has)*float64(*d.Spec.Replicas+surge)/float64(before))) - has
}

func byCreation(sets []*appsv1.ReplicaSet) {
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

func revision(rs *appsv1.ReplicaSet) int64 {
	n, _ := strconv.ParseInt(rs.Annotations[annotationRevision], 10, 64)
	return n
}

func byRevision(sets []*appsv1.ReplicaSet) {
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revision(a), revision(b)) })
}
