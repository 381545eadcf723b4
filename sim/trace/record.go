package trace

import (
	"fmt"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
)

// ID numbers the records of a world from 1. It is what engine.Cause holds.
type ID = engine.Cause

// Kind is what sort of thing happened.
type Kind uint8

// Kinds. The words in String are those of golden files.
const (
	// Out and In: a packet crossed a network device, and a capture on that device would show it.
	Out Kind = iota + 1
	In
	// Drop: a packet ended, for Reason.
	Drop
	// Route: a routing decision; Subject is the route that was chosen, Ref the record that installed it.
	Route
	// NAT: addresses or ports of a packet were changed; Before is the tuple before, Subject the rule or the state that says so.
	NAT
	// Balance: a load balancer chose a target for a new flow.
	Balance
	// Socket: a socket changed state.
	Socket
	// Timer: a timer struck that something had waited for.
	Timer
	// Call: a client began, or ended, what it wanted done.
	Call
	// DNS: a question was answered, by whom and from where.
	DNS
	// AWS: a call of an AWS API; Actor is the caller.
	AWS
	// Kube: a call of the Kubernetes API that changed an object.
	Kube
	// Health: a target, endpoint or object changed in health.
	Health
	// Config: something on a host was set up or changed: a route, a rule, an address, a chain.
	Config
	// HTTP: a load balancer answered a request, or began to pass on what a target answered; Ref is the Balance record.
	HTTP
	kinds
)

var kindNames = [kinds]string{"", "out", "in", "drop", "route", "nat", "balance", "socket", "timer", "call", "dns", "aws", "kube", "health", "config", "http"}

func (k Kind) String() string { return kindNames[k] }

// Kinds is a set of kinds.
type Kinds uint32

// Set returns the set of ks.
func Set(ks ...Kind) (s Kinds) {
	for _, k := range ks {
		s |= 1 << k
	}
	return s
}

// Has says whether k is in s.
func (s Kinds) Has(k Kind) bool { return s&(1<<k) != 0 }

// All is every kind.
const All Kinds = 1<<kinds - 1

// Hops are the kinds that a single packet causes, many of them in any run. The others are few.
var Hops = Set(Out, In, Drop, Route, NAT)

// Name is a string that the log knows by a number. The zero Name is the empty string.
type Name uint32

// Record is one thing that happened. The log fills ID, Time and, where it is zero, Cause.
type Record struct {
	ID, Cause ID
	// Ref is an earlier record that set up what this one relied on, if any.
	Ref    ID
	Time   time.Duration
	Kind   Kind
	Actor  Name
	What   Name
	Reason Name
	// Text is what the names do not say; it is part of the hash.
	Text string
	// Packet is the packet that this is about, if any. It is valid only until the sink returns, and must not be changed.
	Packet *packet.Packet
	// Before is the tuple that a NAT changed.
	Before packet.Tuple
}

// Line is r as one line of text, stable enough for a golden file.
func (l *Log) Line(r *Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s #%d", Clock(r.Time), r.ID)
	if r.Cause != 0 {
		fmt.Fprintf(&b, "<%d", r.Cause)
	}
	fmt.Fprintf(&b, " %s %s %s", r.Kind, l.String(r.Actor), l.Body(r))
	return strings.TrimRight(b.String(), " ")
}

// Body is what r says after its actor.
func (l *Log) Body(r *Record) string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	switch r.Kind {
	case NAT:
		if r.Packet != nil {
			add(fmt.Sprintf("%v becomes %v", r.Before, r.Packet.Tuple()))
		}
		if what := l.String(r.What); what != "" {
			add("by " + what)
		}
	case Route:
		add("to " + r.Packet.Dst.String() + " via " + l.String(r.What))
	default:
		add(l.String(r.What))
		if r.Packet != nil {
			add(r.Packet.String())
		}
	}
	add(r.Text)
	if reason := l.String(r.Reason); reason != "" {
		add("reason=" + reason)
	}
	return strings.Join(parts, " ")
}

// Clock writes a time of the world as +mm:ss.micros, or with hours where there are any.
func Clock(t time.Duration) string {
	us := int64(t / time.Microsecond)
	s := us / 1e6
	if h := s / 3600; h > 0 {
		return fmt.Sprintf("+%d:%02d:%02d.%06d", h, s/60%60, s%60, us%1e6)
	}
	return fmt.Sprintf("+%02d:%02d.%06d", s/60, s%60, us%1e6)
}
