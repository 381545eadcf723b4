package cni

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Priorities of the plugin's policy rules.
// Source: aws/amazon-vpc-cni-k8s pkg/networkutils/network.go (toContainerRulePriority, hostRulePriority, FromPodRulePriority).
const (
	priorityToPod   = 512
	priorityHost    = 1024
	priorityFromPod = 1536
)

// connmark is the mark of connections that came in by the primary interface, so that their answers leave by it.
// Source: aws/amazon-vpc-cni-k8s pkg/networkutils/network.go, defaultConnmark.
const connmark = 0x80

// podGateway is every pod's next hop. Source: cmd/routed-eni-cni-plugin/driver/driver.go.
var podGateway = netip.MustParseAddr("169.254.1.1")

// ipv4All is the default route's destination.
var ipv4All = netip.MustParsePrefix("0.0.0.0/0")

// Options are what a host's plugin is made with.
type Options struct {
	InstanceID vpc.InstanceID
	VPC        *vpc.VPC
	// Agent are the settings of the node's ipamd, but for those of each start.
	Agent ipamd.Options
	// Configured is called when the host has a CNI configuration. It may be nil.
	Configured func()
	// NoHostRoute is a switch for experiments: the host gets no /32 route to its pods, and sends what is for them to the VPC's router.
	NoHostRoute bool
}

// Host is the plugin on one host. Use New.
type Host struct {
	root  *linux.Namespace
	opts  Options
	ports []*port
	agent *ipamd.Agent
	// version of the plugin.
	version ipamd.Version
	pods    map[podKey]*pod
	// configured is whether there is a CNI configuration in /etc/cni/net.d. It stays when the daemon ends.
	configured bool
	checkpoint ipamd.Checkpoint
	sandboxes  int
}

type podKey struct{ namespace, name string }

// pod is a pod that has an address.
type pod struct {
	sandbox ipamd.Key
	addr    netip.Addr
	table   route.Table
	outside *linux.Device
}

// port is one network interface of the host.
type port struct {
	eni    *vpc.Interface
	device *linux.Device
	table  route.Table
}

// New sets a host up: eth0 for its primary interface, forwarding, the plugin's rules. It has no daemon yet.
func New(root *linux.Namespace, primary *vpc.Interface, opts Options) *Host {
	h := &Host{root: root, opts: opts, pods: map[podKey]*pod{}}
	eth0 := h.plug(primary, "eth0", route.Main)
	eth0.RPFilter = 2 // loose: source validation comes after the translation of destinations
	gateway := primary.Subnet.CIDR.Addr().Next()
	root.AddRoute(route.Route{Dst: primary.Subnet.CIDR}, eth0)
	root.AddRoute(route.Route{Dst: ipv4All, Via: gateway}, eth0)
	root.Forwarding = true
	root.AddRule(route.Rule{Priority: priorityHost, Mark: connmark, Mask: connmark, Table: route.Main})
	h.rules(primary.Primary())
	return h
}

// rules writes the plugin's part of nat and mangle.
func (h *Host) rules(primary netip.Addr) {
	nf := h.root.Netfilter()
	e := h.root.Engine()
	jump := func(chain string) netfilter.Target { return netfilter.Target{Verb: netfilter.Jump, Chain: chain} }
	nf.Append(netfilter.NAT, "POSTROUTING", e.Cause(), netfilter.Rule{Comment: "AWS SNAT CHAIN", Target: jump("AWS-SNAT-CHAIN-0")})
	// One rule for each CIDR block of the VPC: what stays inside is not translated.
	var inside, outside []netfilter.Rule
	for _, c := range h.opts.VPC.CIDRs {
		inside = append(inside, netfilter.Rule{Dst: netfilter.Net(c), Comment: "AWS SNAT CHAIN", Target: netfilter.Target{Verb: netfilter.Return}})
		outside = append(outside, netfilter.Rule{Dst: netfilter.Net(c), Comment: "AWS CONNMARK CHAIN, VPC CIDR", Target: netfilter.Target{Verb: netfilter.Return}})
	}
	nf.SetChain(netfilter.NAT, "AWS-SNAT-CHAIN-0", append(inside,
		netfilter.Rule{Out: "!vlan+", DstType: netfilter.NotLocalType, Comment: "AWS, SNAT", Target: netfilter.Target{Verb: netfilter.SNATTo, Addr: primary, RandomFully: true}}), e.Cause())
	nf.Append(netfilter.Mangle, "PREROUTING", e.Cause(),
		netfilter.Rule{In: "eth0", DstType: netfilter.LocalType, Comment: "AWS, primary ENI", Target: netfilter.Target{Verb: netfilter.SetConnmark, Value: connmark, Mask: connmark}},
		netfilter.Rule{In: "eni+", Comment: "AWS, primary ENI", Target: netfilter.Target{Verb: netfilter.RestoreConnmark, Mask: connmark}})
	nf.Append(netfilter.NAT, "PREROUTING", e.Cause(), netfilter.Rule{In: "eni+", Comment: "AWS, outbound connections", Target: jump("AWS-CONNMARK-CHAIN-0")})
	nf.SetChain(netfilter.NAT, "AWS-CONNMARK-CHAIN-0", append(outside,
		netfilter.Rule{Comment: "AWS, CONNMARK", Target: netfilter.Target{Verb: netfilter.SetConnmark, Value: connmark, Mask: connmark}}), e.Cause())
	nf.Append(netfilter.NAT, "PREROUTING", e.Cause(), netfilter.Rule{Comment: "AWS, CONNMARK", Target: netfilter.Target{Verb: netfilter.RestoreConnmark, Mask: connmark}})
}

// plug connects a network interface to a new device of the host.
func (h *Host) plug(eni *vpc.Interface, name string, table route.Table) *linux.Device {
	d := h.root.AddDevice(name, vpc.MTUBytes)
	d.Link = eni
	eni.Attach(d)
	h.root.AddAddr(d, eni.Primary())
	h.ports = append(h.ports, &port{eni: eni, device: d, table: table})
	return d
}

// VethName is the name of a pod's veth on the host.
// Source: cmd/routed-eni-cni-plugin (generateHostVethName): "eni" and 11 hexadecimal digits of a SHA-1.
func VethName(namespace, pod string) string {
	sum := sha1.Sum([]byte(namespace + "." + pod))
	return "eni" + hex.EncodeToString(sum[:])[:11]
}

// addTime is what the plugin and its call of the daemon take; an order of magnitude.
const addTime = 2 * time.Millisecond

// Errors of the plugin. Source: cmd/routed-eni-cni-plugin/cni.go (add).
var (
	errNoAddress = errors.New("add cmd: failed to assign an IP address to container")
	errNoDaemon  = errors.New(`add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:50051: connect: connection refused"`)
)

// Add gives a pod its network: a namespace with an address that the daemon has. It takes a moment of the process p.
func (h *Host) Add(p *engine.Process, namespace, name string) (*linux.Namespace, netip.Addr, error) {
	p.Sleep(addTime)
	if !h.Serving() {
		return nil, netip.Addr{}, errNoDaemon
	}
	h.sandboxes++
	sandbox := ipamd.Key(fmt.Sprintf("%s/%d", h.root.Name, h.sandboxes))
	a, eni, err := h.agent.AddNetwork(sandbox, namespace, name)
	if err != nil {
		return nil, netip.Addr{}, errNoAddress
	}
	table := h.port(eni).table
	ns := h.root.Kernel().NewNamespace(namespace + "/" + name)
	inside := ns.AddDevice("eth0", vpc.MTUBytes)
	outside := h.root.AddDevice(VethName(namespace, name), vpc.MTUBytes)
	linux.Pair(inside, outside)
	ns.AddAddr(inside, a)
	ns.AddRoute(route.Route{Dst: netip.PrefixFrom(podGateway, 32)}, inside)
	ns.AddRoute(route.Route{Dst: ipv4All, Via: podGateway}, inside)
	host := netip.PrefixFrom(a, 32)
	if !h.opts.NoHostRoute {
		h.root.AddRoute(route.Route{Dst: host}, outside)
	}
	h.root.AddRule(route.Rule{Priority: priorityToPod, To: host, Table: route.Main})
	if table != route.Main {
		h.root.AddRule(route.Rule{Priority: priorityFromPod, From: host, Table: table})
	}
	h.pods[podKey{namespace, name}] = &pod{sandbox: sandbox, addr: a, table: table, outside: outside}
	return ns, a, nil
}
