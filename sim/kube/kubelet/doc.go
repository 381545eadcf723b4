// Package kubelet models the kubelet of each node: it starts and stops the pods that are bound to its node, and says so in their status.
//
// A pod starts with its sandbox, whose network the CNI plugin makes; if that fails, the kubelet says so with an event and comes back to the
// pod after a back-off. Then its containers start. A pod stops by its containers' preStop hooks, stop signals and, when its grace is over,
// SIGKILL; then its sandbox goes, and the plugin takes the network away; then the pod is removed from the API.
//
// Models: hostNetwork, resolv.conf by DNS policy, readiness gates, hooks that execute a command or sleep, graces that are shortened, forced
// deletion, Event objects.
// Does not model: volumes, init containers, image pulls, postStart hooks, hooks by HTTP. Objects with them are refused.
// Differs: the phase of a pod that was stopped stays Running until it is gone, as before Kubernetes 1.27.
// Sources: kubernetes/kubernetes pkg/kubelet, v1.27.4; each constant names its own.
package kubelet
