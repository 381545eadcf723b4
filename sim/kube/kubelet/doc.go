// Package kubelet models the kubelet of each node: it starts and stops the pods that are bound to its node, and says so in their status.
//
// Models: a worker for each pod that tries again after a back-off; the pod's network by the CNI plugin, ADD and DEL; hostNetwork; containers that start
// after a while, end, and are restarted with a back-off; stopping: preStop hooks, the image's stop signal, the grace period and its minimum, SIGKILL;
// postStart hooks; readiness, liveness and startup probes over the pod's network; readiness gates; resolv.conf by DNS policy; Events; statuses.
// Does not model yet: volumes, init containers, image pulls, evictions, restart policies but Always. Asking for them ends the run with
// engine.ErrNotModelled.
// Unlike Kubernetes: a second deletion with a shorter grace period does not hurry a container that is being stopped already.
// Source: kubernetes/kubernetes pkg/kubelet.
package kubelet
