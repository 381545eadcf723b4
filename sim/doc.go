// Package sim builds a world from a Spec and runs it. It has never heard of a scenario: it knows mechanisms, not outcomes.
//
//	engine      virtual clock, events in a total order, named random streams, processes
//	trace       what happened, and the running hash over it
//	packet      what travels
//	linux       a host's network stack: devices, routes, netfilter, sockets
//	vpc         the fabric between network interfaces
//	dns         names: messages, the VPC resolver, a container's stub resolver
//	iam, cloudtrail   who calls AWS, and what was called
//	ec2, elb    AWS APIs, and what a load balancer does to packets
//	awssdk      what an AWS SDK does around a call: retries
//	kube        the Kubernetes API; below it scheduler, controllers, kubelet, kube-proxy, CoreDNS and the makers of load balancers
//	cni         the Amazon VPC CNI plugin on a host; below it ipamd, the daemon that holds the addresses
//	workload    what runs in containers, and the commands that people run there
//
// A world is single-threaded and deterministic: the same Spec gives the same trace, byte for byte. What it does not model ends the run
// with an error that wraps engine.ErrNotModelled.
package sim
