package elb

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Attribute keys, letter for letter.
const (
	AttrCrossZone        = "load_balancing.cross_zone.enabled"
	AttrRoutingPolicy    = "dns_record.client_routing_policy"
	AttrPreserveClientIP = "preserve_client_ip.enabled"
	// In seconds, both.
	AttrIdleTimeout         = "idle_timeout.timeout_seconds"
	AttrDeregistrationDelay = "deregistration_delay.timeout_seconds"
)

// Types of load balancers. The zero value of LoadBalancer.Type is a Network Load Balancer's.
const (
	Network     = "network"
	Application = "application"
)

// LoadBalancer is a Network Load Balancer or an Application Load Balancer.
type LoadBalancer struct {
	ARN, Name, DNSName string
	Type               string
	Scheme             string // internal, internet-facing
	State              string // provisioning, active
	Created            time.Duration
	Nodes              []*Node    // a Network Load Balancer's: one per subnet, in the order of the request
	ALBNodes           []*ALBNode // an Application Load Balancer's
	SecurityGroups     []vpc.SecurityGroupID
	Attributes         map[string]string
	Listeners          []*Listener
	Tags               map[string]string
	// Origin is the record of the call that made it; AttributeOrigin of those that set an attribute.
	Origin          trace.ID
	AttributeOrigin map[string]trace.ID
	// Metrics are the load balancer's CloudWatch metrics, by name: sums since it was made.
	Metrics map[string]int
	// AccessLog is the access log of an Application Load Balancer.
	AccessLog []Access

	nodes   []*host
	subnets []*vpc.Subnet
}

// hosts are the nodes, of either type.
func (lb *LoadBalancer) hosts() []*host {
	if len(lb.nodes) == 0 {
		for _, n := range lb.Nodes {
			lb.nodes = append(lb.nodes, &n.host)
		}
		for _, n := range lb.ALBNodes {
			lb.nodes = append(lb.nodes, &n.host)
		}
	}
	return lb.nodes
}

// groups are the target groups that the listeners and rules forward to, each once.
func (lb *LoadBalancer) groups() (out []*TargetGroup) {
	add := func(tg *TargetGroup) {
		if tg != nil && !slices.Contains(out, tg) {
			out = append(out, tg)
		}
	}
	for _, l := range lb.Listeners {
		add(l.TargetGroup)
		for _, r := range l.Rules {
			add(r.TargetGroup)
		}
	}
	return out
}

// CrossZone is load_balancing.cross_zone.enabled of the load balancer.
func (lb *LoadBalancer) CrossZone() bool { return lb.Attributes[AttrCrossZone] == "true" }

// Listener forwards connections or requests to a port to a target group.
type Listener struct {
	ARN         string
	Port        uint16
	Protocol    string // TCP, HTTP
	TargetGroup *TargetGroup
	// Fixed is what an Application Load Balancer's listener answers to requests that no rule takes, if it does not forward them.
	Fixed  *FixedResponse
	Rules  []*Rule // in order of their priorities
	Origin trace.ID
}

// TargetGroup is a set of targets and how their health is checked.
type TargetGroup struct {
	ARN, Name   string
	Protocol    string // TCP, HTTP
	Port        uint16
	TargetType  string // instance, ip
	VPCID       string
	HealthCheck HealthCheck
	Attributes  map[string]string
	Tags        map[string]string
	Targets     []*Target // in the order of registration
	Origin      trace.ID
	// AttributeOrigin is the record of the call that set an attribute; one that is missing is at its default.
	AttributeOrigin map[string]trace.ID
}

// CrossZone is whether nodes of lb reach this group's targets in other zones: the group's own word, else the load balancer's.
func (tg *TargetGroup) CrossZone(lb *LoadBalancer) bool {
	switch tg.Attributes[AttrCrossZone] {
	case "true":
		return true
	case "false":
		return false
	}
	return lb.CrossZone()
}

// PreservesClientIP is preserve_client_ip.enabled.
func (tg *TargetGroup) PreservesClientIP() bool { return tg.Attributes[AttrPreserveClientIP] == "true" }

// HealthCheck says how targets are probed.
type HealthCheck struct {
	Protocol           string // TCP, HTTP
	Port               string // traffic-port or a number
	Path               string
	Interval, Timeout  time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Matcher            matcher
}

// Target is one registered target.
type Target struct {
	// ID is an instance id or an address, Port where it listens.
	ID   string
	Port uint16
	// Zone is the Availability Zone that the target is in.
	Zone string
	// Addr is where packets go: for an instance, the primary address of its primary interface.
	Addr netip.Addr
	// Interface is the network interface that has Addr.
	Interface *vpc.Interface
	// Draining is set by deregistration: no new connections.
	Draining bool
	// Origin is the record of the RegisterTargets call, Deregistered that of the DeregisterTargets call, with its time; zero before it.
	Origin         trace.ID
	Deregistered   trace.ID
	DeregisteredAt time.Duration

	number int             // in the order of registration
	views  map[*host]*view // each load balancer node's own opinion
	label  trace.Name
}

// name is ADDRESS:PORT, or INSTANCE:PORT, in the trace.
func (t *Target) name(log *trace.Log) trace.Name {
	if t.label == 0 {
		t.label = log.Name(t.ID + ":" + strconv.Itoa(int(t.Port)))
	}
	return t.label
}

// ResolveInstance is how the service finds an instance's primary interface; nil if there is no such instance.
type ResolveInstance func(id string) *vpc.Interface

// Service is the account's ELBv2. Use New. Its methods in api_*.go have the signatures of aws-sdk-go-v2's client.
type Service struct {
	engine    *engine.Engine
	log       *trace.Log
	trail     *cloudtrail.Log
	vpc       *vpc.VPC
	opts      Options
	lbs       []*LoadBalancer
	groups    []*TargetGroup
	resolve   ResolveInstance
	accountID string
	region    string
	targets   int // that were ever registered
	serial    *uint64
	hooks     map[*vpc.Interface]*leaving
}
