package netfilter

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Ruleset is all tables of a namespace. Use NewRuleset.
type Ruleset struct {
	tables map[TableName]*tableRules
	byHook [3][5]*chain // mangle, nat, filter by hook, nil where empty
	random *rand.Rand
	log    *trace.Log
	// Origin is the record of the last change by chain, for who asks where a rule came from.
	origin map[*chain]trace.ID
}

type tableRules struct {
	name   TableName
	chains map[string]*chain
	order  []string
}

// NewRuleset returns empty tables, which accept everything. Chance is drawn from random.
func NewRuleset(log *trace.Log, random *rand.Rand) *Ruleset {
	rs := &Ruleset{tables: map[TableName]*tableRules{}, random: random, log: log, origin: map[*chain]trace.ID{}}
	for _, n := range []TableName{Mangle, NAT, Filter} {
		rs.tables[n] = &tableRules{name: n, chains: map[string]*chain{}}
	}
	return rs
}

func (rs *Ruleset) chain(t TableName, name string) *chain {
	tb := rs.tables[t]
	c := tb.chains[name]
	if c == nil {
		c = &chain{name: name, label: rs.log.Name(string(t) + " " + name)}
		tb.chains[name] = c
		tb.order = append(tb.order, name)
		if hook := slices.Index(hookNames[:], name); hook >= 0 {
			rs.byHook[slices.Index(tableOrder[:], t)][hook] = c
		}
	}
	return c
}

var tableOrder = [...]TableName{Mangle, NAT, Filter}

// SetChain replaces the rules of a chain, making the chain if needed, as iptables-restore --noflush does. Built-in chains are
// named by their hook. The current cause becomes the chain's origin.
func (rs *Ruleset) SetChain(t TableName, name string, rules []Rule, origin trace.ID) {
	c := rs.chain(t, name)
	c.rules = slices.Clone(rules)
	for i := range c.rules {
		if tg := &c.rules[i].Target; tg.Verb == Jump {
			tg.chain = rs.chain(t, tg.Chain)
		}
	}
	rs.origin[c] = origin
}

// Insert puts rules at the beginning of a chain, Append at its end.
func (rs *Ruleset) Insert(t TableName, name string, origin trace.ID, rules ...Rule) {
	rs.SetChain(t, name, append(slices.Clone(rules), rs.chain(t, name).rules...), origin)
}

// Append puts rules at the end of a chain.
func (rs *Ruleset) Append(t TableName, name string, origin trace.ID, rules ...Rule) {
	rs.SetChain(t, name, append(slices.Clone(rs.chain(t, name).rules), rules...), origin)
}

// DeleteChain removes a chain that nothing jumps to any more.
func (rs *Ruleset) DeleteChain(t TableName, name string) {
	tb := rs.tables[t]
	if c := tb.chains[name]; c != nil {
		delete(rs.origin, c)
		delete(tb.chains, name)
		tb.order = slices.DeleteFunc(tb.order, func(s string) bool { return s == name })
	}
}

// Chains lists the names of a table's chains, in the order in which they were made.
func (rs *Ruleset) Chains(t TableName) []string { return slices.Clone(rs.tables[t].order) }

// Rules lists the rules of a chain.
func (rs *Ruleset) Rules(t TableName, name string) []Rule {
	if c := rs.tables[t].chains[name]; c != nil {
		return slices.Clone(c.rules)
	}
	return nil
}

// Save writes a table as iptables-save does, without counters.
func (rs *Ruleset) Save(t TableName) string {
	out := "*" + string(t) + "\n"
	for _, n := range rs.tables[t].order {
		out += fmt.Sprintf(":%s\n", n)
	}
	for _, n := range rs.tables[t].order {
		for _, r := range rs.tables[t].chains[n].rules {
			out += fmt.Sprintf("-A %s %v\n", n, r)
		}
	}
	return out + "COMMIT\n"
}

// Context is a packet at a hook.
type Context struct {
	Packet  *packet.Packet
	In, Out string
	// OutAddr is the primary address of the device that the packet leaves by, which MASQUERADE uses.
	OutAddr netip.Addr
	// Local says whether an address is one of the namespace's own.
	Local func(netip.Addr) bool
	// Conn is the packet's connection and State conntrack's word for the packet.
	Conn  *Conn
	State State
}

// Empty says whether a hook has no rules at all in a table, so that asking can be spared.
func (rs *Ruleset) Empty(t TableName, h Hook) bool {
	c := rs.byHook[slices.Index(tableOrder[:], t)][h]
	return c == nil || len(c.rules) == 0
}

// Decision is how a table let a packet go.
type Decision struct {
	Verb   Verb // Accept, Drop, Reject, DNATTo, SNATTo, Masquerade
	Target *Target
	// Chain names the chain that decided, and Origin is the record that wrote it.
	Chain  trace.Name
	Origin trace.ID
}

// maxDepth is how deep jumps may go before it must be a loop, which iptables refuses to load.
const maxDepth = 64

// Traverse takes a packet through a table's chain for a hook. Packets that no rule decides are accepted.
func (rs *Ruleset) Traverse(t TableName, h Hook, x *Context) Decision {
	c := rs.byHook[slices.Index(tableOrder[:], t)][h]
	if c == nil {
		return Decision{Verb: Accept}
	}
	d, _ := rs.walk(c, x, 0)
	return d
}

func (rs *Ruleset) walk(c *chain, x *Context, depth int) (d Decision, decided bool) {
	if depth > maxDepth {
		panic("netfilter: chain " + c.name + " jumps in a loop")
	}
	for i := range c.rules {
		r := &c.rules[i]
		if !rs.matches(r, x) {
			continue
		}
		t := &r.Target
		switch t.Verb {
		case Continue:
		case Return:
			return Decision{Verb: Accept}, false
		case Jump:
			if d, decided := rs.walk(t.chain, x, depth+1); decided {
				return d, true
			}
		case SetMark:
			x.Packet.Mark = x.Packet.Mark&^t.Mask ^ t.Value
		case SetConnmark:
			if x.Conn != nil {
				x.Conn.Mark = x.Conn.Mark&^t.Mask ^ t.Value
			}
		case RestoreConnmark:
			if x.Conn != nil {
				x.Packet.Mark = x.Packet.Mark&^t.Mask | x.Conn.Mark&t.Mask
			}
		case SetMSS:
			if x.Packet.MSS > t.MSS {
				x.Packet.MSS = t.MSS
			}
		default:
			return Decision{Verb: t.Verb, Target: t, Chain: c.label, Origin: rs.origin[c]}, true
		}
	}
	return Decision{Verb: Accept}, false
}

func (rs *Ruleset) matches(r *Rule, x *Context) bool {
	p := x.Packet
	if r.Proto != 0 && r.Proto != p.Proto || r.DstPort != 0 && r.DstPort != p.DstPort || r.SrcPort != 0 && r.SrcPort != p.SrcPort {
		return false
	}
	if r.MarkMask != 0 && (p.Mark&r.MarkMask == r.Mark) == r.MarkNot {
		return false
	}
	if !r.Dst.matches(p.Dst) || !r.Src.matches(p.Src) || !device(r.In, x.In) || !device(r.Out, x.Out) {
		return false
	}
	if r.States != 0 {
		s := x.State
		if x.Conn != nil && x.Conn.dnat {
			s |= DNATed
		}
		if s&r.States == 0 {
			return false
		}
	}
	if r.DstType != AnyType && x.Local(p.Dst) != (r.DstType == LocalType) || r.SrcType != AnyType && x.Local(p.Src) != (r.SrcType == LocalType) {
		return false
	}
	return r.Chance == 0 || rs.random.Uint32()&0x7fffffff < r.Chance
}

// device matches a name against a pattern as iptables' -i and -o do.
func device(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	if pattern[0] == '!' {
		return !device(pattern[1:], name)
	}
	if n := len(pattern) - 1; pattern[n] == '+' {
		return len(name) >= n && name[:n] == pattern[:n]
	}
	return pattern == name
}
