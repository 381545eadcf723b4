package vpc

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

type lab struct {
	e     *engine.Engine
	v     *VPC
	drops []string
}

func newLab(t testing.TB) *lab {
	l := &lab{e: engine.New(engine.Options{Seed: 1})}
	log := trace.New(l.e)
	log.Attach(trace.Set(trace.Drop), func(r *trace.Record) { l.drops = append(l.drops, log.String(r.Reason)) })
	l.v = New(l.e, log, netip.MustParsePrefix("10.0.0.0/16"), Options{})
	for i, z := range []string{"a", "b"} {
		if _, err := l.v.AddSubnet(z, z, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// port keeps what arrives.
type port struct{ got []packet.Packet }

func (p *port) Receive(x *packet.Packet) { p.got = append(p.got, *x) }

// An address of a subnet is reserved, free or used, and exactly one of these, whatever is taken and given back.
func TestAddressesAreConserved(t *testing.T) {
	for _, c := range []struct {
		cidr string
		size int
	}{{"10.0.9.0/28", 11}, {"10.0.10.0/26", 59}} { // of which AWS keeps 5
		l := newLab(t)
		s, err := l.v.AddSubnet("s", "a", netip.MustParsePrefix(c.cidr), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.Available() != c.size {
			t.Fatalf("%s has %d free addresses", c.cidr, s.Available())
		}
		r := l.e.Rand("test")
		used := map[netip.Addr]bool{}
		for range 2000 {
			if r.IntN(2) == 0 {
				a, err := s.Take(netip.Addr{})
				switch {
				case err != nil && len(used) != c.size:
					t.Fatalf("no free address with %d of %d used", len(used), c.size)
				case err == nil && (used[a] || s.reserved(a) || !s.CIDR.Contains(a)):
					t.Fatalf("%v was handed out", a)
				case err == nil:
					used[a] = true
				}
			} else {
				for a := range used {
					s.Give(a)
					delete(used, a)
					break
				}
			}
			if s.Available()+len(used) != c.size {
				t.Fatalf("%d free and %d used of %d", s.Available(), len(used), c.size)
			}
		}
	}
}

func TestSubnetsThatAWSRefuses(t *testing.T) {
	l := newLab(t)
	for _, cidr := range []string{"10.0.0.0/25", "10.1.0.0/24", "10.0.9.0/29"} {
		if _, err := l.v.AddSubnet("x", "a", netip.MustParsePrefix(cidr), false, nil); err == nil {
			t.Errorf("%s was taken", cidr)
		}
	}
}

func TestWhatTheFabricLetsThrough(t *testing.T) {
	tcp := func(src, dst netip.Addr, sport, dport uint16, fl packet.Flags) *packet.Packet {
		return &packet.Packet{Src: src, Dst: dst, SrcPort: sport, DstPort: dport, Proto: packet.TCP, TTL: 60, Flags: fl}
	}
	type world struct {
		*lab
		a, b   *Interface
		pa, pb *port
	}
	build := func() *world {
		w := &world{lab: newLab(t), pa: &port{}, pb: &port{}}
		ga, gb := w.v.AddSecurityGroup("a", nil), w.v.AddSecurityGroup("b", nil)
		gb.Ingress = []Permission{{Proto: packet.TCP, FromPort: 80, ToPort: 80, Group: ga.ID}}
		w.a, _ = w.v.Subnets()[0].AddInterface("a", netip.Addr{}, ga)
		w.b, _ = w.v.Subnets()[1].AddInterface("b", netip.Addr{}, gb)
		w.a.Attach(w.pa)
		w.b.Attach(w.pb)
		return w
	}
	for _, c := range []struct {
		name  string
		do    func(w *world)
		a, b  int // packets that arrive
		drops []string
	}{
		{"a rule that names the other's group, and the answer of the tracked flow", func(w *world) {
			w.a.Send(tcp(w.a.Primary(), w.b.Primary(), 9, 80, packet.SYN), 0)
			w.e.Run(time.Second, nil)
			w.b.Send(tcp(w.b.Primary(), w.a.Primary(), 80, 9, packet.SYN|packet.ACK), 0)
		}, 1, 1, nil},
		{"no rule for the port", func(w *world) { w.a.Send(tcp(w.a.Primary(), w.b.Primary(), 9, 81, packet.SYN), 0) }, 0, 0, []string{DropSGIngress}},
		{"an answer to nothing", func(w *world) { w.b.Send(tcp(w.b.Primary(), w.a.Primary(), 80, 9, packet.SYN|packet.ACK), 0) }, 0, 0, []string{DropSGIngress}},
		{"nothing may leave", func(w *world) {
			w.a.Groups[0].Egress = nil
			w.a.Send(tcp(w.a.Primary(), w.b.Primary(), 9, 80, packet.SYN), 0)
		}, 0, 0, []string{DropSGEgress}},
		{"a source that is not the interface's", func(w *world) { w.a.Send(tcp(w.b.Primary(), w.b.Primary(), 9, 80, packet.SYN), 0) }, 0, 0, []string{DropSourceCheck}},
		{"the same without the check", func(w *world) {
			w.a.SourceDestCheck = false
			w.b.Groups[0].Ingress = []Permission{{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
			w.a.Send(tcp(netip.MustParseAddr("10.0.7.7"), w.b.Primary(), 9, 80, packet.SYN), 0)
		}, 0, 1, nil},
		{"an address that nobody has", func(w *world) { w.a.Send(tcp(w.a.Primary(), netip.MustParseAddr("10.0.1.250"), 9, 80, packet.SYN), 0) }, 0, 0, []string{DropNoInterface}},
		{"a network ACL has no memory", func(w *world) {
			w.v.Subnets()[1].ACL = &NetworkACL{Ingress: []ACLEntry{{CIDR: netip.MustParsePrefix("0.0.0.0/0"), Allow: true}}}
			w.a.Send(tcp(w.a.Primary(), w.b.Primary(), 9, 80, packet.SYN), 0)
			w.e.Run(time.Second, nil)
			w.b.Send(tcp(w.b.Primary(), w.a.Primary(), 80, 9, packet.SYN|packet.ACK), 0)
		}, 0, 1, []string{DropACLEgress}},
		{"more than an MTU", func(w *world) {
			p := tcp(w.a.Primary(), w.b.Primary(), 9, 80, packet.ACK)
			p.Payload = packet.Bytes(make([]byte, 9000))
			w.a.Send(p, 0)
		}, 0, 0, []string{DropMTU}},
	} {
		w := build()
		c.do(w)
		if err := w.e.Run(w.e.Now()+time.Second, nil); err != nil {
			t.Fatal(err)
		}
		if len(w.pa.got) != c.a || len(w.pb.got) != c.b || len(w.drops) != len(c.drops) || len(c.drops) > 0 && w.drops[0] != c.drops[0] {
			t.Errorf("%s: %d and %d arrived, drops %v", c.name, len(w.pa.got), len(w.pb.got), w.drops)
		}
		for _, p := range append(w.pa.got, w.pb.got...) {
			if p.TTL != 60 {
				t.Errorf("%s: the fabric changed the TTL to %d", c.name, p.TTL)
			}
		}
	}
}

type sink struct{ n int }

func (s *sink) Query(*Interface, *packet.Packet) { s.n++ }

// 1024 packets a second and interface, each second anew; security groups do not matter.
func TestResolverLimit(t *testing.T) {
	l := newLab(t)
	s := &sink{}
	l.v.SetResolver(s)
	eni, _ := l.v.Subnets()[0].AddInterface("a", netip.Addr{}, l.v.AddSecurityGroup("none", nil))
	eni.Groups[0].Egress = nil
	for second := range 2 {
		l.e.Run(time.Duration(second)*time.Second, nil)
		for range 1100 {
			eni.Send(&packet.Packet{Src: eni.Primary(), Dst: l.v.Resolver(), Proto: packet.UDP, DstPort: 53, TTL: 9}, 0)
		}
	}
	l.e.Run(3*time.Second, nil)
	if s.n != 2*1024 || len(l.drops) != 2*76 || l.drops[0] != DropDNSLimit {
		t.Errorf("%d answered, %d dropped", s.n, len(l.drops))
	}
	if l.v.Resolver() != netip.MustParseAddr("10.0.0.2") {
		t.Errorf("the resolver is at %v", l.v.Resolver())
	}
}
