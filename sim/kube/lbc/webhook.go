package lbc

import (
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// webhookLatency is what a call of the webhook takes; an order of magnitude.
const webhookLatency = 5 * time.Millisecond

// Webhook is the controller's webhook for pods, as its Helm chart registers it.
// Source: helm/aws-load-balancer-controller/templates/webhook.yaml.
func (x *Controller) Webhook() kube.Webhook {
	return kube.Webhook{
		Name: "mpod.elbv2.k8s.aws", Kind: "Pod",
		NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: GateLabel, Operator: metav1.LabelSelectorOpIn, Values: []string{GateLabelValue}}}},
		ObjectSelector:    &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app.kubernetes.io/name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"aws-load-balancer-controller"}}}},
		FailurePolicy:     admissionregistrationv1.Fail, Latency: webhookLatency,
		Mutate: func(namespace *corev1.Namespace, o kube.Object) error {
			x.MutatePod(namespace, o.(*corev1.Pod))
			return nil
		},
	}
}
