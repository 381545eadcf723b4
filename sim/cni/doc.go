// Package cni models the Amazon VPC CNI plugin on one host: how it sets the host up, and how it gives a pod an address of the VPC.
//
// A pod's address is one of a network interface of the host; package ipamd, the daemon in the host's aws-node pod, says which. The pod has
// a veth pair to the host and no neighbour but 169.254.1.1; the host has a /32 route to the pod, which every packet for the pod takes that the host handles, whatever interface it came in by.
//
// Models: CNI ADD and DEL and the call of ipamd within them, with its error when there is no address or no ipamd; veth pairs and their names, routes,
// policy rules by interface, the nat and mangle rules, rp_filter; the device and the route table of a secondary interface, from when ipamd sets it up.
// Does not model: security groups for pods, network policies, CNI CHECK.
// Sources: aws/amazon-vpc-cni-k8s pkg/networkutils/network.go, cmd/routed-eni-cni-plugin/driver/driver.go, cmd/aws-vpc-cni-init/main.go.
package cni
