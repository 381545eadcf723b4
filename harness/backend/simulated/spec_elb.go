package simulated

import (
	"time"

	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
)

// balancing puts what a world says of load balancers, nodes and APIs into a Spec.
func balancing(s *sim.Spec, w *scenario.World) {
	b := &w.LoadBalancers
	s.LBCVersion, s.APILatency = w.LoadBalancerControllerVersion, w.APILatency
	s.LoadBalancers = sim.LoadBalancers{ALBNodes: b.ALBNodes, ALBPropagationByNode: b.ALBPropagationByNode, ALBPropagation: rangeOf(b.ALBPropagation), ALBRegistration: rangeOf(b.ALBRegistration),
		NLBPropagation: rangeOf(b.NLBPropagation), NLBRegistration: rangeOf(b.NLBRegistration), NLBInitialChecks: b.NLBInitialChecks, Checkers: b.Checkers,
		ALBServesInitial: b.ALBServesInitial, NLBSparesInitial: b.NLBSparesInitial}
	n := &w.NodeTimes
	s.Kubelet = kubelet.Times{ContainerStop: (*[2]time.Duration)(n.ContainerStop), NetnsTeardown: (*[2]time.Duration)(n.NetnsTeardown)}
	if n.PodStart != nil {
		s.Kubelet.PodStart = *n.PodStart
	}
}

func rangeOf(r *scenario.Range) *elb.Range {
	if r == nil {
		return nil
	}
	return &elb.Range{Min: r[0], Max: r[1]}
}
