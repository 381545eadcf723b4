package lbc

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// TargetGroupBinding ties a target group to a Service: elbv2.k8s.aws/v1beta1.
// Source: kubernetes-sigs/aws-load-balancer-controller apis/elbv2/v1beta1/targetgroupbinding_types.go, of which this has what is modelled.
type TargetGroupBinding struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              TargetGroupBindingSpec   `json:"spec,omitempty"`
	Status            TargetGroupBindingStatus `json:"status,omitempty"`
}

// TargetGroupBindingSpec is what is wanted.
type TargetGroupBindingSpec struct {
	TargetGroupARN string `json:"targetGroupARN"`
	// TargetType is instance or ip.
	TargetType *string                       `json:"targetType,omitempty"`
	ServiceRef ServiceReference              `json:"serviceRef"`
	Networking *TargetGroupBindingNetworking `json:"networking,omitempty"`
}

// ServiceReference is a port of a Service in the binding's namespace.
type ServiceReference struct {
	Name string             `json:"name"`
	Port intstr.IntOrString `json:"port"`
}

// TargetGroupBindingNetworking says who has to reach the targets.
type TargetGroupBindingNetworking struct {
	Ingress []NetworkingIngressRule `json:"ingress,omitempty"`
}

// NetworkingIngressRule lets peers reach ports; no port means those of the targets.
type NetworkingIngressRule struct {
	From  []NetworkingPeer     `json:"from"`
	Ports []intstr.IntOrString `json:"ports"`
}

// NetworkingPeer is a range of addresses, or a security group.
type NetworkingPeer struct {
	CIDR    string `json:"cidr,omitempty"`
	GroupID string `json:"groupID,omitempty"`
}

// TargetGroupBindingStatus is what was seen.
type TargetGroupBindingStatus struct {
	ObservedGeneration *int64 `json:"observedGeneration,omitempty"`
}

// Target types of a binding.
const (
	targetTypeInstance = "instance"
	targetTypeIP       = "ip"
)

// DeepCopyObject makes a copy that shares nothing.
func (b *TargetGroupBinding) DeepCopyObject() runtime.Object {
	out := &TargetGroupBinding{TypeMeta: b.TypeMeta, Spec: b.Spec}
	b.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	if b.Spec.TargetType != nil {
		t := *b.Spec.TargetType
		out.Spec.TargetType = &t
	}
	if n := b.Spec.Networking; n != nil {
		c := &TargetGroupBindingNetworking{}
		for _, r := range n.Ingress {
			c.Ingress = append(c.Ingress, NetworkingIngressRule{From: append([]NetworkingPeer(nil), r.From...), Ports: append([]intstr.IntOrString(nil), r.Ports...)})
		}
		out.Spec.Networking = c
	}
	if g := b.Status.ObservedGeneration; g != nil {
		v := *g
		out.Status.ObservedGeneration = &v
	}
	return out
}

// Refuse says what of a binding is not modelled.
func (b *TargetGroupBinding) Refuse() error {
	if b.Spec.TargetType == nil {
		return engine.NotModelled("a TargetGroupBinding without targetType")
	}
	return nil
}

var _ kube.Custom = (*TargetGroupBinding)(nil)

// ConditionType is the condition of pods that says whether they are healthy in the binding's target group.
// Source: pkg/targetgroupbinding/utils.go, BuildTargetHealthPodConditionType.
func (b *TargetGroupBinding) ConditionType() corev1.PodConditionType {
	return corev1.PodConditionType("target-health.elbv2.k8s.aws/" + b.Name)
}
