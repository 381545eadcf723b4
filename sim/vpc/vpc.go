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
	ID   string
	CIDR netip.Prefix

	engine  *engine.Engine
	log     *trace.Log
	opts    Options
	subnets []*Subnet
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
	v := &VPC{CIDR: cidr.Masked(), engine: e, log: log, opts: opts, byAddr: map[netip.Addr]*Interface{}, enis: map[InterfaceID]*Interface{},
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

// ByAddr is the interface that has an address, or nil.
func (v *VPC) ByAddr(a netip.Addr) *Interface { return v.byAddr[a] }

// Interface is the interface of an id, or nil.
func (v *VPC) Interface(id InterfaceID) *Interface { return v.enis[id] }

// Subnet is a range of addresses in one zone.
type Subnet struct {
	ID     SubnetID
	Name   string
	Zone   string
	CIDR   netip.Prefix
	Public bool
	Tags   map[string]string
	ACL    *NetworkACL

	vpc  *VPC
	free int
	used map[netip.Addr]bool
}

// reservedAddresses is how many addresses of a subnet AWS keeps: the first four and the last.
// Source: Amazon VPC User Guide, "Subnet CIDR blocks".
const reservedAddresses = 5

// AddSubnet makes a subnet.
func (v *VPC) AddSubnet(name, zone string, cidr netip.Prefix, public bool, tags map[string]string) (*Subnet, error) {
	cidr = cidr.Masked()
	if !v.CIDR.Contains(cidr.Addr()) || cidr.Bits() < v.CIDR.Bits() {
		return nil, fmt.Errorf("subnet %s: %v is not inside the VPC's %v", name, cidr, v.CIDR)
	}
	if cidr.Bits() < 16 || cidr.Bits() > 28 {
		return nil, fmt.Errorf("subnet %s: %v: a subnet is from /16 to /28", name, cidr)
	}
	for _, s := range v.subnets {
		if s.CIDR.Overlaps(cidr) {
			return nil, fmt.Errorf("subnet %s: %v overlaps %s, %v", name, cidr, s.Name, s.CIDR)
		}
	}
	s := &Subnet{ID: SubnetID(v.NewID("subnet")), Name: name, Zone: zone, CIDR: cidr, Public: public, Tags: tags, vpc: v, used: map[netip.Addr]bool{}}
	s.free = 1<<(32-cidr.Bits()) - reservedAddresses
	v.subnets = append(v.subnets, s)
	return s, nil
}

// Available is the subnet's AvailableIpAddressCount.
func (s *Subnet) Available() int { return s.free }

// reserved says whether AWS keeps an address.
func (s *Subnet) reserved(a netip.Addr) bool {
	first := s.CIDR.Addr()
	for range reservedAddresses - 1 {
		if a == first {
			return true
		}
		first = first.Next()
	}
	return !s.CIDR.Contains(a.Next())
}

// Take takes one address out of the subnet's free ones: the one asked for, or if that is the zero Addr, any.
func (s *Subnet) Take(want netip.Addr) (netip.Addr, error) {
	if want.IsValid() {
		if !s.CIDR.Contains(want) || s.reserved(want) {
			return netip.Addr{}, fmt.Errorf("%v is not a usable address of subnet %s, %v", want, s.Name, s.CIDR)
		}
		if s.used[want] {
			return netip.Addr{}, fmt.Errorf("%v is in use", want)
		}
		s.used[want] = true
		s.free--
		return want, nil
	}
	if s.free == 0 {
		return netip.Addr{}, errNoFreeAddresses
	}
	// AWS hands out addresses from all over the range. A fixed stride of an odd number reaches every address once, and a draw says from where.
	r := s.vpc.engine.Rand("vpc: addresses of " + string(s.ID))
	size := uint32(1) << (32 - s.CIDR.Bits())
	for start, i := r.Uint32N(size), uint32(0); ; i++ {
		a := add(s.CIDR.Addr(), (start+i)%size)
		if !s.reserved(a) && !s.used[a] {
			s.used[a] = true
			s.free--
			return a, nil
		}
	}
}

// Give returns an address to the subnet's free ones.
func (s *Subnet) Give(a netip.Addr) {
	if !s.used[a] {
		s.vpc.engine.Broken("address %v given back to subnet %s, which had not handed it out", a, s.Name)
	}
	delete(s.used, a)
	s.free++
}

func add(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
