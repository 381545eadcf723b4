package ec2

import "github.com/ekslab/ekslab/sim/engine"

//go:generate go run ./limitsgen -version v1.23.2 -o limits_table.go

// Limits of an instance type.
type Limits struct {
	// Interfaces is how many network interfaces it takes, Addresses how many IPv4 addresses each of them.
	Interfaces, Addresses int
	// NetworkCards is how many network cards it has. Interfaces are those of the first one.
	NetworkCards int
	// Hypervisor is nitro, xen, or unknown for some that run without one.
	Hypervisor string
	BareMetal  bool
}

// LimitsOf returns the limits of an instance type, or engine.ErrNotModelled for one that is not in the table.
func LimitsOf(instanceType string) (Limits, error) {
	l, ok := limits[instanceType]
	if !ok {
		return l, engine.NotModelled("instance type %q", instanceType)
	}
	return l, nil
}

// MaxPods is the number of pods that EKS lets a node of the type take: one for each secondary address, and two that use the node's own.
// Source: awslabs/amazon-eks-ami files/eni-max-pods.txt: interfaces x (addresses - 1) + 2.
func (l Limits) MaxPods() int { return l.Interfaces*(l.Addresses-1) + 2 }

// Nitro says whether the type can have delegated prefixes.
// Source: aws/amazon-vpc-cni-k8s pkg/awsutils/awsutils.go, IsPrefixDelegationSupported.
func (l Limits) Nitro() bool { return l.Hypervisor == "nitro" || l.BareMetal }
