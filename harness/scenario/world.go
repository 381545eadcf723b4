package scenario

import "time"

// World is what exists before anything happens: a cluster, its network and its nodes.
type World struct {
	// AWS Region, such as eu-west-1.
	Region string `yaml:"region"`
	// The EKS cluster.
	Cluster Cluster `yaml:"cluster"`
	// The VPC that the cluster's nodes are in.
	VPC VPC `yaml:"vpc"`
	// Worker nodes, by group.
	NodeGroups []NodeGroup `yaml:"nodeGroups"`
	// Settings of every node's kernel.
	Kernel Kernel `yaml:"kernel,omitempty"`
	// Software that runs in the cluster before the manifests are applied.
	AddOns AddOns `yaml:"addOns"`
	// Whether the EC2 API's calls are under the account's request limits.
	EC2Throttle bool `yaml:"ec2Throttle,omitempty"`
	// What makes load balancers for Services: the in-tree AWS cloud provider, or AWS Load Balancer Controller.
	LoadBalancerController string `yaml:"loadBalancerController" enum:"in-tree,lbc"`
	// Version of AWS Load Balancer Controller, such as v2.6.0; v2.4.3 if left out.
	LoadBalancerControllerVersion string `yaml:"loadBalancerControllerVersion,omitempty"`
	// How load balancers behave where AWS documents nothing.
	LoadBalancers LoadBalancers `yaml:"loadBalancers,omitempty"`
	// What a node, its disks and its container runtime take.
	NodeTimes NodeTimes `yaml:"nodeTimes,omitempty"`
	// How long calls of AWS APIs take, by action, such as DeregisterTargets; what is not named takes 80 ms.
	APILatency map[string]time.Duration `yaml:"apiLatency,omitempty"`
}

// Cluster describes the EKS cluster.
type Cluster struct {
	// Name of the cluster.
	Name string `yaml:"name"`
	// Kubernetes version, such as "1.22"; quoted, since it is no number.
	Version string `yaml:"version"`
	// Range that the addresses of Services come from.
	ServiceCIDR string `yaml:"serviceCIDR"`
}

// VPC describes the network.
type VPC struct {
	// IPv4 range of the VPC, its primary CIDR block.
	CIDR string `yaml:"cidr"`
	// Further IPv4 CIDR blocks.
	SecondaryCIDRs []string `yaml:"secondaryCIDRs,omitempty"`
	// Subnets of the VPC.
	Subnets []Subnet `yaml:"subnets"`
}

// Subnet is one subnet of the VPC.
type Subnet struct {
	// Name by which node groups refer to the subnet.
	Name string `yaml:"name"`
	// Availability Zone, such as eu-west-1a.
	Zone string `yaml:"zone"`
	// IPv4 range, inside one of the VPC's.
	CIDR string `yaml:"cidr,omitempty"`
	// Instead of cidr: how long the prefix of its range is. The range is the first that is free in the VPC's primary CIDR block; where none is
	// left there, it begins a /16 CIDR block of its own out of 100.64.0.0/10.
	PrefixLength int `yaml:"prefixLength,omitempty" min:"16"`
	// Whether the subnet has a route to an internet gateway.
	Public bool `yaml:"public,omitempty"`
}

// NodeGroup is a number of like nodes in one subnet.
type NodeGroup struct {
	// Name of the node group, which its nodes carry in the label eks.amazonaws.com/nodegroup.
	Name string `yaml:"name"`
	// Name of the subnet that the nodes are in.
	Subnet string `yaml:"subnet"`
	// EC2 instance type, such as m5.large.
	InstanceType string `yaml:"instanceType"`
	// How many nodes there are.
	Size int `yaml:"size" min:"0"`
	// Addresses of the first nodes, in the subnet's range; the other nodes get what is free.
	Addresses []string `yaml:"addresses,omitempty"`
	// kubelet's --max-pods; 0 is what EKS sets for the instance type, interfaces x (addresses - 1) + 2.
	MaxPods int `yaml:"maxPods,omitempty" min:"0"`
}

// Kernel holds the settings of every node's kernel.
type Kernel struct {
	// CONFIG_HZ, to whose ticks the kernel's timer wheel rounds timeouts up; 0 is an ideal clock.
	TimerHZ int `yaml:"timerHZ,omitempty" min:"0"`
	// Values by the name that sysctl(8) shows, such as net.ipv4.tcp_syn_retries.
	Sysctls map[string]int `yaml:"sysctls,omitempty"`
}

// AddOns are the EKS add-ons of the cluster.
type AddOns struct {
	// Amazon VPC CNI plugin.
	VPCCNI VPCCNI `yaml:"vpc-cni"`
	// kube-proxy.
	KubeProxy KubeProxy `yaml:"kube-proxy"`
	// CoreDNS.
	CoreDNS CoreDNS `yaml:"coredns"`
}

// VPCCNI holds the settings of the Amazon VPC CNI plugin.
type VPCCNI struct {
	// Version whose behaviour is meant, such as 1.10 or 1.16.4; the newest if left out.
	Version string `yaml:"version,omitempty"`
	// Environment of the container aws-node, over what the add-on's manifest sets.
	Env []EnvVar `yaml:"env,omitempty"`
	// ENIConfig objects, which custom networking looks up.
	ENIConfigs []ENIConfig `yaml:"eniConfigs,omitempty"`
}

// EnvVar is one variable of a container's environment, as Kubernetes writes it.
type EnvVar struct {
	// Name of the variable.
	Name string `yaml:"name"`
	// Its value; a number needs quotes.
	Value string `yaml:"value"`
}

// ENIConfig says where the secondary network interfaces are of nodes that use it.
type ENIConfig struct {
	// Name of the object, such as the Availability Zone.
	Name string `yaml:"name"`
	// Name of the subnet.
	Subnet string `yaml:"subnet"`
}

// KubeProxy holds the settings of kube-proxy.
type KubeProxy struct {
	// Proxy mode.
	Mode string `yaml:"mode" enum:"iptables,ipvs,nftables"`
}

// CoreDNS holds the settings of CoreDNS.
type CoreDNS struct {
	// How many pods run it.
	Replicas int `yaml:"replicas" min:"0"`
	// Name of the node group that they run on.
	NodeGroup string `yaml:"nodeGroup"`
}
