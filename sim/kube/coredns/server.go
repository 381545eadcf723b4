package coredns

import (
	"net/netip"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Settings of EKS's Corefile and of the plugins' own.
const (
	clusterDomain = "cluster.local"
	// cacheCap is `cache 30`: no answer, positive or negative, is kept longer.
	cacheCap = 30 * time.Second
	// cacheFloor is the cache plugin's minimum TTL. Source: plugin/cache/cache.go, minTTL.
	cacheFloor = 5 * time.Second
	// serviceTTL is the kubernetes plugin's default. Source: plugin/kubernetes/kubernetes.go, defaultTTL.
	serviceTTL = 5 * time.Second
	// forwardTimeout is how long forward waits for its upstream. Source: plugin/forward/forward.go, defaultTimeout (5 s for a query).
	forwardTimeout = 5 * time.Second
	// workTime is what a query takes in the server; an order of magnitude.
	workTime = 100 * time.Microsecond
)

// Services knows the addresses of Services.
type Services interface {
	// ClusterIP is a Service's address; false if there is no such Service.
	ClusterIP(namespace, name string) (netip.Addr, bool)
	// HasNamespace says whether a namespace exists.
	HasNamespace(namespace string) bool
}

// Server is one CoreDNS pod. Each has a cache of its own.
type Server struct {
	engine   *engine.Engine
	log      *trace.Log
	label    trace.Name
	ns       *linux.Namespace
	socket   *linux.UDPSocket
	upstream netip.Addr
	services Services
	cache    map[question]entry
	waiting  map[question][]client
}

type question struct {
	name string
	typ  dns.Type
}

type entry struct {
	answer *dns.Message
	stored time.Duration
}

type client struct {
	query *dns.Message
	addr  netip.AddrPort
	to    netip.Addr
}

// Start serves DNS in a pod's namespace. Upstream is the nameserver of the node's resolv.conf.
func Start(log *trace.Log, ns *linux.Namespace, upstream netip.Addr, services Services) (*Server, error) {
	s := &Server{engine: ns.Engine(), log: log, label: log.Name(ns.Name), ns: ns, upstream: upstream, services: services, cache: map[question]entry{}, waiting: map[question][]client{}}
	socket, err := ns.ListenUDP(netip.Addr{}, dns.Port)
	if err != nil {
		return nil, err
	}
	s.socket = socket
	socket.OnPacket = s.query
	return s, nil
}

func (s *Server) query(p *packet.Packet) {
	q, ok := p.Payload.(*dns.Message)
	if !ok || q.Response {
		return
	}
	c := client{query: q, addr: netip.AddrPortFrom(p.Src, p.SrcPort), to: p.Dst}
	k := question{q.Name, q.Type}
	if e, ok := s.cache[k]; ok {
		// What is left of the TTL is counted in whole seconds; at none the entry is stale.
		if left := e.answer.TTL - (s.engine.Now() - e.stored).Truncate(time.Second); left > 0 {
			s.reply(c, e.answer, left, "from its cache")
			return
		}
		delete(s.cache, k)
	}
	if name := strings.TrimSuffix(q.Name, "."); name == clusterDomain || strings.HasSuffix(name, "."+clusterDomain) {
		s.store(k, c, s.kubernetes(q, strings.TrimSuffix(strings.TrimSuffix(name, clusterDomain), ".")), "from the cluster's Services")
		return
	}
	s.waiting[k] = append(s.waiting[k], c)
	if len(s.waiting[k]) == 1 {
		s.forward(k)
	}
}

// kubernetes answers for what is below the cluster's domain.
func (s *Server) kubernetes(q *dns.Message, rest string) *dns.Message {
	a := q.Answer()
	a.Authoritative = true
	a.TTL, a.Zone = serviceTTL, clusterDomain+"."
	a.RCode = dns.NXDomain
	parts := strings.Split(rest, ".")
	if n := len(parts); parts[n-1] == "svc" {
		switch {
		case n == 1 || n == 2 && s.services.HasNamespace(parts[0]):
			a.RCode = dns.NoError
		case n == 3:
			if ip, ok := s.services.ClusterIP(parts[1], parts[0]); ok {
				a.RCode = dns.NoError
				if q.Type == dns.A {
					a.Addrs, a.Zone = []netip.Addr{ip}, ""
				}
			}
		}
	} else if rest == "" {
		a.RCode = dns.NoError
	}
	return a
}

// forward asks the upstream, once for all that wait for the same answer.
func (s *Server) forward(k question) {
	socket, err := s.ns.DialUDP(netip.AddrPortFrom(s.upstream, dns.Port))
	if err != nil {
		s.fail(k)
		return
	}
	id := uint16(s.engine.Rand("coredns: ids of questions").Uint32())
	timer := s.engine.After(forwardTimeout, "coredns: forward", engine.Func(func() {
		socket.Close()
		s.fail(k)
	}))
	socket.OnPacket = func(p *packet.Packet) {
		m, ok := p.Payload.(*dns.Message)
		if !ok || m.ID != id || !m.Response {
			return
		}
		s.engine.Stop(timer)
		socket.Close()
		waiting := s.waiting[k]
		delete(s.waiting, k)
		for i, c := range waiting {
			if i == 0 {
				s.store(k, c, m, "from the VPC resolver")
			} else {
				s.reply(c, s.cache[k].answer, s.cache[k].answer.TTL, "from the VPC resolver")
			}
		}
	}
	socket.Send(&dns.Message{ID: id, Name: k.name, Type: k.typ})
}

// fail answers SERVFAIL to all that wait.
func (s *Server) fail(k question) {
	waiting := s.waiting[k]
	delete(s.waiting, k)
	for _, c := range waiting {
		a := c.query.Answer()
		a.RCode = dns.ServFail
		s.reply(c, a, 0, "since the VPC resolver did not answer")
	}
}

// store puts an answer into the cache, under the lowest TTL within the cache's bounds, which all its records get.
func (s *Server) store(k question, c client, a *dns.Message, source string) {
	kept := *a
	kept.TTL = min(max(a.TTL, cacheFloor), cacheCap)
	s.cache[k] = entry{&kept, s.engine.Now()}
	s.reply(c, &kept, kept.TTL, source)
}

// reply sends an answer to a client, its addresses shuffled.
func (s *Server) reply(c client, a *dns.Message, ttl time.Duration, source string) {
	before := s.engine.Cause()
	out := *a
	out.ID, out.TTL = c.query.ID, ttl
	out.Addrs = append([]netip.Addr(nil), a.Addrs...)
	s.shuffle(out.Addrs)
	s.log.Emit(trace.Record{Kind: trace.DNS, Actor: s.label, What: s.log.Name(source), Text: out.String()})
	s.engine.After(workTime, "coredns: answer", engine.Func(func() { s.socket.SendFrom(c.to, c.addr, &out) }))
	s.engine.SetCause(before)
}

// shuffle is the loadbalance plugin's: it draws with the random 16 bits of a message id.
// Source: coredns/coredns plugin/loadbalance/loadbalance.go, roundRobinShuffle.
func (s *Server) shuffle(a []netip.Addr) {
	r := s.engine.Rand("coredns: loadbalance")
	id := func() int { return int(uint16(r.Uint32())) }
	switch n := len(a); n {
	case 0, 1:
	case 2:
		if id()%2 == 0 {
			a[0], a[1] = a[1], a[0]
		}
	default:
		for j := range n {
			k := j + id()%(n-j)
			a[j], a[k] = a[k], a[j]
		}
	}
}
