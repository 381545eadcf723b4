package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// SetImage is `kubectl set image deployment`.
type SetImage struct {
	// Deployment is namespace/name.
	Deployment string
	// Container by its name, and its new image.
	Container, Image string
}

func (s SetImage) act(_ context.Context, w *World) error {
	return w.editTemplate(s.Deployment, func(t *corev1.PodTemplateSpec) error {
		var names []string
		for i := range t.Spec.Containers {
			if c := &t.Spec.Containers[i]; c.Name == s.Container {
				c.Image = s.Image
				return nil
			}
			names = append(names, t.Spec.Containers[i].Name)
		}
		return fmt.Errorf("unable to find container named %q; there are %s", s.Container, strings.Join(names, ", "))
	})
}

// restartedAt is what `kubectl rollout restart` sets. Source: kubernetes/kubectl pkg/polymorphichelpers/objectrestarter.go.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// RolloutRestart is `kubectl rollout restart deployment`.
type RolloutRestart struct {
	// Deployment is namespace/name.
	Deployment string
}

func (r RolloutRestart) act(_ context.Context, w *World) error {
	return w.editTemplate(r.Deployment, func(t *corev1.PodTemplateSpec) error {
		if t.Annotations == nil {
			t.Annotations = map[string]string{}
		}
		t.Annotations[restartedAt] = engine.Epoch.Add(w.Engine.Now()).Format(time.RFC3339)
		return nil
	})
}

// editTemplate changes a Deployment's pod template.
func (w *World) editTemplate(deployment string, edit func(*corev1.PodTemplateSpec) error) error {
	d, err := kube.Get[*appsv1.Deployment](w.operator, key(deployment))
	if err != nil {
		return err
	}
	d = d.DeepCopy()
	if err := edit(&d.Spec.Template); err != nil {
		return fmt.Errorf("deployment %s: %w", deployment, err)
	}
	_, err = w.operator.Update(d)
	return err
}

// LabelNamespace is `kubectl label namespace`.
type LabelNamespace struct {
	Name   string
	Labels map[string]string
}

func (l LabelNamespace) act(_ context.Context, w *World) error {
	n, err := kube.Get[*corev1.Namespace](w.operator, kube.Key{Name: l.Name})
	if err != nil {
		return err
	}
	n = n.DeepCopy()
	if n.Labels == nil {
		n.Labels = map[string]string{}
	}
	for _, k := range sortedKeys(l.Labels) {
		n.Labels[k] = l.Labels[k]
	}
	_, err = w.operator.Update(n)
	return err
}

// Patch is `kubectl patch`, a strategic merge patch.
type Patch struct {
	// Kind is Deployment, Service or Ingress; Name is namespace/name.
	Kind, Name string
	// JSON is the patch.
	JSON []byte
}

func (p Patch) act(_ context.Context, w *World) (err error) {
	switch p.Kind {
	case "Deployment":
		_, err = kube.Patch[*appsv1.Deployment](w.operator, key(p.Name), p.JSON)
	case "Service":
		_, err = kube.Patch[*corev1.Service](w.operator, key(p.Name), p.JSON)
	case "Ingress":
		_, err = kube.Patch[*networkingv1.Ingress](w.operator, key(p.Name), p.JSON)
	default:
		err = engine.NotModelled("kubectl patch %s", p.Kind)
	}
	return err
}
