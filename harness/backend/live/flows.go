package live

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/harness/backend/live/tap"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/packet"
)

// scene is what has to be known to say of a captured packet what it is.
type scene struct {
	epoch          time.Time
	port, nodePort uint16
	// client is the address that the calls come from, in the namespace of that name; shared is whether that is its node's.
	client          netip.Addr
	clientNamespace string
	clientNode      *node
	shared          bool
	balancers       map[netip.Addr]bool
	dialled         map[netip.Addr]bool
	// nodes by the namespace that captures name.
	nodes    map[string]*node
	backends map[netip.AddrPort]bool
}

// routerNamespace is what captures in the router are said to be in.
const routerNamespace = "router"

// place says what kind of interface a packet was captured on. One namespace of the router is all of the load balancer's nodes: what comes for one of
// their addresses is a balancer's, and so is what leaves for a target.
func (s *scene) place(p *tap.Packet) observe.Place {
	switch n := s.nodes[p.Namespace]; {
	case p.Namespace == routerNamespace:
		h := &p.Headers
		passedOn := (h.Src == s.client || s.balancers[h.Src]) && (h.DstPort == s.nodePort || s.backends[netip.AddrPortFrom(h.Dst, h.DstPort)])
		if !p.Out && s.balancers[h.Dst] || p.Out && passedOn {
			return observe.Place{Role: observe.Balancer}
		}
	case p.Namespace == s.clientNamespace && !s.shared:
		return observe.Place{Role: observe.Client}
	case n != nil && p.Interface == vpcInterface && s.shared && n == s.clientNode:
		return observe.Place{Role: observe.ClientNodeInterface, Node: n.name}
	case n != nil && p.Interface == vpcInterface:
		return observe.Place{Role: observe.NodeInterface, Node: n.name}
	}
	return observe.Place{Role: observe.Elsewhere}
}

// account follows connections through all captures, which are in the order of time. Half-open is how many backends' sockets were left without an
// answer to their SYN-ACK.
func (s *scene) account(packets []tap.Packet) (f *observe.Flows, halfOpen int) {
	f = observe.NewFlows(s.port, s.nodePort, s.client)
	f.Dialled = s.dialled
	// What a node does with a SYN at its node port is seen by what leaves it with the same sequence number.
	type arrival struct {
		node string
		seq  uint32
	}
	arrived := map[arrival]packet.Tuple{}
	waiting := map[packet.Tuple]time.Time{}
	var last time.Time
	for i := range packets {
		p := &packets[i]
		h := p.Headers
		last = p.At
		if h.Proto != packet.TCP {
			continue
		}
		place := s.place(p)
		if place.Role != observe.Elsewhere {
			f.Packet(p.At.Sub(s.epoch), place, p.Out, &h)
		}
		if s.nodes[p.Namespace] == nil {
			continue
		}
		at := arrival{p.Namespace, h.Seq}
		opening := h.Flags == packet.SYN
		if opening && !p.Out && p.Interface == vpcInterface && h.DstPort == s.nodePort {
			arrived[at] = h.Tuple()
		}
		if before, ok := arrived[at]; ok && opening && p.Out && h.Dst != before.Dst {
			delete(arrived, at)
			f.Draw(before, &h)
		}
		// A backend's socket: what its pod is sent, on the pod's own interface.
		if p.Out && p.Interface != vpcInterface && s.backends[netip.AddrPortFrom(h.Dst, h.DstPort)] {
			switch {
			case opening:
				if _, ok := waiting[h.Tuple()]; !ok {
					waiting[h.Tuple()] = p.At
				}
			case h.Flags.Has(packet.ACK), h.Flags.Has(packet.RST):
				delete(waiting, h.Tuple())
			}
		}
	}
	for _, since := range waiting {
		if last.Sub(since) > time.Second { // longer than a round trip takes
			halfOpen++
		}
	}
	return f, halfOpen
}
