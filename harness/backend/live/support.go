package live

import (
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// maxNodes is how many workers a run may have. Each is a container with a kubelet, which takes some 300 MB.
const maxNodes = 20

// supported says what of a plan this backend cannot do, all of it.
func supported(plan *scenario.Plan) error {
	var all []error
	no := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	for _, f := range observe.All().Families(plan.Scenario.Observations) {
		if f != observe.OfFlows {
			no("observations of the family %q", f)
		}
	}
	w := &plan.World
	total := 0
	for _, g := range w.NodeGroups {
		total += g.Size
	}
	switch {
	case total == 0:
		no("a world without nodes")
	case total > maxNodes:
		no("%d nodes, since each is a container on this machine; %d is the most", total, maxNodes)
	}
	if m := w.AddOns.KubeProxy.Mode; m != "iptables" {
		no("kube-proxy mode %s", m)
	}
	if w.Kernel.TimerHZ != 0 {
		no("kernel.timerHZ %d, since the kernel is this machine's", w.Kernel.TimerHZ)
	}
	services := map[string]*corev1.Service{}
	for _, o := range plan.Objects {
		at := fmt.Sprintf("%s:%d: ", o.File, o.Line)
		if spec := podSpec(o.Value); spec != nil {
			for _, c := range spec.Containers {
				if _, ok := standIn(c.Image); !ok {
					no("%simage %s, since nothing stands in for it", at, c.Image)
				}
			}
			if len(spec.InitContainers) > 0 {
				no("%sinit containers", at)
			}
		}
		if s, ok := o.Value.(*corev1.Service); ok {
			services[s.Namespace+"/"+s.Name] = s
			if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
				if err := unsupported(s, w); err != nil {
					no("%s%w", at, err)
				}
			}
		}
	}
	balanced := 0
	for _, s := range services {
		if s.Spec.Type == corev1.ServiceTypeLoadBalancer {
			balanced++
		}
	}
	if balanced > 1 {
		no("%d Services with a load balancer; one is the most", balanced)
	}
	if len(plan.Load) != 1 {
		no("%d loads; it is one that it can make", len(plan.Load))
	}
	for _, l := range plan.Load {
		if l.Curl == nil || services[l.Curl.Service] == nil || l.Curl.Address == "loadBalancer" && services[l.Curl.Service].Spec.Type != corev1.ServiceTypeLoadBalancer {
			no("%s:%d: a load that calls no Service of the scenario", l.File, l.Line)
		}
	}
	for _, a := range plan.Timeline {
		switch {
		case a.ModifyTargetGroupAttributes != nil:
			if err := unknownAttributes(a.ModifyTargetGroupAttributes.Attributes); err != nil {
				no("%s:%d: %w", a.File, a.Line, err)
			}
		case a.ModifyLoadBalancerAttributes != nil:
			if err := unknownAttributes(a.ModifyLoadBalancerAttributes.Attributes); err != nil {
				no("%s:%d: %w", a.File, a.Line, err)
			}
		default:
			no("%s:%d: %s", a.File, a.Line, a.Verb())
		}
	}
	if len(all) == 0 {
		return nil
	}
	return fmt.Errorf("backend kind cannot do this: %w", errors.Join(all...))
}
