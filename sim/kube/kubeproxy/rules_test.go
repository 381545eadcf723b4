package kubeproxy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// The name of a Service's chain in a capture of a real cluster.
func TestChainName(t *testing.T) {
	if got := ChainName("KUBE-SVC-", "nginx-demo/service-nginx-demo", "tcp"); got != "KUBE-SVC-WGW5ZPXP7HZEBG5V" {
		t.Error(got)
	}
}

func endpoints(local ...bool) (out []Endpoint) {
	for i, l := range local {
		out = append(out, Endpoint{Addr: netip.AddrFrom4([4]byte{192, 168, 0, byte(10 + i)}), Port: 80, Local: l})
	}
	return out
}

// Chains as iptables-save shows them. Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go, syncProxyRules.
func TestRules(t *testing.T) {
	base := ServicePort{Name: "ns/web", Protocol: packet.TCP, ClusterIP: netip.MustParseAddr("10.100.1.2"), Port: 80, NodePort: 30161}
	h := func(prefix string) string { return ChainName(prefix, "ns/web", "tcp") }
	for _, c := range []struct {
		name   string
		change func(*ServicePort)
		nat    []string // lines that must be there, in this order
		filter []string
		never  []string
	}{
		{"policy Cluster", func(s *ServicePort) { s.Endpoints = endpoints(true, false, false) },
			[]string{
				"-A KUBE-SERVICES -d 10.100.1.2/32 -p tcp --dport 80 --comment \"ns/web cluster IP\" -j " + h("KUBE-SVC-"),
				"-m addrtype --dst-type LOCAL --comment \"kubernetes service nodeports; NOTE: this must be the last rule in this chain\" -j KUBE-NODEPORTS",
				"--probability 0.33333333349", "--probability 0.50000000000", "--comment \"ns/web -> 192.168.0.12:80\" -j KUBE-SEP-",
				"-A KUBE-NODEPORTS -p tcp --dport 30161 --comment \"ns/web\" -j " + h("KUBE-EXT-"),
				"-A " + h("KUBE-EXT-") + " --comment \"masquerade traffic for ns/web external destinations\" -j KUBE-MARK-MASQ", "-A " + h("KUBE-EXT-") + " -j " + h("KUBE-SVC-"),
				"-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN", "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
				"-A KUBE-POSTROUTING --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully",
				"-s 192.168.0.10/32 --comment \"ns/web\" -j KUBE-MARK-MASQ", "-j DNAT --to-destination 192.168.0.10:80"},
			nil, []string{"KUBE-SVL-", "REJECT"}},
		{"policy Local with a local endpoint", func(s *ServicePort) {
			s.ExternalLocal, s.HealthCheckNodePort, s.Endpoints = true, 31000, endpoints(true, false)
		},
			[]string{"-A " + h("KUBE-EXT-") + " -m addrtype --src-type LOCAL --comment \"masquerade LOCAL traffic for ns/web external destinations\" -j KUBE-MARK-MASQ",
				"-A " + h("KUBE-EXT-") + " -j " + h("KUBE-SVL-"), "-A " + h("KUBE-SVL-") + " --comment \"ns/web -> 192.168.0.10:80\""},
			[]string{"--dport 31000 --comment \"ns/web health check node port\" -j ACCEPT"}, []string{"-A " + h("KUBE-EXT-") + " -j " + h("KUBE-SVC-") + "\n", "DROP --comment"}},
		{"policy Local without one", func(s *ServicePort) { s.ExternalLocal, s.Endpoints = true, endpoints(false) },
			nil, []string{"--comment \"ns/web has no local endpoints\" -j DROP"}, []string{"KUBE-SVL-"}},
		{"no endpoint", func(s *ServicePort) {}, nil,
			[]string{"-A KUBE-SERVICES -d 10.100.1.2/32 -p tcp --dport 80 --comment \"ns/web has no endpoints\" -j REJECT", "-A KUBE-EXTERNAL-SERVICES -p tcp --dport 30161 -m addrtype --dst-type LOCAL --comment \"ns/web has no endpoints\" -j REJECT"},
			[]string{"KUBE-SEP-"}},
	} {
		s := base
		c.change(&s)
		e := engine.New(engine.Options{})
		nf := netfilter.NewRuleset(trace.New(e), e.Rand("t"))
		build([]ServicePort{s}).install(nf, nil, 0)
		nat, filter := nf.Save(netfilter.NAT), nf.Save(netfilter.Filter)
		inOrder(t, c.name, nat, c.nat)
		inOrder(t, c.name, filter, c.filter)
		for _, n := range c.never {
			if strings.Contains(nat+filter, n) {
				t.Errorf("%s: %q must not be there", c.name, n)
			}
		}
	}
}

func inOrder(t *testing.T, name, text string, lines []string) {
	t.Helper()
	rest := text
	for _, l := range lines {
		i := strings.Index(rest, l)
		if i < 0 {
			t.Errorf("%s: no %q, or not in its place, in\n%s", name, l, text)
			return
		}
		rest = rest[i+len(l):]
	}
}

// Chains of a Service that is gone are taken away.
func TestChainsGoWithTheirService(t *testing.T) {
	e := engine.New(engine.Options{})
	nf := netfilter.NewRuleset(trace.New(e), e.Rand("t"))
	s := ServicePort{Name: "ns/web", Protocol: packet.TCP, ClusterIP: netip.MustParseAddr("10.100.1.2"), Port: 80, Endpoints: endpoints(true)}
	before := build([]ServicePort{s}).install(nf, nil, 0)
	build(nil).install(nf, before, 0)
	if strings.Contains(nf.Save(netfilter.NAT), "ns/web") {
		t.Error(nf.Save(netfilter.NAT))
	}
}
