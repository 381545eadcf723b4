package elb

import (
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// leaving rewrites what targets behind one network interface answer to clients whose address was preserved: where the packet leaves the
// interface its source becomes the node's address, so that the client sees who it had called.
type leaving struct {
	service *Service
	label   trace.Name
	flows   map[packet.Tuple]answered // by target > client
}

type answered struct {
	flow *flow
	node *Node
}

// hook returns the table of an interface, and puts it in place at the first call.
func (s *Service) hook(eni *vpc.Interface) *leaving {
	if h := s.hooks[eni]; h != nil {
		return h
	}
	h := &leaving{service: s, label: s.log.Name(string(eni.ID)), flows: map[packet.Tuple]answered{}}
	s.hooks[eni] = h
	eni.OnLeave = append(eni.OnLeave, h.rewrite)
	return h
}

func (h *leaving) add(f *flow, n *Node) { h.flows[f.forward.Reverse()] = answered{f, n} }

func (h *leaving) remove(f *flow) {
	if h.flows[f.forward.Reverse()].flow == f {
		delete(h.flows, f.forward.Reverse())
	}
}

// rewrite is called with each packet that leaves the interface.
func (h *leaving) rewrite(p *packet.Packet) bool {
	s := h.service
	if s.opts.Switches.NoRewriteAtInterface {
		return false
	}
	a, ok := h.flows[p.Tuple()]
	if !ok || s.engine.Now()-a.flow.used > idleTimeout {
		return false
	}
	a.flow.used = s.engine.Now()
	before := p.Tuple()
	p.Src, p.SrcPort = a.flow.client.Dst, a.flow.client.DstPort
	p.TTL--
	if p.MSS > s.opts.MaxMSS {
		p.MSS = s.opts.MaxMSS
	}
	s.log.Emit(trace.Record{Kind: trace.NAT, Actor: h.label, What: s.log.Name("flow table of the load balancer, where the packet leaves the target's interface"), Before: before, Packet: p})
	return true
}
