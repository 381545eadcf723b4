package kubelet

import "time"

// leaseRenewal is how often a kubelet renews its node's lease: a quarter of the lease's 40 s.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (nodeLeaseRenewIntervalFraction); NodeLeaseDurationSeconds of KubeletConfiguration.
const leaseRenewal = 10 * time.Second

// Crash ends a node's kubelet, as a loss of power does: from here on it does nothing and says nothing. It returns when it renewed its lease for the last
// time. What the node's programs send is the network's matter.
func (k *Kubelets) Crash(name string) (renewed time.Duration, ok bool) {
	n := k.nodes[name]
	if n == nil || n.dead {
		return 0, false
	}
	n.dead = true
	now := k.engine.Now()
	phase := time.Duration(k.engine.Rand("kubelet: lease").Int64N(int64(leaseRenewal)))
	renewed = now - phase
	for key, pod := range k.running { // the order is of no effect
		if pod.Node == n {
			delete(k.running, key)
		}
	}
	return max(0, renewed), true
}
