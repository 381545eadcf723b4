// Package cni models the Amazon VPC CNI plugin on one host: how it sets the host up, and how it gives a pod an address of the VPC.
//
// A pod's address is a secondary address of one of the host's network interfaces. The pod has a veth pair to the host and no neighbour
// but 169.254.1.1; the host has a /32 route to the pod, which every packet for the pod takes that the host handles, whatever interface it came in by.
//
// Models: veth pairs and their names, routes, policy rules by interface, the nat and mangle rules, rp_filter, secondary interfaces when the first is full.
// Does not model yet: warm pools, prefix delegation, cooling addresses (addresses are assigned when a pod asks), security groups for pods.
// Sources: aws/amazon-vpc-cni-k8s pkg/networkutils/network.go, cmd/routed-eni-cni-plugin/driver/driver.go, cmd/aws-vpc-cni-init/main.go.
package cni
