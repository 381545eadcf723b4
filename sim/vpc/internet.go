package vpc

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Internet is what is beyond the VPC's internet gateway: hosts with public addresses, and a resolver that they ask. The gateway translates
// the private address of an interface to its public one and back, one to one.
// Source: Amazon VPC User Guide, "Enable internet access for a VPC using an internet gateway".
type Internet struct {
	vpc       *VPC
	delay     func() time.Duration
	addresses uint32
	byPublic  map[netip.Addr]*Interface
	hosts     map[netip.Addr]*Host
	resolver  InternetResolver
}

// InternetResolver answers questions that hosts on the internet send to ResolverAddr.
type InternetResolver interface {
	// Ask takes a packet, and hands the answer, if there is one, to reply.
	Ask(p *packet.Packet, reply func(answer *packet.Packet, delay time.Duration))
}

// Addresses on the internet are of the ranges for documentation. Source: RFC 5737.
var (
	publicBase = netip.MustParseAddr("198.51.100.10")
	hostBase   = netip.MustParseAddr("203.0.113.10")
	// ResolverAddr is the resolver of hosts on the internet.
	ResolverAddr = netip.MustParseAddr("192.0.2.53")
)

// DropNoPublicAddress is the reason of the gateway for packets of an interface without a public address.
const DropNoPublicAddress = "VPC_IGW_NO_PUBLIC_ADDRESS"

// Internet is the way out of the VPC. It is made at the first call.
func (v *VPC) Internet() *Internet {
	if v.internet == nil {
		v.internet = &Internet{vpc: v, byPublic: map[netip.Addr]*Interface{}, hosts: map[netip.Addr]*Host{}, delay: func() time.Duration { return time.Millisecond }}
	}
	return v.internet
}

// SetDelay says how long a packet takes between a host and the VPC, one way. It is asked for each packet; packets of one direction stay in order.
func (n *Internet) SetDelay(delay func() time.Duration) { n.delay = delay }

// SetResolver says who answers at ResolverAddr.
func (n *Internet) SetResolver(r InternetResolver) { n.resolver = r }

// Associate gives an interface a public address.
func (n *Internet) Associate(eni *Interface) {
	eni.Public = add(publicBase, n.addresses)
	n.addresses++
	n.byPublic[eni.Public] = eni
}

// Host is a host on the internet, as the link of its network device.
type Host struct {
	Addr          netip.Addr
	internet      *Internet
	device        *linux.Device
	out, in, asks time.Duration // when the last packet of a direction arrives
}

// AddHost connects a host to the internet by a device, which gets a public address.
func (n *Internet) AddHost(d *linux.Device) *Host {
	h := &Host{Addr: add(hostBase, uint32(len(n.hosts))), internet: n, device: d}
	n.hosts[h.Addr] = h
	d.Link = h
	return h
}

// after schedules an arrival behind those before it.
func (n *Internet) after(last *time.Duration, fn func()) {
	e := n.vpc.engine
	*last = max(e.Now()+n.delay(), *last+1)
	e.At(*last, "internet: arrive", engine.Func(fn))
}

// Transmit takes a packet of the host.
func (h *Host) Transmit(_ *linux.Device, p *packet.Packet) {
	n := h.internet
	v := n.vpc
	if p.Dst == ResolverAddr && n.resolver != nil {
		n.after(&h.asks, func() {
			n.resolver.Ask(p, func(answer *packet.Packet, delay time.Duration) {
				v.engine.After(delay, "internet: resolver's answer", engine.Func(func() { n.after(&h.in, func() { h.device.Receive(answer) }) }))
			})
		})
		return
	}
	to := n.byPublic[p.Dst]
	if to == nil {
		v.engine.Fail(engine.NotModelled("vpc: a packet on the internet to %v, which is nobody's address: %v", p.Dst, p))
		return
	}
	n.after(&h.out, func() {
		before := p.Tuple()
		p.Dst = to.Primary()
		v.log.Emit(trace.Record{Kind: trace.NAT, Actor: v.log.Name("internet-gateway"), What: v.log.Name("destination becomes the private address"), Before: before, Packet: p})
		to.arrive(p)
	})
}

// leave takes a packet that an interface of the VPC sends to an address outside. It says whether it has taken it.
func (n *Internet) leave(from *Interface, p *packet.Packet) bool {
	if n == nil {
		return false
	}
	h := n.hosts[p.Dst]
	if h == nil {
		return false
	}
	v := n.vpc
	owner := v.byAddr[p.Src]
	if owner == nil || !owner.Public.IsValid() || p.Src != owner.Primary() {
		v.drop(from.label, p, DropNoPublicAddress)
		return true
	}
	before := p.Tuple()
	p.Src = owner.Public
	v.log.Emit(trace.Record{Kind: trace.NAT, Actor: v.log.Name("internet-gateway"), What: v.log.Name("source becomes the public address"), Before: before, Packet: p})
	n.after(&h.in, func() { h.device.Receive(p) })
	return true
}

// arrive brings a packet from outside to an interface.
func (eni *Interface) arrive(p *packet.Packet) {
	v := eni.vpc
	switch {
	case eni.Subnet.ACL != nil && !eni.Subnet.ACL.allows(eni.Subnet.ACL.Ingress, p, p.Src):
		v.drop(eni.label, p, DropACLIngress)
	case !eni.passes(p, false):
		v.drop(eni.label, p, DropSGIngress)
	case eni.port == nil:
		v.drop(eni.label, p, DropDetached)
	default:
		eni.port.Receive(p)
	}
}
