// Package route is the routing policy database of a network namespace: rules in order of priority, tables, longest prefix match.
//
// Models: ip rule (from, to, fwmark/mask, iif), tables with unicast, local, unreachable and blackhole routes, preferred source addresses.
// Does not model: metrics, multipath, TOS, IPv6.
// Sources: Linux net/ipv4/fib_rules.c, fib_trie.c; ip-rule(8), ip-route(8).
package route

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/sim/trace"
)

// Table is the number of a routing table.
type Table int

// Tables that every namespace has (rt_tables).
const (
	Default Table = 253
	Main    Table = 254
	Local   Table = 255
)

func (t Table) String() string {
	switch t {
	case Default:
		return "default"
	case Main:
		return "main"
	case Local:
		return "local"
	}
	return fmt.Sprint(int(t))
}

// Type is what a route does with a packet.
type Type uint8

// Route types; the zero value is unicast.
const (
	Unicast Type = iota
	ToLocal
	Unreachable
	Blackhole
)

// Route is an entry of a table.
type Route struct {
	Dst  netip.Prefix
	Type Type
	// Dev is the index of the device, in the namespace.
	Dev int
	// DevName is its name, for people.
	DevName string
	// Via is the next hop; the zero Addr means that the destination is on the link.
	Via netip.Addr
	// Src is the source address of packets that the host itself sends this way.
	Src   netip.Addr
	Table Table

	// Origin is the record of the trace that installed the route.
	Origin trace.ID
	// Name is the route as text, in the log.
	Name trace.Name
}

func (r *Route) String() string {
	var b strings.Builder
	switch r.Type {
	case ToLocal:
		b.WriteString("local ")
	case Unreachable:
		b.WriteString("unreachable ")
	case Blackhole:
		b.WriteString("blackhole ")
	}
	if r.Dst.Bits() == 0 {
		b.WriteString("default")
	} else if r.Dst.IsSingleIP() {
		b.WriteString(r.Dst.Addr().String())
	} else {
		b.WriteString(r.Dst.String())
	}
	if r.Via.IsValid() {
		fmt.Fprintf(&b, " via %v", r.Via)
	}
	if r.DevName != "" {
		b.WriteString(" dev " + r.DevName)
	}
	if r.Type == Unicast && !r.Via.IsValid() {
		b.WriteString(" scope link")
	}
	if r.Table != Main {
		fmt.Fprintf(&b, " table %v", r.Table)
	}
	return b.String()
}

// Rule chooses a table for packets that match. Zero fields match everything.
type Rule struct {
	Priority   int
	From, To   netip.Prefix
	Mark, Mask uint32
	// Iif is the index of the device that the packet came in by; zero means any.
	Iif   int
	Table Table
}

func (r Rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: from ", r.Priority)
	if r.From.IsValid() {
		b.WriteString(r.From.String())
	} else {
		b.WriteString("all")
	}
	if r.To.IsValid() {
		fmt.Fprintf(&b, " to %v", r.To)
	}
	if r.Mask != 0 {
		fmt.Fprintf(&b, " fwmark %#x/%#x", r.Mark, r.Mask)
	}
	fmt.Fprintf(&b, " lookup %v", r.Table)
	return b.String()
}

// Key is what a lookup goes by.
type Key struct {
	Src, Dst netip.Addr
	Mark     uint32
	// Iif is zero for packets of the host itself.
	Iif int
	// Oif, when not zero, accepts only routes through this device.
	Oif int
}

// Database is the rules and tables of one namespace. Use New.
type Database struct {
	rules  []Rule
	tables map[Table]*table
}

type table struct {
	lengths []prefixes // longest first
}

type prefixes struct {
	bits   int
	routes map[uint32]*Route
}

// New returns a database with the three rules that every namespace begins with.
func New() *Database {
	return &Database{
		rules:  []Rule{{Priority: 0, Table: Local}, {Priority: 32766, Table: Main}, {Priority: 32767, Table: Default}},
		tables: map[Table]*table{},
	}
}

// AddRule adds a rule behind those of the same priority.
func (d *Database) AddRule(r Rule) {
	i, _ := slices.BinarySearchFunc(d.rules, r.Priority+1, func(x Rule, p int) int { return x.Priority - p })
	d.rules = slices.Insert(d.rules, i, r)
}

// DeleteRule removes the first rule that equals r, and says whether there was one.
func (d *Database) DeleteRule(r Rule) bool {
	i := slices.Index(d.rules, r)
	if i < 0 {
		return false
	}
	d.rules = slices.Delete(d.rules, i, i+1)
	return true
}

// Rules lists the rules in order.
func (d *Database) Rules() []Rule { return slices.Clone(d.rules) }

func key(a netip.Addr, bits int) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:]) & (^uint32(0) << (32 - bits))
}

// Replace adds r to its table in place of a route to the same destination, as ip route replace does.
func (d *Database) Replace(r *Route) {
	t := d.tables[r.Table]
	if t == nil {
		t = &table{}
		d.tables[r.Table] = t
	}
	bits := r.Dst.Bits()
	i, ok := slices.BinarySearchFunc(t.lengths, bits, func(p prefixes, bits int) int { return bits - p.bits })
	if !ok {
		t.lengths = slices.Insert(t.lengths, i, prefixes{bits, map[uint32]*Route{}})
	}
	t.lengths[i].routes[key(r.Dst.Addr(), bits)] = r
}

// Delete removes the route to a destination from a table, and says whether there was one.
func (d *Database) Delete(t Table, dst netip.Prefix) bool {
	if tb := d.tables[t]; tb != nil {
		for i := range tb.lengths {
			if p := &tb.lengths[i]; p.bits == dst.Bits() {
				k := key(dst.Addr(), p.bits)
				_, ok := p.routes[k]
				delete(p.routes, k)
				return ok
			}
		}
	}
	return false
}

// Lookup returns the route for a packet: the rules in order, in each table the longest prefix. It returns nil if there is none.
func (d *Database) Lookup(k Key) *Route {
	for i := range d.rules {
		r := &d.rules[i]
		if r.Mask != 0 && k.Mark&r.Mask != r.Mark || r.Iif != 0 && r.Iif != k.Iif ||
			r.From.IsValid() && !r.From.Contains(k.Src) || r.To.IsValid() && !r.To.Contains(k.Dst) {
			continue
		}
		t := d.tables[r.Table]
		if t == nil {
			continue
		}
		for j := range t.lengths {
			p := &t.lengths[j]
			if found := p.routes[key(k.Dst, p.bits)]; found != nil && (k.Oif == 0 || found.Dev == k.Oif) {
				return found
			}
		}
	}
	return nil
}

// Routes lists a table's routes, the longest prefix first, then by address.
func (d *Database) Routes(t Table) []*Route {
	var out []*Route
	if tb := d.tables[t]; tb != nil {
		for _, p := range tb.lengths {
			from := len(out)
			for _, r := range p.routes {
				out = append(out, r)
			}
			slices.SortFunc(out[from:], func(a, b *Route) int { return a.Dst.Addr().Compare(b.Dst.Addr()) })
		}
	}
	return out
}
