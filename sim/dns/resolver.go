package dns

import (
	"net/netip"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Port is where DNS is served.
const Port = 53

// Source knows the names of a domain.
type Source interface {
	// Resolve answers for a name without its trailing dot, asked from a zone. Known is false for a name that does not exist.
	Resolve(name, zone string) (addrs []netip.Addr, ttl time.Duration, known bool)
}

// Resolver is the DNS server of a VPC, at the base of its range plus two. It answers from sources by the longest domain that fits.
type Resolver struct {
	engine  *engine.Engine
	log     *trace.Log
	vpc     *vpc.VPC
	label   trace.Name
	domains []domain
}

type domain struct {
	suffix string
	source Source
}

// resolverTime is what an answer takes in the resolver; an order of magnitude.
const resolverTime = 300 * time.Microsecond

// negativeTTL is how long an answer that a name does not exist may be kept, by the SOA of Route 53's zones.
// Source: Amazon Route 53 Developer Guide, "The start of authority (SOA) record": negative caching TTL, of which resolvers take less.
const negativeTTL = 60 * time.Second

// NewResolver makes the resolver of a VPC and puts it in place.
func NewResolver(e *engine.Engine, log *trace.Log, v *vpc.VPC) *Resolver {
	r := &Resolver{engine: e, log: log, vpc: v, label: log.Name("vpc-resolver")}
	v.SetResolver(r)
	return r
}

// Serve makes source answer for a domain and what is below it.
func (r *Resolver) Serve(suffix string, source Source) {
	r.domains = append(r.domains, domain{suffix, source})
}

// Query answers a packet to the resolver. What is no question is dropped.
func (r *Resolver) Query(from *vpc.Interface, p *packet.Packet) {
	q, ok := p.Payload.(*Message)
	if !ok || p.Proto != packet.UDP || p.DstPort != Port {
		r.log.Emit(trace.Record{Kind: trace.Drop, Actor: r.label, Reason: r.log.Name("VPC_RESOLVER_NOT_DNS"), Packet: p})
		return
	}
	a := r.resolve(q, from.Subnet.Zone, string(from.ID))
	if a == nil {
		return
	}
	r.vpc.Answer(from, &packet.Packet{Src: p.Dst, SrcPort: p.DstPort, Dst: p.Src, DstPort: p.SrcPort, Proto: packet.UDP, TTL: 64, Payload: a, Serial: p.Serial}, resolverTime)
}

// resolve answers a question from a zone, of which there is none on the internet. It returns nil when the run has ended.
func (r *Resolver) resolve(q *Message, zone, who string) *Message {
	name := strings.TrimSuffix(q.Name, ".")
	best := -1
	for i, d := range r.domains {
		if (name == d.suffix || strings.HasSuffix(name, "."+d.suffix)) && (best < 0 || len(d.suffix) > len(r.domains[best].suffix)) {
			best = i
		}
	}
	if best < 0 {
		r.engine.Fail(engine.NotModelled("dns: %s: a name outside of the domains that the VPC resolver serves here", q.Name))
		return nil
	}
	d := r.domains[best]
	addrs, ttl, known := d.source.Resolve(name, zone)
	a := q.Answer()
	switch {
	case !known:
		a.RCode, a.Zone, a.TTL = NXDomain, d.suffix+".", negativeTTL
	case q.Type != A || len(addrs) == 0:
		a.Zone, a.TTL = d.suffix+".", negativeTTL
	default:
		a.Addrs, a.TTL = append(a.Addrs, addrs...), ttl
		// The order is random. Source: Amazon Route 53 Developer Guide, "Multivalue answer routing".
		r.engine.Rand("dns: order of answers").Shuffle(len(a.Addrs), func(i, j int) { a.Addrs[i], a.Addrs[j] = a.Addrs[j], a.Addrs[i] })
	}
	r.log.Emit(trace.Record{Kind: trace.DNS, Actor: r.label, What: r.log.Name("for " + who), Text: a.String()})
	return a
}

// Ask answers a packet of a host on the internet: what the VPC's resolver says of public names, a resolver outside says too.
func (r *Resolver) Ask(p *packet.Packet, reply func(*packet.Packet, time.Duration)) {
	q, ok := p.Payload.(*Message)
	if !ok || p.Proto != packet.UDP || p.DstPort != Port {
		r.log.Emit(trace.Record{Kind: trace.Drop, Actor: r.label, Reason: r.log.Name("VPC_RESOLVER_NOT_DNS"), Packet: p})
		return
	}
	if a := r.resolve(q, "", p.Src.String()); a != nil {
		reply(&packet.Packet{Src: p.Dst, SrcPort: p.DstPort, Dst: p.Src, DstPort: p.SrcPort, Proto: packet.UDP, TTL: 64, Payload: a, Serial: p.Serial}, resolverTime)
	}
}

// Hosts is a source of fixed names with one address each.
type Hosts map[string]netip.Addr

// hostsTTL is the TTL of an instance's own name.
const hostsTTL = 60 * time.Second

// Resolve answers for the names of the map.
func (h Hosts) Resolve(name, _ string) ([]netip.Addr, time.Duration, bool) {
	a, ok := h[name]
	if !ok {
		return nil, 0, false
	}
	return []netip.Addr{a}, hostsTTL, true
}
