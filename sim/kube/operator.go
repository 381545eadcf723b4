package kube

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// restartedAt is what kubectl rollout restart writes. Source: kubernetes/kubectl pkg/polymorphichelpers/objectrestarter.go.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

// patchTemplate changes the pod template of a Deployment as kubectl does, by a strategic merge patch.
func patchTemplate(cl *Client, key Key, template map[string]any) error {
	b, err := json.Marshal(map[string]any{"spec": map[string]any{"template": template}})
	if err != nil {
		return err
	}
	_, err = Patch[*appsv1.Deployment](cl, key, b)
	return err
}

// SetImage is `kubectl set image deployment`: images by container. The container * stands for all.
func SetImage(cl *Client, key Key, images map[string]string) error {
	d, err := Get[*appsv1.Deployment](cl, key)
	if err != nil {
		return err
	}
	var containers []map[string]any
	for _, c := range d.Spec.Template.Spec.Containers {
		image, ok := images[c.Name]
		if !ok {
			image, ok = images["*"]
		}
		if ok {
			containers = append(containers, map[string]any{"name": c.Name, "image": image})
		}
	}
	for name := range images { // at most one of them is named: whichever it is, the update is refused
		if name != "*" && !slices.ContainsFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }) {
			return fmt.Errorf("unable to find container named %q", name)
		}
	}
	return patchTemplate(cl, key, map[string]any{"spec": map[string]any{"containers": containers}})
}

// RolloutRestart is `kubectl rollout restart deployment`.
func RolloutRestart(cl *Client, key Key) error {
	now := engine.Epoch.Add(cl.c.engine.Now()).Format(time.RFC3339)
	return patchTemplate(cl, key, map[string]any{"metadata": map[string]any{"annotations": map[string]string{restartedAt: now}}})
}

// ScaleTo is `kubectl scale deployment --replicas`.
func ScaleTo(cl *Client, key Key, replicas int) error {
	_, err := Patch[*appsv1.Deployment](cl, key, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	return err
}

// LabelNamespace is `kubectl label namespace --overwrite`.
func LabelNamespace(cl *Client, name string, labels map[string]string) error {
	b, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil {
		return err
	}
	_, err = Patch[*corev1.Namespace](cl, Key{Name: name}, b)
	return err
}
