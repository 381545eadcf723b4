// Package router writes the rules of the router container: what a VPC and a Network Load Balancer do to a packet, as an nftables ruleset.
//
// Models: the source check of a network interface; one address of the load balancer in each zone; the choice of a target for a new connection by a
// hash of the flow, among the healthy targets of the zone or of all zones; the destination rewritten and the client's address kept, or replaced by the
// load balancer's own; answers rewritten when they leave the target, since that is where they cross the router.
// Does not model: idle timeouts of the load balancer (the kernel's conntrack timeouts hold), its limit of connections per target, MSS clamping.
// Unlike AWS: each crossing takes one off a packet's TTL, which the VPC does not do.
//
// It is text from values and runs nothing.
package router
