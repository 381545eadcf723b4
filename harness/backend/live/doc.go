// Package live is the backend "kind": the same scenarios on a real Kubernetes in Docker, so that reality can judge the simulator.
//
// What is real: the API server, scheduler, controllers, kubelet, containerd, kube-proxy and CoreDNS of a kind cluster, and the kernel of this machine with its
// routes, conntrack, netfilter, sockets and timers. Nothing here decides whether a connection hangs.
//
// What is played, and by what:
//
//	VPC            one router container. Each node has a cable to it (eth1) and the address that the scenario gives it; it has no other way to another node.
//	               Pods have addresses of their node's subnet, routed without translation. The router drops what a node has no right to send
//	               (the source/destination check of a network interface).
//	load balancer  nftables rules of that router (package router): an address in each zone, a target chosen by a hash of the flow, the destination rewritten,
//	               the source kept or not. Answers are rewritten where they cross the router, so those that do not leave their node are not.
//	controller     balancer.go: it reads the Service as the in-tree provider and AWS Load Balancer Controller do, registers nodes or pods, checks their health from
//	               the load balancer's addresses, and writes the Service's status.
//	VPC resolver   a hosts block in CoreDNS.
//	AWS account    LocalStack: the VPC and its subnets in EC2, captures and results in S3. ELBv2 is not in the editions that need no account; where it is refused the
//	               result says so.
//	images         nginx and nicolaka/netshoot are replaced by the program in workload/, compiled on the spot: a web server, and a client that calls as curl of 2022
//	               does. The result names every image that ran.
//
// What is observed is gathered as an engineer would: tcpdump in each node, in the router and in the client's pod; the client's own words; kubectl. The arithmetic
// is that of package observe, the same as the simulator's. A translation at a node port is known by what comes into and leaves a node with the same sequence
// number; a half-open backend by a SYN that nothing followed on the pod's interface.
//
// Does not model: other observations than those of calls, more than one load balancer or load, internet-facing load balancers, other protocols than TCP, probes
// and images that nothing stands in for, kernel.timerHZ (the kernel is this machine's), kube-proxy in other modes than iptables, more than 20 nodes. Check refuses
// them by name.
//
// Differs from AWS, and from the simulator, which has the same scenario in virtual time:
//
//   - Waiting is cut short: the world is ready when it is, not after the plan's settle; changes of the timeline are made before the load begins, and the load
//     begins when they hold, since no cache keeps an old answer (CoreDNS is started anew).
//   - Health checks are a second apart until nothing changes, with thresholds of 2, and 10 s after; in AWS 10 or 30 s with 2 or 3.
//   - Each crossing of the router takes one off a TTL. MSS is not clamped. The VPC does neither and both.
//   - A node's pods have a /25 of its subnet, where the VPC CNI takes single addresses. A node's InternalIP is Docker's, by which the API server reaches the kubelet.
//   - Kubernetes is the version of the node image, not the world's: kube-proxy has chain KUBE-EXT-x where 1.22 had none.
//   - Timers are the kernel's timer wheel: 7 SYNs end after 127 s and up to 3 % more.
//   - The seed decides which flow goes to which target; ports and sequence numbers are the kernel's, so that two runs differ.
//
// Everything that a run makes carries its id: labels io.ekslab.run and io.ekslab.owner, or, for the containers of a cluster, a name that holds the id. Its owner is
// a process on a boot of a machine (package process). A run removes what it made whatever happens; what a killed one left behind is removed by the next run, or by
// `ekslab doctor --clean`, if its owner is gone. Nothing else is touched.
//
// Sources: articles 21 and 22 (NAT where a packet leaves the target); kubernetes-sigs/kind v0.33 pkg/cluster; Network Load Balancers user guide; the sources
// named at constants.
package live
