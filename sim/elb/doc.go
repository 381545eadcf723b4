// Package elb models Elastic Load Balancing v2 as far as clients and targets of a Network Load Balancer can notice it.
//
// A Network Load Balancer has a node in each of its zones: a network interface with an address. A node does not terminate connections. For
// the first packet of a connection it picks a target by a hash of the flow, and remembers it; then it rewrites addresses.
//
// With client IP preservation only the destination is rewritten, and the answer is not addressed to the node: it is rewritten where it
// leaves the network interface of the target (vpc.Interface.OnLeave). An answer that never leaves the target's instance is not.
//
//	off:  client > node   becomes   node:port > target      and the answer passes the node again
//	on:   client > node   becomes   client > target         and target > client becomes node > client at the target's interface
//
// Where that happens is not documented by AWS; captures of connections that work and that hang differ in nothing else.
//
// Models: listeners and target groups for TCP, instance and ip targets, health checks as connections from each node, zones leaving DNS, fail-open,
// cross-zone routing, flow stickiness and its idle timeout, deregistration, client routing policy of the name.
// Does not model: Application and Gateway Load Balancers, TLS, UDP, security groups on load balancers, source IP stickiness, zonal shift.
// Asking for them returns engine.ErrNotModelled.
// Unlike AWS: nodes never fail or scale; attribute changes take effect at once.
// Sources: Elastic Load Balancing, "Network Load Balancers" user guide; aws-sdk-go-v2 service/elasticloadbalancingv2.
package elb
