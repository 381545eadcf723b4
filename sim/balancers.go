package sim

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/lbc"
)

// elbOptions are the load balancers' settings as the service has them.
func (s *Spec) elbOptions() elb.Options {
	b := &s.LoadBalancers
	return elb.Options{Switches: s.Switches.ELB, ALBNodes: b.ALBNodes, ALBPropagation: b.ALBPropagation, ALBRegistration: b.ALBRegistration, ALBPropagationByNode: b.ALBPropagationByNode,
		NLBPropagation: b.NLBPropagation, NLBRegistration: b.NLBRegistration, NLBInitialChecks: b.NLBInitialChecks, Checkers: b.Checkers,
		ALBServesInitial: b.ALBServesInitial, NLBSparesInitial: b.NLBSparesInitial}
}

// loadBalancerController installs AWS Load Balancer Controller as its Helm chart does, with the IngressClass alb.
// Source: helm/aws-load-balancer-controller values.yaml: ingressClass alb, createIngressClassResource true.
func (w *World) loadBalancerController(caches lbc.Caches) error {
	x, err := lbc.New(w.Kube, caches, lbc.Options{ClusterName: w.spec.Cluster.Name, VPCID: w.VPC.ID, VPCCIDR: w.VPC.CIDR, ELBV2: w.ELB, EC2: w.EC2, Version: w.spec.LBCVersion})
	if err != nil {
		return err
	}
	w.lbc = x
	if err := w.Kube.AddWebhook(x.Webhook()); err != nil {
		return err
	}
	w.must(w.Kube.As(kube.Caller{User: "helm"}).Create(&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "alb"}, Spec: networkingv1.IngressClassSpec{Controller: "ingress.k8s.aws/alb"}}))
	return nil
}

// Refuse returns an error that wraps engine.ErrNotModelled for an object that asks for what nothing here does: what the API server and what runs in
// the cluster makes of it, and what the controllers of load balancers do.
func Refuse(o any) error {
	if err := kube.Refuse(o); err != nil {
		return err
	}
	if err := refusePrograms(o); err != nil {
		return err
	}
	return lbc.Refuse(o)
}
