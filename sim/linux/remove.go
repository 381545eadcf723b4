package linux

import (
	"net/netip"

	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
)

// RemoveDevice takes a device away, and with it its addresses and what the main and the local table route through it. Packets on their way to it are lost.
func (n *Namespace) RemoveDevice(d *Device) {
	if n.devices[d.index] != d {
		return
	}
	d.Up, d.Link = false, nil
	for _, a := range d.Addrs {
		delete(n.local, a)
		n.fib.Delete(route.Local, netip.PrefixFrom(a, a.BitLen()))
	}
	n.fib.DeleteDevice(d.index)
	n.devices[d.index] = nil
}

// DeleteRule removes a policy rule and records it. It says whether there was one.
func (n *Namespace) DeleteRule(r route.Rule) bool {
	if !n.fib.DeleteRule(r) {
		return false
	}
	before := n.kernel.engine.Cause()
	n.kernel.log.Say(trace.Config, n.Name, "ip rule del", r.String())
	n.kernel.engine.SetCause(before)
	return true
}

// Log is the trace of the kernel's world.
func (k *Kernel) Log() *trace.Log { return k.log }
