package simulated

import (
	"bytes"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	gp "github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ekslab/ekslab/harness/backend"
)

func contains(prefix, a string) bool {
	return netip.MustParsePrefix(prefix).Contains(netip.MustParseAddr(a))
}

// One round of a hung connection is the eight packets of sheet 22, on the two interfaces of the client's node, with their TTL and MSS.
func TestTheEightPackets(t *testing.T) {
	d, err := (&Backend{}).Explain(t.Context(), plan(t, "broken", map[string]string{"connections": "100"}), 1)
	if err != nil {
		t.Fatal(err)
	}
	const node = "ip-192-168-55-245/"
	type seen struct {
		on     string
		out    bool
		ttl    int
		mss    int
		packet string
	}
	var got []seen
	var pod, nlb string
	for _, c := range d.Packets {
		dev, ours := strings.CutPrefix(c.Interface, node)
		if !ours {
			continue
		}
		words := strings.Fields(c.Packet) // SRC > DST FLAGS …
		if pod == "" {
			pod, nlb = words[0], words[2]
		}
		if dev != "eth0" {
			dev = "veth"
		}
		short := words[0] + " > " + words[2] + " " + words[3]
		short = strings.NewReplacer(pod, "POD", nlb, "NLB").Replace(short)
		got = append(got, seen{dev, c.Out, c.TTL, c.MSS, short})
	}
	np := strings.TrimPrefix(strings.Fields(got[2].packet)[2], "192.168.55.245:")
	snat := strings.TrimPrefix(strings.Fields(got[3].packet)[0], "192.168.55.245:")
	backend := strings.Fields(got[3].packet)[2]
	for i := range got {
		got[i].packet = strings.NewReplacer("192.168.55.245:"+np, "NODE:np", "192.168.55.245:"+snat, "NODE:snat", backend, "BACKEND").Replace(got[i].packet)
	}
	want := []seen{
		{"veth", false, 255, 8961, "POD > NLB SYN"},
		{"eth0", true, 254, 8961, "POD > NLB SYN"},
		{"eth0", false, 253, 8645, "POD > NODE:np SYN"},
		{"eth0", true, 252, 8645, "NODE:snat > BACKEND SYN"},
		{"eth0", false, 254, 8961, "BACKEND > NODE:snat SYN-ACK"},
		{"veth", true, 253, 8961, "NODE:np > POD SYN-ACK"},
		{"veth", false, 255, 0, "POD > NODE:np RST"},
		{"eth0", true, 254, 0, "NODE:snat > BACKEND RST"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	if !strings.HasSuffix(backend, ":80") || np == snat {
		t.Errorf("backend %s, node port %s, source port %s", backend, np, snat)
	}
}

// Observations computed anew from the capture alone, by other code than harness/observe's.
func TestTheCaptureAloneTellsTheSame(t *testing.T) {
	const calls = 400
	var pcap bytes.Buffer
	rec, err := (&Backend{}).Run(t.Context(), plan(t, "broken", map[string]string{"connections": "400"}), backend.Options{Seed: 3, Pcap: &pcap})
	if err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&pcap, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	type conn struct {
		first              time.Time
		dialled            string
		syns, synacks, rst int
		answered           bool
		nodes              map[string]bool
	}
	conns := map[uint32]*conn{} // by initial sequence number
	var order []*conn
	for {
		data, info, err := r.ReadPacketData()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		iface, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		p := gp.NewPacket(data, layers.LayerTypeIPv4, gp.DecodeOptions{Lazy: true, NoCopy: true})
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if tcp == nil {
			continue
		}
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		pod := iface.Name == "default/netshoot/eth0"
		switch {
		case pod && tcp.SYN && !tcp.ACK:
			c := conns[tcp.Seq]
			if c == nil {
				c = &conn{first: info.Timestamp, dialled: ip.DstIP.String(), nodes: map[string]bool{}}
				conns[tcp.Seq] = c
				order = append(order, c)
			}
			c.syns++
		case pod && tcp.SYN && tcp.ACK:
			if c := conns[tcp.Ack-1]; c != nil {
				c.synacks++
				c.answered = c.answered || ip.SrcIP.String() == c.dialled
			}
		case pod && tcp.RST:
			if c := conns[tcp.Seq-1]; c != nil {
				c.rst++
			}
		case strings.HasSuffix(iface.Name, "/eth0") && strings.HasPrefix(iface.Name, "ip-") && tcp.SYN && !tcp.ACK:
			// The same interface shows the packet that is masqueraded out again: only what is for this node counts.
			if c := conns[tcp.Seq]; c != nil && strings.Contains(iface.Name, strings.ReplaceAll(ip.DstIP.String(), ".", "-")) {
				c.nodes[strings.TrimSuffix(iface.Name, "/eth0")] = true
			}
		}
	}
	// A call's first connection is the one that begins a call: the others of a call begin when one has timed out.
	hung, syns, synacks, rsts := 0, 0, 0, 0
	nodes := map[string]bool{}
	for _, c := range order {
		if c.answered {
			continue
		}
		hung++
		syns += c.syns
		synacks += c.synacks
		rsts += c.rst
		for n := range c.nodes {
			nodes[n+".eu-west-1.compute.internal"] = true
		}
	}
	var list []any
	for n := range nodes {
		list = append(list, n)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].(string) < list[j].(string) })
	per := func(x int) float64 { return float64(x) / float64(hung) }
	for name, want := range map[string]any{
		"hungRatio": float64(hung) / calls, "hungTargetNodes": list, "synsPerHungConnection": per(syns), "synAcksToClientPerHungConnection": per(synacks), "rstsPerHungConnection": per(rsts),
	} {
		if got := rec.Observations[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v observed, %v in the capture", name, got, want)
		}
	}
	if hung == 0 || len(order) != calls+hung {
		t.Errorf("%d connections, %d hung, of %d calls", len(order), hung, calls)
	}
}

// Whoever looks at the target or the backend sees what sheet 22 says.
func TestWhoIsSeenBehindTheLoadBalancer(t *testing.T) {
	for _, c := range []struct {
		name, variant string
		node          func(src string) bool // of a SYN to the node port, at the node
		pod           func(src string) bool // of the SYN at the backend
	}{
		{"preserved", "broken", func(s string) bool { return s == "client" }, func(s string) bool { return s == "node" }},
		{"not preserved", "fixed-preserve-off", func(s string) bool { return s == "balancer" }, func(s string) bool { return s == "node" }},
		{"ip targets", "fixed-ip-targets", nil, func(s string) bool { return s == "balancer" }},
		{"cluster IP", "fixed-clusterip", nil, func(s string) bool { return s == "client" }},
		{"policy Local", "fixed-local", func(s string) bool { return s == "client" }, func(s string) bool { return s == "client" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pcap bytes.Buffer
			p := plan(t, c.variant, map[string]string{"connections": "60", "tcpSynRetries": "1"})
			if _, err := (&Backend{}).Run(t.Context(), p, backend.Options{Seed: 1, Pcap: &pcap}); err != nil {
				t.Fatal(err)
			}
			r, err := pcapgo.NewNgReader(&pcap, pcapgo.DefaultNgReaderOptions)
			if err != nil {
				t.Fatal(err)
			}
			var isns []uint32
			var client string
			atNode, atPod := 0, 0
			for {
				data, info, err := r.ReadPacketData()
				if err == io.EOF {
					break
				}
				iface, _ := r.Interface(info.InterfaceIndex)
				p := gp.NewPacket(data, layers.LayerTypeIPv4, gp.Default)
				tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
				if tcp == nil || !tcp.SYN || tcp.ACK {
					continue
				}
				ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
				src := ip.SrcIP.String()
				if iface.Name == "default/netshoot/eth0" {
					client = src
					isns = append(isns, tcp.Seq)
					continue
				}
				if !slices.Contains(isns, tcp.Seq) {
					continue // a health check
				}
				role := "node"
				switch {
				case src == client:
					role = "client"
				case contains("192.168.96.0/19", src) || contains("192.168.128.0/18", src):
					role = "balancer"
				}
				switch {
				case strings.HasPrefix(iface.Name, "nginx-demo/"):
					atPod++
					if !c.pod(role) {
						t.Fatalf("the backend sees %s, %s", src, role)
					}
				case strings.HasPrefix(iface.Name, "ip-") && strings.HasSuffix(iface.Name, "/eth0") && strings.Contains(iface.Name, strings.ReplaceAll(ip.DstIP.String(), ".", "-")):
					atNode++
					if c.node == nil || !c.node(role) {
						t.Fatalf("the node sees %s, %s", src, role)
					}
				}
			}
			if atPod == 0 || (c.node != nil) != (atNode > 0) {
				t.Errorf("%d SYNs at nodes, %d at backends", atNode, atPod)
			}
		})
	}
}
