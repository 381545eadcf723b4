package trace

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
)

func sample(change func(*Record, *packet.Packet)) string {
	e := engine.New(engine.Options{})
	l := New(e)
	p := packet.Packet{Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), SrcPort: 1, DstPort: 2, Proto: packet.TCP, TTL: 64}
	r := Record{Kind: NAT, Actor: l.Name("a"), What: l.Name("w"), Packet: &p, Before: p.Tuple()}
	if change != nil {
		change(&r, &p)
	}
	l.Emit(r)
	return l.Hash()
}

// Each field that says what happened must reach the hash.
func TestHashSeesEveryField(t *testing.T) {
	seen := map[string]string{sample(nil): "unchanged"}
	for name, change := range map[string]func(*Record, *packet.Packet){
		"kind":    func(r *Record, _ *packet.Packet) { r.Kind = Route },
		"cause":   func(r *Record, _ *packet.Packet) { r.Cause = 5 },
		"ref":     func(r *Record, _ *packet.Packet) { r.Ref = 5 },
		"actor":   func(r *Record, _ *packet.Packet) { r.Actor = r.What },
		"reason":  func(r *Record, _ *packet.Packet) { r.Reason = r.What },
		"text":    func(r *Record, _ *packet.Packet) { r.Text = "t" },
		"before":  func(r *Record, _ *packet.Packet) { r.Before.SrcPort = 9 },
		"ttl":     func(_ *Record, p *packet.Packet) { p.TTL = 63 },
		"seq":     func(_ *Record, p *packet.Packet) { p.Seq = 1 },
		"mss":     func(_ *Record, p *packet.Packet) { p.MSS = 1 },
		"payload": func(_ *Record, p *packet.Packet) { p.Payload = packet.Bytes("x") },
	} {
		h := sample(change)
		if other, ok := seen[h]; ok {
			t.Errorf("%s gives the same hash as %s", name, other)
		}
		seen[h] = name
	}
}

func TestARecordIsTheCauseOfWhatFollows(t *testing.T) {
	e := engine.New(engine.Options{})
	l := New(e)
	var got []ID
	l.Attach(All, func(r *Record) { got = append(got, r.Cause) })
	a := l.Say(Call, "client", "begin", "")
	e.After(time.Second, "", engine.Func(func() { l.Say(Call, "client", "end", "") }))
	l.Say(Call, "client", "wait", "")
	e.Run(2*time.Second, nil)
	if got[0] != 0 || got[1] != a || got[2] != a {
		t.Errorf("causes %v", got)
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "+00:00.000000", 75*time.Second + 14*time.Microsecond: "+01:15.000014", 2*time.Hour + time.Second: "+2:00:01.000000"} {
		if got := Clock(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
