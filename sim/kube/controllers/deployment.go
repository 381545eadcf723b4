package controllers

import (
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

// Deployments keeps each Deployment's ReplicaSets.
type Deployments struct {
	cluster     *kube.Cluster
	client      *kube.Client
	events      *kube.Recorder
	queue       *kube.Queue
	deployments *kube.Informer[*appsv1.Deployment]
	sets        *kube.Informer[*appsv1.ReplicaSet]
	pods        *kube.Informer[*corev1.Pod]
}

// NewDeployments starts the deployment controller. ReplicaSets and pods must be indexed by their controller, which NewReplicaSets sees to.
func NewDeployments(c *kube.Cluster, deployments *kube.Informer[*appsv1.Deployment], sets *kube.Informer[*appsv1.ReplicaSet], pods *kube.Informer[*corev1.Pod]) *Deployments {
	d := &Deployments{cluster: c, client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:deployment-controller"}), events: c.Recorder("deployment-controller", ""),
		deployments: deployments, sets: sets, pods: pods}
	d.queue = kube.NewQueue(c.Engine(), "deployment-controller", kube.ControllerBackoff, d.reconcile)
	deployments.Handle(func(_, now *appsv1.Deployment) {
		if now != nil {
			d.queue.Add(kube.KeyOf(now))
		}
	})
	sets.Handle(func(old, now *appsv1.ReplicaSet) {
		rs := now
		if rs == nil {
			rs = old
		}
		if owner := metav1.GetControllerOf(rs); owner != nil && owner.Kind == "Deployment" {
			d.queue.Add(kube.Key{Namespace: rs.Namespace, Name: owner.Name})
		}
	})
	// A Deployment that is to be recreated waits for the last of its old pods.
	pods.Handle(func(old, now *corev1.Pod) {
		if now != nil {
			return
		}
		owner := metav1.GetControllerOf(old)
		if owner == nil || owner.Kind != "ReplicaSet" {
			return
		}
		rs, ok := sets.Get(kube.Key{Namespace: old.Namespace, Name: owner.Name})
		if !ok {
			return
		}
		if owner := metav1.GetControllerOf(rs); owner != nil {
			k := kube.Key{Namespace: rs.Namespace, Name: owner.Name}
			if dep, ok := deployments.Get(k); ok && dep.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
				d.queue.Add(k)
			}
		}
	})
	return d
}

// rollout is one look at a Deployment: its copy, its ReplicaSet of the current template (nil if there is none), and the others, the oldest first.
type rollout struct {
	d      *appsv1.Deployment
	newest *appsv1.ReplicaSet
	old    []*appsv1.ReplicaSet
}

// all is every ReplicaSet.
func (r *rollout) all() []*appsv1.ReplicaSet {
	out := append([]*appsv1.ReplicaSet{}, r.old...)
	if r.newest != nil {
		out = append(out, r.newest)
	}
	return out
}

// Source: kubernetes/kubernetes pkg/controller/deployment/deployment_controller.go, syncDeployment.
func (x *Deployments) reconcile(_ *engine.Process, k kube.Key) error {
	dep, ok := x.deployments.Get(k)
	if !ok {
		return nil
	}
	r := &rollout{d: dep.DeepCopy()}
	if err := x.paused(r.d); err != nil {
		return err
	}
	x.find(r)
	if r.d.DeletionTimestamp != nil {
		return x.plainStatus(r)
	}
	if err := x.revise(r, false); err != nil {
		return err
	}
	if r.d.Spec.Paused || scaled(r) {
		return x.resize(r)
	}
	if r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return x.recreate(r)
	}
	return x.rolling(r)
}

// find sorts the Deployment's ReplicaSets into the one of its template and the others.
// Source: kubernetes/kubernetes pkg/controller/deployment/util/deployment_util.go, FindNewReplicaSet and FindOldReplicaSets.
func (x *Deployments) find(r *rollout) {
	sets := x.sets.By("owner", string(r.d.UID))
	byCreation(sets)
	for _, rs := range sets {
		if r.newest == nil && sameTemplate(&rs.Spec.Template, &r.d.Spec.Template) {
			r.newest = rs
			continue
		}
		r.old = append(r.old, rs)
	}
}

// sameTemplate compares templates but for the label that tells ReplicaSets apart.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	x, y := *a, *b
	x.Labels, y.Labels = maps.Clone(a.Labels), maps.Clone(b.Labels)
	delete(x.Labels, hashLabel)
	delete(y.Labels, hashLabel)
	return reflect.DeepEqual(&x, &y)
}

// recreate ends all old pods, and only then starts new ones.
// Source: kubernetes/kubernetes pkg/controller/deployment/recreate.go, rolloutRecreate.
func (x *Deployments) recreate(r *rollout) error {
	down := false
	for i, rs := range r.old {
		if *rs.Spec.Replicas == 0 {
			continue
		}
		now, changed, err := x.scale(r.d, rs, 0)
		if err != nil {
			return err
		}
		r.old[i] = now
		down = down || changed
	}
	if down || x.oldPodsRun(r) {
		return x.status(r)
	}
	if r.newest == nil {
		if err := x.revise(r, true); err != nil {
			return err
		}
	}
	now, _, err := x.scale(r.d, r.newest, *r.d.Spec.Replicas)
	if err != nil {
		return err
	}
	r.newest = now
	if complete(r.d, &r.d.Status) {
		if err := x.cleanup(r); err != nil {
			return err
		}
	}
	return x.status(r)
}

func (x *Deployments) oldPodsRun(r *rollout) bool {
	for _, rs := range r.old {
		if rs.Status.Replicas > 0 {
			return true
		}
		for _, p := range x.pods.By("owner", string(rs.UID)) {
			if p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
				return true
			}
		}
	}
	return false
}

// scale sets a ReplicaSet's size, if it is another.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, scaleReplicaSetAndRecordEvent.
func (x *Deployments) scale(d *appsv1.Deployment, rs *appsv1.ReplicaSet, size int32) (*appsv1.ReplicaSet, bool, error) {
	if *rs.Spec.Replicas == size {
		return rs, false, nil
	}
	return x.rescale(d, rs, size)
}

// rescale sets a ReplicaSet's size, and the annotations that say what its Deployment wanted then.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, scaleReplicaSet.
func (x *Deployments) rescale(d *appsv1.Deployment, rs *appsv1.ReplicaSet, size int32) (*appsv1.ReplicaSet, bool, error) {
	now := rs.DeepCopy()
	before := *rs.Spec.Replicas
	now.Spec.Replicas = &size
	if !annotateSize(now, d) && before == size {
		return rs, false, nil
	}
	o, err := x.client.Update(now)
	if err != nil {
		return rs, false, err
	}
	if before == size {
		return o.(*appsv1.ReplicaSet), false, nil
	}
	direction := "down"
	if before < size {
		direction = "up"
	}
	x.events.Normal(d, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", direction, rs.Name, before, size)
	return o.(*appsv1.ReplicaSet), true, nil
}

// cleanup deletes ReplicaSets without pods beyond revisionHistoryLimit, the oldest first.
// Source: kubernetes/kubernetes pkg/controller/deployment/sync.go, cleanupDeployment.
func (x *Deployments) cleanup(r *rollout) error {
	if r.d.Spec.RevisionHistoryLimit == nil {
		return nil
	}
	surplus := len(r.old) - int(*r.d.Spec.RevisionHistoryLimit)
	if surplus <= 0 {
		return nil
	}
	sets := append([]*appsv1.ReplicaSet{}, r.old...)
	byRevision(sets)
	for _, rs := range sets[:surplus] {
		if rs.Status.Replicas != 0 || *rs.Spec.Replicas != 0 || rs.Generation > rs.Status.ObservedGeneration || rs.DeletionTimestamp != nil {
			continue
		}
		if err := kube.Delete[*appsv1.ReplicaSet](x.client, kube.KeyOf(rs)); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
