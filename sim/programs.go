package sim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// refusePrograms returns an error for an object whose containers are told what no program here understands.
func refusePrograms(o any) error {
	kind, key, err := "", kube.Key{}, error(nil)
	switch o := o.(type) {
	case *corev1.Pod:
		kind, key, err = "Pod", kube.KeyOf(o), workload.Check(&o.Spec)
	case *appsv1.Deployment:
		kind, key, err = "Deployment", kube.KeyOf(o), workload.Check(&o.Spec.Template.Spec)
	case *appsv1.ReplicaSet:
		kind, key, err = "ReplicaSet", kube.KeyOf(o), workload.Check(&o.Spec.Template.Spec)
	}
	if err != nil {
		return fmt.Errorf("%s %v: %w", kind, key, err)
	}
	return nil
}
