package lbc

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/kube"
)

// GateLabel is the label of namespaces whose pods get readiness gates, with the value GateLabelValue.
// Source: config/webhook/pod_mutator_patch.yaml: webhook mpod.elbv2.k8s.aws, by namespaceSelector; pods of the controller itself are left out.
const (
	GateLabel      = "elbv2.k8s.aws/pod-readiness-gate-inject"
	GateLabelValue = "enabled"
)

// MutatePod is the webhook mpod.elbv2.k8s.aws: it gives a pod that is being created a readiness gate for each binding of its namespace that has ip
// targets and whose Service selects the pod. A binding that is made later gives none.
// Source: pkg/inject/pod_readiness_gate.go.
func (x *Controller) MutatePod(namespace *corev1.Namespace, pod *corev1.Pod) {
	if namespace.Labels[GateLabel] != GateLabelValue || pod.Labels["app.kubernetes.io/name"] == "aws-load-balancer-controller" {
		return
	}
	for _, b := range x.tgbs.By("namespace", namespace.Name) {
		if b.Spec.TargetType == nil || *b.Spec.TargetType != targetTypeIP {
			continue
		}
		svc, ok := x.services.Get(kube.Key{Namespace: b.Namespace, Name: b.Spec.ServiceRef.Name})
		if !ok || len(svc.Spec.Selector) == 0 || !labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(pod.Labels)) {
			continue
		}
		if gate := b.ConditionType(); !hasGate(pod, gate) {
			pod.Spec.ReadinessGates = append(pod.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: gate})
		}
	}
}

func hasGate(pod *corev1.Pod, t corev1.PodConditionType) bool {
	for _, g := range pod.Spec.ReadinessGates {
		if g.ConditionType == t {
			return true
		}
	}
	return false
}

func condition(pod *corev1.Pod, t corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == t {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// patchCondition makes a pod's condition say what its target's health is; a nil health is not known yet. It says whether the pod has to be looked at
// again.
// Source: pkg/targetgroupbinding/resource_manager.go, updateTargetHealthPodConditionForPod.
func (x *Controller) patchCondition(pod *corev1.Pod, t corev1.PodConditionType, health *elbtypes.TargetHealth) (again bool, err error) {
	if !hasGate(pod, t) {
		return false, nil
	}
	now := corev1.PodCondition{Type: t, Status: corev1.ConditionUnknown}
	if health != nil {
		now.Status = corev1.ConditionFalse
		if health.State == elbtypes.TargetHealthStateEnumHealthy {
			now.Status = corev1.ConditionTrue
		}
		now.Reason, now.Message = string(health.Reason), aws.ToString(health.Description)
	}
	again = now.Status != corev1.ConditionTrue
	had := condition(pod, t)
	if had != nil && had.Status == now.Status && had.Reason == now.Reason && had.Message == now.Message {
		return again, nil
	}
	if had == nil || had.Status != now.Status {
		now.LastTransitionTime = x.client.Cluster().Now()
	}
	patch, err := conditionPatch(pod, now)
	if err != nil {
		return again, err
	}
	_, err = kube.PatchStatus[*corev1.Pod](x.client, kube.KeyOf(pod), patch)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // it is gone, or another has its name
		return false, nil
	}
	return again, err
}

// conditionPatch is the strategic merge patch that writes a condition. Empty strings are left out of it, so that an old reason and an old message stay, while a
// time that is not set is null, and erased.
// Source: pkg/targetgroupbinding/resource_manager.go, buildPodConditionPatch, which has strategicpatch compare an empty status with one that has the condition;
// k8s.io/api core/v1 PodCondition (omitempty). The result is always of this form.
func conditionPatch(pod *corev1.Pod, now corev1.PodCondition) ([]byte, error) {
	var p struct {
		Metadata struct {
			UID types.UID `json:"uid"`
		} `json:"metadata"`
		Status struct {
			Conditions []corev1.PodCondition `json:"conditions"`
		} `json:"status"`
	}
	p.Metadata.UID, p.Status.Conditions = pod.UID, []corev1.PodCondition{now}
	return json.Marshal(p)
}
