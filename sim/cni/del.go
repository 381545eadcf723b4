package cni

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/route"
)

// cooldown is how long an address that a pod gave back is not given to another; it stays with its network interface.
// Source: aws/amazon-vpc-cni-k8s pkg/ipamd/datastore/data_store.go, addressCoolingPeriod.
const cooldown = 30 * time.Second

// released is an address that a pod gave back.
type released struct {
	addr netip.Addr
	port *port
	at   time.Duration
}

// Del takes a pod's network away: its namespace with both ends of the veth, the host's route to it and the rules about it. The address may be had
// again when it has cooled. A pod without a network is no error.
// Source: aws/amazon-vpc-cni-k8s cmd/routed-eni-cni-plugin/driver/driver.go, TeardownPodNetwork.
func (h *Host) Del(_ *engine.Process, namespace, pod string) error {
	outside := h.root.Device(VethName(namespace, pod))
	if outside == nil {
		return nil
	}
	inside := outside.Peer()
	if inside == nil {
		return fmt.Errorf("del cmd: %s has no other end", outside.Name)
	}
	a := inside.Addr()
	host := netip.PrefixFrom(a, 32)
	h.root.DeleteRule(route.Rule{Priority: priorityToPod, To: host, Table: route.Main})
	h.root.DeleteRoute(route.Main, host)
	for _, pt := range h.ports {
		if !slices.Contains(pt.eni.Addrs, a) {
			continue
		}
		if pt.table != route.Main {
			h.root.DeleteRule(route.Rule{Priority: priorityFromPod, From: host, Table: pt.table})
		}
		h.released = append(h.released, released{a, pt, h.root.Engine().Now()})
	}
	inside.Namespace().Close()
	return nil
}

// cooled is an address that a pod gave back long enough ago.
func (h *Host) cooled() (released, bool) {
	if len(h.released) == 0 || h.root.Engine().Now()-h.released[0].at < cooldown {
		return released{}, false
	}
	r := h.released[0]
	h.released = h.released[1:]
	return r, true
}
