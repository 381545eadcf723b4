package kubelet

import "time"

// leaseRenewal is how often a kubelet renews its node's lease.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (nodeLeaseRenewIntervalFraction 0.25 of nodeLeaseDurationSeconds 40).
const leaseRenewal = 10 * time.Second

// Crash ends a node's kubelet, as a loss of power does: nothing of it is heard any more, and it hears nothing. It returns when the kubelet
// last renewed its lease.
func (k *Kubelets) Crash(node string) (renewed time.Duration) {
	now := k.engine.Now()
	n := k.nodes[node]
	if n == nil || n.dead {
		return now
	}
	n.dead = true
	for key, pod := range k.running { // the order is of no effect
		if pod.Node == n {
			delete(k.running, key)
		}
	}
	for _, pod := range k.pods {
		if pod.Node == n {
			for _, c := range pod.containers {
				c.stopProbes()
			}
		}
	}
	return max(0, now-time.Duration(k.engine.Rand("kubelet: lease").Int64N(int64(leaseRenewal))))
}
