package vpc

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Permission is one rule of a security group.
type Permission struct {
	// Proto is zero for all protocols.
	Proto packet.Proto
	// FromPort and ToPort are for TCP and UDP; both zero means all. For ICMP they are type and code, -1 for all.
	FromPort, ToPort int
	// CIDR is the range of remote addresses, or Group the security group of the remote interface.
	CIDR        netip.Prefix
	Group       SecurityGroupID
	Description string
	// Origin is the record of the call that authorized the rule.
	Origin trace.ID
}

// SecurityGroup is a set of rules that interfaces carry. What no rule allows is dropped.
type SecurityGroup struct {
	ID      SecurityGroupID
	Name    string
	Ingress []Permission
	Egress  []Permission
	Tags    map[string]string
}

// AddSecurityGroup makes a security group that lets everything out and nothing in, as a new one does.
func (v *VPC) AddSecurityGroup(name string, tags map[string]string) *SecurityGroup {
	g := &SecurityGroup{ID: SecurityGroupID(v.NewID("sg")), Name: name, Tags: tags, Egress: []Permission{{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}}
	v.groups[g.ID] = g
	v.order = append(v.order, g)
	return g
}

// SecurityGroups lists the groups in the order in which they were made.
func (v *VPC) SecurityGroups() []*SecurityGroup { return v.order }

// SecurityGroup is the group of an id, or nil.
func (v *VPC) SecurityGroup(id SecurityGroupID) *SecurityGroup { return v.groups[id] }

func (v *VPC) allows(rules []Permission, p *packet.Packet, remote netip.Addr) bool {
	for i := range rules {
		r := &rules[i]
		if r.Proto != 0 && r.Proto != p.Proto {
			continue
		}
		if r.Proto == packet.ICMP {
			if p.Error == nil || r.FromPort >= 0 && r.FromPort != int(p.Error.Type) || r.ToPort >= 0 && r.ToPort != int(p.Error.Code) {
				continue
			}
		} else if (r.FromPort != 0 || r.ToPort != 0) && (int(p.DstPort) < r.FromPort || int(p.DstPort) > r.ToPort) {
			continue
		}
		if r.CIDR.IsValid() {
			if r.CIDR.Contains(remote) {
				return true
			}
			continue
		}
		if other := v.byAddr[remote]; other != nil && other.hasGroup(r.Group) {
			return true
		}
	}
	return false
}

// Timeouts of tracked flows at an interface.
// Source: Amazon EC2 User Guide, "Security group connection tracking: idle connection tracking timeout".
const (
	trackedTCP    = 432000 * time.Second
	trackedUDP    = 180 * time.Second
	trackedClosed = 120 * time.Second // not documented; long enough for the last segments of a closed connection
)

// tracker is the connection tracking of one interface.
type tracker struct {
	flows   map[packet.Tuple]time.Duration // by the direction from the interface outwards: until when
	sweepAt int
}

func (t *tracker) known(flow packet.Tuple, now time.Duration) bool {
	until, ok := t.flows[flow]
	return ok && until > now
}

func (t *tracker) touch(flow packet.Tuple, p *packet.Packet, now time.Duration) {
	until := now + trackedUDP
	if p.Proto == packet.TCP {
		until = now + trackedTCP
		if p.Flags&(packet.RST|packet.FIN) != 0 {
			until = now + trackedClosed
		} else if old, ok := t.flows[flow]; ok && old > now && old <= now+trackedClosed && !p.Flags.Has(packet.SYN) {
			until = old // closing already
		}
	}
	t.flows[flow] = until
	if len(t.flows) > t.sweepAt {
		for k, u := range t.flows { // what is removed does not depend on the order
			if u <= now {
				delete(t.flows, k)
			}
		}
		t.sweepAt = max(1024, 2*len(t.flows))
	}
}

// passes says whether an interface's security groups let a packet through, and tracks its flow.
func (eni *Interface) passes(p *packet.Packet, out bool) bool {
	if len(eni.Groups) == 0 { // interfaces of AWS's own, such as those of a Network Load Balancer without security groups
		return true
	}
	now := eni.vpc.engine.Now()
	flow, remote := p.Tuple(), p.Dst
	if !out {
		flow, remote = flow.Reverse(), p.Src
	}
	if p.Proto == packet.ICMP && p.Error != nil { // an error about a tracked flow passes with it
		quoted := p.Error.Quoted
		if eni.tracked.known(quoted, now) || eni.tracked.known(quoted.Reverse(), now) {
			return true
		}
	}
	if !eni.tracked.known(flow, now) {
		allowed := false
		for _, g := range eni.Groups {
			rules := g.Ingress
			if out {
				rules = g.Egress
			}
			if eni.vpc.allows(rules, p, remote) {
				allowed = true
				break
			}
		}
		if !allowed {
			return false
		}
	}
	eni.tracked.touch(flow, p, now)
	return true
}

// ACLEntry is a numbered rule of a network ACL; the first that matches decides.
type ACLEntry struct {
	Proto            packet.Proto // zero for all
	FromPort, ToPort int          // both zero for all
	CIDR             netip.Prefix
	Allow            bool
}

// NetworkACL filters what enters and leaves a subnet, packet by packet, without memory. A nil NetworkACL allows all, as
// the default one does.
type NetworkACL struct {
	Ingress, Egress []ACLEntry
}

func (a *NetworkACL) allows(entries []ACLEntry, p *packet.Packet, remote netip.Addr) bool {
	for _, e := range entries {
		if (e.Proto == 0 || e.Proto == p.Proto) && e.CIDR.Contains(remote) &&
			(e.FromPort == 0 && e.ToPort == 0 || int(p.DstPort) >= e.FromPort && int(p.DstPort) <= e.ToPort) {
			return e.Allow
		}
	}
	return false
}
