package sim

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// SetImage is `kubectl set image deployment`.
type SetImage struct {
	// Deployment is namespace/name. Images are by container; * stands for all containers.
	Deployment string
	Images     map[string]string
}

func (s SetImage) act(_ context.Context, w *World) error {
	return kube.SetImage(w.operator, key(s.Deployment), s.Images)
}

// RolloutRestart is `kubectl rollout restart deployment`.
type RolloutRestart struct {
	// Deployment is namespace/name.
	Deployment string
}

func (r RolloutRestart) act(_ context.Context, w *World) error {
	return kube.RolloutRestart(w.operator, key(r.Deployment))
}

// LabelNamespace is `kubectl label namespace --overwrite`.
type LabelNamespace struct {
	Name   string
	Labels map[string]string
}

func (l LabelNamespace) act(_ context.Context, w *World) error {
	return kube.LabelNamespace(w.operator, l.Name, l.Labels)
}

// DeletePod is `kubectl delete pod`.
type DeletePod struct {
	// Pod is namespace/name.
	Pod string
	// GracePeriodSeconds is --grace-period; nil leaves it to the pod. Zero is --force.
	GracePeriodSeconds *int64
}

func (d DeletePod) act(_ context.Context, w *World) error {
	return kube.DeleteWith[*corev1.Pod](w.operator, key(d.Pod), metav1.DeleteOptions{GracePeriodSeconds: d.GracePeriodSeconds})
}
