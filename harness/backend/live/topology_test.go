package live

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/scenario"
)

// planOf resolves the scenario that this backend was made for.
func planOf(t *testing.T, variant string, set map[string]string) *scenario.Plan {
	t.Helper()
	catalog, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := catalog.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func topologyFor(t *testing.T, set map[string]string) *topology {
	t.Helper()
	top, err := topologyOf(&planOf(t, "broken", set).World)
	if err != nil {
		t.Fatal(err)
	}
	return top
}

func TestTopology(t *testing.T) {
	top := topologyFor(t, nil)
	var names, zones, balancers []string
	for _, n := range top.nodes {
		names, zones = append(names, n.name), append(zones, n.zone)
	}
	for _, z := range top.zones {
		balancers = append(balancers, z.name+" "+z.balancer.String())
	}
	if want := []string{"ip-192-168-18-190", "ip-192-168-55-245", "ip-192-168-61-79", "ip-192-168-71-85", "ip-192-168-76-241"}; !slices.EqualFunc(names, want, func(n, w string) bool { return n == w+".eu-west-1.compute.internal" }) {
		t.Errorf("nodes %v", names)
	}
	if want := []string{"eu-west-1a", "eu-west-1c", "eu-west-1c", "eu-west-1b", "eu-west-1b"}; !slices.Equal(zones, want) {
		t.Errorf("zones %v", zones)
	}
	// In the private subnet of each zone, behind the addresses that AWS keeps.
	if want := []string{"eu-west-1a 192.168.96.4", "eu-west-1c 192.168.128.4", "eu-west-1b 192.168.160.4"}; !slices.Equal(balancers, want) {
		t.Errorf("load balancer %v", balancers)
	}
}

// Whatever the size of a world: no address is given out twice, and every pod's address leads to its node.
func TestAddressesAreNotGivenOutTwice(t *testing.T) {
	for _, nodes := range []string{"1,2,2", "1", "20", "7,0,13", "1,1,1"} {
		zone := "1"
		top := topologyFor(t, map[string]string{"nodesPerZone": nodes, "clientZone": zone})
		taken := map[netip.Addr]string{}
		take := func(a netip.Addr, who string) {
			if other, ok := taken[a]; ok {
				t.Errorf("%s: %v belongs to %s and to %s", nodes, a, other, who)
			}
			taken[a] = who
		}
		for _, z := range top.zones {
			take(z.balancer, z.name)
		}
		for i, n := range top.nodes {
			take(n.address, n.name)
			for a := range taken {
				if n.pods.Contains(a) {
					t.Errorf("%s: pods of %s may get %v, which is %s", nodes, n.name, a, taken[a])
				}
			}
			for _, m := range top.nodes[:i] {
				if n.pods.Overlaps(m.pods) {
					t.Errorf("%s: pods of %s and of %s share addresses", nodes, n.name, m.name)
				}
			}
			if !top.vpc.Contains(n.pods.Addr()) || !slices.ContainsFunc([]netip.Prefix{netip.MustParsePrefix("192.168.0.0/19"), netip.MustParsePrefix("192.168.32.0/19"), netip.MustParsePrefix("192.168.64.0/19")},
				func(s netip.Prefix) bool { return s.Contains(n.address) && s.Contains(n.pods.Addr()) }) {
				t.Errorf("%s: pods of %s (%v) are in another subnet: %v", nodes, n.name, n.address, n.pods)
			}
			if top.owner(n.pods.Addr().Next()) != n {
				t.Errorf("%s: a pod of %s is not found there", nodes, n.name)
			}
		}
	}
}

// The cluster carries the labels that manifests select by, as the simulator's nodes do, and kube-proxy is told of no range of pods.
func TestClusterConfig(t *testing.T) {
	top := topologyFor(t, nil)
	c := clusterConfig(top)
	if len(c.Nodes) != 6 || c.Networking.ServiceSubnet != "10.100.0.0/16" || !c.Networking.DisableDefaultCNI || c.Networking.KubeProxyMode != "iptables" {
		t.Fatalf("%+v", c)
	}
	if !strings.Contains(strings.Join(c.KubeadmConfigPatches, ""), `podSubnet: ""`) {
		t.Error("kubeadm is told of a pod subnet: kube-proxy would get a clusterCIDR")
	}
	client := c.Nodes[2]
	for label, want := range map[string]string{"topology.kubernetes.io/zone": "eu-west-1c", "topology.kubernetes.io/region": "eu-west-1", "eks.amazonaws.com/nodegroup": "ng-1c", "ekslab/ordinal": "1"} {
		if got := client.Labels[label]; got != want {
			t.Errorf("label %s is %q, want %q", label, got, want)
		}
	}
	if !strings.Contains(client.KubeadmConfigPatches[0], "name: ip-192-168-55-245.eu-west-1.compute.internal") {
		t.Errorf("patch %q", client.KubeadmConfigPatches)
	}
	if worker("c", 0) != "c-worker" || worker("c", 1) != "c-worker2" {
		t.Error("kind names its containers otherwise")
	}
}

// The settings of the scenario reach the kernel, each checked after it was written; a kernel without linear timeouts is one that has none.
func TestSettings(t *testing.T) {
	got := topologyFor(t, map[string]string{"tcpSynRetries": "2"}).settings()
	for _, want := range []string{
		"echo 2 > /proc/sys/net/ipv4/tcp_syn_retries; [ $(cat /proc/sys/net/ipv4/tcp_syn_retries) = 2 ]\n",
		"echo 255 > /proc/sys/net/ipv4/ip_default_ttl",
		"if [ -e /proc/sys/net/ipv4/tcp_syn_linear_timeouts ]; then echo 0 >",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := topologyFor(t, map[string]string{"tcpSynLinearTimeouts": "4"}).settings(); !strings.Contains(got, "echo 4 > /proc/sys/net/ipv4/tcp_syn_linear_timeouts; [") {
		t.Errorf("linear timeouts that are asked for have to be there:\n%s", got)
	}
}

// No node has a way to another but by the router.
func TestLinks(t *testing.T) {
	top := topologyFor(t, map[string]string{"nodesPerZone": "1,1,0", "clientZone": "1"})
	for i, n := range top.nodes {
		n.pid = 100 + i
	}
	got := top.links()
	for _, want := range []string{
		"ip link add eni1 mtu 9001 type veth peer name eth1 mtu 9001 netns 101\n",
		"ip addr add 192.168.32.1/32 dev eni1\n",
		"nsenter -t 101 -n -- ip route add 192.168.0.0/16 via 192.168.32.1 dev eth1 src 192.168.55.245\n",
		"ip route add 192.168.32.128/25 via 192.168.55.245 dev eni1 onlink\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
