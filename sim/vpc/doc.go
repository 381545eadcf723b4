// Package vpc models the network of an Amazon VPC: what becomes of a packet between the moment it leaves a network interface and the moment
// it reaches another.
//
// A packet's way:
//
//	interface ─ source check ─ security group out ─ hooks of load balancers ─ network ACL out ─ route table ─┐
//	interface ─ security group in ─ destination check ─ network ACL in ───────────── latency by zone ────────┘
//
// The fabric leaves the TTL alone; it is a network of one hop. Flows that a security group has let through are tracked at
// each interface, so that answers pass.
//
// Models: subnets and their free addresses, network interfaces with secondary addresses, security groups (by address range and by group),
// network ACLs, route tables (local routes), the resolver at the base of the VPC's range plus two with its limit per interface.
// Interfaces with a public address can be called by hosts on the internet, and answer them.
// Does not model: connections from the VPC to the internet, NAT gateways, peering, endpoints, IPv6, flow logs. A packet to such a place ends the
// run with ErrNotModelled.
// Sources: Amazon VPC User Guide; Amazon EC2 User Guide, "Security group connection tracking"; each constant names its own.
package vpc
