// Package lbc models AWS Load Balancer Controller: it makes Application Load Balancers for Ingresses of class alb and Network Load Balancers for
// Services that ask for one by it, and registers their targets.
//
//	Ingress, Service > target groups, load balancer, listeners, rules > TargetGroupBinding objects
//	TargetGroupBinding + endpoints or nodes > DeregisterTargets, RegisterTargets > conditions of pods with a readiness gate
//	pods that are created > readiness gates (a mutating webhook)
//
// Models: the order of its AWS calls, names, annotations (those in annotation.go and ingress_annotation.go; others are refused by name), rules on the nodes' security
// groups, its cache of targets, work queues with their deduplication and back-off, requeues, and where versions differ in them.
// Does not model: HTTPS and certificates, IngressGroups, IngressClassParams, the actions and conditions annotations, security groups on Network Load Balancers, the
// Service webhook, changes and deletion of an Ingress or a Service after the first time, target weights, leader election, the Gateway API.
// Sources: kubernetes-sigs/aws-load-balancer-controller v2.4.3, v2.6.0, v2.10.0 and v2.14.0: controllers, pkg/ingress, pkg/service, pkg/deploy, pkg/targetgroupbinding, pkg/backend,
// pkg/networking, pkg/inject.
package lbc
