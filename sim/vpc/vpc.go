package vpc

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Ids, as AWS has them.
type (
	SubnetID        string
	InterfaceID     string
	SecurityGroupID string
	InstanceID      string
)

// Latency is how long packets take through the fabric, one way. They are orders of magnitude from captures within one region: some
// 420 µs there and back between zones, of which the hosts take little.
type Latency struct {
	SameZone, CrossZone time.Duration
}

// Options are what may be left at their zero values.
type Options struct {
	Latency Latency // zero fields mean 60 µs and 190 µs
	// ResolverLimit is how many packets a second an interface may send to the resolver. Zero means the quota, 1024.
	ResolverLimit int
}

// resolverLimit is the quota of packets a second per network interface to the resolver; it cannot be raised.
// Source: Amazon VPC User Guide, "DNS attributes in your VPC: DNS quotas".
const resolverLimit = 1024

// MTUBytes is the MTU of interfaces within a VPC. Source: Amazon EC2 User Guide, "Network maximum transmission unit (MTU)".
const MTUBytes = 9001

// VPC is one VPC. Use New.
type VPC struct {
	ID string
	// CIDR is the primary CIDR block; CIDRs are all of them, the primary one first.
	CIDR  netip.Prefix
	CIDRs []netip.Prefix

	engine  *engine.Engine
	log     *trace.Log
	opts    Options
	subnets []*Subnet
	byID    map[SubnetID]*Subnet
	byAddr  map[netip.Addr]*Interface
	enis    map[InterfaceID]*Interface
	groups  map[SecurityGroupID]*SecurityGroup
	order   []*SecurityGroup
	ids     map[string]int
	flights []*flight

	resolver netip.Addr
	dns      ResolverPort
	internet *Internet
	label    trace.Name
}

// ResolverPort is what answers at the resolver's address.
type ResolverPort interface {
	// Query takes a packet for the resolver that came from an interface.
	Query(from *Interface, p *packet.Packet)
}

// New returns an empty VPC.
func New(e *engine.Engine, log *trace.Log, cidr netip.Prefix, opts Options) *VPC {
	if opts.Latency.SameZone == 0 {
		opts.Latency.SameZone = 60 * time.Microsecond
	}
	if opts.Latency.CrossZone == 0 {
		opts.Latency.CrossZone = 190 * time.Microsecond
	}
	if opts.ResolverLimit == 0 {
		opts.ResolverLimit = resolverLimit
	}
	v := &VPC{CIDR: cidr.Masked(), CIDRs: []netip.Prefix{cidr.Masked()}, byID: map[SubnetID]*Subnet{}, engine: e, log: log, opts: opts, byAddr: map[netip.Addr]*Interface{}, enis: map[InterfaceID]*Interface{},
		groups: map[SecurityGroupID]*SecurityGroup{}, ids: map[string]int{}, label: log.Name("vpc")}
	v.ID = v.NewID("vpc")
	// The resolver is at the base of the VPC's primary range plus two. Source: Amazon VPC User Guide, "Amazon DNS server".
	v.resolver = cidr.Masked().Addr().Next().Next()
	return v
}

// NewID mints an id as AWS writes them, from a counter per prefix.
func (v *VPC) NewID(prefix string) string {
	v.ids[prefix]++
	return fmt.Sprintf("%s-%017x", prefix, v.ids[prefix])
}

// Resolver is the address of the VPC's DNS server.
func (v *VPC) Resolver() netip.Addr { return v.resolver }

// SetResolver says who answers at the resolver's address.
func (v *VPC) SetResolver(p ResolverPort) { v.dns = p }

// Subnets lists the subnets in the order in which they were made.
func (v *VPC) Subnets() []*Subnet { return v.subnets }

// Subnet is the subnet of an id, or nil.
func (v *VPC) Subnet(id SubnetID) *Subnet { return v.byID[id] }

// ByAddr is the interface that has an address, or nil.
func (v *VPC) ByAddr(a netip.Addr) *Interface { return v.byAddr[a] }

// Interface is the interface of an id, or nil.
func (v *VPC) Interface(id InterfaceID) *Interface { return v.enis[id] }
