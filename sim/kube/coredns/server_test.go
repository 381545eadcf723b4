package coredns

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

type services struct{}

func (services) ClusterIP(ns, name string) (netip.Addr, bool) {
	return netip.MustParseAddr("10.100.1.2"), ns == "shop" && name == "web"
}
func (services) HasNamespace(ns string) bool { return ns == "shop" }

// What is answered, for how long it is kept, and how often the upstream is asked.
func TestAnswers(t *testing.T) {
	e := engine.New(engine.Options{Seed: 1})
	log := trace.New(e)
	var serial uint64
	host := func(name, a string) (*linux.Namespace, *linux.Device) {
		n := linux.NewKernel(e, log, name, linux.DefaultSysctls(), &serial, linux.KernelOptions{}).NewNamespace(name)
		d := n.AddDevice("eth0", 1500)
		n.AddAddr(d, netip.MustParseAddr(a))
		n.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, d)
		return n, d
	}
	server, sd := host("coredns", "10.0.0.2")
	peer, pd := host("peer", "10.0.0.3") // the client and the upstream
	linux.Pair(sd, pd)
	if _, err := Start(log, server, netip.MustParseAddr("10.0.0.3"), services{}); err != nil {
		t.Fatal(err)
	}
	asked := 0
	up, _ := peer.ListenUDP(netip.Addr{}, dns.Port)
	up.OnPacket = func(p *packet.Packet) {
		asked++
		q := p.Payload.(*dns.Message)
		a := q.Answer()
		if q.Name == "lb.example." {
			a.TTL = 60 * time.Second
			a.Addrs = []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2"), netip.MustParseAddr("10.9.0.3")}
		} else {
			a.RCode, a.TTL, a.Zone = dns.NXDomain, 300*time.Second, "example."
		}
		up.SendFrom(p.Dst, netip.AddrPortFrom(p.Src, p.SrcPort), a)
	}
	ask := func(name string) (got *dns.Message) {
		t.Helper()
		s, err := peer.DialUDP(netip.MustParseAddrPort("10.0.0.2:53"))
		if err != nil {
			t.Fatal(err)
		}
		s.OnPacket = func(p *packet.Packet) { got = p.Payload.(*dns.Message) }
		s.Send(&dns.Message{ID: 7, Name: name, Type: dns.A})
		if err := e.Run(e.Now()+100*time.Millisecond, nil); err != nil {
			t.Fatal(err)
		}
		if got == nil || got.ID != 7 {
			t.Fatalf("%s: %v", name, got)
		}
		return got
	}
	for _, c := range []struct {
		at    time.Duration
		name  string
		rcode dns.RCode
		ttl   time.Duration
		addrs int
		asked int // in all
	}{
		{0, "web.shop.svc.cluster.local.", dns.NoError, 5 * time.Second, 1, 0},
		{time.Second, "nobody.shop.svc.cluster.local.", dns.NXDomain, 5 * time.Second, 0, 0},
		{2 * time.Second, "lb.example.", dns.NoError, 30 * time.Second, 3, 1}, // 60 s upstream, capped at once
		{12500 * time.Millisecond, "lb.example.", dns.NoError, 20 * time.Second, 3, 1},
		{33 * time.Second, "lb.example.", dns.NoError, 30 * time.Second, 3, 2}, // it had expired
		{40 * time.Second, "none.example.", dns.NXDomain, 30 * time.Second, 0, 3},
		{69500 * time.Millisecond, "none.example.", dns.NXDomain, time.Second, 0, 3},
	} {
		if err := e.Run(c.at, nil); err != nil {
			t.Fatal(err)
		}
		if m := ask(c.name); m.RCode != c.rcode || m.TTL != c.ttl || len(m.Addrs) != c.addrs || asked != c.asked {
			t.Errorf("%v %s: %v ttl %v, asked %d times", c.at, c.name, m, m.TTL, asked)
		}
	}
	// Cached answers are shuffled at every query.
	orders := map[string]bool{}
	for range 40 {
		orders[fmt.Sprint(ask("lb.example.").Addrs)] = true
	}
	if len(orders) != 6 {
		t.Errorf("%d of 6 orders in 40 answers", len(orders))
	}
}
