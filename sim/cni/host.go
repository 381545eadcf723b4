package cni

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/vpc"
)

// EC2 is what the plugin calls.
type EC2 interface {
	AssignPrivateIpAddresses(context.Context, *ec2.AssignPrivateIpAddressesInput, ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error)
	CreateNetworkInterface(context.Context, *ec2.CreateNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.CreateNetworkInterfaceOutput, error)
	AttachNetworkInterface(context.Context, *ec2.AttachNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.AttachNetworkInterfaceOutput, error)
}

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
	// MaxInterfaces and AddressesPerInterface are the instance type's limits; the latter counts the primary address.
	MaxInterfaces, AddressesPerInterface int
	VPC                                  *vpc.VPC
	EC2                                  EC2
	// NoHostRoute is a switch for experiments: the host gets no /32 route to its pods, and sends what is for them to the VPC's router.
	NoHostRoute bool
}

// Host is the plugin on one host. Use New.
type Host struct {
	root  *linux.Namespace
	opts  Options
	ports []*port
	ctx   context.Context
	// released are the addresses that pods gave back, the oldest first.
	released []released
}

// port is one network interface of the host.
type port struct {
	eni    *vpc.Interface
	device *linux.Device
	table  route.Table
	pods   int
}

// New sets a host up: eth0 for its primary interface, forwarding, the plugin's rules.
func New(root *linux.Namespace, primary *vpc.Interface, opts Options) *Host {
	h := &Host{root: root, opts: opts}
	h.ctx = iam.WithCaller(context.Background(), iam.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/ekslab-node/" + string(opts.InstanceID), Type: "AssumedRole",
		UserAgent: "amazon-vpc-cni-k8s", Name: "aws-node on " + root.Name})
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
	nf.SetChain(netfilter.NAT, "AWS-SNAT-CHAIN-0", []netfilter.Rule{
		{Dst: netfilter.Net(h.opts.VPC.CIDR), Comment: "AWS SNAT CHAIN", Target: netfilter.Target{Verb: netfilter.Return}},
		{Out: "!vlan+", DstType: netfilter.NotLocalType, Comment: "AWS, SNAT", Target: netfilter.Target{Verb: netfilter.SNATTo, Addr: primary, RandomFully: true}},
	}, e.Cause())
	nf.Append(netfilter.Mangle, "PREROUTING", e.Cause(),
		netfilter.Rule{In: "eth0", DstType: netfilter.LocalType, Comment: "AWS, primary ENI", Target: netfilter.Target{Verb: netfilter.SetConnmark, Value: connmark, Mask: connmark}},
		netfilter.Rule{In: "eni+", Comment: "AWS, primary ENI", Target: netfilter.Target{Verb: netfilter.RestoreConnmark, Mask: connmark}})
	nf.Append(netfilter.NAT, "PREROUTING", e.Cause(), netfilter.Rule{In: "eni+", Comment: "AWS, outbound connections", Target: jump("AWS-CONNMARK-CHAIN-0")})
	nf.SetChain(netfilter.NAT, "AWS-CONNMARK-CHAIN-0", []netfilter.Rule{
		{Dst: netfilter.Net(h.opts.VPC.CIDR), Comment: "AWS CONNMARK CHAIN, VPC CIDR", Target: netfilter.Target{Verb: netfilter.Return}},
		{Comment: "AWS, CONNMARK", Target: netfilter.Target{Verb: netfilter.SetConnmark, Value: connmark, Mask: connmark}},
	}, e.Cause())
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

// Add gives a pod its network: a namespace with an address of the VPC. It calls EC2, on the process p.
func (h *Host) Add(p *engine.Process, namespace, pod string) (*linux.Namespace, netip.Addr, error) {
	if r, ok := h.cooled(); ok {
		return h.setup(r.port, r.addr, namespace, pod), r.addr, nil
	}
	ctx := engine.WithProcess(h.ctx, p)
	pt, err := h.room(ctx)
	if err != nil {
		return nil, netip.Addr{}, err
	}
	out, err := h.opts.EC2.AssignPrivateIpAddresses(ctx, &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(pt.eni.ID)), SecondaryPrivateIpAddressCount: aws.Int32(1)})
	if err != nil {
		return nil, netip.Addr{}, fmt.Errorf("add cmd: failed to assign an IP address to container: %w", err)
	}
	a, err := netip.ParseAddr(aws.ToString(out.AssignedPrivateIpAddresses[0].PrivateIpAddress))
	if err != nil {
		return nil, netip.Addr{}, err
	}
	pt.pods++
	return h.setup(pt, a, namespace, pod), a, nil
}

// setup gives a pod its namespace, with an address of one of the host's interfaces.
func (h *Host) setup(pt *port, a netip.Addr, namespace, pod string) *linux.Namespace {
	ns := h.root.Kernel().NewNamespace(namespace + "/" + pod)
	inside := ns.AddDevice("eth0", vpc.MTUBytes)
	outside := h.root.AddDevice(VethName(namespace, pod), vpc.MTUBytes)
	linux.Pair(inside, outside)
	ns.AddAddr(inside, a)
	ns.AddRoute(route.Route{Dst: netip.PrefixFrom(podGateway, 32)}, inside)
	ns.AddRoute(route.Route{Dst: ipv4All, Via: podGateway}, inside)
	host := netip.PrefixFrom(a, 32)
	if !h.opts.NoHostRoute {
		h.root.AddRoute(route.Route{Dst: host}, outside)
	}
	h.root.AddRule(route.Rule{Priority: priorityToPod, To: host, Table: route.Main})
	if pt.table != route.Main {
		h.root.AddRule(route.Rule{Priority: priorityFromPod, From: host, Table: pt.table})
	}
	return ns
}

// room is a network interface with a free address, a new one if all are full.
func (h *Host) room(ctx context.Context) (*port, error) {
	for _, pt := range h.ports {
		if pt.pods < h.opts.AddressesPerInterface-1 {
			return pt, nil
		}
	}
	n := len(h.ports)
	if n >= h.opts.MaxInterfaces {
		return nil, fmt.Errorf("add cmd: failed to assign an IP address to container: all %d interfaces of %s are full", n, h.opts.InstanceID)
	}
	first := h.ports[0].eni
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(string(first.Subnet.ID)), Description: aws.String("aws-K8S-" + string(h.opts.InstanceID))}
	for _, g := range first.Groups {
		in.Groups = append(in.Groups, string(g.ID))
	}
	made, err := h.opts.EC2.CreateNetworkInterface(ctx, in)
	if err != nil {
		return nil, err
	}
	id := aws.ToString(made.NetworkInterface.NetworkInterfaceId)
	if _, err := h.opts.EC2.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: aws.String(id), InstanceId: aws.String(string(h.opts.InstanceID)), DeviceIndex: aws.Int32(int32(n))}); err != nil {
		return nil, err
	}
	eni := h.opts.VPC.Interface(vpc.InterfaceID(id))
	table := route.Table(n + 1) // device number plus one
	d := h.plug(eni, fmt.Sprintf("eth%d", n), table)
	gateway := eni.Subnet.CIDR.Addr().Next()
	h.root.AddRoute(route.Route{Dst: netip.PrefixFrom(gateway, 32), Table: table}, d)
	h.root.AddRoute(route.Route{Dst: ipv4All, Via: gateway, Table: table}, d)
	return h.ports[n], nil
}
