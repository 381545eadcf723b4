package elb

import (
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
	// RegistrationTime is from RegisterTargets until the nodes know the target. Zero means 30 s; observed, not documented.
	RegistrationTime time.Duration
	// DeregistrationTime is from DeregisterTargets until the nodes send the target no new connection. Zero means 30 s; observed.
	DeregistrationTime time.Duration
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
	def(&opts.RegistrationTime, 30*time.Second)
	def(&opts.DeregistrationTime, 30*time.Second)
	def(&opts.FlowSetup, 250*time.Microsecond)
	def(&opts.Forward, 30*time.Microsecond)
	if opts.Checkers == 0 {
		opts.Checkers = 3
	}
	if opts.MaxMSS == 0 {
		opts.MaxMSS = 8645
	}
	return &Service{engine: e, log: log, trail: trail, vpc: v, opts: opts, resolve: resolve, accountID: accountID, region: region, serial: serial, hooks: map[*vpc.Interface]*leaving{}}
}

// LoadBalancers lists the load balancers in the order in which they were made.
func (s *Service) LoadBalancers() []*LoadBalancer { return s.lbs }

// TargetGroups lists the target groups in the order in which they were made.
func (s *Service) TargetGroups() []*TargetGroup { return s.groups }
