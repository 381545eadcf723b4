package netfilter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
)

// Direction of a packet within its connection.
type Direction uint8

// Directions.
const (
	Original Direction = iota
	Reply
)

// Conn is an entry of the connection tracking table.
type Conn struct {
	// Tuples is the flow as its first packet had it, and the flow that answers must have; NAT is the difference between the two.
	Tuples [2]packet.Tuple
	State  TCPState
	Mark   uint32

	snat, dnat       bool // the connection's source or destination is changed
	srcDone, dstDone bool // the nat table has been asked
	confirmed        bool
	seenReply        bool
	closeInit        [2]bool // this side sent the first FIN
	lastDir          Direction
	lastClass        class
	began            time.Duration
	expires          time.Duration
	natRule          [2]Decision // that chose the destination, the source
}

func (c *Conn) String() string {
	return fmt.Sprintf("%v %v [%v] reply %v", c.Tuples[0].Proto, c.Tuples[0], c.State, c.Tuples[1])
}

// Table is the connection tracking table of a namespace. Use NewTable.
type Table struct {
	conns    map[packet.Tuple]flow
	live     int
	sweepAt  int
	timeouts Timeouts
	random   *rand.Rand
	now      func() time.Duration

	// DisableReversal is a switch for experiments: answers are not translated back.
	DisableReversal bool
}

type flow struct {
	conn *Conn
	dir  Direction
}

// NewTable returns an empty table.
func NewTable(now func() time.Duration, random *rand.Rand, timeouts Timeouts) *Table {
	return &Table{conns: map[packet.Tuple]flow{}, now: now, random: random, timeouts: timeouts, sweepAt: 1024}
}

// Len is the number of connections that have not expired.
func (t *Table) Len() int {
	t.sweep()
	return t.live
}

// Lookup returns the connection that a tuple belongs to, and the tuple's direction in it.
func (t *Table) Lookup(tuple packet.Tuple) (*Conn, Direction) {
	f, ok := t.conns[tuple]
	if !ok {
		return nil, 0
	}
	if f.conn.expires <= t.now() {
		t.remove(f.conn)
		return nil, 0
	}
	return f.conn, f.dir
}

func (t *Table) remove(c *Conn) {
	delete(t.conns, c.Tuples[0])
	delete(t.conns, c.Tuples[1])
	t.live--
}

// sweep removes what has expired; the order in which it looks is of no effect.
func (t *Table) sweep() {
	now := t.now()
	for k, f := range t.conns {
		if f.dir == Original && f.conn.expires <= now {
			delete(t.conns, k)
			delete(t.conns, f.conn.Tuples[1])
			t.live--
		}
	}
}

// In finds or makes the connection of a packet that enters the namespace or leaves one of its sockets. A nil Conn with state Invalid
// is a packet that belongs to no connection and begins none. Errors of ICMP are Related to the connection they quote.
func (t *Table) In(p *packet.Packet) (*Conn, Direction, State) {
	if p.Proto == packet.ICMP {
		if p.Error != nil {
			if c, dir := t.Lookup(p.Error.Quoted); c != nil {
				return c, dir ^ 1, Related
			}
		}
		return nil, 0, Invalid
	}
	tuple := p.Tuple()
	for {
		c, dir := t.Lookup(tuple)
		if c == nil {
			c = &Conn{Tuples: [2]packet.Tuple{tuple, tuple.Reverse()}, began: t.now()}
			dir = Original
		}
		if p.Proto == packet.TCP {
			next, again := t.tcp(c, dir, p)
			if again {
				t.remove(c)
				continue
			}
			if next == sIV {
				return nil, 0, Invalid
			}
		} else {
			t.udp(c, dir)
		}
		if dir == Reply {
			c.seenReply = true
			return c, dir, Established
		}
		if c.seenReply {
			return c, dir, Established
		}
		return c, dir, New
	}
}

func (t *Table) udp(c *Conn, dir Direction) {
	timeout := t.timeouts.UDP
	if (c.seenReply || dir == Reply) && t.now()-c.began > t.timeouts.UDPStreamMinimum {
		timeout = t.timeouts.UDPStream
	}
	c.expires = t.now() + timeout
}

// tcp moves the connection's state by a segment. It returns invalid, or again when the connection must be deleted and the segment
// looked at anew, since it reopens a closed one.
func (t *Table) tcp(c *Conn, dir Direction, p *packet.Packet) (next TCPState, again bool) {
	cl := classOf(p.Flags)
	next = transitions[dir][cl][c.State]
	if next == SynSent && c.State >= TimeWait {
		// A SYN on a connection that was closed actively by either side, or reset by this one: a new connection. Reset by the
		// other side it is ignored: the old entry stays, with its translation, and the SYN-ACK takes it up again.
		if c.closeInit[0] || c.closeInit[1] || c.lastDir == dir && c.lastClass == rstSegment {
			return next, true
		}
		next = sIG
	}
	if next == sIG && cl == synAckSegment && c.lastClass == synSegment && c.lastDir != dir {
		next = SynRecv
	}
	switch next {
	case sIV:
		return sIV, false
	case sIG:
		c.lastDir, c.lastClass = dir, cl
		return sIG, false
	}
	if next == FinWait && c.State != FinWait {
		c.closeInit[dir] = true
	}
	if !c.seenReply && dir == Original && c.confirmed {
		switch {
		case cl == rstSegment: // nothing will come of it
			c.expires = t.now()
		case cl == synSegment && c.State == SynSent: // a retransmission does not prolong the entry
		default:
			c.expires = t.now() + t.timeouts.TCP[next]
		}
	} else {
		c.expires = t.now() + t.timeouts.TCP[next]
	}
	c.State, c.lastDir, c.lastClass = next, dir, cl
	return next, false
}

// Confirm enters a new connection into the table, when its first packet leaves the namespace or reaches a socket. It returns
// false if another connection has taken one of the tuples meanwhile; the packet is then dropped.
func (t *Table) Confirm(c *Conn) bool {
	if c == nil || c.confirmed {
		return true
	}
	if taken, _ := t.Lookup(c.Tuples[0]); taken != nil {
		return false
	}
	if taken, _ := t.Lookup(c.Tuples[1]); taken != nil {
		return false
	}
	c.confirmed = true
	t.conns[c.Tuples[0]] = flow{c, Original}
	t.conns[c.Tuples[1]] = flow{c, Reply}
	t.live++
	if t.live > t.sweepAt {
		t.sweep()
		t.sweepAt = max(1024, 2*t.live)
	}
	return true
}

// Entries calls yield for each connection that has not expired, in no particular order.
func (t *Table) Entries(yield func(*Conn)) {
	for _, f := range t.conns {
		if f.dir == Original && f.conn.expires > t.now() {
			yield(f.conn)
		}
	}
}

// Changed says whether NAT changes the connection.
func (c *Conn) Changed() bool { return c.snat || c.dnat }

// Translate rewrites a packet of the connection at a hook: the destination at Prerouting and Output, the source at Postrouting and
// Input, in the answer's direction back again. It returns whether it changed the packet, and the decision behind it.
func (t *Table) Translate(c *Conn, dir Direction, h Hook, p *packet.Packet) (bool, Decision) {
	if c == nil || !c.snat && !c.dnat {
		return false, Decision{}
	}
	source := h == Postrouting || h == Input
	applies := c.dnat
	which := 0
	if source != (dir == Reply) {
		applies, which = c.snat, 1
	}
	if !applies || dir == Reply && t.DisableReversal {
		return false, Decision{}
	}
	if p.Proto == packet.ICMP {
		return t.translateError(c, dir, source, p), c.natRule[which]
	}
	want := c.Tuples[dir^1].Reverse()
	before := p.Tuple()
	if source {
		p.Src, p.SrcPort = want.Src, want.SrcPort
	} else {
		p.Dst, p.DstPort = want.Dst, want.DstPort
	}
	return p.Tuple() != before, c.natRule[which]
}

// translateError rewrites the addresses of an ICMP error, outside and in what it quotes.
func (t *Table) translateError(c *Conn, dir Direction, source bool, p *packet.Packet) bool {
	want := c.Tuples[dir^1].Reverse()
	e := *p.Error
	if source {
		p.Src = want.Src
		e.Quoted.Dst, e.Quoted.DstPort = want.Src, want.SrcPort
	} else {
		p.Dst = want.Dst
		e.Quoted.Src, e.Quoted.SrcPort = want.Dst, want.DstPort
	}
	p.Error = &e
	return true
}

// NeedsNAT says whether the nat table has yet to be asked about a connection's destination (Prerouting, Output) or source
// (Postrouting, Input).
func (c *Conn) NeedsNAT(h Hook) bool {
	if c.confirmed {
		return false
	}
	if h == Postrouting || h == Input {
		return !c.srcDone
	}
	return !c.dstDone
}

// Bind applies what the nat table decided at a hook to a new connection: it changes the tuple that answers must have, and picks a free
// port where one is needed. masquerade is the address for MASQUERADE. It returns false if no port is free.
func (t *Table) Bind(c *Conn, h Hook, d Decision, masquerade netip.Addr) bool {
	answer := &c.Tuples[Reply]
	if h == Prerouting || h == Output {
		c.dstDone = true
		if d.Verb != DNATTo {
			return true
		}
		c.dnat, c.natRule[0] = true, d
		answer.Src = d.Target.Addr
		if d.Target.Port != 0 {
			answer.SrcPort = d.Target.Port
		}
		return true
	}
	c.srcDone = true
	random := false
	switch d.Verb {
	case SNATTo:
		answer.Dst, random = d.Target.Addr, d.Target.RandomFully
	case Masquerade:
		answer.Dst, random = masquerade, d.Target.RandomFully
	default: // no rule: still the answer's tuple must be free
		if taken, _ := t.Lookup(*answer); taken == nil {
			return true
		}
	}
	c.snat, c.natRule[1] = true, d
	if !random {
		if taken, _ := t.Lookup(*answer); taken == nil {
			return true
		}
	}
	low, n := portRange(c.Tuples[Original].SrcPort)
	for attempts := uint32(128); attempts >= 8; attempts /= 2 {
		start := t.random.Uint32N(1 << 16)
		for i := range min(attempts, n) {
			answer.DstPort = low + uint16((start+i)%n)
			if taken, _ := t.Lookup(*answer); taken == nil {
				return true
			}
		}
		if n <= attempts {
			break
		}
	}
	return false
}

// portRange is where a new source port is looked for, by the old one.
// Source: Linux net/netfilter/nf_nat_core.c, nf_nat_l4proto_unique_tuple.
func portRange(port uint16) (low uint16, n uint32) {
	switch {
	case port < 512:
		return 1, 511
	case port < 1024:
		return 600, 424
	}
	return 1024, 65536 - 1024
}
