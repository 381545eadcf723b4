package linux

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// lab is two hosts with a router between them: a (10.0.1.2) - r - b (10.0.2.2).
type lab struct {
	e       *engine.Engine
	log     *trace.Log
	a, r, b *Namespace
	serial  uint64
	drops   []string
}

func addr(s string) netip.Addr         { return netip.MustParseAddr(s) }
func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
func pfx(s string) netip.Prefix        { return netip.MustParsePrefix(s) }

func newLab(t testing.TB, sysctls Sysctls, opts KernelOptions) *lab {
	l := &lab{e: engine.New(engine.Options{Seed: 1})}
	l.log = trace.New(l.e)
	l.log.Attach(trace.Set(trace.Drop), func(r *trace.Record) {
		l.drops = append(l.drops, fmt.Sprintf("%s %s", l.log.String(r.Actor), strings.TrimPrefix(l.log.String(r.Reason), "SKB_DROP_REASON_")))
	})
	kernel := func(name string) *Namespace {
		return NewKernel(l.e, l.log, name, sysctls, &l.serial, opts).NewNamespace(name)
	}
	l.a, l.r, l.b = kernel("a"), kernel("r"), kernel("b")
	l.r.Forwarding = true
	for i, h := range []*Namespace{l.a, l.b} {
		d, up := h.AddDevice("eth0", 1500), l.r.AddDevice(fmt.Sprintf("eth%d", i), 1500)
		Pair(d, up)
		h.AddAddr(d, addr(fmt.Sprintf("10.0.%d.2", i+1)))
		l.r.AddAddr(up, addr(fmt.Sprintf("10.0.%d.1", i+1)))
		h.AddRoute(route.Route{Dst: pfx("0.0.0.0/0"), Via: up.Addr()}, d)
		l.r.AddRoute(route.Route{Dst: pfx(fmt.Sprintf("10.0.%d.0/24", i+1))}, up)
	}
	return l
}

func (l *lab) run(t testing.TB, until time.Duration) {
	t.Helper()
	if err := l.e.Run(until, nil); err != nil {
		t.Fatal(err)
	}
}

// serve answers each request with what f makes of it.
func serve(t testing.TB, n *Namespace, port uint16, f func(c *Conn, b []byte)) {
	if _, err := n.Listen(netip.Addr{}, port, func(c *Conn) {
		c.OnData = func(b []byte) { f(c, b) }
		c.OnEOF = func() { c.Close() }
	}); err != nil {
		t.Fatal(err)
	}
}

func TestTCPCarriesARequestAndClosesBothSides(t *testing.T) {
	l := newLab(t, DefaultSysctls(), KernelOptions{})
	big := strings.Repeat("x", 5000)
	serve(t, l.b, 80, func(c *Conn, b []byte) { c.Write([]byte(big + string(b))) })
	var got strings.Builder
	c, err := l.a.Dial(addrPort("10.0.2.2:80"))
	if err != nil {
		t.Fatal(err)
	}
	c.OnConnect = func(err error) {
		if err != nil {
			t.Error(err)
		}
		c.Write([]byte("ping"))
	}
	c.OnData = func(b []byte) {
		got.Write(b)
		if got.Len() == len(big)+4 {
			c.Close()
		}
	}
	l.run(t, time.Second)
	if got.String() != big+"ping" {
		t.Errorf("got %d bytes", got.Len())
	}
	if c.State() != TimeWait {
		t.Errorf("the side that closed first is in %v", c.State())
	}
	l.b.Connections(func(c *Conn) { t.Errorf("the server still has %v", c.State()) })
	l.run(t, 2*time.Minute)
	if c.State() != Closed || len(l.drops) > 0 {
		t.Errorf("%v, drops %v", c.State(), l.drops)
	}
}

func TestRefusedAndUnreachable(t *testing.T) {
	l := newLab(t, DefaultSysctls(), KernelOptions{})
	for _, c := range []struct {
		to   string
		want error
		drop string
	}{
		{"10.0.2.2:81", ECONNREFUSED, "b/eth0 NO_SOCKET"},
		{"10.9.9.9:80", EHOSTUNREACH, "r/eth0 IP_INNOROUTES"},
	} {
		l.drops = nil
		var got error
		conn, err := l.a.Dial(addrPort(c.to))
		if err != nil {
			t.Fatal(err)
		}
		conn.OnConnect = func(err error) { got = err }
		l.run(t, l.e.Now()+time.Second)
		if got != c.want || !slices.Equal(l.drops, []string{c.drop}) {
			t.Errorf("%s: %v, drops %v", c.to, got, l.drops)
		}
	}
}

// The schedules of ip-sysctl.rst, with ideal timers, and as a kernel with ticks has them.
func TestSYNSchedule(t *testing.T) {
	sec := func(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }
	for _, c := range []struct {
		name            string
		retries, linear int
		offsets         []float64
		fails           float64
	}{
		{"before Linux 6.5", 6, 0, []float64{0, 1, 3, 7, 15, 31, 63}, 127},
		{"since", 6, 4, []float64{0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67}, 131},
		{"two retries", 2, 0, []float64{0, 1, 3}, 7},
		{"many: no gap over 120 s", 8, 0, []float64{0, 1, 3, 7, 15, 31, 63, 127, 247}, 367},
	} {
		for _, hz := range []int{0, 250} {
			s := DefaultSysctls()
			s.TCPSynRetries, s.TCPSynLinearTimeouts = c.retries, c.linear
			l := newLab(t, s, KernelOptions{TimerHZ: hz})
			l.r.Netfilter().Append(netfilter.Filter, "FORWARD", 0, netfilter.Rule{Target: netfilter.Target{Verb: netfilter.Drop}})
			var sent []time.Duration
			l.log.Attach(trace.Set(trace.Out), func(r *trace.Record) { sent = append(sent, r.Time) })
			var failed time.Duration
			conn, _ := l.a.Dial(addrPort("10.0.2.2:80"))
			conn.OnConnect = func(err error) {
				if err != ETIMEDOUT {
					t.Error(err)
				}
				failed = l.e.Now()
			}
			l.run(t, 10*time.Minute)
			if len(sent) != len(c.offsets) {
				t.Errorf("%s: %d SYNs", c.name, len(sent))
				continue
			}
			slack := time.Duration(0)
			if hz != 0 {
				slack = sec(5)
			}
			for i, at := range sent {
				if d := at - sent[0] - sec(c.offsets[i]); d < 0 || d > slack {
					t.Errorf("%s, %d Hz: SYN %d at %v", c.name, hz, i+1, at-sent[0])
				}
			}
			if d := failed - sec(c.fails); d < 0 || d > slack+2*time.Millisecond {
				t.Errorf("%s, %d Hz: gave up at %v", c.name, hz, failed)
			}
		}
	}
}

// Gaps that a capture on a kernel with 250 ticks a second shows; they follow from one phase of its clock.
func TestWheelGivesTheGapsOfACapture(t *testing.T) {
	want := []float64{1.016, 2.016, 4.160, 8.192, 16.128, 33.024, 65.536}
	w := wheel{tick: 4 * time.Millisecond, phase: 250 * 4 * time.Millisecond}
	now := time.Duration(0)
	for i, nominal := 0, time.Second; i < len(want); i, nominal = i+1, 2*nominal {
		next := w.expiry(now, nominal)
		if got := (next - now).Seconds(); got != want[i] {
			t.Errorf("gap %d is %v s, want %v", i+1, got, want[i])
		}
		now = next
	}
}

func TestSYNACKIsRepeatedThenForgotten(t *testing.T) {
	l := newLab(t, DefaultSysctls(), KernelOptions{})
	serve(t, l.b, 80, func(*Conn, []byte) {})
	// Everything from b is lost.
	l.r.Netfilter().Append(netfilter.Filter, "FORWARD", 0, netfilter.Rule{In: "eth1", Target: netfilter.Target{Verb: netfilter.Drop}})
	sent := 0
	l.log.Attach(trace.Set(trace.Out), func(r *trace.Record) {
		if r.Packet.Flags == packet.SYN|packet.ACK {
			sent++
		}
	})
	l.b.deliver(l.b.Device("eth0"), &packet.Packet{Src: addr("10.0.1.2"), Dst: addr("10.0.2.2"), SrcPort: 5, DstPort: 80, Proto: packet.TCP, TTL: 60, Flags: packet.SYN})
	l.run(t, 62*time.Second)
	open := 0
	l.b.Connections(func(*Conn) { open++ })
	l.run(t, 64*time.Second)
	left := 0
	l.b.Connections(func(*Conn) { left++ })
	if sent != 6 || open != 1 || left != 0 {
		t.Errorf("%d SYN-ACKs, %d then %d half-open", sent, open, left)
	}
}

func TestLostDataIsSentAgain(t *testing.T) {
	l := newLab(t, DefaultSysctls(), KernelOptions{})
	var got []string
	serve(t, l.b, 80, func(_ *Conn, b []byte) { got = append(got, string(b)) })
	c, _ := l.a.Dial(addrPort("10.0.2.2:80"))
	l.run(t, 100*time.Millisecond)
	block := l.r.Netfilter()
	block.Append(netfilter.Filter, "FORWARD", 0, netfilter.Rule{Target: netfilter.Target{Verb: netfilter.Drop}})
	c.Write([]byte("late"))
	l.run(t, 300*time.Millisecond)
	if len(got) != 0 {
		t.Fatal("the block does not block")
	}
	block.SetChain(netfilter.Filter, "FORWARD", nil, 0)
	l.run(t, 2*time.Second)
	if !slices.Equal(got, []string{"late"}) {
		t.Errorf("%q", got)
	}
}

func TestTTLEndsWithAnICMPError(t *testing.T) {
	s := DefaultSysctls()
	s.IPDefaultTTL = 1
	l := newLab(t, s, KernelOptions{})
	var got error
	c, _ := l.a.Dial(addrPort("10.0.2.2:80"))
	c.OnConnect = func(err error) { got = err }
	l.run(t, time.Second)
	if got != EHOSTUNREACH || !slices.Equal(l.drops, []string{"r/eth0 IP_INHDR"}) {
		t.Errorf("%v %v", got, l.drops)
	}
}

func TestSourceValidation(t *testing.T) {
	for _, c := range []struct {
		name     string
		src      string
		rpFilter int
		off      bool
		want     string
	}{
		{"an ordinary source", "10.0.1.2", 2, false, ""},
		{"the host's own address from outside", "10.0.2.2", 0, false, "b/eth0 IP_LOCAL_SOURCE"},
		{"the same without the check", "10.0.2.2", 0, true, ""},
		{"a source that routes to another device, loose", "10.7.0.1", 2, false, ""},
		{"the same, strict", "10.7.0.1", 1, false, "b/eth0 IP_RPFILTER"},
		{"loopback", "127.0.0.1", 0, false, "b/eth0 IP_INVALID_SOURCE"},
	} {
		l := newLab(t, DefaultSysctls(), KernelOptions{Switches: Switches{NoMartianCheck: c.off}})
		other := l.b.AddDevice("eth1", 1500)
		l.b.AddRoute(route.Route{Dst: pfx("10.7.0.0/16")}, other)
		l.b.Device("eth0").RPFilter = c.rpFilter
		got := ""
		s, _ := l.b.ListenUDP(netip.Addr{}, 9)
		received := false
		s.OnPacket = func(*packet.Packet) { received = true }
		l.b.Device("eth0").Receive(&packet.Packet{Src: addr(c.src), Dst: addr("10.0.2.2"), SrcPort: 5, DstPort: 9, Proto: packet.UDP, TTL: 9})
		if len(l.drops) > 0 {
			got = l.drops[0]
		}
		if got != c.want || received != (c.want == "") {
			t.Errorf("%s: dropped %q, want %q", c.name, got, c.want)
		}
	}
}

// kube-proxy's way: a port of the router leads to b, which sees the router's address; the answer is translated back.
func TestDNATWithMasquerade(t *testing.T) {
	l := newLab(t, DefaultSysctls(), KernelOptions{})
	nf := l.r.Netfilter()
	nf.Append(netfilter.NAT, "PREROUTING", 0, netfilter.Rule{Proto: packet.TCP, DstPort: 30161, DstType: netfilter.LocalType, Target: netfilter.Target{Verb: netfilter.Jump, Chain: "X"}})
	nf.SetChain(netfilter.NAT, "X", []netfilter.Rule{
		{Target: netfilter.Target{Verb: netfilter.SetMark, Value: 0x4000, Mask: 0x4000}},
		{Target: netfilter.Target{Verb: netfilter.DNATTo, Addr: addr("10.0.2.2"), Port: 80}},
	}, 0)
	nf.Append(netfilter.NAT, "POSTROUTING", 0, netfilter.Rule{Mark: 0x4000, MarkMask: 0x4000, Target: netfilter.Target{Verb: netfilter.Masquerade, RandomFully: true}})
	var seen netip.AddrPort
	serve(t, l.b, 80, func(c *Conn, b []byte) { seen = c.Remote(); c.Write(b) })
	c, _ := l.a.Dial(addrPort("10.0.1.1:30161"))
	echoed := ""
	c.OnConnect = func(error) { c.Write([]byte("hello")) }
	c.OnData = func(b []byte) { echoed = string(b) }
	l.run(t, time.Second)
	if echoed != "hello" || seen.Addr() != addr("10.0.2.1") || seen.Port() == c.Local().Port() {
		t.Errorf("echo %q; b saw %v", echoed, seen)
	}
	if n := l.r.Conntrack().Len(); n != 1 {
		t.Errorf("%d connections are tracked", n)
	}
	// Without the translation back, the answer meets no socket.
	l.r.Conntrack().DisableReversal = true
	l.drops = nil
	d, _ := l.a.Dial(addrPort("10.0.1.1:30161"))
	d.OnConnect = func(err error) { t.Errorf("connected: %v", err) }
	l.run(t, 1500*time.Millisecond)
	if len(l.drops) == 0 {
		t.Error("no drop without the translation back")
	}
}

// BenchmarkHops counts device crossings of echoed datagrams through a router that tracks connections, the running hash on.
func BenchmarkHops(b *testing.B) {
	l := newLab(b, DefaultSysctls(), KernelOptions{})
	nf := l.r.Netfilter()
	for i := range 10 {
		nf.Append(netfilter.NAT, "PREROUTING", 0, netfilter.Rule{Proto: packet.TCP, DstPort: uint16(30000 + i), Target: netfilter.Target{Verb: netfilter.DNATTo, Addr: addr("10.0.2.2")}})
		nf.Append(netfilter.Filter, "FORWARD", 0, netfilter.Rule{Mark: 1, MarkMask: 1, Target: netfilter.Target{Verb: netfilter.Drop}})
	}
	server, _ := l.b.ListenUDP(netip.Addr{}, 7)
	server.OnPacket = func(p *packet.Packet) { server.SendFrom(p.Dst, netip.AddrPortFrom(p.Src, p.SrcPort), p.Payload) }
	hops := 0
	l.log.Attach(trace.Set(trace.Out, trace.In), func(*trace.Record) { hops++ })
	for range 16 {
		s, _ := l.a.DialUDP(addrPort("10.0.2.2:7"))
		s.OnPacket = func(p *packet.Packet) { s.Send(p.Payload) }
		s.Send(packet.Bytes("ping"))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for hops < b.N {
		l.e.RunWhile(func() bool { return hops < b.N }, nil)
	}
	b.ReportMetric(float64(hops)/b.Elapsed().Seconds(), "hops/s")
}
