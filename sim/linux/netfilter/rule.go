package netfilter

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Hook is a place on a packet's way through a namespace.
type Hook uint8

// Hooks, in iptables' names.
const (
	Prerouting Hook = iota
	Input
	Forward
	Output
	Postrouting
)

var hookNames = [...]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}

func (h Hook) String() string { return hookNames[h] }

// TableName is a table of chains.
type TableName string

// Tables.
const (
	Mangle TableName = "mangle"
	NAT    TableName = "nat"
	Filter TableName = "filter"
)

// Prefix matches addresses; Not inverts it. The zero Prefix matches all.
type Prefix struct {
	netip.Prefix
	Not bool
}

func (p Prefix) matches(a netip.Addr) bool { return !p.IsValid() || p.Contains(a) != p.Not }

// Host is the prefix that holds one address.
func Host(a netip.Addr) Prefix { return Prefix{Prefix: netip.PrefixFrom(a, a.BitLen())} }

// Net is a prefix.
func Net(p netip.Prefix) Prefix { return Prefix{Prefix: p} }

// NotNet is everything but a prefix.
func NotNet(p netip.Prefix) Prefix { return Prefix{Prefix: p, Not: true} }

// AddrType matches whether an address is one of the host's own.
type AddrType uint8

// Address types; the zero value matches all.
const (
	AnyType AddrType = iota
	LocalType
	NotLocalType
)

// State is conntrack's word for a packet, as --ctstate has it.
type State uint8

// States.
const (
	Invalid State = 1 << iota
	New
	Established
	Related
	// DNATed is the virtual state of a connection whose destination was changed.
	DNATed
)

// Rule is one rule of a chain. Zero match fields match everything.
type Rule struct {
	Proto            packet.Proto
	Src, Dst         Prefix
	SrcPort, DstPort uint16
	// In and Out are names of devices; a trailing + matches any rest. A leading ! inverts.
	In, Out          string
	SrcType, DstType AddrType
	// Mark matches when packet mark & MarkMask == Mark; MarkMask zero matches all. MarkNot inverts.
	Mark, MarkMask uint32
	MarkNot        bool
	States         State
	// Chance is the probability in units of 2^-31, as xt_statistic compares it; zero matches always.
	Chance uint32

	Target Target
	// Comment is the rule's comment in iptables; it is how people recognise it.
	Comment string
}

// Verb is what a target does.
type Verb uint8

// Verbs.
const (
	// Continue does nothing: the next rule.
	Continue Verb = iota
	Accept
	Drop
	Reject
	Return
	Jump
	DNATTo
	SNATTo
	Masquerade
	SetMark
	SetConnmark
	RestoreConnmark
	SetMSS
)

// Target is what a rule does when it matches.
type Target struct {
	Verb Verb
	// Chain is where Jump goes.
	Chain string
	// Addr and Port are for DNATTo (a zero Port keeps the packet's) and SNATTo.
	Addr netip.Addr
	Port uint16
	// RandomFully draws the new source port, as --random-fully does.
	RandomFully bool
	// Value and Mask: SetMark and SetConnmark give mark = mark&^Mask ^ Value; RestoreConnmark copies the bits of Mask.
	Value, Mask uint32
	// MSS is the limit that SetMSS puts on the option of a SYN.
	MSS uint16

	chain *chain
}

// Chance returns the number for Rule.Chance that gives 1/n: the probability in units of 2^-31, rounded, as iptables stores it.
// Source: iptables extensions/libxt_statistic.c (lround(0x80000000 * probability)); net/netfilter/xt_statistic.c.
func Chance(n int) uint32 {
	return uint32((1<<31 + int64(n)/2) / int64(n))
}

func (r Rule) String() string {
	var b strings.Builder
	opt := func(format string, a ...any) { fmt.Fprintf(&b, format+" ", a...) }
	pfx := func(flag string, p Prefix) {
		if p.IsValid() {
			if p.Not {
				opt("!")
			}
			opt("%s %v", flag, p.Prefix)
		}
	}
	pfx("-s", r.Src)
	pfx("-d", r.Dst)
	if r.In != "" {
		opt("-i %s", r.In)
	}
	if r.Out != "" {
		opt("-o %s", r.Out)
	}
	if r.Proto != 0 {
		opt("-p %v", r.Proto)
	}
	if r.SrcPort != 0 {
		opt("--sport %d", r.SrcPort)
	}
	if r.DstPort != 0 {
		opt("--dport %d", r.DstPort)
	}
	switch r.SrcType {
	case LocalType:
		opt("-m addrtype --src-type LOCAL")
	case NotLocalType:
		opt("-m addrtype ! --src-type LOCAL")
	}
	switch r.DstType {
	case LocalType:
		opt("-m addrtype --dst-type LOCAL")
	case NotLocalType:
		opt("-m addrtype ! --dst-type LOCAL")
	}
	if r.MarkMask != 0 {
		not := ""
		if r.MarkNot {
			not = "! "
		}
		opt("-m mark %s--mark %#x/%#x", not, r.Mark, r.MarkMask)
	}
	if r.States != 0 {
		var names []string
		for i, n := range []string{"INVALID", "NEW", "ESTABLISHED", "RELATED", "DNAT"} {
			if r.States&(1<<i) != 0 {
				names = append(names, n)
			}
		}
		opt("-m conntrack --ctstate %s", strings.Join(names, ","))
	}
	if r.Chance != 0 {
		opt("-m statistic --mode random --probability %.11f", float64(r.Chance)/(1<<31))
	}
	if r.Comment != "" {
		opt("--comment %q", r.Comment)
	}
	t := r.Target
	switch t.Verb {
	case Accept:
		opt("-j ACCEPT")
	case Drop:
		opt("-j DROP")
	case Reject:
		opt("-j REJECT")
	case Return:
		opt("-j RETURN")
	case Jump:
		opt("-j %s", t.Chain)
	case DNATTo:
		opt("-j DNAT --to-destination %v:%d", t.Addr, t.Port)
	case SNATTo:
		opt("-j SNAT --to-source %v", t.Addr)
	case Masquerade:
		opt("-j MASQUERADE")
	case SetMark:
		opt("-j MARK --set-xmark %#x/%#x", t.Value, t.Mask)
	case SetConnmark:
		opt("-j CONNMARK --set-xmark %#x/%#x", t.Value, t.Mask)
	case RestoreConnmark:
		opt("-j CONNMARK --restore-mark --mask %#x", t.Mask)
	case SetMSS:
		opt("-j TCPMSS --set-mss %d", t.MSS)
	}
	if t.RandomFully {
		opt("--random-fully")
	}
	return strings.TrimSpace(b.String())
}

type chain struct {
	name  string
	label trace.Name
	rules []Rule
}
