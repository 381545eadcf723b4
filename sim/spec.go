package sim

import (
	"fmt"
	"net/netip"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
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
	// LBCVersion is the version of AWS Load Balancer Controller whose ways to follow, such as v2.6.0. Empty means v2.4.3.
	LBCVersion    string
	LoadBalancers LoadBalancers
	// APILatency is how long calls of AWS APIs take, by action, such as DeregisterTargets; what is not named takes 80 ms.
	APILatency map[string]time.Duration
	Internet   Internet
	// Kubelet is what nodes, their disks and their container runtime take. The zero value is usable.
	Kubelet kubelet.Times
	// StandIns has a plain web server run in place of images that are not known; see workload.StandIn. Otherwise they are refused.
	StandIns bool
	Switches Switches
}

// LoadBalancers is how load balancers behave where AWS documents nothing, or lets people choose nothing. What a person sets on a load
// balancer (its idle timeout, the deregistration delay) is set by annotations and attributes instead. The zero value is usable.
type LoadBalancers struct {
	// ALBNodes is how many nodes an Application Load Balancer has, spread over its subnets in turn. Zero means one in each subnet. With
	// fewer nodes than subnets, the last subnets have none, which AWS never does.
	ALBNodes int
	// ALBPropagation is from the answer to DeregisterTargets until a node of an ALB sends the target no new request, ALBRegistration
	// from the answer to RegisterTargets until a node knows the target and checks it for the first time. Both are drawn for each node
	// and call. Nil means 8 to 12 s and 6.4 to 9.6 s.
	ALBPropagation, ALBRegistration *elb.Range
	// ALBPropagationByNode fixes ALBPropagation for the first nodes of an ALB, in order of their names.
	ALBPropagationByNode []time.Duration
	// NLBPropagation and NLBRegistration are the same for Network Load Balancers; the first is about new connections. Nil means 30 s.
	NLBPropagation, NLBRegistration *elb.Range
	// NLBInitialChecks is how many passed checks make a new target of an NLB healthy. Zero means 1.
	NLBInitialChecks int
	// Checkers is how many health checkers of each node of an NLB probe a target in each interval. Zero means 3.
	Checkers int
	// ALBServesInitial lets a node of an ALB that knows no healthy and no unhealthy target send requests to initial ones; otherwise it
	// answers 503. NLBSparesInitial keeps a node of an NLB from doing the same.
	ALBServesInitial, NLBSparesInitial bool
}

// Internet is what lies between the VPC and clients outside.
type Internet struct {
	// Latency is how long a packet takes between a client outside and the VPC, one way, drawn for each packet; packets of one direction
	// stay in order. Nil means 1 to 1.5 ms: a client in the same Region.
	Latency *elb.Range
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

// Pace is when a load's next call starts, and over which connection.
type Pace string

// Paces.
const (
	// Open starts call k at k times Every, whether or not earlier ones are done, each as a run of curl of its own. It is the default.
	Open Pace = "openLoop"
	// Serial waits for Every, runs curl to its end, and begins again: a loop of "sleep; curl" in a shell.
	Serial Pace = "serial"
	// KeepAlive starts call k at k times Every, or when the one before has ended if that is later, over one connection that is kept
	// open and opened again when it is lost: one run of curl with many URLs.
	KeepAlive Pace = "keepAlive"
)

// Load is a client that calls something again and again, from a pod or from outside the VPC.
type Load struct {
	Name string
	Pace Pace
	// At is when the first run starts; Pace says how Every counts from there.
	At    time.Duration
	Every time.Duration
	Count int
	// Pod is namespace/name; empty is a host on the internet.
	Pod string
	// Ingress, as namespace/name, whose load balancer is called, in place of a Service's.
	Ingress string
	// Method is GET or HEAD (curl -I). Empty means GET. Path is the URL's path; empty means /.
	Method, Path string
	// HostHeader is the Host header that is sent; empty is the name that is called.
	HostHeader string
	// Service is namespace/name; ByClusterIP calls its own name instead of its load balancer's.
	Service     string
	ByClusterIP bool
	MaxTime     time.Duration
	Fallback    string
}

// Objects are Kubernetes objects that a person applies, in order.
type Objects []runtime.Object

// checkNodes says what of the settings of nodes and of ENIConfigs makes no sense.
func (s *Spec) checkNodes() error {
	zones := map[string]string{}
	for _, sn := range s.VPC.Subnets {
		zones[sn.Name] = sn.Zone
	}
	for _, g := range s.NodeGroups {
		if g.MaxPods < 0 {
			return fmt.Errorf("node group %s: max-pods is %d", g.Name, g.MaxPods)
		}
	}
	seen := map[string]bool{}
	for _, c := range s.VPCCNI.ENIConfigs {
		switch {
		case c.Name == "" || seen[c.Name]:
			return fmt.Errorf("ENIConfig %q: the name is empty, or there are two of it", c.Name)
		case zones[c.Subnet] == "":
			return fmt.Errorf("ENIConfig %s: there is no subnet %q", c.Name, c.Subnet)
		}
		seen[c.Name] = true
	}
	return nil
}
