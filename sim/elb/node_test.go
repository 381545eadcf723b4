package elb

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// rig is a VPC with two zones, a load balancer with a node in each, and hosts that listen on port 30161.
type rig struct {
	e      *engine.Engine
	log    *trace.Log
	vpc    *vpc.VPC
	elb    *Service
	lb     *LoadBalancer
	tg     *TargetGroup
	hosts  map[string]*linux.Namespace
	groups *vpc.SecurityGroup
	serial uint64
	seen   map[string]netip.AddrPort // by host: the peer of the last connection
	flows  map[string]int            // SYNs that arrived, by host
}

func newRig(t *testing.T, opts Options) *rig {
	r := &rig{e: engine.New(engine.Options{Seed: 1}), hosts: map[string]*linux.Namespace{}, seen: map[string]netip.AddrPort{}, flows: map[string]int{}}
	r.log = trace.New(r.e)
	r.vpc = vpc.New(r.e, r.log, netip.MustParsePrefix("10.0.0.0/16"), vpc.Options{})
	for i, z := range []string{"a", "b"} {
		if _, err := r.vpc.AddSubnet("subnet-"+z, z, netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), false, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.groups = r.vpc.AddSecurityGroup("all", nil)
	r.groups.Ingress = []vpc.Permission{{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
	interfaces := map[string]*vpc.Interface{}
	r.elb = New(r.e, r.log, cloudtrail.New(r.e, r.log, 0), r.vpc, "1", "r", func(id string) *vpc.Interface { return interfaces[id] }, &r.serial, opts)
	r.tg = &TargetGroup{Name: "tg", Protocol: "TCP", Port: 30161, TargetType: "instance", Attributes: map[string]string{AttrPreserveClientIP: "true"},
		HealthCheck: HealthCheck{Protocol: "TCP", Port: "traffic-port", Interval: 30 * time.Second, Timeout: 10 * time.Second, HealthyThreshold: 3, UnhealthyThreshold: 3}}
	r.lb = &LoadBalancer{Name: "lb", DNSName: "lb.elb", State: "active", Attributes: map[string]string{}}
	for _, s := range r.vpc.Subnets() {
		n, err := r.elb.newNode(r.lb, s)
		if err != nil {
			t.Fatal(err)
		}
		r.lb.Nodes = append(r.lb.Nodes, n)
	}
	r.lb.Listeners = []*Listener{{Port: 80, Protocol: "TCP", TargetGroup: r.tg}}
	r.elb.lbs = append(r.elb.lbs, r.lb)
	r.elb.groups = append(r.elb.groups, r.tg)
	for _, h := range []struct {
		name string
		zone int
	}{{"a1", 0}, {"b1", 1}, {"b2", 1}, {"client", 1}} {
		eni, err := r.vpc.Subnets()[h.zone].AddInterface(h.name, netip.Addr{}, r.groups)
		if err != nil {
			t.Fatal(err)
		}
		interfaces[h.name] = eni
		ns := linux.NewKernel(r.e, r.log, h.name, linux.DefaultSysctls(), &r.serial, linux.KernelOptions{}).NewNamespace(h.name)
		d := ns.AddDevice("eth0", vpc.MTUBytes)
		d.Link = eni
		eni.Attach(d)
		ns.AddAddr(d, eni.Primary())
		ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, d)
		r.hosts[h.name] = ns
		if h.name != "client" {
			r.listen(t, h.name)
			r.tg.Targets = append(r.tg.Targets, &Target{ID: h.name, Port: 30161, Zone: eni.Subnet.Zone, Addr: eni.Primary(), Interface: eni})
		}
	}
	r.log.Attach(trace.Set(trace.In), func(rec *trace.Record) {
		if rec.Packet.DstPort == 30161 && rec.Packet.Flags == packet.SYN && rec.Packet.Src == r.hosts["client"].Device("eth0").Addr() {
			r.flows[r.log.String(rec.Actor)]++
		}
	})
	r.elb.listenersChanged(r.lb)
	r.run(t, 2*time.Minute)
	return r
}

func (r *rig) listen(t *testing.T, host string) *linux.Listener {
	l, err := r.hosts[host].Listen(netip.Addr{}, 30161, func(c *linux.Conn) {
		r.seen[host] = c.Remote()
		c.OnEOF = func() { c.Close() }
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (r *rig) run(t *testing.T, d time.Duration) {
	t.Helper()
	if err := r.e.Run(r.e.Now()+d, nil); err != nil {
		t.Fatal(err)
	}
}

// dial opens n connections to the load balancer's node in a zone and says how many opened.
func (r *rig) dial(t *testing.T, from string, zone, n int) (opened int) {
	for range n {
		c, err := r.hosts[from].Dial(netip.AddrPortFrom(r.lb.Nodes[zone].Addr, 80))
		if err != nil {
			t.Fatal(err)
		}
		c.OnConnect = func(err error) {
			if err == nil {
				opened++
			}
		}
		r.run(t, 10*time.Millisecond)
	}
	return opened
}

func TestTargetsOfTheZoneOnly(t *testing.T) {
	r := newRig(t, Options{})
	if n := r.dial(t, "client", 0, 20); n != 20 {
		t.Errorf("%d of 20 opened", n)
	}
	if r.flows["a1/eth0"] != 20 || len(r.flows) != 1 {
		t.Errorf("zone a's node sent to %v", r.flows)
	}
	clear(r.flows)
	r.dial(t, "client", 1, 40)
	if r.flows["a1/eth0"] != 0 || r.flows["b1/eth0"] == 0 || r.flows["b2/eth0"] == 0 {
		t.Errorf("zone b's node sent to %v", r.flows)
	}
	r.lb.Attributes[AttrCrossZone] = "true"
	r.elb.attributesChanged()
	r.run(t, time.Minute)
	clear(r.flows)
	r.dial(t, "client", 1, 60)
	if len(r.flows) != 3 {
		t.Errorf("with cross-zone on: %v", r.flows)
	}
}

func TestWhoTheTargetSees(t *testing.T) {
	r := newRig(t, Options{})
	client := r.hosts["client"].Device("eth0").Addr()
	r.dial(t, "client", 0, 1)
	if r.seen["a1"].Addr() != client {
		t.Errorf("preserved: the target sees %v", r.seen["a1"])
	}
	r.tg.Attributes[AttrPreserveClientIP] = "false"
	if r.dial(t, "client", 0, 5) != 5 {
		t.Error("not preserved: not all opened")
	}
	if r.seen["a1"].Addr() != r.lb.Nodes[0].Addr {
		t.Errorf("not preserved: the target sees %v, the node is %v", r.seen["a1"], r.lb.Nodes[0].Addr)
	}
}

// A target that calls the load balancer and is sent back to itself: source and destination are the same address.
func TestLoopbackToTheTargetItself(t *testing.T) {
	r := newRig(t, Options{})
	if n := r.dial(t, "a1", 0, 10); n != 0 {
		t.Errorf("preserved: %d of 10 opened", n)
	}
	if n := r.dial(t, "a1", 1, 10); n != 10 {
		t.Errorf("by the other zone: %d of 10 opened", n)
	}
	r.tg.Attributes[AttrPreserveClientIP] = "false"
	if n := r.dial(t, "a1", 0, 10); n != 10 {
		t.Errorf("not preserved: %d of 10 opened", n)
	}
}

func TestRetransmittedSYNGoesToTheSameTarget(t *testing.T) {
	for _, sticky := range []bool{true, false} {
		r := newRig(t, Options{Switches: Switches{NoStickiness: !sticky}})
		r.groups.Egress = nil // answers of the targets are dropped: the client sends its SYN again and again
		r.groups.Egress = []vpc.Permission{{CIDR: netip.PrefixFrom(r.lb.Nodes[1].Addr, 32)}}
		for _, eni := range r.tg.Targets {
			eni.Interface.OnLeave = append([]func(*packet.Packet) bool{func(p *packet.Packet) bool { p.Dst = netip.MustParseAddr("10.0.0.250"); return true }}, eni.Interface.OnLeave...)
		}
		before := map[string]int{}
		for range 4 {
			clear(r.flows)
			c, _ := r.hosts["client"].Dial(netip.AddrPortFrom(r.lb.Nodes[1].Addr, 80))
			r.run(t, 40*time.Second)
			c.Close()
			before[fmt.Sprint(len(r.flows))]++
		}
		if sticky && (before["1"] != 4) {
			t.Errorf("with a flow table SYNs of one connection went to several targets: %v", before)
		}
		if !sticky && before["1"] == 4 {
			t.Error("without a flow table every connection stayed with one target")
		}
	}
}

func TestZoneWithoutHealthyTargetLeavesDNS(t *testing.T) {
	r := newRig(t, Options{})
	names := func() string {
		a, ttl, known := r.elb.Resolve("LB.elb", "a")
		return fmt.Sprint(a, ttl, known)
	}
	both := fmt.Sprint([]netip.Addr{r.lb.Nodes[0].Addr, r.lb.Nodes[1].Addr}, nameTTL, true)
	if got := names(); got != both {
		t.Errorf("all healthy: %s, want %s", got, both)
	}
	// a1 stops: three failed checks of three checkers take half a minute.
	r.hosts["a1"].Netfilter()
	l := r.elb.lbs[0].Listeners[0].TargetGroup.Targets[0]
	r.groups.Ingress = []vpc.Permission{{CIDR: netip.MustParsePrefix("10.0.1.0/24")}}
	r.run(t, 8*time.Minute) // longer than the security group remembers closed flows
	if state, reason, _ := r.elb.Health(r.tg, l); state != "unhealthy" || reason != "Target.FailedHealthChecks" {
		t.Errorf("%s %s", state, reason)
	}
	if got, want := names(), fmt.Sprint([]netip.Addr{r.lb.Nodes[1].Addr}, nameTTL, true); got != want {
		t.Errorf("a without a healthy target: %s, want %s", got, want)
	}
	// None healthy: the load balancer fails open.
	r.groups.Ingress = nil
	r.run(t, 8*time.Minute)
	if got := names(); got != both {
		t.Errorf("none healthy: %s, want %s", got, both)
	}
}

func TestAffinityAnswersWithTheZoneOfWhoAsks(t *testing.T) {
	r := newRig(t, Options{})
	r.lb.Attributes[AttrRoutingPolicy] = "availability_zone_affinity"
	if a, _, _ := r.elb.Resolve("lb.elb", "b"); len(a) != 1 || a[0] != r.lb.Nodes[1].Addr {
		t.Errorf("%v", a)
	}
	if _, _, known := r.elb.Resolve("other.elb", "b"); known {
		t.Error("a name that is nobody's is known")
	}
}

// What the node does to TTL and MSS, and that an unknown flow is reset.
func TestHeaderFieldsAndUnknownFlows(t *testing.T) {
	r := newRig(t, Options{})
	var in, out []packet.Packet
	r.log.Attach(trace.Set(trace.In, trace.Out), func(rec *trace.Record) {
		if rec.Actor == r.lb.Nodes[0].Label() && rec.Packet.Flags == packet.SYN && rec.Packet.SrcPort > 30000 && rec.Packet.DstPort != 30161 {
			in = append(in, *rec.Packet)
		}
		if rec.Actor == r.lb.Nodes[0].Label() && rec.Kind == trace.Out && rec.Packet.DstPort == 30161 && rec.Packet.MSS == 8645 {
			out = append(out, *rec.Packet)
		}
	})
	r.dial(t, "client", 0, 1)
	if len(in) != 1 || len(out) != 1 || in[0].TTL-out[0].TTL != 1 || in[0].MSS != 8961 || in[0].ID != out[0].ID || in[0].Seq != out[0].Seq {
		t.Errorf("in %v, out %v", in, out)
	}
	reset := false
	c, _ := r.hosts["client"].Dial(netip.AddrPortFrom(r.lb.Nodes[0].Addr, 80))
	c.OnError = func(err error) { reset = err == linux.ECONNRESET }
	r.run(t, time.Second)
	r.run(t, idleTimeout)
	c.Write([]byte("late"))
	r.run(t, time.Second)
	if !reset {
		t.Error("data on a flow that was idle too long is not reset")
	}
}
