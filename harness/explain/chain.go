package explain

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Call is the client's run of its command that is to be explained.
type Call struct {
	Number int // from 1
	Total  int
	// Bad is how many of the calls were like it.
	Bad         int
	Command     string
	Record      trace.ID
	Outcome     string // what the command said, in the client's words
	Elapsed     time.Duration
	Namespace   string // of the client, in the trace
	Local       netip.AddrPort
	Remote      netip.AddrPort
	ConnectTook time.Duration // until the first connection had failed or was given up
	ConnectErr  string
	// Hung is whether the first connection got no answer.
	Hung bool
}

// finder holds the records that the chain is made from.
type finder struct {
	tape  *Tape
	call  Call
	tuple packet.Tuple
	syns  []*entry // SYNs as they left the client's socket
	round []*entry // what the first SYN led to, until the second
}

// Explain finds the chain of whys for a call.
func Explain(t *Tape, call Call) *Document {
	f := &finder{tape: t, call: call}
	f.tuple = packet.Tuple{Src: call.Local.Addr(), SrcPort: call.Local.Port(), Dst: call.Remote.Addr(), DstPort: call.Remote.Port(), Proto: packet.TCP}
	f.collect()
	d := &Document{Schema: Schema, Failed: call.Hung || call.ConnectErr != "", Packets: f.crossings()}
	what := fmt.Sprintf("Call %d of %d, %s: %s.", call.Number, call.Total, call.Command, call.Outcome)
	if !d.Failed {
		d.Symptom = fmt.Sprintf("No call hung: %d of %d were answered at once. %s", call.Total-call.Bad, call.Total, what)
		return d
	}
	d.Symptom = fmt.Sprintf("%s %d of %d calls went like this.", what, call.Bad, call.Total)
	for _, link := range []func() (Why, bool){f.silence, f.answer, f.wayBack, f.kept, f.choice, f.registration} {
		if why, ok := link(); ok {
			d.Whys = append(d.Whys, why)
		}
	}
	return d
}

func (f *finder) name(e *entry) string { return f.tape.log.String(e.Actor) }
func (f *finder) what(e *entry) string { return f.tape.log.String(e.What) }

// collect finds the client's SYNs and what the first one led to.
func (f *finder) collect() {
	end := time.Duration(-1)
	f.tape.each(f.call.Record, func(e *entry) bool {
		if e.Kind == trace.Out && e.packet.Tuple() == f.tuple && e.packet.Flags == packet.SYN && strings.HasPrefix(f.name(e), f.call.Namespace+"/") {
			if len(f.syns) > 0 && e.packet.Seq != f.syns[0].packet.Seq {
				return false
			}
			f.syns = append(f.syns, e)
		}
		if len(f.syns) > 0 && end < 0 {
			end = e.Time + 10*time.Minute
		}
		return end < 0 || e.Time <= end
	})
	if len(f.syns) == 0 {
		return
	}
	for _, e := range f.tape.after(f.syns[0].ID, 400) {
		if len(f.syns) > 1 && e.Time >= f.syns[1].Time {
			break
		}
		f.round = append(f.round, e)
	}
}

// first is the first record of the round for which ok holds.
func (f *finder) first(ok func(*entry) bool) *entry {
	for _, e := range f.round {
		if ok(e) {
			return e
		}
	}
	return nil
}

func (f *finder) isClient(e *entry) bool {
	return strings.HasPrefix(f.name(e), f.call.Namespace+"/")
}

const synAck = packet.SYN | packet.ACK

// silence: the socket's SYNs, and its end.
func (f *finder) silence() (Why, bool) {
	if len(f.syns) == 0 {
		return Why{}, false
	}
	var offsets []string
	for _, e := range f.syns {
		offsets = append(offsets, fmt.Sprintf("%.4g", (e.Time-f.syns[0].Time).Seconds()))
	}
	w := Why{Question: fmt.Sprintf("Why did that take %s?", Round(f.call.Elapsed))}
	w.Answer = fmt.Sprintf("The connection %v sent its SYN %s, at %s s, and got no SYN-ACK from %v.", f.tuple, times(len(f.syns)), strings.Join(offsets, ", "), f.call.Remote)
	if f.call.ConnectErr != "" {
		w.Answer += fmt.Sprintf(" After %s it ended: %s.", Round(f.call.ConnectTook), f.call.ConnectErr)
	}
	var timer, failed *entry
	f.tape.each(f.syns[len(f.syns)-1].ID, func(e *entry) bool {
		switch {
		case timer == nil && e.Kind == trace.Timer && strings.HasPrefix(e.Text, f.tuple.String()):
			timer = e
		case timer != nil && failed == nil && e.Kind == trace.Call && strings.Contains(e.Text, f.call.Local.String()):
			failed = e
		}
		return failed == nil
	})
	w.Evidence = f.tape.evidence(append(append([]*entry{f.tape.at(f.call.Record)}, f.syns...), timer, failed)...)
	return w, true
}

// answer: what did come back, or where the SYN ended.
func (f *finder) answer() (Why, bool) {
	w := Why{Question: fmt.Sprintf("Why did no SYN-ACK come from %v?", f.call.Remote)}
	if got := f.first(func(e *entry) bool {
		return e.Kind == trace.In && f.isClient(e) && e.packet.Flags == synAck
	}); got != nil {
		from := netip.AddrPortFrom(got.packet.Src, got.packet.SrcPort)
		came := 0
		f.tape.each(f.syns[0].ID, func(e *entry) bool {
			if e.Kind == trace.In && f.isClient(e) && e.packet.Flags == synAck && e.packet.Ack == f.syns[0].packet.Seq+1 {
				came++
			}
			return true
		})
		w.Answer = fmt.Sprintf("A SYN-ACK did come, %s for %s, but from %v. The socket waits for %v; for this one there is no socket.", times(came), count(len(f.syns), "SYN"), from, f.call.Remote)
		evidence := []*entry{got}
		if d := f.first(func(e *entry) bool { return e.Kind == trace.Drop && f.isClient(e) && e.ID > got.ID }); d != nil {
			evidence = append(evidence, d)
		}
		if rst := f.first(func(e *entry) bool {
			return e.Kind == trace.Out && f.isClient(e) && e.packet.Flags.Has(packet.RST)
		}); rst != nil {
			w.Answer += " The kernel answers it with a reset, which goes to whoever opened the other half."
			evidence = append(evidence, rst)
			if end := f.first(func(e *entry) bool {
				return e.Kind == trace.Socket && e.ID > rst.ID && strings.HasPrefix(f.what(e), "SYN-RECV")
			}); end != nil {
				w.Answer += fmt.Sprintf(" It ends the half-open socket on %s, which has nothing to show.", f.name(end))
				evidence = append(evidence, end)
			}
		}
		w.Evidence = f.tape.evidence(evidence...)
		return w, true
	}
	drop := f.first(func(e *entry) bool { return e.Kind == trace.Drop })
	if drop == nil {
		return w, false
	}
	reason := f.tape.log.String(drop.Reason)
	w.Answer = fmt.Sprintf("The SYN was dropped at %s: %s.", f.name(drop), reason)
	if reason == linux.DropLocalSource {
		w.Answer = fmt.Sprintf("The SYN came to %s with the source address %v, which is that host's own: the kernel takes no packet from outside that claims to be its own (a martian source, %s). It is dropped without an answer.", f.name(drop), drop.packet.Src, reason)
	}
	w.Evidence = f.tape.evidence(f.arrival(drop), drop)
	return w, true
}

// arrival is the crossing that brought a packet to where a record is about it.
func (f *finder) arrival(of *entry) *entry {
	var last *entry
	for _, e := range f.round {
		if e.ID < of.ID && e.Kind == trace.In && e.packet.Serial == of.packet.Serial {
			last = e
		}
	}
	return last
}

// wayBack: how the answer reached the client without the balancer's address.
func (f *finder) wayBack() (Why, bool) {
	got := f.first(func(e *entry) bool { return e.Kind == trace.In && f.isClient(e) && e.packet.Flags == synAck })
	if got == nil {
		return Why{}, false
	}
	var reversed, route *entry
	left := ""
	for _, e := range f.round {
		if e.packet.Serial != got.packet.Serial || e.ID > got.ID {
			continue
		}
		switch e.Kind {
		case trace.NAT:
			reversed = e
		case trace.Route:
			route = e
		case trace.Out:
			left = f.name(e)
		}
	}
	if route == nil {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why does the answer come from %v:%d and not from the load balancer?", got.packet.Src, got.packet.SrcPort)}
	var parts []string
	if reversed != nil {
		parts = append(parts, fmt.Sprintf("On %s, connection tracking gave the answer the address that the SYN had been sent to when it arrived there.", f.name(reversed)))
	}
	parts = append(parts, fmt.Sprintf("The load balancer's own address is put in only where a packet leaves the target's network interface. This one did not: %s has the client on it, and the route %q took the packet straight to %s.", f.name(route), f.what(route), left))
	w.Answer = strings.Join(parts, " ")
	w.Evidence = f.tape.evidence(reversed, route, f.tape.at(route.Ref))
	return w, true
}

// kept: that the balancer left the source alone.
func (f *finder) kept() (Why, bool) {
	nat := f.balancerNAT()
	if nat == nil || nat.packet.Src != f.call.Local.Addr() {
		return Why{}, false
	}
	w := Why{Question: "Why did the SYN still carry the client's address?"}
	w.Answer = fmt.Sprintf("The load balancer changed only the destination: %v became %v. The source stayed the client's (client IP preservation).", nat.Before, nat.packet.Tuple())
	if f.first(func(e *entry) bool { return e.Kind == trace.In && f.isClient(e) && e.packet.Flags == synAck }) != nil {
		w.Question = "Why does the answer go to the client itself, past the load balancer?"
		w.Answer += " So whoever answers, answers the client."
	}
	set := f.tape.at(nat.Ref)
	if set != nil {
		if f.what(set) == "CreateTargetGroup" {
			w.Answer += fmt.Sprintf(" Nobody asked for it: %s made the target group, and preserve_client_ip.enabled was left at its default.", f.name(set))
		} else {
			w.Answer += fmt.Sprintf(" %s set it so.", f.name(set))
		}
	}
	w.Evidence = f.tape.evidence(nat, set)
	return w, true
}

// balancerNAT is the translation of the first SYN by a load balancer: the one that follows its choice of a target.
func (f *finder) balancerNAT() *entry {
	b := f.balance()
	if b == nil {
		return nil
	}
	return f.first(func(e *entry) bool { return e.Kind == trace.NAT && e.ID > b.ID && e.Actor == b.Actor })
}

func (f *finder) balance() *entry {
	return f.first(func(e *entry) bool { return e.Kind == trace.Balance })
}

// choice: why this target.
func (f *finder) choice() (Why, bool) {
	b := f.balance()
	if b == nil {
		return Why{}, false
	}
	w := Why{Question: "Why did the load balancer send it there?"}
	w.Answer = fmt.Sprintf("By a hash of the connection, %s chose the target %s, %s, for the life of the connection: a SYN that is sent again goes to the same one. A new connection draws again.", f.name(b), f.what(b), b.Text)
	if in := f.first(func(e *entry) bool { return e.Kind == trace.In && e.ID > b.ID && strings.Contains(f.name(e), "/eth") }); in != nil {
		w.Answer += fmt.Sprintf(" That target is %s, where the client runs.", strings.Split(f.name(in), "/")[0])
		w.Evidence = f.tape.evidence(b, in)
		return w, true
	}
	w.Evidence = f.tape.evidence(b)
	return w, true
}

// registration: why the client's own node is a target at all.
func (f *finder) registration() (Why, bool) {
	b := f.balance()
	if b == nil {
		return Why{}, false
	}
	call := f.tape.at(b.Ref)
	if call == nil {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why is %s a target?", f.what(b))}
	w.Answer = fmt.Sprintf("%s registered it, by a call of %s with %s in it. Whether a client of the load balancer runs there is nothing that the call asks.", f.name(call), f.what(call), count(strings.Count(call.Text, `"Id":`), "target"))
	var health *entry
	f.tape.each(call.ID, func(e *entry) bool {
		if e.ID > b.ID {
			return false
		}
		if e.Kind == trace.Health && f.what(e) == f.what(b) {
			health = e
		}
		return true
	})
	w.Evidence = f.tape.evidence(call, health)
	return w, true
}

// crossings is the first SYN and what it led to, as captures show it.
func (f *finder) crossings() []Crossing {
	if len(f.syns) == 0 {
		return nil
	}
	var out []Crossing
	add := func(e *entry) {
		out = append(out, Crossing{ID: uint64(e.ID), Microseconds: int64((e.Time - f.syns[0].Time) / time.Microsecond), Interface: f.name(e), Out: e.Kind == trace.Out,
			Packet: header(&e.packet), TTL: int(e.packet.TTL), MSS: int(e.packet.MSS)})
	}
	add(f.syns[0])
	for _, e := range f.round {
		switch {
		case len(out) >= 40:
		case e.Kind == trace.Out || e.Kind == trace.In:
			add(e)
		case e.Kind == trace.Drop:
			out[len(out)-1].Note = "dropped at " + f.name(e) + ": " + f.tape.log.String(e.Reason)
		}
	}
	return out
}

// header is a packet without its TTL, which has a column of its own.
func header(p *packet.Packet) string {
	before, after, _ := strings.Cut(p.String(), " ttl=")
	_, rest, _ := strings.Cut(after, " ")
	return strings.TrimSpace(before + " " + rest)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if strings.HasSuffix(what, "s") || strings.HasSuffix(what, "x") {
		what += "e"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Round writes a duration as a person would say it.
func Round(d time.Duration) string {
	if d < time.Second {
		return d.Round(10 * time.Microsecond).String()
	}
	return fmt.Sprintf("%.4g s", d.Seconds())
}
