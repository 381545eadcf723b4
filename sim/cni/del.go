package cni

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/route"
)

// delRetry is how often a kubelet tries a DEL again that has failed. Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, backOffPeriod.
const delRetry = 10 * time.Second

// Del takes a pod's network away: its address goes back to the daemon, and its namespace with both ends of the veth, the host's route to it and the rules
// about it are gone. A pod without a network is no error. Without a daemon that answers it waits for one, or in later versions takes
// down what it noted at ADD: then the address stays assigned until the daemon starts again and finds no veth.
// Source: aws/amazon-vpc-cni-k8s cmd/routed-eni-cni-plugin/cni.go (del, tryDelWithPrevResult); cmd/routed-eni-cni-plugin/driver/driver.go, TeardownPodNetwork.
func (h *Host) Del(p *engine.Process, namespace, name string) error {
	k := podKey{namespace, name}
	x := h.pods[k]
	if x == nil {
		return nil
	}
	p.Sleep(addTime)
	for !h.Serving() && !h.version.DeletesWithoutDaemon {
		p.Sleep(delRetry)
	}
	if h.pods[k] != x {
		return nil
	}
	if h.Serving() {
		if _, _, err := h.agent.DelNetwork(x.sandbox); err != nil && err != ipamd.ErrUnknownPod {
			return fmt.Errorf("del cmd: error received from DelNetwork gRPC call: %w", err)
		}
	}
	delete(h.pods, k)
	host := netip.PrefixFrom(x.addr, 32)
	h.root.DeleteRule(route.Rule{Priority: priorityToPod, To: host, Table: route.Main})
	h.root.DeleteRoute(route.Main, host)
	if x.table != route.Main {
		h.root.DeleteRule(route.Rule{Priority: priorityFromPod, From: host, Table: x.table})
	}
	if inside := x.outside.Peer(); inside != nil {
		inside.Namespace().Close()
	}
	return nil
}
