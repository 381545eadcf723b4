package linux

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// TCPState is the state of a connection, by the names of ss(8).
type TCPState uint8

// TCP states.
const (
	Closed TCPState = iota
	SynSent
	SynRecv
	Established
	FinWait1
	FinWait2
	Closing
	TimeWait
	CloseWait
	LastAck
)

var tcpStates = [...]string{"CLOSED", "SYN-SENT", "SYN-RECV", "ESTAB", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "TIME-WAIT", "CLOSE-WAIT", "LAST-ACK"}

func (s TCPState) String() string { return tcpStates[s] }

// Timers and limits of TCP.
// Source: Linux include/net/tcp.h (TCP_TIMEOUT_INIT, TCP_RTO_MIN, TCP_RTO_MAX, TCP_TIMEWAIT_LEN, TCP_INIT_CWND).
const (
	rtoInit     = 1 * time.Second
	rtoMin      = 200 * time.Millisecond
	rtoMax      = 120 * time.Second
	timeWaitLen = 60 * time.Second
	finTimeout  = 60 * time.Second // net.ipv4.tcp_fin_timeout
	// initialWindow is the window field of a SYN with the default receive buffer and an MTU of 9001, as captures show it.
	initialWindow = 62727
	// orphanRetries is how often a FIN is sent again after close; tcp_orphan_retries 0 means 8 while the peer may be alive.
	orphanRetries = 8
)

// Conn is a TCP connection. Its callbacks run within the event that brought the segment.
type Conn struct {
	// OnConnect reports how opening ended, for a connection from Dial.
	OnConnect func(error)
	// OnData gets what the peer wrote, in order.
	OnData func([]byte)
	// OnEOF says that the peer has closed its side.
	OnEOF func()
	// OnError says that the connection is dead, after it had been open.
	OnError func(error)

	ns            *Namespace
	local, remote netip.AddrPort
	state         TCPState
	listener      *Listener // that a connection in SYN-RECV came by

	iss, una, next uint32 // send: initial, oldest unacknowledged, next
	rcvNext        uint32
	mss            uint16
	unsent         []byte
	unacked        []segment
	closing        bool // a FIN is to be sent, or was
	finSent        bool

	since    time.Duration // when it came into its state
	timer    engine.Timer
	rto      time.Duration
	retries  int
	totalRTO int
	ipID     uint16
	rtt      time.Duration
}

type segment struct {
	seq   uint32
	flags packet.Flags
	data  []byte
	sent  time.Duration
	again bool
}

func (s *segment) end() uint32 {
	n := s.seq + uint32(len(s.data))
	if s.flags&(packet.SYN|packet.FIN) != 0 {
		n++
	}
	return n
}

// Listener accepts connections to a port.
type Listener struct {
	ns     *Namespace
	local  netip.AddrPort
	accept func(*Conn)
}

// Listen accepts connections to a port; the zero Addr takes them for every address of the namespace.
func (n *Namespace) Listen(a netip.Addr, port uint16, accept func(*Conn)) (*Listener, error) {
	if !a.IsValid() {
		a = anyAddr
	}
	l := &Listener{ns: n, local: netip.AddrPortFrom(a, port), accept: accept}
	if n.listeners[l.local] != nil {
		return nil, EADDRINUSE
	}
	put(&n.listeners, l.local, l)
	return l, nil
}

// Close stops listening. Connections that are open stay.
func (l *Listener) Close() {
	if l.ns.listeners[l.local] == l {
		delete(l.ns.listeners, l.local)
	}
}

// Dial opens a connection. How that ends is told to OnConnect, never before Dial has returned.
func (n *Namespace) Dial(remote netip.AddrPort) (*Conn, error) {
	src, ok := n.sourceFor(remote.Addr())
	if !ok {
		return nil, ENETUNREACH
	}
	tuple := packet.Tuple{Src: src, Dst: remote.Addr(), DstPort: remote.Port(), Proto: packet.TCP}
	port := n.freePort(func(p uint16) bool {
		tuple.SrcPort = p
		return n.conns[tuple] != nil || n.listeners[netip.AddrPortFrom(anyAddr, p)] != nil
	})
	if port == 0 {
		return nil, EADDRNOTAVAIL
	}
	tuple.SrcPort = port
	c := n.newConn(tuple)
	c.state = SynSent
	c.rto = rtoInit
	c.transmit(packet.SYN, nil)
	c.arm()
	return c, nil
}

// newConn makes a connection with a random initial sequence number; tuple is local > remote.
func (n *Namespace) newConn(tuple packet.Tuple) *Conn {
	c := &Conn{ns: n, local: netip.AddrPortFrom(tuple.Src, tuple.SrcPort), remote: netip.AddrPortFrom(tuple.Dst, tuple.DstPort)}
	c.iss = n.kernel.random.Uint32()
	c.ipID = uint16(n.kernel.random.Uint32())
	c.una, c.next = c.iss, c.iss
	c.mss = 536
	put(&n.conns, tuple, c)
	return c
}

// Local and Remote are the two ends.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Remote is the peer's address as the socket knows it.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// State is the connection's state.
func (c *Conn) State() TCPState { return c.state }

// Since is when the connection came into its state.
func (c *Conn) Since() time.Duration { return c.since }

func (c *Conn) tuple() packet.Tuple {
	return packet.Tuple{Src: c.local.Addr(), Dst: c.remote.Addr(), SrcPort: c.local.Port(), DstPort: c.remote.Port(), Proto: packet.TCP}
}

// Write queues data to be sent.
func (c *Conn) Write(b []byte) {
	if c.closing || c.state == Closed || c.state == TimeWait {
		return
	}
	c.unsent = append(c.unsent, b...)
	if c.state == Established || c.state == CloseWait {
		c.push()
	}
}

// Close sends what is queued, then a FIN. A connection that is not open yet is given up.
func (c *Conn) Close() {
	if c.closing || c.state == Closed {
		return
	}
	c.OnConnect, c.OnData, c.OnEOF, c.OnError = nil, nil, nil, nil
	if c.state == SynSent {
		c.forget("closed by its owner")
		return
	}
	c.closing = true
	if c.state == Established || c.state == CloseWait {
		c.push()
	}
}

// Abort resets the connection, as a close with unread data or a killed process does.
func (c *Conn) Abort() {
	if c.state == Closed {
		return
	}
	if c.state != SynSent && c.state != TimeWait {
		c.emit(packet.RST|packet.ACK, c.next, c.rcvNext, nil, 0)
	}
	c.OnConnect, c.OnData, c.OnEOF, c.OnError = nil, nil, nil, nil
	c.forget("aborted")
}

// push sends what may be sent: queued data, then the FIN.
func (c *Conn) push() {
	for len(c.unsent) > 0 {
		n := min(len(c.unsent), int(c.mss))
		data := c.unsent[:n:n]
		c.unsent = c.unsent[n:]
		flags := packet.ACK
		if len(c.unsent) == 0 {
			flags |= packet.PSH
		}
		c.transmit(flags, data)
	}
	if c.closing && !c.finSent {
		c.finSent = true
		c.transmit(packet.FIN|packet.ACK, nil)
		if c.state == CloseWait {
			c.to(LastAck, "")
		} else {
			c.to(FinWait1, "")
		}
	}
	if len(c.unacked) > 0 && !c.ns.kernel.engine.Pending(c.timer) {
		c.arm()
	}
}

// transmit sends a segment that must be acknowledged.
func (c *Conn) transmit(flags packet.Flags, data []byte) {
	s := segment{seq: c.next, flags: flags, data: data, sent: c.ns.kernel.engine.Now()}
	c.unacked = append(c.unacked, s)
	c.next = s.end()
	c.sendSegment(&c.unacked[len(c.unacked)-1])
}

func (c *Conn) sendSegment(s *segment) {
	mss := uint16(0)
	if s.flags&packet.SYN != 0 {
		mss = c.ownMSS()
	}
	c.emit(s.flags, s.seq, c.rcvNext, s.data, mss)
}

// ownMSS is what the namespace announces: the MTU of the way to the peer, less the IP and TCP headers.
// Source: Linux net/ipv4/route.c, ipv4_default_advmss.
func (c *Conn) ownMSS() uint16 {
	mtu := 1500
	if r := c.ns.lookupOut(c.remote.Addr()); r != nil && r.Dev != 0 {
		mtu = c.ns.devices[r.Dev].MTUBytes
	}
	return uint16(min(max(mtu-40, 256), 65495))
}

func (c *Conn) emit(flags packet.Flags, seq, ack uint32, data []byte, mss uint16) {
	p := &packet.Packet{Src: c.local.Addr(), SrcPort: c.local.Port(), Dst: c.remote.Addr(), DstPort: c.remote.Port(), Proto: packet.TCP,
		TTL: c.ns.Sysctl.IPDefaultTTL, ID: c.ipID, Flags: flags, Seq: seq, Window: initialWindow, MSS: mss}
	c.ipID++
	if flags&packet.ACK != 0 {
		p.Ack = ack
	}
	if len(data) > 0 {
		p.Payload = packet.Bytes(data)
	}
	c.ns.output(p)
}

func (c *Conn) ack() { c.emit(packet.ACK, c.next, c.rcvNext, nil, 0) }

// Fire is the retransmission timer, and the end of TIME-WAIT. The engine calls it.
func (c *Conn) Fire() {
	switch c.state {
	case TimeWait, FinWait2:
		c.forget("")
		return
	case Closed:
		return
	}
	if len(c.unacked) == 0 {
		return
	}
	if c.retries >= c.maxRetries() {
		c.ns.kernel.log.Emit(trace.Record{Kind: trace.Timer, Actor: c.ns.label, What: c.ns.kernel.log.Name("retransmission"), Text: c.tuple().String() + " gives up in " + c.state.String()})
		if c.state == SynRecv {
			c.forget("no answer to the SYN-ACK")
			return
		}
		c.fail(ETIMEDOUT)
		return
	}
	c.retries++
	c.totalRTO++
	s := &c.unacked[0]
	s.again = true
	c.sendSegment(s)
	if c.state != SynSent || c.totalRTO > c.ns.Sysctl.TCPSynLinearTimeouts {
		c.rto = min(2*c.rto, rtoMax)
	}
	c.arm()
}

// maxRetries is after how many retransmissions a connection is given up.
// Source: Linux net/ipv4/tcp_timer.c, tcp_write_timeout; net/ipv4/inet_connection_sock.c, reqsk_timer_handler.
func (c *Conn) maxRetries() int {
	switch c.state {
	case SynSent:
		return c.ns.Sysctl.TCPSynRetries + c.ns.Sysctl.TCPSynLinearTimeouts
	case SynRecv:
		return c.ns.Sysctl.TCPSynAckRetries
	case FinWait1, LastAck, Closing:
		return orphanRetries
	}
	return c.ns.Sysctl.TCPRetries2
}

func (c *Conn) arm() { c.armFor(c.rto) }

func (c *Conn) armFor(d time.Duration) {
	k := c.ns.kernel
	k.engine.Stop(c.timer)
	before := k.engine.Cause()
	c.timer = k.engine.At(k.wheel.expiry(k.engine.Now(), d), "tcp: timer", c)
	k.engine.SetCause(before)
}

// to changes the state and records it.
func (c *Conn) to(s TCPState, why string) {
	k := c.ns.kernel
	before := c.state
	c.state, c.since = s, k.engine.Now()
	text := c.tuple().String()
	if why != "" {
		text += ": " + why
	}
	cause := k.engine.Cause()
	k.log.Emit(trace.Record{Kind: trace.Socket, Actor: c.ns.label, What: k.change(before, s), Text: text})
	if s == Closed {
		return
	}
	k.engine.SetCause(cause)
}

// forget ends the connection without telling its owner.
func (c *Conn) forget(why string) {
	c.ns.kernel.engine.Stop(c.timer)
	if c.ns.conns[c.tuple()] == c {
		delete(c.ns.conns, c.tuple())
	}
	c.unacked, c.unsent = nil, nil
	c.to(Closed, why)
}

// fail ends the connection and tells its owner why.
func (c *Conn) fail(err Errno) {
	onConnect, onError, opening := c.OnConnect, c.OnError, c.state == SynSent
	c.forget(string(err))
	switch {
	case opening && onConnect != nil:
		onConnect(err)
	case !opening && onError != nil:
		onError(err)
	}
}

// Connections calls yield for each connection of the namespace, in no particular order.
func (n *Namespace) Connections(yield func(*Conn)) {
	for _, c := range n.conns {
		yield(c)
	}
}
