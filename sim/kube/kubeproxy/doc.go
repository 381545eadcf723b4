// Package kubeproxy models kube-proxy in iptables mode on one node: from Services and EndpointSlices to rules, and the health check ports of
// Services with externalTrafficPolicy Local.
//
// Models: the chains and their order as kube-proxy 1.24 and later writes them, without a cluster CIDR (as EKS configures it: pods' traffic
// that comes back through a load balancer counts as external), masquerade with random ports, endpoints local to the node, REJECT and DROP where
// there is no endpoint, batching of syncs.
// Does not model: IPVS and nftables modes, session affinity, internalTrafficPolicy Local, load balancer IPs in status (AWS publishes names).
// Kubernetes before 1.24 wrote KUBE-XLB for KUBE-EXT and KUBE-SVL and marked node port traffic within KUBE-SVC; what becomes of a packet is the same.
// Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go, pkg/proxy/healthcheck.
package kubeproxy
