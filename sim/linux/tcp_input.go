package linux

import (
	"net/netip"

	"github.com/ekslab/ekslab/sim/packet"
)

// Sequence numbers are compared modulo 2^32.
func seqAfter(a, b uint32) bool { return int32(a-b) > 0 }

// deliverTCP finds the socket of a segment. Without one the answer is a reset.
func (n *Namespace) deliverTCP(d *Device, p *packet.Packet) {
	if c := n.conns[p.Tuple().Reverse()]; c != nil {
		c.receive(d, p)
		return
	}
	l := n.listeners[netip.AddrPortFrom(p.Dst, p.DstPort)]
	if l == nil {
		l = n.listeners[netip.AddrPortFrom(anyAddr, p.DstPort)]
	}
	switch {
	case l == nil:
		n.drop(d.label, p, DropNoSocket)
		n.reset(p)
	case p.Flags.Has(packet.RST):
		n.drop(d.label, p, DropTCPReset)
	case p.Flags.Has(packet.ACK):
		n.drop(d.label, p, DropTCPFlags)
		n.reset(p)
	case !p.Flags.Has(packet.SYN):
		n.drop(d.label, p, DropTCPFlags)
	default:
		l.open(p)
	}
}

// reset answers a segment that no socket wants. It answers no reset.
// Source: Linux net/ipv4/tcp_ipv4.c, tcp_v4_send_reset.
func (n *Namespace) reset(p *packet.Packet) {
	if p.Flags.Has(packet.RST) {
		return
	}
	r := &packet.Packet{Src: p.Dst, SrcPort: p.DstPort, Dst: p.Src, DstPort: p.SrcPort, Proto: packet.TCP, TTL: n.Sysctl.IPDefaultTTL, Flags: packet.RST}
	if p.Flags.Has(packet.ACK) {
		r.Seq = p.Ack
	} else {
		r.Flags |= packet.ACK
		r.Ack = p.Seq + p.SegmentLen()
	}
	n.output(r)
}

// open answers a SYN.
func (l *Listener) open(p *packet.Packet) {
	c := l.ns.newConn(p.Tuple().Reverse())
	c.listener = l
	c.rcvNext = p.Seq + 1
	c.takeMSS(p)
	c.rto = rtoInit
	c.to(SynRecv, "")
	c.transmit(packet.SYN|packet.ACK, nil)
	c.arm()
}

func (c *Conn) takeMSS(p *packet.Packet) {
	if p.MSS != 0 {
		c.mss = min(p.MSS, c.ownMSS())
	}
}

// receive is a segment for this connection.
func (c *Conn) receive(d *Device, p *packet.Packet) {
	n := c.ns
	switch c.state {
	case SynSent:
		c.receiveSynSent(d, p)
		return
	case TimeWait:
		c.receiveTimeWait(d, p)
		return
	}
	if p.Flags.Has(packet.RST) {
		if p.Seq != c.rcvNext {
			n.drop(d.label, p, DropTCPReset)
			return
		}
		switch {
		case c.state == SynRecv:
			c.forget("reset by the peer")
		default:
			c.fail(ECONNRESET)
		}
		return
	}
	if p.Flags.Has(packet.SYN) {
		if c.state == SynRecv && !p.Flags.Has(packet.ACK) && p.Seq+1 == c.rcvNext {
			c.sendSegment(&c.unacked[0]) // the SYN again: so the SYN-ACK again
			c.arm()
			return
		}
		c.ack() // a challenge; RFC 5961
		return
	}
	if !p.Flags.Has(packet.ACK) {
		n.drop(d.label, p, DropTCPFlags)
		return
	}
	if c.state == SynRecv {
		if p.Ack != c.next {
			n.drop(d.label, p, DropTCPFlags)
			n.reset(p)
			return
		}
		if !c.accepted() {
			n.drop(d.label, p, DropNoSocket)
			n.reset(p)
			c.forget("the listener is gone")
			return
		}
	}
	c.acknowledged(p.Ack)
	if c.state == Closed {
		return
	}
	c.take(d, p)
}

// accepted completes a handshake on the listening side.
func (c *Conn) accepted() bool {
	l := c.listener
	if c.ns.listeners[l.local] != l {
		return false
	}
	c.to(Established, "")
	l.accept(c)
	return true
}

// receiveSynSent is a segment for a connection that waits for its SYN-ACK.
// Source: Linux net/ipv4/tcp_input.c, tcp_rcv_synsent_state_process.
func (c *Conn) receiveSynSent(d *Device, p *packet.Packet) {
	n := c.ns
	if !p.Flags.Has(packet.ACK) {
		if p.Flags.Has(packet.SYN) {
			n.kernel.engine.Fail(errSimultaneousOpen)
			return
		}
		n.drop(d.label, p, DropTCPFlags)
		return
	}
	if p.Ack != c.next {
		n.drop(d.label, p, DropTCPFlags)
		n.reset(p)
		return
	}
	if p.Flags.Has(packet.RST) {
		c.fail(ECONNREFUSED)
		return
	}
	if !p.Flags.Has(packet.SYN) {
		n.drop(d.label, p, DropTCPFlags)
		return
	}
	c.rcvNext = p.Seq + 1
	c.takeMSS(p)
	c.acknowledged(p.Ack)
	c.to(Established, "")
	if c.unsent == nil || !c.closing {
		c.ack()
	}
	if done := c.OnConnect; done != nil {
		c.OnConnect = nil
		done(nil)
	}
	if c.state == Established {
		c.push()
	}
}

func (c *Conn) receiveTimeWait(d *Device, p *packet.Packet) {
	n := c.ns
	switch {
	case p.Flags.Has(packet.RST):
		if p.Seq == c.rcvNext {
			c.forget("reset by the peer")
		}
	case p.Flags.Has(packet.SYN) && !p.Flags.Has(packet.ACK) && seqAfter(p.Seq, c.rcvNext):
		c.forget("reopened")
		n.deliverTCP(d, p)
	default:
		c.ack()
	}
}

// acknowledged takes the peer's acknowledgement of what was sent.
func (c *Conn) acknowledged(ack uint32) {
	if !seqAfter(ack, c.una) || seqAfter(ack, c.next) {
		return
	}
	e := c.ns.kernel.engine
	c.una = ack
	i := 0
	for i < len(c.unacked) && !seqAfter(c.unacked[i].end(), ack) {
		if s := &c.unacked[i]; !s.again {
			c.rtt = e.Now() - s.sent
		}
		i++
	}
	c.unacked = c.unacked[i:]
	c.retries, c.totalRTO = 0, 0
	c.rto = max(rtoMin, rtoMin+c.rtt) // a steady path's srtt + 4 * rttvar, with rttvar at its floor
	e.Stop(c.timer)
	if len(c.unacked) > 0 {
		c.arm()
		return
	}
	if !c.finSent {
		return
	}
	switch c.state {
	case FinWait1:
		c.to(FinWait2, "")
		c.armFor(finTimeout)
	case Closing:
		c.timeWait()
	case LastAck:
		c.forget("")
	}
}

// take is the data and the FIN of a segment.
func (c *Conn) take(d *Device, p *packet.Packet) {
	length := p.SegmentLen()
	if length == 0 {
		return
	}
	if p.Seq != c.rcvNext {
		reason := DropTCPOldData
		if seqAfter(p.Seq, c.rcvNext) {
			reason = DropTCPOutOfOrder // not queued here: the peer sends it again
		}
		c.ns.drop(d.label, p, reason)
		c.ack()
		return
	}
	c.rcvNext += length
	data, _ := p.Payload.(packet.Bytes)
	fin := p.Flags.Has(packet.FIN)
	if len(data) > 0 && c.closing && c.OnData == nil && (c.state == FinWait1 || c.state == FinWait2) {
		// Data for a process that has closed the socket.
		c.emit(packet.RST, c.next, 0, nil, 0)
		c.forget("data after close")
		return
	}
	c.ack()
	if len(data) > 0 && c.OnData != nil {
		c.OnData(data)
	}
	if !fin {
		return
	}
	switch c.state {
	case Established:
		c.to(CloseWait, "")
		if c.OnEOF != nil {
			c.OnEOF()
		}
	case FinWait1:
		c.to(Closing, "")
	case FinWait2:
		c.timeWait()
	}
}

func (c *Conn) timeWait() {
	c.to(TimeWait, "")
	c.armFor(timeWaitLen)
}
