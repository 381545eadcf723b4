package linux

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Link is what a device is plugged into. It takes over the packet.
type Link interface {
	Transmit(from *Device, p *packet.Packet)
}

// Counters of a device, as ip -s link shows them.
type Counters struct {
	RxPackets, RxBytes, RxDropped uint64
	TxPackets, TxBytes, TxDropped uint64
}

// Device is a network device in a namespace.
type Device struct {
	Name     string
	MTUBytes int
	Addrs    []netip.Addr
	// RPFilter is conf.<device>.rp_filter.
	RPFilter int
	// Link is nil while nothing is plugged in.
	Link Link
	Up   bool
	Counters

	ns     *Namespace
	index  int
	label  trace.Name
	sentAt time.Duration // when the last packet left, or will: packets of one device stay in order
}

// Namespace is the namespace that d is in.
func (d *Device) Namespace() *Namespace { return d.ns }

// Label is the name of d in the trace: namespace and device.
func (d *Device) Label() trace.Name { return d.label }

// Addr is d's primary address.
func (d *Device) Addr() netip.Addr {
	if len(d.Addrs) == 0 {
		return netip.Addr{}
	}
	return d.Addrs[0]
}

// flight is a packet between the decision to send it and the device.
type flight struct {
	dev *Device
	p   *packet.Packet
}

// Fire sends the packet out of the device.
func (f *flight) Fire() {
	d, p := f.dev, f.p
	k := d.ns.kernel
	f.p = nil
	d.ns.flights = append(d.ns.flights, f)
	d.TxPackets++
	d.TxBytes += uint64(p.Len())
	k.log.Emit(trace.Record{Kind: trace.Out, Actor: d.label, Packet: p})
	p.Mark = 0
	if d.Link == nil || !d.Up {
		d.TxDropped++
		d.ns.drop(d.label, p, DropNotReady)
		return
	}
	d.Link.Transmit(d, p)
}

// send puts p on d after a cost, behind what was sent before.
func (d *Device) send(p *packet.Packet, cost time.Duration) {
	e := d.ns.kernel.engine
	at := max(e.Now()+cost, d.sentAt+1)
	d.sentAt = at
	var f *flight
	if n := len(d.ns.flights); n > 0 {
		f = d.ns.flights[n-1]
		d.ns.flights = d.ns.flights[:n-1]
	} else {
		f = &flight{}
	}
	f.dev, f.p = d, p
	e.At(at, "packet: send", f)
}

// Receive takes a packet that arrives at d from its link.
func (d *Device) Receive(p *packet.Packet) {
	k := d.ns.kernel
	if !d.Up {
		d.RxDropped++
		d.ns.drop(d.label, p, DropNotReady)
		return
	}
	d.RxPackets++
	d.RxBytes += uint64(p.Len())
	k.log.Emit(trace.Record{Kind: trace.In, Actor: d.label, Packet: p})
	d.ns.receive(d, p)
}

// veth is the cable between two devices.
type veth struct{ a, b *Device }

// Transmit hands the packet to the other end, at once.
func (v *veth) Transmit(from *Device, p *packet.Packet) {
	if from == v.a {
		v.b.Receive(p)
	} else {
		v.a.Receive(p)
	}
}

// Pair connects two devices as the ends of a veth pair.
func Pair(a, b *Device) {
	v := &veth{a, b}
	a.Link, b.Link = v, v
}

// loopback brings what is sent straight back.
type loopback struct{}

// Transmit returns the packet to its own device.
func (loopback) Transmit(from *Device, p *packet.Packet) { from.Receive(p) }
