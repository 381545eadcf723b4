package elb

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Drop reasons of a node.
const (
	DropNoListener = "ELB_NO_LISTENER"
	DropNoTarget   = "ELB_NO_TARGET"
	DropNoFlow     = "ELB_UNKNOWN_FLOW"
	DropNoPort     = "ELB_PORT_ALLOCATION_ERROR"
)

// Node is a Network Load Balancer's node in one zone.
type Node struct {
	host
	flows    map[packet.Tuple]*flow // by client > node
	returns  map[packet.Tuple]*flow // by target > node, where the client's address is not preserved
	lastPort map[netip.AddrPort]uint16
	sweepAt  int
	eligible map[*TargetGroup][]*Target // cache; nil after a change
}

// flow is a connection that a node has sent to a target.
type flow struct {
	client  packet.Tuple // client > node
	forward packet.Tuple // as the target gets it
	target  *Target
	seq     uint32 // of the segment that opened it
	used    time.Duration
}

// newNode makes the node of a Network Load Balancer in a subnet. Its own stack makes the connections of health checks.
func (s *Service) newNode(lb *LoadBalancer, subnet *vpc.Subnet) (*Node, error) {
	h, err := s.plug(lb, subnet, s.nodeName("nlb", subnet.Zone, 1), "ELB net/"+lb.Name)
	if err != nil {
		return nil, err
	}
	h.Interface.SourceDestCheck = false
	n := &Node{host: h, flows: map[packet.Tuple]*flow{}, returns: map[packet.Tuple]*flow{}, lastPort: map[netip.AddrPort]uint16{}, sweepAt: 4096, eligible: map[*TargetGroup][]*Target{}}
	n.changed = func() { clear(n.eligible) }
	h.Interface.Attach(n)
	return n, nil
}

// listener finds the listener of a port.
func (n *Node) listener(port uint16) *Listener {
	for _, l := range n.LB.Listeners {
		if l.Port == port {
			return l
		}
	}
	return nil
}

// Receive takes a packet that arrives at the node's interface.
func (n *Node) Receive(p *packet.Packet) {
	s := n.service
	l := n.listener(p.DstPort)
	back := n.returns[p.Tuple()]
	if l == nil && back == nil {
		n.device.Receive(p) // the answer to a health check, or nothing of ours
		return
	}
	s.log.Emit(trace.Record{Kind: trace.In, Actor: n.label, Packet: p})
	if n.LB.State != "active" {
		n.drop(p, DropNoListener)
		return
	}
	now := s.engine.Now()
	delay := s.opts.Forward
	if back != nil {
		back.used = now
		n.rewrite(p, back.client.Reverse(), "the flow's client", 0)
	} else {
		f := n.flows[p.Tuple()]
		if f != nil && now-f.used > idleTimeout {
			n.forget(f)
			f = nil
		}
		opening := p.Flags.Has(packet.SYN) && !p.Flags.Has(packet.ACK)
		if f == nil && !opening {
			n.drop(p, DropNoFlow)
			n.reset(p)
			return
		}
		// The same ports with another sequence number are another connection: each is routed for itself.
		// Source: Network Load Balancers user guide, "What is a Network Load Balancer: routing".
		if f == nil || opening && (p.Seq != f.seq || s.opts.Switches.NoStickiness) {
			if f != nil {
				n.forget(f)
			}
			if f = n.open(l, p); f == nil {
				return
			}
			delay += s.opts.FlowSetup
		}
		f.used = now
		what := "client address kept"
		if f.forward.Src != f.client.Src {
			what = "source becomes the node's address"
		}
		n.rewrite(p, f.forward, what, l.TargetGroup.attributeOrigin(AttrPreserveClientIP))
	}
	p.TTL--
	if p.MSS > s.opts.MaxMSS {
		p.MSS = s.opts.MaxMSS
	}
	s.log.Emit(trace.Record{Kind: trace.Out, Actor: n.label, Packet: p})
	n.Interface.Send(p, delay)
}

func (n *Node) rewrite(p *packet.Packet, to packet.Tuple, what string, origin trace.ID) {
	before := p.Tuple()
	p.Src, p.Dst, p.SrcPort, p.DstPort = to.Src, to.Dst, to.SrcPort, to.DstPort
	log := n.service.log
	log.Emit(trace.Record{Kind: trace.NAT, Actor: n.label, What: log.Name(what), Ref: origin, Before: before, Packet: p})
}

// attributeOrigin is the record that gave an attribute its value: of the call that set it, else of the one that made the group.
func (tg *TargetGroup) attributeOrigin(key string) trace.ID {
	if id, ok := tg.AttributeOrigin[key]; ok {
		return id
	}
	return tg.Origin
}

// open picks a target for the first packet of a flow.
func (n *Node) open(l *Listener, p *packet.Packet) *flow {
	s, tg := n.service, l.TargetGroup
	targets := n.targets(tg)
	if len(targets) == 0 {
		n.drop(p, DropNoTarget)
		return nil
	}
	t := targets[n.hash(p)%uint64(len(targets))]
	f := &flow{client: p.Tuple(), target: t, seq: p.Seq}
	f.forward = f.client
	f.forward.Dst, f.forward.DstPort = t.Addr, t.Port
	text, ref := oneOf(len(targets)), t.Origin
	if t.Draining {
		ref = t.Deregistered
		text += "; it was deregistered " + seconds(s.engine.Now()-t.DeregisteredAt) + " ago, which this node has not learned yet"
	}
	s.log.Emit(trace.Record{Kind: trace.Balance, Actor: n.label, What: t.name(s.log), Ref: ref, Packet: p, Text: text})
	if tg.PreservesClientIP() {
		if t.Interface != nil { // else nothing has the address
			n.service.hook(t.Interface).add(f, n)
		}
	} else {
		port, ok := n.port(netip.AddrPortFrom(t.Addr, t.Port))
		if !ok {
			n.drop(p, DropNoPort)
			return nil
		}
		f.forward.Src, f.forward.SrcPort = n.Addr, port
		n.returns[f.forward.Reverse()] = f
	}
	n.flows[f.client] = f
	n.sweep()
	return f
}

func oneOf(n int) string {
	if n == 1 {
		return "the only target that this node uses"
	}
	return fmt.Sprintf("one of %d targets that this node uses", n)
}

// hash is the flow hash: protocol, addresses, ports and TCP sequence number.
// Source: Network Load Balancers user guide, "Network Load Balancer overview: routing". The function itself is AWS's own; this one is FNV-1a
// with a finalizer.
func (n *Node) hash(p *packet.Packet) uint64 {
	src, dst := p.Src.As4(), p.Dst.As4()
	b := make([]byte, 0, 32)
	b = append(b, byte(p.Proto))
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = binary.BigEndian.AppendUint16(b, p.SrcPort)
	b = binary.BigEndian.AppendUint16(b, p.DstPort)
	b = binary.BigEndian.AppendUint32(b, p.Seq)
	if n.service.opts.Switches.NoStickiness {
		b = binary.BigEndian.AppendUint64(b, n.service.engine.Rand("elb: without stickiness").Uint64())
	}
	h := uint64(14695981039346656037) ^ n.service.engine.Seed()
	for _, x := range b {
		h = (h ^ uint64(x)) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return h
}

// port is the next free source port towards a target. Source: Network Load Balancers user guide: some 55,000 connections to each target.
func (n *Node) port(target netip.AddrPort) (uint16, bool) {
	const low, count = 1024, 55000
	for range count {
		n.lastPort[target] = (n.lastPort[target] + 1) % count
		port := uint16(low + int(n.lastPort[target]))
		key := packet.Tuple{Src: target.Addr(), SrcPort: target.Port(), Dst: n.Addr, DstPort: port, Proto: packet.TCP}
		if f := n.returns[key]; f == nil || n.service.engine.Now()-f.used > idleTimeout {
			return port, true
		}
	}
	return 0, false
}

// targets are those that the node may send new flows to: healthy ones, of its zone unless cross-zone is on; all of them when none is healthy.
func (n *Node) targets(tg *TargetGroup) []*Target {
	if c, ok := n.eligible[tg]; ok {
		return c
	}
	var healthy, all []*Target
	for _, v := range n.views[tg] {
		if v.state != initialState || !n.service.opts.NLBSparesInitial {
			all = append(all, v.target)
		}
		if v.state == healthyState {
			healthy = append(healthy, v.target)
		}
	}
	if len(healthy) == 0 {
		healthy = all
	}
	n.eligible[tg] = healthy
	return healthy
}

func (n *Node) forget(f *flow) {
	delete(n.flows, f.client)
	delete(n.returns, f.forward.Reverse())
	if f.forward.Src == f.client.Src && f.target.Interface != nil {
		n.service.hook(f.target.Interface).remove(f)
	}
}

// sweep forgets flows that have been idle too long, now and then; the order is of no effect.
func (n *Node) sweep() {
	if len(n.flows) < n.sweepAt {
		return
	}
	now := n.service.engine.Now()
	for _, f := range n.flows {
		if now-f.used > idleTimeout {
			n.forget(f)
		}
	}
	n.sweepAt = max(4096, 2*len(n.flows))
}

// reset answers a segment of a flow that the node does not know, or no longer.
// Source: Network Load Balancers user guide, "Connection idle timeout".
func (n *Node) reset(p *packet.Packet) {
	if p.Flags.Has(packet.RST) {
		return
	}
	*n.service.serial++
	r := &packet.Packet{Src: p.Dst, SrcPort: p.DstPort, Dst: p.Src, DstPort: p.SrcPort, Proto: packet.TCP, TTL: 255, Flags: packet.RST, Seq: p.Ack, Serial: *n.service.serial}
	n.service.log.Emit(trace.Record{Kind: trace.Out, Actor: n.label, Packet: r})
	n.Interface.Send(r, n.service.opts.Forward)
}

func (n *Node) drop(p *packet.Packet, reason string) {
	log := n.service.log
	log.Emit(trace.Record{Kind: trace.Drop, Actor: n.label, Reason: log.Name(reason), Packet: p})
}
