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
// Models: up to five CIDR blocks; subnets, each of whose addresses is reserved, free, primary, secondary or in a prefix, down to the last one; prefixes,
// which are aligned blocks of 16; network interfaces with both, security groups (by address range and by group),
// network ACLs, route tables (local routes), the resolver at the base of the VPC's range plus two with its limit per interface.
// Interfaces with a public address can be called by hosts on the internet, and answer them.
// Differs: which free address AWS gives is not documented; here it is a draw, and an address that was given back may come again at once.
// Does not model: subnet CIDR reservations, connections from the VPC to the internet, NAT gateways, peering, endpoints, IPv6, flow logs. A packet to such
// a place ends the run with ErrNotModelled.
// Sources: Amazon VPC User Guide; Amazon EC2 User Guide, "Security group connection tracking"; each constant names its own.
package vpc
