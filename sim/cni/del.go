package cni

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
)

// coolDown is for how long the address of a pod that is gone is given to no other.
// Source: aws/amazon-vpc-cni-k8s pkg/ipamd/datastore/data_store.go, addressCoolingPeriod.
const coolDown = 30 * time.Second

type podKey struct{ namespace, name string }

// pod is what the plugin set up for a pod.
type pod struct {
	addr            netip.Addr
	port            *port
	inside, outside *linux.Device
}

// Del takes a pod's network away: its devices, and the host's route and rules for its address. The address stays one of the
// interface's: what is sent to it reaches the host, which knows it no more. After a while another pod may get it.
// Source: cmd/routed-eni-cni-plugin/driver/driver.go, TeardownPodNetwork.
func (h *Host) Del(_ *engine.Process, namespace, name string) error {
	p := h.pods[podKey{namespace, name}]
	if p == nil {
		return nil // CNI says: DEL succeeds though there is nothing to delete
	}
	delete(h.pods, podKey{namespace, name})
	host := netip.PrefixFrom(p.addr, 32)
	h.root.DeleteRule(route.Rule{Priority: priorityToPod, To: host, Table: route.Main})
	if p.port.table != route.Main {
		h.root.DeleteRule(route.Rule{Priority: priorityFromPod, From: host, Table: p.port.table})
	}
	h.root.DeleteRoute(route.Main, host)
	h.root.RemoveDevice(p.outside)
	p.inside.Namespace().RemoveDevice(p.inside)
	h.root.Engine().After(coolDown, "cni: address has cooled", engine.Func(func() {
		p.port.pods--
		p.port.free = append(p.port.free, p.addr)
	}))
	return nil
}
