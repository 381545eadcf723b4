package sim

import (
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/linux"
)

// Spec is a world before anything has happened.
type Spec struct {
	Seed        uint64
	ShuffleTies bool
	Region      string
	Cluster     Cluster
	VPC         VPC
	NodeGroups  []NodeGroup
	// Sysctls of every node's kernel and of the pods on it.
	Sysctls linux.Sysctls
	// TimerHZ is CONFIG_HZ of every node; zero is an ideal clock.
	TimerHZ int
	CoreDNS CoreDNS
	VPCCNI  VPCCNI
	// EC2Throttle puts the EC2 API's calls under the account's request limits.
	EC2Throttle bool
	// LoadBalancerController is InTree or LBC.
	LoadBalancerController string
	Switches               Switches
}

// What makes load balancers for Services.
const (
	InTree = "in-tree"
	LBC    = "lbc"
)

// Cluster is the EKS cluster.
type Cluster struct {
	Name, Version string
	ServiceCIDR   netip.Prefix
}

// VPC is the network.
type VPC struct {
	// CIDRs are the VPC's IPv4 CIDR blocks, the primary one first.
	CIDRs   []netip.Prefix
	Subnets []Subnet
}

// Subnet is one subnet.
type Subnet struct {
	Name, Zone string
	CIDR       netip.Prefix
	Public     bool
	// Tags beside those that every subnet of a cluster has.
	Tags map[string]string
}

// NodeGroup is a number of like nodes in one subnet.
type NodeGroup struct {
	Name, Subnet, InstanceType string
	Size                       int
	// Addresses of the first nodes; the others get what is free.
	Addresses []netip.Addr
	// MaxPods is kubelet's --max-pods. Zero means what EKS sets for the instance type: interfaces x (addresses - 1) + 2.
	MaxPods int
}

// VPCCNI is the settings of the Amazon VPC CNI add-on.
type VPCCNI struct {
	// Version whose behaviour is meant, such as 1.10 or 1.16.4. Empty means the newest.
	Version string
	// Env of the container aws-node, over what the manifest of that version sets.
	Env map[string]string
	// ENIConfigs are the objects that custom networking looks up.
	ENIConfigs []ENIConfig
}

// ENIConfig is an ENIConfig of crd.k8s.amazonaws.com/v1alpha1: where the secondary interfaces of nodes are that use it.
type ENIConfig struct {
	Name string
	// Subnet by the name it has in the Spec.
	Subnet string
}

// CoreDNS is the add-on's settings.
type CoreDNS struct {
	Replicas  int
	NodeGroup string
}

// Switches turn single mechanisms off, for experiments that show what depends on them. All false is the real thing.
type Switches struct {
	Linux linux.Switches
	ELB   elb.Switches
	// NoMasquerade makes kube-proxy leave out the masquerading of node port traffic.
	NoMasquerade bool
}

// Load is a client that runs a command again and again in a pod.
type Load struct {
	Name string
	// At is when the first run starts; run k starts Every times k later, whether or not earlier ones are done.
	At    time.Duration
	Every time.Duration
	Count int
	// Pod is namespace/name.
	Pod string
	// Service is namespace/name; ByClusterIP calls its own name instead of its load balancer's.
	Service     string
	ByClusterIP bool
	MaxTime     time.Duration
	Fallback    string
}

// Objects are Kubernetes objects that a person applies, in order.
type Objects []runtime.Object
