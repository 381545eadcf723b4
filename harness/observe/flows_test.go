package observe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
)

// What nothing was seen of is nil, not zero and not an empty list: an expectation that reads it has no evidence.
func TestWithoutASampleThereIsNoObservation(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:80")
	f := NewFlows(80, 0, a.Addr())
	syn := packet.Packet{Src: a.Addr(), SrcPort: a.Port(), Dst: b.Addr(), DstPort: b.Port(), Proto: packet.TCP, Flags: packet.SYN, Seq: 9}
	synack := packet.Packet{Src: b.Addr(), SrcPort: b.Port(), Dst: a.Addr(), DstPort: a.Port(), Proto: packet.TCP, Flags: packet.SYN | packet.ACK, Ack: 10}
	client := Place{Role: Client}
	f.Packet(1, client, true, &syn)
	call := Call{Began: 1, Ended: 5, HTTPCode: 200, FirstLocal: a, FirstRemote: b, FirstBegan: 1, FirstEnded: 3}
	for _, c := range []struct {
		name     string
		answered bool
		calls    []Call
		null     []string
		notNull  []string
	}{
		{"nothing called", false, nil, []string{"hungRatio", "answered200Ratio", "hungTargetNodes", "backendHalfOpen", "synsPerHungConnection"}, []string{"connections", "hungConnections"}},
		{"one that hangs", false, []Call{call}, []string{"connectTimeoutSeconds", "backendDraws", "registeredTargets"}, []string{"hungRatio", "hungTargetNodes", "backendHalfOpen", "synOffsetsSeconds"}},
		{"one that is answered", true, []Call{call}, []string{"hungTargetNodes", "backendHalfOpen", "synsPerHungConnection", "synOffsetsSeconds", "rstsPerHungConnection"}, []string{"hungRatio", "slowestAnswerSeconds", "hungRatioByAddress"}},
	} {
		if c.answered {
			f.Packet(2, client, false, &synack)
		}
		obs, missing := f.Summarize(Finding{Calls: c.calls, ClientNode: "n"})
		for _, n := range c.null {
			if v, ok := obs[n]; !ok || v != nil || missing[n] == "" {
				t.Errorf("%s: %s is %v, %q", c.name, n, v, missing[n])
			}
		}
		for _, n := range c.notNull {
			if obs[n] == nil {
				t.Errorf("%s: %s is nil: %s", c.name, n, missing[n])
			}
		}
		for n := range obs {
			if _, documented := All()[n]; !documented {
				t.Errorf("%s is not in the vocabulary", n)
			}
		}
	}
}

// One local port may serve two addresses at once: segments belong to the connection whose numbers they carry.
func TestFlowsShareALocalPort(t *testing.T) {
	local := netip.MustParseAddrPort("10.0.0.1:40000")
	f := NewFlows(80, 0, local.Addr())
	client := Place{Role: Client}
	send := func(at time.Duration, dst string, seq uint32) {
		f.Packet(at, client, true, &packet.Packet{Src: local.Addr(), SrcPort: local.Port(), Dst: netip.MustParseAddr(dst), DstPort: 80, Proto: packet.TCP, Flags: packet.SYN, Seq: seq})
	}
	send(1, "10.0.0.2", 100)
	send(2, "10.0.0.3", 200)
	send(3, "10.0.0.2", 100)
	f.Packet(4, client, false, &packet.Packet{Src: netip.MustParseAddr("10.0.0.3"), SrcPort: 80, Dst: local.Addr(), DstPort: local.Port(), Proto: packet.TCP, Flags: packet.SYN | packet.ACK, Ack: 201})
	all := f.All()
	if len(all) != 2 || len(all[0].SYNs) != 2 || len(all[1].SYNs) != 1 || all[0].Answered != 0 || all[1].Answered != 4 {
		t.Errorf("%+v", all)
	}
}
