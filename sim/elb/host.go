package elb

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// host is what nodes of load balancers of either type have: a network interface, a network stack of its own, and its own opinion of the targets.
type host struct {
	LB        *LoadBalancer
	Zone      string
	Subnet    *vpc.Subnet
	Interface *vpc.Interface
	// Addr is the address that clients within the VPC connect to, and that health checks come from.
	Addr netip.Addr
	// Name is the node's name in the trace, such as nlb-eu-west-1a.
	Name string

	// listed is whether the node has ever had a healthy target, unserved since when it has none; negative while it has one.
	listed   bool
	unserved time.Duration

	service *Service
	index   int // among the nodes of its load balancer
	label   trace.Name
	device  *linux.Device
	views   map[*TargetGroup][]*view // in the order in which the targets were registered
	asked   map[string][]byte        // requests of health checks, by path
	changed func()                   // forgets what the node had derived from targets, health and attributes
	dropped func(*view)              // what else is to be done when the node learns that a target was deregistered; may be nil
}

// plug makes a node's interface in a subnet, and its network stack.
func (s *Service) plug(lb *LoadBalancer, subnet *vpc.Subnet, name, description string, groups ...*vpc.SecurityGroup) (host, error) {
	eni, err := subnet.AddInterface(description, netip.Addr{}, groups...)
	if err != nil {
		return host{}, err
	}
	if lb.Scheme == "internet-facing" {
		s.vpc.Internet().Associate(eni)
	}
	sysctls := linux.DefaultSysctls()
	sysctls.TCPSynLinearTimeouts = 0
	ns := linux.NewKernel(s.engine, s.log, name, sysctls, s.serial, linux.KernelOptions{}).NewNamespace(name)
	h := host{LB: lb, Zone: subnet.Zone, Subnet: subnet, Interface: eni, Addr: eni.Primary(), Name: name, service: s, views: map[*TargetGroup][]*view{}}
	h.device = ns.AddDevice("eth0", vpc.MTUBytes)
	h.device.Link = eni
	ns.AddAddr(h.device, h.Addr)
	ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, h.device)
	h.label = h.device.Label()
	return h, nil
}

// Label is the node's name in the trace.
func (h *host) Label() trace.Name { return h.label }

// PublicAddr is the address that clients on the internet connect to; the zero Addr for an internal load balancer.
func (h *host) PublicAddr() netip.Addr { return h.Interface.Public }

// answerAddr is the address that the load balancer's name resolves to.
// Source: Elastic Load Balancing user guide, "Load balancer scheme": the name of an internet-facing one resolves to public addresses.
func (h *host) answerAddr() netip.Addr {
	if a := h.PublicAddr(); a.IsValid() {
		return a
	}
	return h.Addr
}

// namespace is the node's network stack.
func (h *host) namespace() *linux.Namespace { return h.device.Namespace() }

// alb says whether the node is an Application Load Balancer's.
func (h *host) alb() bool { return h.LB.Type == Application }

// reaches says whether the node routes to a target.
func (h *host) reaches(tg *TargetGroup, t *Target) bool {
	return h.alb() || t.Zone == h.Zone || tg.CrossZone(h.LB) // cross-zone load balancing of an ALB cannot be turned off for it as a whole
}

// lags are how long the node takes to learn of targets that come and go.
func (h *host) lags() (registration, propagation Range) {
	o := &h.service.opts
	if !h.alb() {
		thirty := Range{30 * time.Second, 30 * time.Second}
		return o.NLBRegistration.or(thirty), o.NLBPropagation.or(thirty)
	}
	propagation = o.ALBPropagation.or(Range{8 * time.Second, 12 * time.Second})
	if h.index < len(o.ALBPropagationByNode) {
		fixed := o.ALBPropagationByNode[h.index]
		propagation = Range{fixed, fixed}
	}
	return o.ALBRegistration.or(Range{6400 * time.Millisecond, 9600 * time.Millisecond}), propagation
}

// introduce makes the node learn, after a while, which targets of a group there are. Rest is how long the answer to the call that changed them is
// still under way.
func (h *host) introduce(tg *TargetGroup, rest time.Duration) {
	s := h.service
	registration, propagation := h.lags()
	add, remove := time.Duration(-1), time.Duration(-1) // drawn once for what one call changed
	for _, t := range tg.Targets {
		v := t.views[h]
		switch {
		case t.Draining && v != nil && !v.gone && !v.leaving:
			if remove < 0 {
				remove = rest + propagation.Draw(s.engine.Rand("elb: propagation"))
			}
			v.leaving = true
			s.engine.After(remove, "elb: deregistration", engine.Func(v.drop))
		case !t.Draining && h.reaches(tg, t) && (v == nil || v.gone):
			if add < 0 {
				add = rest + registration.Draw(s.engine.Rand("elb: propagation"))
			}
			v = &view{node: h, group: tg, target: t, reason: "Elb.RegistrationInProgress"}
			if t.views == nil {
				t.views = map[*host]*view{}
			}
			t.views[h] = v
			h.views[tg] = append(h.views[tg], v)
			slices.SortStableFunc(h.views[tg], func(a, b *view) int { return cmp.Compare(a.target.number, b.target.number) })
			first := add
			if !h.alb() {
				// The first probe comes at a random moment of the interval: checkers are not in step.
				first += time.Duration(s.engine.Rand("elb: health checks").Int64N(int64(v.every())))
			}
			v.timer = s.engine.After(first, "elb: health check", v)
		case v != nil && !v.gone && !h.reaches(tg, t):
			v.forget()
		}
	}
	h.changed()
}

// nodeName is a node's name in the trace: its type, the number of the load balancer if it is not the first of the account, its zone, and its number
// within the zone if it is not the first there.
func (s *Service) nodeName(prefix string, zone string, nth int) string {
	if len(s.lbs) > 0 {
		prefix = fmt.Sprintf("%s%d", prefix, len(s.lbs)+1)
	}
	name := prefix + "-" + zone
	if nth > 1 {
		name += fmt.Sprintf("-%d", nth)
	}
	return name
}
