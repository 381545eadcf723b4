package linux

import (
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
)

// sendError answers p with an ICMP error, unless p is one itself (RFC 1122, 3.2.2).
// Does not model the rate limits icmp_ratelimit and icmp_msgs_per_sec.
func (n *Namespace) sendError(p *packet.Packet, typ, code uint8, mtuBytes int) {
	if p.Proto == packet.ICMP {
		return
	}
	r := n.fib.Lookup(route.Key{Dst: p.Src, Mark: p.Mark})
	if r == nil {
		return
	}
	src := r.Src
	if n.IsLocal(p.Dst) {
		src = p.Dst
	}
	if !src.IsValid() {
		src = n.firstAddr()
	}
	n.output(&packet.Packet{Src: src, Dst: p.Src, Proto: packet.ICMP, TTL: n.Sysctl.IPDefaultTTL, Error: &packet.ICMPError{Type: typ, Code: code, MTUBytes: uint16(min(mtuBytes, 65535)), Quoted: p.Tuple()}})
}

// receiveError hands an ICMP error to the socket that it is about.
func (n *Namespace) receiveError(p *packet.Packet) {
	e := p.Error
	if e == nil {
		return
	}
	err := EHOSTUNREACH
	switch {
	case e.Type == packet.ICMPTimeExceeded:
	case e.Code == packet.CodeNetUnreachable:
		err = ENETUNREACH
	case e.Code == packet.CodePortUnreachable:
		err = ECONNREFUSED
	case e.Code == packet.CodeFragNeeded:
		return // path MTU discovery is not modelled: nothing here sends more than the peer's MSS
	}
	n.socketError(e.Quoted, err)
}
