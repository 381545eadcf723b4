package elb

import (
	"net/netip"
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
)

// LoadBalancer is a Network Load Balancer.
type LoadBalancer struct {
	ARN, Name, DNSName string
	Scheme             string // internal, internet-facing
	State              string // provisioning, active
	Created            time.Duration
	Nodes              []*Node // one per subnet, in the order of the request
	Attributes         map[string]string
	Listeners          []*Listener
	Tags               map[string]string
	// Origin is the record of the call that made it; AttributeOrigin of those that set an attribute.
	Origin          trace.ID
	AttributeOrigin map[string]trace.ID
}

// CrossZone is load_balancing.cross_zone.enabled of the load balancer.
func (lb *LoadBalancer) CrossZone() bool { return lb.Attributes[AttrCrossZone] == "true" }

// Listener forwards connections to a port to a target group.
type Listener struct {
	ARN         string
	Port        uint16
	Protocol    string // TCP
	TargetGroup *TargetGroup
	Origin      trace.ID
}

// TargetGroup is a set of targets and how their health is checked.
type TargetGroup struct {
	ARN, Name   string
	Protocol    string // TCP
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
	// Origin is the record of the RegisterTargets call.
	Origin trace.ID

	views map[*Node]*view // each load balancer node's own opinion
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
	nodes     int // that were made, for names in the trace
	serial    *uint64
	hooks     map[*vpc.Interface]*leaving
}
