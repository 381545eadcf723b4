package live

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/scenario"
)

// topology is a plan's world in terms of addresses: which node has which, what each node's pods get, where the load balancer's are.
type topology struct {
	region  string
	vpc     netip.Prefix
	service netip.Prefix
	nodes   []*node
	zones   []zone
	sysctls map[string]int
	coreDNS scenario.CoreDNS
}

// node is one worker.
type node struct {
	// name is the node's, as EC2 names an instance by its address.
	name    string
	group   string
	ordinal int
	zone    string
	address netip.Addr
	// gateway is the first address of the node's subnet: in a VPC the implied router, here the router container.
	gateway netip.Addr
	// pods is the part of the node's subnet that its pods get addresses from.
	pods netip.Prefix
	// link is the interface of the router that leads to the node.
	link string

	// container is the Docker container that is the node, pid its first process; both are known once the cluster is up.
	container string
	pid       int
}

// zone is an Availability Zone in which a load balancer may have an address.
type zone struct {
	name string
	// balancer is the address of an internal load balancer in the zone.
	balancer netip.Addr
}

// podRangeBits is the size of the range that a node's pods get: a /25, for 126 pods. A VPC has no such ranges, since its CNI takes single
// addresses; here a route per node does what the VPC's mapping of addresses to interfaces does.
const podRangeBits = 25

// reserved is how many addresses at the start of a subnet AWS keeps: the network's, the router's, the resolver's and one more.
// Source: VPC user guide, "Subnet sizing".
const reserved = 4

// topologyOf reads a plan's world.
func topologyOf(w *scenario.World) (*topology, error) {
	t := &topology{region: w.Region, sysctls: w.Kernel.Sysctls, coreDNS: w.AddOns.CoreDNS}
	var err error
	if t.vpc, err = netip.ParsePrefix(w.VPC.CIDR); err != nil {
		return nil, err
	}
	if t.service, err = netip.ParsePrefix(w.Cluster.ServiceCIDR); err != nil {
		return nil, err
	}
	subnets := map[string]*subnet{}
	var order []*subnet
	for _, s := range w.VPC.Subnets {
		p, err := netip.ParsePrefix(s.CIDR)
		if err != nil {
			return nil, err
		}
		sn := &subnet{Subnet: s, prefix: p.Masked(), taken: map[netip.Addr]bool{}}
		subnets[s.Name] = sn
		order = append(order, sn)
	}
	// An internal load balancer goes into a private subnet of each zone if there is one.
	for _, sn := range order {
		i := slices.IndexFunc(t.zones, func(z zone) bool { return z.name == sn.Zone })
		switch {
		case i < 0:
			t.zones = append(t.zones, zone{sn.Zone, sn.nth(reserved)})
		case !sn.Public:
			t.zones[i].balancer = sn.nth(reserved)
		}
	}
	for _, z := range t.zones {
		for _, sn := range order {
			if sn.prefix.Contains(z.balancer) {
				sn.taken[z.balancer] = true
			}
		}
	}
	// Addresses that are asked for come first, so that no other node gets them.
	for _, g := range w.NodeGroups {
		for _, a := range g.Addresses[:min(len(g.Addresses), g.Size)] {
			addr, err := netip.ParseAddr(a)
			if err != nil {
				return nil, err
			}
			subnets[g.Subnet].taken[addr] = true
		}
	}
	for _, g := range w.NodeGroups {
		sn := subnets[g.Subnet]
		for i := range g.Size {
			n := &node{group: g.Name, ordinal: i + 1, zone: sn.Zone, gateway: sn.nth(1), link: fmt.Sprintf("eni%d", len(t.nodes))}
			if i < len(g.Addresses) {
				n.address = netip.MustParseAddr(g.Addresses[i])
			} else if n.address, err = sn.free(); err != nil {
				return nil, err
			}
			n.name = "ip-" + strings.ReplaceAll(n.address.String(), ".", "-") + "." + t.region + ".compute.internal"
			t.nodes = append(t.nodes, n)
		}
	}
	for _, n := range t.nodes {
		if n.pods, err = subnetOf(order, n.address).podRange(); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func subnetOf(all []*subnet, a netip.Addr) *subnet {
	return all[slices.IndexFunc(all, func(s *subnet) bool { return s.prefix.Contains(a) })]
}

// subnet is a subnet with what is taken of it.
type subnet struct {
	scenario.Subnet
	prefix netip.Prefix
	taken  map[netip.Addr]bool
	next   int // of the pod ranges
}

// nth is the subnet's address number n.
func (s *subnet) nth(n int) netip.Addr { return offset(s.prefix.Addr(), n) }

func offset(a netip.Addr, n int) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+uint32(n))
	return netip.AddrFrom4(b)
}

// free takes the next free address for a node.
func (s *subnet) free() (netip.Addr, error) {
	for i := reserved; i < 1<<(32-s.prefix.Bits())-1; i++ {
		if a := s.nth(i); !s.taken[a] {
			s.taken[a] = true
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("subnet %s has no address left for a node", s.Name)
}

// podRange takes the next range that no node's or load balancer's address is in.
func (s *subnet) podRange() (netip.Prefix, error) {
	for ; s.next < 1<<max(podRangeBits-s.prefix.Bits(), 0); s.next++ {
		p := netip.PrefixFrom(s.nth(s.next<<(32-podRangeBits)), podRangeBits)
		free := s.next > 0 // the first range has AWS's own addresses
		for a := range s.taken {
			free = free && !p.Contains(a)
		}
		if free {
			s.next++
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("subnet %s (%v) has no /%d left for a node's pods", s.Name, s.prefix, podRangeBits)
}

// node finds a node by name.
func (t *topology) node(name string) *node {
	for _, n := range t.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}
