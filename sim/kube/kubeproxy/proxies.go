package kubeproxy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// minSyncPeriod is the least time between two writes of the rules.
// Source: kubernetes/kubernetes pkg/proxy/apis/config/v1alpha1/defaults.go (iptables.minSyncPeriod 1s).
const minSyncPeriod = time.Second

// Options are switches for experiments.
type Options struct {
	// NoMasquerade leaves out the masquerading of what kube-proxy has marked for it.
	NoMasquerade bool
}

// Proxies is the kube-proxies of all nodes. They share caches of Services and EndpointSlices; each node writes its own rules in its own time.
type Proxies struct {
	cluster  *kube.Cluster
	opts     Options
	services *kube.Informer[*corev1.Service]
	slices   *kube.Informer[*discoveryv1.EndpointSlice]
	nodes    []*proxy
}

// proxy is the kube-proxy of one node.
type proxy struct {
	all     *Proxies
	node    string
	root    *linux.Namespace
	chains  map[chainKey]bool
	last    time.Duration
	pending bool
	started bool
	health  map[uint16]*healthPort
}

// healthPort answers on a Service's health check node port.
type healthPort struct {
	listener *linux.Listener
	service  string
	local    int
}

// New starts kube-proxies that follow Services and EndpointSlices.
func New(c *kube.Cluster, services *kube.Informer[*corev1.Service], slicesOf *kube.Informer[*discoveryv1.EndpointSlice], opts Options) *Proxies {
	ps := &Proxies{cluster: c, opts: opts, services: services, slices: slicesOf}
	slicesOf.Index("service", func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	services.Handle(func(_, _ *corev1.Service) { ps.changed() })
	slicesOf.Handle(func(_, _ *discoveryv1.EndpointSlice) { ps.changed() })
	return ps
}

// Add starts the kube-proxy of a node.
func (ps *Proxies) Add(node string, root *linux.Namespace) {
	p := &proxy{all: ps, node: node, root: root, health: map[uint16]*healthPort{}}
	ps.nodes = append(ps.nodes, p)
	p.schedule()
}

func (ps *Proxies) changed() {
	for _, p := range ps.nodes {
		p.schedule()
	}
}

// schedule has the rules written: now if the last time is long enough ago, else when it is.
func (p *proxy) schedule() {
	if p.pending {
		return
	}
	p.pending = true
	wait := time.Duration(0)
	if p.started {
		wait = p.last + minSyncPeriod - p.all.cluster.Engine().Now()
	}
	p.all.cluster.Engine().After(wait, "kube-proxy: sync", p)
}

// Fire writes the rules.
func (p *proxy) Fire() {
	p.pending = false
	e := p.all.cluster.Engine()
	p.last = e.Now()
	ports := p.all.ports(p.node)
	rs := build(ports)
	if p.all.opts.NoMasquerade {
		rs.nat["KUBE-POSTROUTING"] = nil
	}
	origin := p.all.cluster.Log().Emit(trace.Record{Kind: trace.Config, Actor: p.all.cluster.Log().Name("kube-proxy " + p.node), What: p.all.cluster.Log().Name("iptables-restore"), Text: fmt.Sprintf("%d service ports", len(ports))})
	nf := p.root.Netfilter()
	p.chains = rs.install(nf, p.chains, origin)
	if !p.started {
		p.started = true
		portals(nf, origin)
	}
	p.healthPorts(ports)
}

// ports is what the Services and EndpointSlices ask of a node.
func (ps *Proxies) ports(node string) []ServicePort {
	var out []ServicePort
	for _, s := range ps.services.List() {
		ip, err := netip.ParseAddr(s.Spec.ClusterIP)
		if err != nil {
			continue
		}
		for i := range s.Spec.Ports {
			sp := &s.Spec.Ports[i]
			out = append(out, ServicePort{Name: portName(s, sp), Protocol: proto(sp.Protocol), ClusterIP: ip, Port: uint16(sp.Port), NodePort: uint16(sp.NodePort),
				HealthCheckNodePort: uint16(s.Spec.HealthCheckNodePort), ExternalLocal: s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
				Endpoints: ps.endpoints(s, sp, node)})
		}
	}
	return out
}

func portName(s *corev1.Service, p *corev1.ServicePort) string {
	if p.Name == "" {
		return s.Namespace + "/" + s.Name
	}
	return s.Namespace + "/" + s.Name + ":" + p.Name
}

func proto(p corev1.Protocol) packet.Proto {
	if p == corev1.ProtocolUDP {
		return packet.UDP
	}
	return packet.TCP
}

// endpoints is the ready endpoints of a port, in the order of their text.
func (ps *Proxies) endpoints(s *corev1.Service, sp *corev1.ServicePort, node string) []Endpoint {
	var out []Endpoint
	for _, slice := range ps.slices.By("service", s.Namespace+"/"+s.Name) {
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name != nil && *p.Name != sp.Name {
				continue
			}
			for i := range slice.Endpoints {
				ep := &slice.Endpoints[i]
				if ep.Conditions.Ready != nil && !*ep.Conditions.Ready {
					continue
				}
				if a, err := netip.ParseAddr(ep.Addresses[0]); err == nil {
					out = append(out, Endpoint{Addr: a, Port: uint16(*p.Port), Local: ep.NodeName != nil && *ep.NodeName == node})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Endpoint) int { return cmp.Compare(a.String(), b.String()) })
	return out
}

// healthPorts opens and closes the health check node ports, and tells them how many endpoints are local.
func (p *proxy) healthPorts(ports []ServicePort) {
	wanted := map[uint16]bool{}
	for i := range ports {
		s := &ports[i]
		if s.HealthCheckNodePort == 0 {
			continue
		}
		wanted[s.HealthCheckNodePort] = true
		h := p.health[s.HealthCheckNodePort]
		if h == nil {
			h = &healthPort{service: s.Name}
			l, err := p.root.Listen(netip.Addr{}, s.HealthCheckNodePort, h.serve)
			if err != nil {
				continue
			}
			h.listener = l
			p.health[s.HealthCheckNodePort] = h
		}
		h.local = 0
		for _, e := range s.Endpoints {
			if e.Local {
				h.local++
			}
		}
	}
	for port, h := range p.health { // the order is of no effect
		if !wanted[port] {
			h.listener.Close()
			delete(p.health, port)
		}
	}
}

// serve answers a health check: 200 with local endpoints, else 503.
// Source: kubernetes/kubernetes pkg/proxy/healthcheck/service_health.go.
func (h *healthPort) serve(c *linux.Conn) {
	c.OnData = func([]byte) {
		status := "503 Service Unavailable"
		if h.local > 0 {
			status = "200 OK"
		}
		body := fmt.Sprintf("{\"service\":{\"name\":%q},\"localEndpoints\":%d}", h.service, h.local)
		c.Write(fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body))
	}
	c.OnEOF = func() { c.Close() }
}
