package elb

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Options are what may be left at their zero values.
type Options struct {
	// ProvisioningTime is from CreateLoadBalancer to state active. Zero means 90 s, in the middle of what people see.
	ProvisioningTime time.Duration
	// NLBRegistration is from the answer to RegisterTargets until a Network Load Balancer's node knows the target, NLBPropagation from the
	// answer to DeregisterTargets until it sends the target no new connection; drawn for each node and call. Nil means 30 s. Neither is
	// documented; people report from 30 s to some minutes (aws/containers-roadmap issues 469 and 470,
	// kubernetes-sigs/aws-load-balancer-controller issue 2366).
	NLBRegistration, NLBPropagation *Range
	// NLBInitialChecks is how many passed checks make a new target of a Network Load Balancer healthy. Zero means 1: "Your target is not in
	// service until it passes one health check" (Network Load Balancers user guide, "Troubleshoot"); people report that it takes as many
	// as the healthy threshold.
	NLBInitialChecks int
	// ALBRegistration and ALBPropagation are the same for nodes of an Application Load Balancer. Nil means 6.4 to 9.6 s and 8 to 12 s. They
	// are not documented either: captures of rolling updates show 5 to 15 s, and the controller's maintainers say under a minute
	// (kubernetes-sigs/aws-load-balancer-controller issue 2106).
	ALBRegistration, ALBPropagation *Range
	// ALBPropagationByNode fixes ALBPropagation for the first nodes, in order of their names.
	ALBPropagationByNode []time.Duration
	// ALBNodes is how many nodes an Application Load Balancer has, spread over its subnets in turn. Zero means one in each subnet.
	ALBNodes int
	// ALBServesInitial lets a node that knows no healthy and no unhealthy target use initial ones, where it else answers 503;
	// NLBSparesInitial keeps a Network Load Balancer's node from it. AWS documents neither; of Network Load Balancers people report it
	// (aws/containers-roadmap issue 469). With it a node uses targets as soon as they are registered, before it checks them.
	ALBServesInitial, NLBSparesInitial bool
	// Checkers is how many health checkers probe a target from each node, each once an interval. Zero means 3: targets see three probes
	// an interval; the user guide says only that checks are distributed and that targets receive more than the configured number.
	Checkers int
	// FlowSetup is what the first packet of a flow takes in a node more than the following, Forward what any takes. Zero means 250 µs and
	// 30 µs: a capture shows 424 µs from pod to target and 159 to 181 µs later.
	FlowSetup, Forward time.Duration
	// MaxMSS is the limit that nodes put on the MSS option of segments they pass, in bytes. Zero means 8645, as captures show; not documented.
	MaxMSS uint16

	Switches Switches
}

// Switches turn mechanisms off, to show what depends on them. All false is AWS.
type Switches struct {
	// NoStickiness picks a target anew for every segment that opens a connection.
	NoStickiness bool
	// NoRewriteAtInterface leaves answers of targets as they are when the client's address is preserved.
	NoRewriteAtInterface bool
}

// idleTimeout is how long a flow is remembered without a packet.
// Source: Network Load Balancers user guide, "Connection idle timeout": 350 seconds for TCP.
const idleTimeout = 350 * time.Second

// New returns an account's service without load balancers, in a VPC. Resolve finds instances; serial is the counter of packets.
func New(e *engine.Engine, log *trace.Log, trail *cloudtrail.Log, v *vpc.VPC, accountID, region string, resolve ResolveInstance, serial *uint64, opts Options) *Service {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&opts.ProvisioningTime, 90*time.Second)
	def(&opts.FlowSetup, 250*time.Microsecond)
	def(&opts.Forward, 30*time.Microsecond)
	if opts.Checkers == 0 {
		opts.Checkers = 3
	}
	if opts.MaxMSS == 0 {
		opts.MaxMSS = 8645
	}
	if opts.NLBInitialChecks == 0 {
		opts.NLBInitialChecks = 1
	}
	return &Service{engine: e, log: log, trail: trail, vpc: v, opts: opts, resolve: resolve, accountID: accountID, region: region, serial: serial, hooks: map[*vpc.Interface]*leaving{}}
}

// LoadBalancers lists the load balancers in the order in which they were made.
func (s *Service) LoadBalancers() []*LoadBalancer { return s.lbs }

// TargetGroups lists the target groups in the order in which they were made.
func (s *Service) TargetGroups() []*TargetGroup { return s.groups }

// NodeByAddr is the name, in the trace, of the load balancer node that has an address, private or public; empty if none has.
func (s *Service) NodeByAddr(a netip.Addr) string {
	for _, lb := range s.lbs {
		for _, h := range lb.hosts() {
			if h.Addr == a || h.PublicAddr() == a && a.IsValid() {
				return h.Name
			}
		}
	}
	return ""
}
