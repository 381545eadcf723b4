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
	// IPv4 range of the VPC.
	CIDR string `yaml:"cidr"`
	// Subnets of the VPC.
	Subnets []Subnet `yaml:"subnets"`
}

// Subnet is one subnet of the VPC.
type Subnet struct {
	// Name by which node groups refer to the subnet.
	Name string `yaml:"name"`
	// Availability Zone, such as eu-west-1a.
	Zone string `yaml:"zone"`
	// IPv4 range, inside the VPC's.
	CIDR string `yaml:"cidr"`
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

// VPCCNI has no settings yet.
type VPCCNI struct{}

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
