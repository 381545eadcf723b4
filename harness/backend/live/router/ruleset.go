package router

import (
	"fmt"
	"net/netip"
	"strings"
)

// Link is the way to one node.
type Link struct {
	// Interface is the router's.
	Interface string
	// Owned are the addresses that the node may send from: its own and its pods'.
	Owned []netip.Prefix
}

// Frontend is a port of a load balancer in one zone.
type Frontend struct {
	Zone    string
	Address netip.Addr
	Port    uint16
	// Targets it may choose among; none means that it answers nothing.
	Targets []netip.AddrPort
}

// Ruleset is everything that the router does.
type Ruleset struct {
	Links     []Link
	Frontends []Frontend
	// PreserveClientIP is preserve_client_ip.enabled: whether the source of a packet stays as it is.
	PreserveClientIP bool
	// Seed of the hash by which flows choose targets.
	Seed uint32
}

// Table is the nftables table that holds the rules.
const Table = "ekslab"

// String is the ruleset as `nft -f -` takes it. It replaces what was there in one transaction; connections that are open keep what was chosen for them.
func (r Ruleset) String() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("table ip %s", Table)
	p("delete table ip %s", Table)
	p("table ip %s {", Table)
	p("\tchain source_check {")
	p("\t\ttype filter hook prerouting priority raw; policy accept;")
	for _, l := range r.Links {
		var owned []string
		for _, o := range l.Owned {
			owned = append(owned, o.String())
		}
		p("\t\tiifname %q ip saddr != { %s } counter drop", l.Interface, strings.Join(owned, ", "))
	}
	p("\t}")
	p("\tchain balance {")
	p("\t\ttype nat hook prerouting priority dstnat; policy accept;")
	for _, f := range r.Frontends {
		at := fmt.Sprintf("\t\tip daddr %v tcp dport %d", f.Address, f.Port)
		switch len(f.Targets) {
		case 0:
			p("%s counter drop comment %q", at, f.Zone+": no target")
		case 1:
			p("%s counter dnat ip to %v comment %q", at, f.Targets[0], f.Zone)
		default:
			var targets []string
			for i, t := range f.Targets {
				targets = append(targets, fmt.Sprintf("%d : %v . %d", i, t.Addr(), t.Port()))
			}
			p("%s counter dnat ip to jhash ip saddr . ip daddr . tcp sport . tcp sequence mod %d seed %#x map { %s } comment %q",
				at, len(f.Targets), r.Seed|1, strings.Join(targets, ", "), f.Zone)
		}
	}
	p("\t}")
	p("\tchain source {")
	p("\t\ttype nat hook postrouting priority srcnat; policy accept;")
	if !r.PreserveClientIP {
		for _, f := range r.Frontends {
			p("\t\tct status dnat ct original ip daddr %v snat ip to %v comment %q", f.Address, f.Address, f.Zone)
		}
	}
	p("\t}")
	p("}")
	return b.String()
}
