package kubelet

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/workload"
)

// Options are what kubelets share; zero fields have defaults.
type Options struct {
	Images workload.Images
	// ClusterDNS and NodeDNS are nameservers: of pods, and of the nodes themselves. Domain is the nodes' search domain.
	ClusterDNS, NodeDNS netip.Addr
	Domain              string
	Times
}

// Times are what a node, its disks and its container runtime take. Each is drawn anew, uniformly between two bounds.
type Times struct {
	// PodStart is how long a pod takes from being bound to its containers being reported as running. One half goes by before its network is made, the
	// other before its containers start. Zero means 2.2 to 3.3 s, as with an image that is on the node.
	PodStart [2]time.Duration
	// ContainerStop is from the kubelet's decision to stop a container, or the end of its preStop hook, to the signal's arrival at its first process.
	// Nil means 50 ms, an order of magnitude.
	ContainerStop *[2]time.Duration
	// NetnsTeardown is from the end of a pod's last container to the CNI plugin's DEL, with which its network namespace goes. Nil means 1.3 s, which
	// agrees with the answers of an ALB during a rolling update.
	NetnsTeardown *[2]time.Duration
}

func (t Times) withDefaults() Times {
	if t.PodStart[1] == 0 {
		t.PodStart = [2]time.Duration{2200 * time.Millisecond, 3300 * time.Millisecond}
	}
	if t.ContainerStop == nil {
		t.ContainerStop = &[2]time.Duration{50 * time.Millisecond, 50 * time.Millisecond}
	}
	if t.NetnsTeardown == nil {
		t.NetnsTeardown = &[2]time.Duration{1300 * time.Millisecond, 1300 * time.Millisecond}
	}
	return t
}

// draw draws a time from a stream.
func (k *Kubelets) draw(stream string, r [2]time.Duration) time.Duration {
	if r[1] <= r[0] {
		return r[0]
	}
	return r[0] + time.Duration(k.engine.Rand("kubelet: "+stream).Int64N(int64(r[1]-r[0])+1))
}
