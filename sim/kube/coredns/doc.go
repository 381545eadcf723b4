// Package coredns is the cluster's DNS server as EKS configures it: loadbalance over cache over kubernetes and forward.
//
// Models: the order of the plugins (cached answers are shuffled at every query), what the cache keeps and for how long, names of Services,
// forwarding to the resolver of the node.
// Does not model: reverse names, pod names, headless Services, SRV, prefetch, several upstreams, concurrency limits.
// Source: coredns/coredns plugin/cache, plugin/loadbalance, plugin/kubernetes, plugin/forward; EKS's Corefile: errors, health, ready, kubernetes, prometheus,
// forward . /etc/resolv.conf, cache 30, loop, reload, loadbalance.
package coredns
