package vpc

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Port is what an interface hands its packets to: a device of an instance, or a node of a load balancer.
type Port interface{ Receive(p *packet.Packet) }

// Interface is an elastic network interface. It is the Link of the device that it is attached to.
type Interface struct {
	ID          InterfaceID
	Subnet      *Subnet
	Description string
	// Addrs are the private addresses, the primary first.
	Addrs           []netip.Addr
	Groups          []*SecurityGroup
	SourceDestCheck bool
	// Public is the public address of the primary one, if it has one.
	Public netip.Addr
	// Instance that it is attached to, and as which device, if it is an instance's.
	Instance    InstanceID
	DeviceIndex int

	// OnLeave are hooks of load balancers that keep the client's address: they see each packet that leaves this interface, after the
	// security groups and before the fabric routes it, and may rewrite it. A hook returns true when it has.
	OnLeave []func(*packet.Packet) bool

	vpc     *VPC
	port    Port
	tracked tracker
	label   trace.Name
	dns     bucket
}

// AddInterface makes an interface in a subnet with a primary address: the one asked for, or any if that is the zero Addr.
func (s *Subnet) AddInterface(description string, primary netip.Addr, groups ...*SecurityGroup) (*Interface, error) {
	a, err := s.Take(primary)
	if err != nil {
		return nil, err
	}
	v := s.vpc
	eni := &Interface{ID: InterfaceID(v.NewID("eni")), Subnet: s, Description: description, Addrs: []netip.Addr{a}, Groups: groups, SourceDestCheck: true,
		vpc: v, tracked: tracker{flows: map[packet.Tuple]time.Duration{}, sweepAt: 1024}}
	eni.label = v.log.Name(string(eni.ID))
	v.enis[eni.ID] = eni
	v.byAddr[a] = eni
	return eni, nil
}

// Assign gives an interface a secondary address from its subnet.
func (eni *Interface) Assign(want netip.Addr) (netip.Addr, error) {
	a, err := eni.Subnet.Take(want)
	if err != nil {
		return a, err
	}
	eni.Addrs = append(eni.Addrs, a)
	eni.vpc.byAddr[a] = eni
	return a, nil
}

// Unassign takes a secondary address from an interface and gives it back to the subnet.
func (eni *Interface) Unassign(a netip.Addr) bool {
	i := slices.Index(eni.Addrs, a)
	if i <= 0 {
		return false
	}
	eni.Addrs = slices.Delete(eni.Addrs, i, i+1)
	delete(eni.vpc.byAddr, a)
	eni.Subnet.Give(a)
	return true
}

// Primary is the primary private address.
func (eni *Interface) Primary() netip.Addr { return eni.Addrs[0] }

// Attach plugs a port in.
func (eni *Interface) Attach(p Port) { eni.port = p }

func (eni *Interface) hasGroup(id SecurityGroupID) bool {
	for _, g := range eni.Groups {
		if g.ID == id {
			return true
		}
	}
	return false
}

// Transmit takes a packet from the device that the interface is attached to.
func (eni *Interface) Transmit(_ *linux.Device, p *packet.Packet) { eni.Send(p, 0) }

// Send takes a packet into the fabric, after a delay.
func (eni *Interface) Send(p *packet.Packet, delay time.Duration) {
	v := eni.vpc
	if p.Len() > MTUBytes {
		v.drop(eni.label, p, DropMTU)
		return
	}
	if eni.SourceDestCheck && v.byAddr[p.Src] != eni {
		v.drop(eni.label, p, DropSourceCheck)
		return
	}
	if p.Dst == v.resolver {
		// Security groups and network ACLs do not apply to the resolver. Source: Amazon VPC User Guide, "Security group rules".
		if !eni.dns.take(v.engine.Now(), v.opts.ResolverLimit) {
			v.drop(eni.label, p, DropDNSLimit)
			return
		}
		v.fly(p, eni, nil, v.opts.Latency.SameZone+delay)
		return
	}
	if !eni.passes(p, true) {
		v.drop(eni.label, p, DropSGEgress)
		return
	}
	for _, hook := range eni.OnLeave {
		if hook(p) {
			break
		}
	}
	to := v.byAddr[p.Dst]
	if to == nil {
		if v.CIDR.Contains(p.Dst) {
			v.drop(eni.label, p, DropNoInterface)
			return
		}
		if v.internet.leave(eni, p) {
			return
		}
		v.engine.Fail(engine.NotModelled("vpc: a packet to %v, outside of the VPC: %v", p.Dst, p))
		return
	}
	if to.Subnet != eni.Subnet && eni.Subnet.ACL != nil && !eni.Subnet.ACL.allows(eni.Subnet.ACL.Egress, p, p.Dst) {
		v.drop(eni.label, p, DropACLEgress)
		return
	}
	latency := v.opts.Latency.CrossZone
	if to.Subnet.Zone == eni.Subnet.Zone {
		latency = v.opts.Latency.SameZone
	}
	v.fly(p, eni, to, latency+delay)
}

// flight is a packet in the fabric.
type flight struct {
	v        *VPC
	p        *packet.Packet
	from, to *Interface
}

func (v *VPC) fly(p *packet.Packet, from, to *Interface, latency time.Duration) {
	var f *flight
	if n := len(v.flights); n > 0 {
		f = v.flights[n-1]
		v.flights = v.flights[:n-1]
	} else {
		f = &flight{v: v}
	}
	f.p, f.from, f.to = p, from, to
	v.engine.After(latency, "vpc: arrive", f)
}

// Fire delivers the packet.
func (f *flight) Fire() {
	v, p, from, to := f.v, f.p, f.from, f.to
	f.p, f.from, f.to = nil, nil, nil
	v.flights = append(v.flights, f)
	if to == nil {
		if v.dns == nil {
			v.drop(v.label, p, DropNoInterface)
			return
		}
		v.dns.Query(from, p)
		return
	}
	if to.Subnet != from.Subnet && to.Subnet.ACL != nil && !to.Subnet.ACL.allows(to.Subnet.ACL.Ingress, p, p.Src) {
		v.drop(to.label, p, DropACLIngress)
		return
	}
	if v.byAddr[p.Dst] != to && to.SourceDestCheck { // it was taken from the interface meanwhile
		v.drop(to.label, p, DropSourceCheck)
		return
	}
	if !to.passes(p, false) {
		v.drop(to.label, p, DropSGIngress)
		return
	}
	if to.port == nil {
		v.drop(to.label, p, DropDetached)
		return
	}
	to.port.Receive(p)
}

// Answer brings a packet of the resolver back to an interface.
func (v *VPC) Answer(to *Interface, p *packet.Packet, delay time.Duration) {
	v.engine.After(v.opts.Latency.SameZone+delay, "vpc: resolver's answer", engine.Func(func() {
		if to.port == nil {
			v.drop(to.label, p, DropDetached)
			return
		}
		to.port.Receive(p)
	}))
}

func (v *VPC) drop(at trace.Name, p *packet.Packet, reason string) {
	v.log.Emit(trace.Record{Kind: trace.Drop, Actor: at, Reason: v.log.Name(reason), Packet: p})
}

// bucket counts packets within a second.
type bucket struct {
	second time.Duration
	used   int
}

func (b *bucket) take(now time.Duration, limit int) bool {
	if s := now.Truncate(time.Second); s != b.second {
		b.second, b.used = s, 0
	}
	b.used++
	return b.used <= limit
}
