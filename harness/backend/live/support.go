package live

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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
	for _, part := range []struct {
		name  string
		value any
	}{
		{"world.ec2Throttle", w.EC2Throttle}, {"world.loadBalancers", w.LoadBalancers}, {"world.nodeTimes", w.NodeTimes}, {"world.apiLatency", w.APILatency},
		{"ENIConfigs of the VPC CNI", w.AddOns.VPCCNI.ENIConfigs}, {"world.vpc.secondaryCIDRs", w.VPC.SecondaryCIDRs},
	} {
		if v := reflect.ValueOf(part.value); !v.IsZero() {
			no("%s", part.name)
		}
	}
	for _, e := range w.AddOns.VPCCNI.Env {
		if !strings.HasPrefix(e.Name, "WARM_") { // how many addresses are kept in store changes no packet
			no("%s of the VPC CNI, since another CNI runs here", e.Name)
		}
	}
	for _, g := range w.NodeGroups {
		if g.MaxPods != 0 {
			no("maxPods of node group %s", g.Name)
		}
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
		switch o.Kind {
		case "Namespace", "Pod", "Deployment", "Service":
		default:
			no("%sobjects of kind %s", at, o.Kind)
		}
		if spec := podSpec(o.Value); spec != nil {
			for _, c := range spec.Containers {
				if c.ReadinessProbe != nil || c.LivenessProbe != nil || c.StartupProbe != nil || c.Lifecycle != nil || len(c.Env) > 0 {
					no("%sprobes, lifecycle hooks or environment of a container", at)
				}
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
		if l.Pod == "" || l.Pace != "" && l.Pace != "openLoop" || l.Curl != nil && (l.Curl.Method != "" && l.Curl.Method != "GET" || l.Curl.Path != "" && l.Curl.Path != "/") {
			no("%s:%d: a load other than a pod's GET / at fixed times", l.File, l.Line)
		}
		if l.Curl == nil || services[l.Curl.Service] == nil || l.Curl.Address == "loadBalancer" && services[l.Curl.Service].Spec.Type != corev1.ServiceTypeLoadBalancer {
			no("%s:%d: a load that calls no Service of the scenario", l.File, l.Line)
		}
	}
	for _, a := range plan.Timeline {
		switch {
		case a.ModifyTargetGroupAttributes != nil && a.ModifyTargetGroupAttributes.Service != "":
			if err := unknownAttributes(a.ModifyTargetGroupAttributes.Attributes); err != nil {
				no("%s:%d: %w", a.File, a.Line, err)
			}
		case a.ModifyLoadBalancerAttributes != nil && a.ModifyLoadBalancerAttributes.Service != "":
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
	var said []string // each once: a scenario may have many pods of a kind
	for _, err := range all {
		if !slices.Contains(said, err.Error()) {
			said = append(said, err.Error())
		}
	}
	return errors.New("backend kind cannot do this: " + strings.Join(said, "; "))
}
