package live

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/harness/backend/live/tap"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/packet"
)

// story writes captures by hand, as sheets of the packets show them.
type story struct {
	at      time.Time
	packets []tap.Packet
}

func (s *story) see(namespace, device string, out bool, src, dst string, flags packet.Flags, seq, ack uint32) {
	from, to := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	s.at = s.at.Add(10 * time.Microsecond)
	s.packets = append(s.packets, tap.Packet{At: s.at, Namespace: namespace, Interface: device, Out: out, Headers: packet.Packet{
		Src: from.Addr(), SrcPort: from.Port(), Dst: to.Addr(), DstPort: to.Port(), Proto: packet.TCP, Flags: flags, Seq: seq, Ack: ack}})
}

const (
	pod   = "192.168.32.132"
	lb    = "192.168.128.4:80"
	home  = "192.168.55.245"
	other = "192.168.61.79"
	web   = "192.168.0.130:80"
)

// sceneOf is two nodes in the client's zone and one with a backend elsewhere.
func sceneOf(start time.Time) *scene {
	nodes := map[string]*node{"home": {name: "home", address: netip.MustParseAddr(home)}, "other": {name: "other"}, "far": {name: "far"}}
	vip := map[netip.Addr]bool{netip.MustParseAddr("192.168.128.4"): true}
	return &scene{epoch: start, port: 80, nodePort: 30161, client: netip.MustParseAddr(pod), clientNamespace: "default/netshoot", clientNode: nodes["home"], nodes: nodes,
		balancers: vip, dialled: vip, backends: map[netip.AddrPort]bool{netip.MustParseAddrPort(web): true}}
}

// round is one round of the eight packets of a connection that the load balancer sends back to the client's node; without a reset the backend waits.
func (s *story) round(seq uint32, reset bool) {
	const np = home + ":30161"
	s.see("default/netshoot", "eth0", true, pod+":5000", lb, packet.SYN, seq, 0)
	s.see("home", "veth0", false, pod+":5000", lb, packet.SYN, seq, 0)
	s.see("home", "eth1", true, pod+":5000", lb, packet.SYN, seq, 0)
	s.see("router", "eni0", false, pod+":5000", lb, packet.SYN, seq, 0)
	s.see("router", "eni0", true, pod+":5000", np, packet.SYN, seq, 0)
	s.see("home", "eth1", false, pod+":5000", np, packet.SYN, seq, 0)
	s.see("home", "eth1", true, home+":7000", web, packet.SYN, seq, 0)
	s.see("router", "eni0", false, home+":7000", web, packet.SYN, seq, 0)
	s.see("router", "eni2", true, home+":7000", web, packet.SYN, seq, 0)
	s.see("far", "eth1", false, home+":7000", web, packet.SYN, seq, 0)
	s.see("far", "veth9", true, home+":7000", web, packet.SYN, seq, 0)
	s.see("home", "veth0", true, np, pod+":5000", packet.SYN|packet.ACK, 77, seq+1)
	s.see("default/netshoot", "eth0", false, np, pod+":5000", packet.SYN|packet.ACK, 77, seq+1)
	if reset {
		s.see("default/netshoot", "eth0", true, pod+":5000", np, packet.RST, seq+1, 0)
		s.see("far", "veth9", true, home+":7000", web, packet.RST, seq+1, 0)
	}
	s.at = s.at.Add(2 * time.Second)
}

// A connection that comes back to the client's own node: what is counted, and where. The backend's node sees the same sequence number from its own
// neighbour; it is no target for that.
func TestAccountOfAHungConnection(t *testing.T) {
	for _, reset := range []bool{true, false} {
		s := &story{at: time.Unix(1000, 0)}
		scene := sceneOf(s.at)
		s.round(9, reset)
		s.round(9, reset)
		s.see("home", "eth1", false, "10.0.0.1:1", "10.0.0.2:2", packet.ACK, 1, 1) // something else, later
		flows, halfOpen := scene.account(s.packets)
		all := flows.All()
		if len(all) != 1 {
			t.Fatalf("%d flows", len(all))
		}
		resets, waiting := 2, 0
		if !reset {
			resets, waiting = 0, 1 // the second SYN is of the same connection of the same backend
		}
		f := all[0]
		if len(f.SYNs) != 2 || f.SYNACKs != 2 || f.RSTs != resets || f.Answered != 0 || len(f.Nodes) != 1 || !f.Nodes["home"] {
			t.Errorf("reset %v: %+v", reset, f)
		}
		if flows.BalancerPackets != 2 || flows.NodePortPackets != 2 {
			t.Errorf("reset %v: %d packets at the load balancer, %d at the node port", reset, flows.BalancerPackets, flows.NodePortPackets)
		}
		if flows.Draws[netip.MustParseAddr("192.168.0.130")] != 2 {
			t.Errorf("reset %v: draws %v", reset, flows.Draws)
		}
		if halfOpen != waiting {
			t.Errorf("reset %v: %d half open, want %d", reset, halfOpen, waiting)
		}
	}
}

// With the source rewritten, packets at the node port are still the client's: their sequence numbers say so. A health check is not.
func TestAccountWithoutPreservation(t *testing.T) {
	s := &story{at: time.Unix(1000, 0)}
	scene := sceneOf(s.at)
	const np = other + ":30161"
	s.see("router", "eni1", true, "192.168.128.4:6000", np, packet.SYN, 5, 0) // a health check
	s.see("other", "eth1", false, "192.168.128.4:6000", np, packet.SYN, 5, 0)
	s.see("default/netshoot", "eth0", true, pod+":5000", lb, packet.SYN, 9, 0)
	s.see("router", "eni0", false, pod+":5000", lb, packet.SYN, 9, 0)
	s.see("router", "eni1", true, "192.168.128.4:5000", np, packet.SYN, 9, 0)
	s.see("other", "eth1", false, "192.168.128.4:5000", np, packet.SYN, 9, 0)
	s.see("default/netshoot", "eth0", false, lb, pod+":5000", packet.SYN|packet.ACK, 70, 10)
	flows, _ := scene.account(s.packets)
	f := flows.All()[0]
	if f.Answered == 0 || !f.Nodes["other"] || flows.NodePortPackets != 1 || flows.BalancerPackets != 1 {
		t.Errorf("%+v, %d at the node port, %d at the load balancer", f, flows.NodePortPackets, flows.BalancerPackets)
	}
}

func TestCalls(t *testing.T) {
	epoch := time.Unix(1000, 0)
	line := callLine{Began: epoch.UnixNano() + 5, Ended: epoch.UnixNano() + 100, HTTP: 200}
	line.Attempts = append(line.Attempts, struct {
		Local, Remote string
		Began, Ended  int64
		Error         string
	}{pod + ":5000", lb, epoch.UnixNano() + 10, epoch.UnixNano() + 50, "GAVEUP"})
	got := calls([]callLine{line, {}}, epoch)
	want := observe.Call{Began: 5, Ended: 100, HTTPCode: 200, FirstLocal: netip.MustParseAddrPort(pod + ":5000"), FirstRemote: netip.MustParseAddrPort(lb), FirstBegan: 10, FirstEnded: 50}
	if got[0] != want {
		t.Errorf("%+v, want %+v", got[0], want)
	}
	if got[1].FirstLocal.IsValid() {
		t.Error("a call that opened no connection has one")
	}
}

func TestInterfacesOf(t *testing.T) {
	got := interfacesOf("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536\n27: eth1@if26: <BROADCAST,MULTICAST> mtu 9001\nnonsense\n")
	if len(got) != 2 || got[1] != "lo" || got[27] != "eth1" {
		t.Errorf("%v", got)
	}
}
