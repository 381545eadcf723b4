package linux

import (
	"time"

	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// tracked is what conntrack knows about the packet that is on its way.
type tracked struct {
	conn  *netfilter.Conn
	dir   netfilter.Direction
	state netfilter.State
}

// receive takes a packet from a device to a socket or to another device.
func (n *Namespace) receive(d *Device, p *packet.Packet) {
	var c tracked
	if n.rules != nil {
		c.conn, c.dir, c.state = n.ct.In(p)
		if !n.mangle(netfilter.Prerouting, c, p, d, nil) || !n.nat(netfilter.Prerouting, c, p, d, nil) {
			return
		}
	}
	r, reason := n.routeInput(d, p)
	if reason != "" {
		n.drop(d.label, p, reason)
		if reason == DropInNoRoutes {
			n.sendError(p, packet.ICMPUnreachable, packet.CodeHostUnreachable, 0)
		}
		return
	}
	if r.Type == route.ToLocal {
		n.input(d, c, p)
		return
	}
	n.forward(d, r, c, p)
}

// routeInput decides where a received packet goes, and whether its source may come in by this device.
// Source: Linux net/ipv4/route.c ip_route_input_slow, net/ipv4/fib_frontend.c __fib_validate_source.
func (n *Namespace) routeInput(d *Device, p *packet.Packet) (*route.Route, string) {
	if d.Name == "lo" {
		if r := n.fib.Lookup(route.Key{Src: p.Src, Dst: p.Dst, Mark: p.Mark}); r != nil {
			return r, ""
		}
		return nil, DropInNoRoutes
	}
	if p.Src.IsLoopback() || p.Src.IsMulticast() || p.Src.IsUnspecified() {
		return nil, DropInvalidSource
	}
	r := n.fib.Lookup(route.Key{Src: p.Src, Dst: p.Dst, Mark: p.Mark, Iif: d.index})
	if r == nil || r.Type == route.Unreachable || r.Type == route.Blackhole || r.Type == route.Unicast && !n.Forwarding {
		return nil, DropInNoRoutes
	}
	// The source must not be one of our own addresses, and with rp_filter there must be a way back to it.
	if !n.kernel.Switches.NoMartianCheck && !n.Sysctl.AcceptLocal && n.IsLocal(p.Src) {
		return nil, DropLocalSource
	}
	if filter := max(n.Sysctl.RPFilter, d.RPFilter); filter != 0 {
		back := n.fib.Lookup(route.Key{Src: p.Dst, Dst: p.Src, Mark: p.Mark})
		if back == nil || back.Type == route.Unreachable || back.Type == route.Blackhole || filter == 1 && back.Dev != d.index {
			return nil, DropRPFilter
		}
	}
	return r, ""
}

// input delivers a packet to a socket of the namespace.
func (n *Namespace) input(d *Device, c tracked, p *packet.Packet) {
	if n.rules != nil {
		if !n.filter(netfilter.Input, c, p, d, nil) || !n.nat(netfilter.Input, c, p, d, nil) {
			return
		}
		if !n.ct.Confirm(c.conn) {
			n.drop(d.label, p, DropNetfilter)
			return
		}
	}
	n.deliver(d, p)
}

// forward passes a packet on by a route.
func (n *Namespace) forward(d *Device, r *route.Route, c tracked, p *packet.Packet) {
	if p.TTL <= 1 {
		n.drop(d.label, p, DropTTL)
		n.sendError(p, packet.ICMPTimeExceeded, packet.CodeTTLExceeded, 0)
		return
	}
	out := n.devices[r.Dev]
	if p.Len() > out.MTUBytes {
		n.drop(d.label, p, DropTooBig)
		n.sendError(p, packet.ICMPUnreachable, packet.CodeFragNeeded, out.MTUBytes)
		return
	}
	n.kernel.log.Emit(trace.Record{Kind: trace.Route, Actor: n.label, What: r.Name, Ref: r.Origin, Packet: p})
	p.TTL--
	if n.rules != nil && !n.filter(netfilter.Forward, c, p, d, out) {
		return
	}
	n.postroute(out, c, p, n.kernel.costs.Forward)
}

// postroute lets a packet leave by a device.
func (n *Namespace) postroute(out *Device, c tracked, p *packet.Packet, cost time.Duration) {
	if n.rules != nil {
		if !n.mangle(netfilter.Postrouting, c, p, nil, out) || !n.nat(netfilter.Postrouting, c, p, nil, out) {
			return
		}
		if !n.ct.Confirm(c.conn) {
			n.drop(out.label, p, DropNetfilter)
			return
		}
	}
	out.send(p, cost)
}

// output sends a packet of one of the namespace's own sockets. The cause of what the caller does next is left as it was.
// It returns false if there is no route.
func (n *Namespace) output(p *packet.Packet) bool {
	e := n.kernel.engine
	before := e.Cause()
	defer e.SetCause(before)
	*n.kernel.serial++
	p.Serial = *n.kernel.serial
	r := n.fib.Lookup(route.Key{Src: p.Src, Dst: p.Dst, Mark: p.Mark})
	if r == nil || r.Type == route.Unreachable || r.Type == route.Blackhole {
		n.drop(n.label, p, DropOutNoRoutes)
		return false
	}
	var c tracked
	if n.rules != nil {
		dst, mark := p.Dst, p.Mark
		c.conn, c.dir, c.state = n.ct.In(p)
		out := n.devices[r.Dev]
		if !n.mangle(netfilter.Output, c, p, nil, out) || !n.nat(netfilter.Output, c, p, nil, out) || !n.filter(netfilter.Output, c, p, nil, out) {
			return true
		}
		if p.Dst != dst || p.Mark != mark {
			if r = n.fib.Lookup(route.Key{Src: p.Src, Dst: p.Dst, Mark: p.Mark}); r == nil || r.Type == route.Unreachable {
				n.drop(n.label, p, DropOutNoRoutes)
				return false
			}
		}
	}
	out := n.devices[r.Dev]
	if r.Type == route.ToLocal {
		out = n.devices[1]
	}
	n.postroute(out, c, p, n.kernel.costs.Send)
	return true
}

func (n *Namespace) ask(h netfilter.Hook, c tracked, p *packet.Packet, in, out *Device) *netfilter.Context {
	x := &n.context
	x.Packet, x.Conn, x.State = p, c.conn, c.state
	x.In, x.Out = "", ""
	if in != nil {
		x.In = in.Name
	}
	if out != nil {
		x.Out = out.Name
	}
	return x
}

func (n *Namespace) mangle(h netfilter.Hook, c tracked, p *packet.Packet, in, out *Device) bool {
	return n.judge(netfilter.Mangle, h, c, p, in, out)
}

func (n *Namespace) filter(h netfilter.Hook, c tracked, p *packet.Packet, in, out *Device) bool {
	return n.judge(netfilter.Filter, h, c, p, in, out)
}

func (n *Namespace) judge(t netfilter.TableName, h netfilter.Hook, c tracked, p *packet.Packet, in, out *Device) bool {
	if n.rules.Empty(t, h) {
		return true
	}
	d := n.rules.Traverse(t, h, n.ask(h, c, p, in, out))
	if d.Verb != netfilter.Drop && d.Verb != netfilter.Reject {
		return true
	}
	log := n.kernel.log
	log.Emit(trace.Record{Kind: trace.Drop, Actor: n.label, What: d.Chain, Ref: d.Origin, Reason: log.Name(DropNetfilter), Packet: p})
	if d.Verb == netfilter.Reject {
		n.sendError(p, packet.ICMPUnreachable, packet.CodePortUnreachable, 0)
	}
	return false
}

// nat asks the nat table about a new connection, and translates the packets of any.
func (n *Namespace) nat(h netfilter.Hook, c tracked, p *packet.Packet, in, out *Device) bool {
	if c.conn == nil {
		return true
	}
	if c.dir == netfilter.Original && c.conn.NeedsNAT(h) {
		x := n.ask(h, c, p, in, out)
		d := n.rules.Traverse(netfilter.NAT, h, x)
		if d.Verb == netfilter.Drop || d.Verb == netfilter.Reject {
			n.drop(n.label, p, DropNetfilter)
			return false
		}
		var addr = p.Src
		if out != nil {
			// A device without an address borrows one of another. Source: Linux net/ipv4/devinet.c, inet_select_addr.
			if addr = out.Addr(); !addr.IsValid() {
				addr = n.firstAddr()
			}
		}
		if !n.ct.Bind(c.conn, h, d, addr) {
			n.drop(n.label, p, DropNetfilter)
			return false
		}
	}
	if !c.conn.Changed() {
		return true
	}
	before := p.Tuple()
	if changed, d := n.ct.Translate(c.conn, c.dir, h, p); changed {
		what := d.Chain
		if c.dir == netfilter.Reply {
			what = n.kernel.reversed
		}
		n.kernel.log.Emit(trace.Record{Kind: trace.NAT, Actor: n.label, What: what, Ref: d.Origin, Before: before, Packet: p})
	}
	return true
}
