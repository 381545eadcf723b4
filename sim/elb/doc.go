// Package elb models Elastic Load Balancing v2 as far as clients and targets of an Application Load Balancer or a Network Load Balancer can notice it.
//
// A load balancer has nodes in the zones of its subnets. Each node is a network interface with an address, and has an opinion of its own about the targets: which
// there are, and which are healthy. It learns late of targets that are registered or deregistered; it checks health itself, by packets, until it has learned
// that a target is gone. DescribeTargetHealth answers from the control plane, at once.
//
// A node of an Application Load Balancer is an HTTP proxy with sockets of its own:
//
//	client ═ connection ═ node ═ another connection, kept and used again ═ target
//
// What it answers follows from what the target's address does at that moment: a reset of the SYN, or a FIN or a reset during a request, is a 502; silence for 10
// s is a 504; no target in the node's view is a 503. Nothing else makes an error.
//
// A node of a Network Load Balancer does not terminate connections. For the first packet of a connection it picks a target by a hash of the flow, and
// remembers it; then it rewrites addresses. It never makes an HTTP answer.
//
// With client IP preservation only the destination is rewritten, and the answer is not addressed to the node: it is rewritten where it
// leaves the network interface of the target (vpc.Interface.OnLeave). An answer that never leaves the target's instance is not.
//
//	off:  client > node   becomes   node:port > target      and the answer passes the node again
//	on:   client > node   becomes   client > target         and target > client becomes node > client at the target's interface
//
// Where that happens is not documented by AWS; captures of connections that work and that hang differ in nothing else.
//
// Models: listeners, rules by host and path, fixed responses, target groups for TCP and HTTP, instance and ip targets, health checks with thresholds and
// matchers, target states and their reasons, deregistration delay, connection and idle timeouts, round robin, X-Forwarded headers, zones leaving
// DNS, fail-open, cross-zone routing, flow stickiness and its idle timeout, client routing policy of the name, public addresses, CloudWatch metrics and the access log.
// Does not model: HTTPS, HTTP/2, gRPC, WebSockets, redirects, weighted target groups, slow start, sticky sessions, target optimizer, authentication, WAF, Gateway
// Load Balancers, UDP, TLS, security groups on Network Load Balancers, connection termination, zonal shift: asking for them returns engine.ErrNotModelled. Nor the passive
// health checks of a Network Load Balancer, nor its resets of connections to targets that became unhealthy.
// Unlike AWS: nodes never fail or scale; attribute changes take effect at once; what most nodes say of a target's health is what the API says.
// How long a node takes to learn is not documented: see Options.
// Sources: Elastic Load Balancing, "Application Load Balancers" and "Network Load Balancers" user guides; aws-sdk-go-v2 service/elasticloadbalancingv2.
package elb
