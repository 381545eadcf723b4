package live

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// vpcInterface is a node's interface to the router: its elastic network interface. eth0 is Docker's, by which nodes reach the API server and the internet.
const vpcInterface = "eth1"

// mtu of everything inside the VPC, as between EC2 instances. Source: EC2 user guide, "Network maximum transmission unit (MTU)".
const mtu = 9001

// startRouter runs the container that every packet between nodes crosses. It sees the processes of Docker's machine, so that it can put one end of a link
// into a node's network namespace, and look into those of nodes and pods.
func startRouter(ctx context.Context, docker DockerCommand, run, owner, image string) (string, error) {
	name := prefix + run + "-router"
	args := append([]string{"run", "--detach", "--name", name, "--privileged", "--pid", "host", "--network", "none", "--entrypoint", "sleep"}, labels(run, owner)...)
	var out strings.Builder
	if err := docker(ctx, nil, &out, append(args, image, "infinity")...); err != nil {
		return "", fmt.Errorf("the router: %w", err)
	}
	return name, nil
}

// links is the script that joins the nodes to the router: a cable to each, the subnet's first address at the router's end, the node's at the other.
// No node has a route to another but by the router.
func (t *topology) links() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
	p("ip link set lo up")
	for _, z := range t.zones {
		p("ip addr add %v/32 dev lo # the load balancer in %s", z.balancer, z.name)
	}
	for _, n := range t.nodes {
		in := fmt.Sprintf("nsenter -t %d -n --", n.pid)
		p("# %s", n.name)
		p("ip link add %s mtu %d type veth peer name %s mtu %d netns %d", n.link, mtu, vpcInterface, mtu, n.pid)
		p("ip addr add %v/32 dev %s", n.gateway, n.link)
		p("ip link set %s up", n.link)
		p("%s ip addr add %v/32 dev %s", in, n.address, vpcInterface)
		p("%s ip link set %s up", in, vpcInterface)
		p("%s ip route add %v dev %s src %v", in, n.gateway, vpcInterface, n.address)
		p("%s ip route add %v via %v dev %s src %v", in, t.vpc, n.gateway, vpcInterface, n.address)
		p("ip route add %v dev %s", n.address, n.link)
		p("ip route add %v via %v dev %s onlink", n.pods, n.address, n.link)
	}
	return b.String()
}

// prepare is the script that readies a node: settings of its kernel, what leaves the VPC leaves as the node, and the CNI.
func (t *topology) prepare(n *node) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	// rp_filter is loose on the interface, as the VPC CNI sets it. Source: amazon-vpc-cni-k8s pkg/networkutils/network.go, SetupHostNetwork.
	p("for i in all %s; do echo 0 > /proc/sys/net/ipv4/conf/$i/send_redirects; echo 0 > /proc/sys/net/ipv4/conf/$i/accept_redirects; done", vpcInterface)
	p("echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 2 > /proc/sys/net/ipv4/conf/%s/rp_filter", vpcInterface)
	b.WriteString(t.settings())
	p("iptables -t nat -A POSTROUTING -s %v ! -d %v -o eth0 -m comment --comment 'outside of the VPC' -j MASQUERADE", t.vpc, t.vpc)
	conf, _ := json.MarshalIndent(map[string]any{ // of strings and numbers: it cannot fail
		"cniVersion": "0.4.0", "name": "ekslab",
		"plugins": []any{
			map[string]any{"type": "ptp", "ipMasq": false, "mtu": mtu, "ipam": map[string]any{
				"type": "host-local", "ranges": []any{[]any{map[string]any{"subnet": n.pods.String()}}}, "routes": []any{map[string]any{"dst": "0.0.0.0/0"}}}},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}},
		},
	}, "", " ")
	p("mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/10-ekslab.conflist <<'CNI'\n%s\nCNI", conf)
	return b.String()
}

// settings is the script that sets the world's sysctls in the network namespace that it runs in, and fails if one does not hold. A kernel that
// does not know of linear timeouts has none.
func (t *topology) settings() string {
	var names []string
	for name := range t.sysctls {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		if name == "net.ipv4.tcp_syn_linear_timeouts" && t.sysctls[name] == 0 {
			fmt.Fprintf(&b, "if [ -e %s ]; then echo 0 > %s; fi\n", path, path)
			continue
		}
		fmt.Fprintf(&b, "echo %d > %s; [ $(cat %s) = %d ]\n", t.sysctls[name], path, path, t.sysctls[name])
	}
	return b.String()
}

// podSettings is the script that sets the same in the network namespaces of a node's pods.
func (t *topology) podSettings() string {
	return "for ns in /run/netns/cni-*; do [ -e $ns ] || continue; nsenter --net=$ns sh -e <<'SETTINGS'\n" + t.settings() + "SETTINGS\ndone\n"
}

// each runs something for every node, at the same time.
func (t *topology) each(f func(*node) error) error {
	errs := make([]error, len(t.nodes))
	var all sync.WaitGroup
	for i, n := range t.nodes {
		all.Go(func() { errs[i] = f(n) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// connect makes the VPC: links, the nodes' settings and CNI. The nodes are Ready when it returns.
func (t *topology) connect(ctx context.Context, c *cluster, router string) error {
	if _, err := c.sh(ctx, router, t.links()); err != nil {
		return err
	}
	if err := t.each(func(n *node) error { _, err := c.sh(ctx, n.container, t.prepare(n)); return err }); err != nil {
		return err
	}
	return poll(ctx, "the nodes to be Ready", 3*time.Minute, time.Second, func(ctx context.Context) (bool, string, error) {
		out, err := c.kubectl(ctx, nil, "get", "nodes", "-l", "eks.amazonaws.com/nodegroup", "--no-headers")
		if err != nil {
			return false, "", err
		}
		ready := 0
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) > 1 && f[1] == "Ready" {
				ready++
			}
		}
		return ready == len(t.nodes), fmt.Sprintf("%d of %d are", ready, len(t.nodes)), nil
	})
}
