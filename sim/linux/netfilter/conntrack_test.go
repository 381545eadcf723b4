package netfilter

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
)

var (
	client = netip.MustParseAddr("192.168.41.36")
	node   = netip.MustParseAddr("192.168.55.245")
	pod    = netip.MustParseAddr("192.168.73.88")
)

// bench is a table with a clock of its own.
type bench struct {
	*Table
	now time.Duration
}

func newBench() *bench {
	b := &bench{}
	b.Table = NewTable(func() time.Duration { return b.now }, rand.New(rand.NewPCG(1, 2)), DefaultTimeouts())
	return b
}

// segment takes one segment through conntrack, as a router would: the nat decisions of a node port, then confirmation.
func (b *bench) segment(t *testing.T, src netip.Addr, sport uint16, dst netip.Addr, dport uint16, fl packet.Flags) (*Conn, State) {
	t.Helper()
	p := &packet.Packet{Src: src, Dst: dst, SrcPort: sport, DstPort: dport, Proto: packet.TCP, Flags: fl}
	c, dir, state := b.In(p)
	if c == nil {
		return nil, state
	}
	if dir == Original && c.NeedsNAT(Prerouting) {
		b.Bind(c, Prerouting, Decision{Verb: DNATTo, Target: &Target{Addr: pod, Port: 80}}, netip.Addr{})
		b.Bind(c, Postrouting, Decision{Verb: Masquerade, Target: &Target{RandomFully: true}}, node)
	}
	if !b.Confirm(c) {
		t.Fatal("not confirmed")
	}
	return c, state
}

// The states of connections as nf_conntrack_proto_tcp.c has them.
func TestTCPStates(t *testing.T) {
	type step struct {
		reply bool
		flags packet.Flags
		after time.Duration
		want  TCPState
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"opened and closed by the client", []step{{false, packet.SYN, 0, SynSent}, {true, packet.SYN | packet.ACK, 0, SynRecv}, {false, packet.ACK, 0, EstablishedTCP}, {false, packet.FIN | packet.ACK, 0, FinWait},
			{true, packet.ACK, 0, CloseWait}, {true, packet.FIN | packet.ACK, 0, LastAck}, {false, packet.ACK, 0, TimeWait}}},
		{"reset by the client in answer to a SYN-ACK", []step{{false, packet.SYN, 0, SynSent}, {true, packet.SYN | packet.ACK, 0, SynRecv}, {false, packet.RST, 0, Close}}},
		{"refused", []step{{false, packet.SYN, 0, SynSent}, {true, packet.RST | packet.ACK, 0, Close}}},
		{"a SYN in the middle is ignored", []step{{false, packet.SYN, 0, SynSent}, {true, packet.SYN | packet.ACK, 0, SynRecv}, {false, packet.ACK, 0, EstablishedTCP}, {false, packet.SYN, 0, EstablishedTCP}}},
	} {
		b := newBench()
		var conn *Conn
		for i, s := range c.steps {
			b.now += s.after
			if s.reply {
				r := conn.Tuples[Reply]
				b.segment(t, r.Src, r.SrcPort, r.Dst, r.DstPort, s.flags)
			} else {
				conn, _ = b.segment(t, client, 52618, node, 30161, s.flags)
			}
			if conn.State != s.want {
				t.Errorf("%s, segment %d: %v, want %v", c.name, i+1, conn.State, s.want)
			}
		}
	}
}

// A SYN on a connection that its own side had reset begins a new one, with new decisions; on one that the other side had reset it is ignored.
func TestASYNAfterAReset(t *testing.T) {
	for _, ownReset := range []bool{true, false} {
		b := newBench()
		first, _ := b.segment(t, client, 52618, node, 30161, packet.SYN)
		r := first.Tuples[Reply]
		b.segment(t, r.Src, r.SrcPort, r.Dst, r.DstPort, packet.SYN|packet.ACK)
		if ownReset {
			b.segment(t, client, 52618, node, 30161, packet.RST)
		} else {
			b.segment(t, client, 52618, node, 30161, packet.ACK)
			b.segment(t, r.Src, r.SrcPort, r.Dst, r.DstPort, packet.RST|packet.ACK)
		}
		b.now += time.Second
		second, _ := b.segment(t, client, 52618, node, 30161, packet.SYN)
		if anew := second != first; anew != ownReset {
			t.Errorf("reset by its own side %v: a new connection %v", ownReset, anew)
		}
		if ownReset && second.Tuples[Reply].DstPort == r.DstPort {
			t.Error("the new connection has the old source port")
		}
	}
}

func TestTimeouts(t *testing.T) {
	b := newBench()
	first, _ := b.segment(t, client, 52618, node, 30161, packet.SYN)
	b.now = 100 * time.Second
	if again, _ := b.segment(t, client, 52618, node, 30161, packet.SYN); again != first {
		t.Error("a retransmitted SYN began a new connection")
	}
	b.now = 121 * time.Second // a retransmission does not prolong the entry
	if again, _ := b.segment(t, client, 52618, node, 30161, packet.SYN); again == first {
		t.Error("the entry outlived its 120 s")
	}
	if c, state := b.segment(t, client, 1, node, 2, packet.RST); c != nil || state != Invalid {
		t.Errorf("a reset out of nothing is %v", state)
	}
	if c, _ := b.segment(t, client, 3, node, 4, packet.ACK); c == nil || c.State != EstablishedTCP {
		t.Error("a connection is not picked up in the middle")
	}
}

// Without a rule the port is kept, unless the answer's tuple is taken: then it is changed all the same.
func TestPortsAreUnique(t *testing.T) {
	b := newBench()
	open := func(src netip.Addr, port uint16, d Decision) *Conn {
		p := &packet.Packet{Src: src, Dst: pod, SrcPort: port, DstPort: 80, Proto: packet.TCP, Flags: packet.SYN}
		c, _, _ := b.In(p)
		b.Bind(c, Prerouting, Decision{Verb: Accept}, netip.Addr{})
		if !b.Bind(c, Postrouting, d, node) || !b.Confirm(c) {
			t.Fatal("no port")
		}
		return c
	}
	masquerade := Decision{Verb: Masquerade, Target: &Target{}}
	if c := open(client, 5000, masquerade); c.Tuples[Reply].DstPort != 5000 {
		t.Errorf("without --random-fully the port became %d", c.Tuples[Reply].DstPort)
	}
	if c := open(netip.MustParseAddr("192.168.41.37"), 5000, masquerade); c.Tuples[Reply].DstPort == 5000 || c.Tuples[Reply].DstPort < 1024 {
		t.Errorf("a taken port became %d", c.Tuples[Reply].DstPort)
	}
	// The node's own connection from the same port: no rule says so, yet its source port changes.
	if c := open(node, 5000, Decision{Verb: Accept}); c.Tuples[Reply].DstPort == 5000 {
		t.Error("two connections have one answer")
	}
	if c := open(client, 700, Decision{Verb: Masquerade, Target: &Target{RandomFully: true}}); c.Tuples[Reply].DstPort < 600 || c.Tuples[Reply].DstPort > 1023 {
		t.Errorf("a privileged port became %d", c.Tuples[Reply].DstPort)
	}
}

func TestChance(t *testing.T) {
	if Chance(3) != 715827883 || Chance(2) != 1<<30 {
		t.Errorf("%d %d", Chance(3), Chance(2))
	}
}
