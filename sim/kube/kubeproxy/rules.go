package kubeproxy

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net/netip"

	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// masqueradeMark is iptables.masqueradeBit, 14 by default.
const masqueradeMark = 1 << 14

// ServicePort is one port of a Service, with the endpoints that may be used.
type ServicePort struct {
	// Name is namespace/name, with :port where the port has a name.
	Name      string
	Protocol  packet.Proto
	ClusterIP netip.Addr
	Port      uint16
	// NodePort is zero for Services without one.
	NodePort            uint16
	HealthCheckNodePort uint16
	// ExternalLocal is externalTrafficPolicy Local.
	ExternalLocal bool
	// Endpoints in order of their text, as kube-proxy sorts them.
	Endpoints []Endpoint
}

// Endpoint is one usable endpoint.
type Endpoint struct {
	Addr netip.Addr
	Port uint16
	// Local is whether it runs on this node.
	Local bool
}

func (e Endpoint) String() string { return netip.AddrPortFrom(e.Addr, e.Port).String() }

// ChainName is a prefix and 16 characters of the hash of what the chain is for.
// Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go, portProtoHash, servicePortEndpointChainName.
func ChainName(prefix string, parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return prefix + base32.StdEncoding.EncodeToString(h.Sum(nil))[:16]
}

// ruleset collects chains.
type ruleset struct {
	nat, filter map[string][]netfilter.Rule
	order       []chainKey
}

type chainKey struct {
	table netfilter.TableName
	name  string
}

func (rs *ruleset) add(t netfilter.TableName, chain string, rules ...netfilter.Rule) {
	m := rs.nat
	if t == netfilter.Filter {
		m = rs.filter
	}
	if _, ok := m[chain]; !ok {
		rs.order = append(rs.order, chainKey{t, chain})
	}
	m[chain] = append(m[chain], rules...)
}

func jump(chain string) netfilter.Target {
	return netfilter.Target{Verb: netfilter.Jump, Chain: chain}
}

// build writes the rules for a list of service ports.
func build(ports []ServicePort) *ruleset {
	const nat, filter = netfilter.NAT, netfilter.Filter
	rs := &ruleset{nat: map[string][]netfilter.Rule{}, filter: map[string][]netfilter.Rule{}}
	for _, c := range []string{"KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"} {
		rs.add(nat, c)
	}
	for _, c := range []string{"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-FORWARD"} {
		rs.add(filter, c)
	}
	rs.add(nat, "KUBE-POSTROUTING",
		netfilter.Rule{Mark: masqueradeMark, MarkMask: masqueradeMark, MarkNot: true, Target: netfilter.Target{Verb: netfilter.Return}},
		netfilter.Rule{Target: netfilter.Target{Verb: netfilter.SetMark, Value: masqueradeMark}},
		netfilter.Rule{Comment: "kubernetes service traffic requiring SNAT", Target: netfilter.Target{Verb: netfilter.Masquerade, RandomFully: true}})
	rs.add(nat, "KUBE-MARK-MASQ", netfilter.Rule{Target: netfilter.Target{Verb: netfilter.SetMark, Value: masqueradeMark, Mask: masqueradeMark}})
	rs.add(filter, "KUBE-FORWARD",
		netfilter.Rule{States: netfilter.Invalid, Target: netfilter.Target{Verb: netfilter.Drop}},
		netfilter.Rule{Mark: masqueradeMark, MarkMask: masqueradeMark, Comment: "kubernetes forwarding rules", Target: netfilter.Target{Verb: netfilter.Accept}},
		netfilter.Rule{States: netfilter.Related | netfilter.Established, Comment: "kubernetes forwarding conntrack rule", Target: netfilter.Target{Verb: netfilter.Accept}})
	for i := range ports {
		rs.service(&ports[i])
	}
	rs.add(nat, "KUBE-SERVICES", netfilter.Rule{DstType: netfilter.LocalType,
		Comment: "kubernetes service nodeports; NOTE: this must be the last rule in this chain", Target: jump("KUBE-NODEPORTS")})
	return rs
}

func (rs *ruleset) service(s *ServicePort) {
	const nat, filter = netfilter.NAT, netfilter.Filter
	proto := s.Protocol.String()
	hash := func(prefix string) string { return ChainName(prefix, s.Name, proto) }
	svc, ext, svl := hash("KUBE-SVC-"), hash("KUBE-EXT-"), hash("KUBE-SVL-")
	clusterIP := netfilter.Rule{Proto: s.Protocol, Dst: netfilter.Host(s.ClusterIP), DstPort: s.Port}
	nodePort := netfilter.Rule{Proto: s.Protocol, DstPort: s.NodePort}
	with := func(r netfilter.Rule, comment string, t netfilter.Target) netfilter.Rule {
		r.Comment, r.Target = comment, t
		return r
	}
	if s.HealthCheckNodePort != 0 {
		rs.add(filter, "KUBE-NODEPORTS", netfilter.Rule{Proto: packet.TCP, DstPort: s.HealthCheckNodePort, Comment: s.Name + " health check node port", Target: netfilter.Target{Verb: netfilter.Accept}})
	}
	external := with(nodePort, "", netfilter.Target{})
	external.DstType = netfilter.LocalType
	if len(s.Endpoints) == 0 {
		rs.add(filter, "KUBE-SERVICES", with(clusterIP, s.Name+" has no endpoints", netfilter.Target{Verb: netfilter.Reject}))
		if s.NodePort != 0 {
			rs.add(filter, "KUBE-EXTERNAL-SERVICES", with(external, s.Name+" has no endpoints", netfilter.Target{Verb: netfilter.Reject}))
		}
		return
	}
	rs.add(nat, "KUBE-SERVICES", with(clusterIP, s.Name+" cluster IP", jump(svc)))
	var local []Endpoint
	for _, e := range s.Endpoints {
		if e.Local {
			local = append(local, e)
		}
	}
	if s.NodePort != 0 {
		if s.ExternalLocal && len(local) == 0 {
			rs.add(filter, "KUBE-EXTERNAL-SERVICES", with(external, s.Name+" has no local endpoints", netfilter.Target{Verb: netfilter.Drop}))
		}
		rs.add(nat, "KUBE-NODEPORTS", with(nodePort, s.Name, jump(ext)))
		if !s.ExternalLocal {
			rs.add(nat, ext,
				netfilter.Rule{Comment: "masquerade traffic for " + s.Name + " external destinations", Target: jump("KUBE-MARK-MASQ")},
				netfilter.Rule{Target: jump(svc)})
		} else {
			rs.add(nat, ext,
				netfilter.Rule{SrcType: netfilter.LocalType, Comment: "masquerade LOCAL traffic for " + s.Name + " external destinations", Target: jump("KUBE-MARK-MASQ")},
				netfilter.Rule{SrcType: netfilter.LocalType, Comment: "route LOCAL traffic for " + s.Name + " external destinations", Target: jump(svc)})
			if len(local) > 0 {
				rs.add(nat, ext, netfilter.Rule{Target: jump(svl)})
				rs.balance(svl, s, local)
			}
		}
	}
	rs.balance(svc, s, s.Endpoints)
	for _, e := range s.Endpoints {
		sep := ChainName("KUBE-SEP-", s.Name, proto, e.String())
		rs.add(nat, sep,
			netfilter.Rule{Src: netfilter.Host(e.Addr), Comment: s.Name, Target: jump("KUBE-MARK-MASQ")},
			netfilter.Rule{Proto: s.Protocol, Comment: s.Name, Target: netfilter.Target{Verb: netfilter.DNATTo, Addr: e.Addr, Port: e.Port}})
	}
}

// balance writes a chain that jumps to one of the endpoints, each with the same chance.
func (rs *ruleset) balance(chain string, s *ServicePort, endpoints []Endpoint) {
	for i, e := range endpoints {
		r := netfilter.Rule{Comment: fmt.Sprintf("%s -> %v", s.Name, e), Target: jump(ChainName("KUBE-SEP-", s.Name, s.Protocol.String(), e.String()))}
		if left := len(endpoints) - i; left > 1 {
			r.Chance = netfilter.Chance(left)
		}
		rs.add(netfilter.NAT, chain, r)
	}
}

// install puts the chains into a namespace's rules and takes away those of before that are no more.
func (rs *ruleset) install(nf *netfilter.Ruleset, before map[chainKey]bool, origin trace.ID) map[chainKey]bool {
	now := map[chainKey]bool{}
	for _, k := range rs.order {
		rules := rs.nat[k.name]
		if k.table == netfilter.Filter {
			rules = rs.filter[k.name]
		}
		nf.SetChain(k.table, k.name, rules, origin)
		now[k] = true
	}
	for k := range before { // the order of deletions is of no effect
		if !now[k] {
			nf.DeleteChain(k.table, k.name)
		}
	}
	return now
}

// portals puts the jumps into the built-in chains, before what others have written there.
func portals(nf *netfilter.Ruleset, origin trace.ID) {
	const nat, filter = netfilter.NAT, netfilter.Filter
	for _, h := range []string{"PREROUTING", "OUTPUT"} {
		nf.Insert(nat, h, origin, netfilter.Rule{Comment: "kubernetes service portals", Target: jump("KUBE-SERVICES")})
	}
	nf.Insert(nat, "POSTROUTING", origin, netfilter.Rule{Comment: "kubernetes postrouting rules", Target: jump("KUBE-POSTROUTING")})
	nf.Insert(filter, "INPUT", origin,
		netfilter.Rule{Comment: "kubernetes health check service ports", Target: jump("KUBE-NODEPORTS")},
		netfilter.Rule{States: netfilter.New, Comment: "kubernetes externally-visible service portals", Target: jump("KUBE-EXTERNAL-SERVICES")})
	nf.Insert(filter, "FORWARD", origin,
		netfilter.Rule{Comment: "kubernetes forwarding rules", Target: jump("KUBE-FORWARD")},
		netfilter.Rule{States: netfilter.New, Comment: "kubernetes service portals", Target: jump("KUBE-SERVICES")},
		netfilter.Rule{States: netfilter.New, Comment: "kubernetes externally-visible service portals", Target: jump("KUBE-EXTERNAL-SERVICES")})
	nf.Insert(filter, "OUTPUT", origin, netfilter.Rule{States: netfilter.New, Comment: "kubernetes service portals", Target: jump("KUBE-SERVICES")})
}
