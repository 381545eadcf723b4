// Package kubelet models the kubelet of each node: it starts and stops the pods that are bound to its node, and says so in their status.
//
// Models: a worker for each pod that tries again after a back-off; the pod's network by the CNI plugin, ADD and DEL; hostNetwork; containers that start
// after a while, end, and are restarted with a back-off; stopping: preStop hooks, the image's stop signal, the grace period and its minimum, SIGKILL;
// postStart hooks; readiness, liveness and startup probes over the pod's network; readiness gates; resolv.conf by DNS policy; Events; statuses.
// Does not model yet: volumes, init containers, image pulls, evictions, restart policies but Always. Asking for them ends the run with
// engine.ErrNotModelled.
// The kubelets of 1.22 to 1.27 differ: there a container has its whole grace period again after its preStop hook, so that SIGKILL may come as late as
// twice the period (kubernetes/kubernetes issue 115817, put right in 1.28). Here what the hook takes is taken from the period in all versions.
// Source: kubernetes/kubernetes pkg/kubelet.
package kubelet
