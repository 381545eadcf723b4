package linux

import (
	"net/netip"
	"slices"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// loopbackMTUBytes is the MTU of lo. Source: Linux drivers/net/loopback.c.
const loopbackMTUBytes = 65536

// Namespace is a network namespace. Use Kernel.NewNamespace.
type Namespace struct {
	Name string
	// Sysctl are the namespace's own settings, which begin as the kernel's.
	Sysctl Sysctls
	// Forwarding is net.ipv4.ip_forward.
	Forwarding bool

	kernel  *Kernel
	label   trace.Name
	devices []*Device    // index 0 is unused
	local   []netip.Addr // sorted
	fib     *route.Database
	rules   *netfilter.Ruleset
	ct      *netfilter.Table
	context netfilter.Context
	flights []*flight
	sockets
}

// NewNamespace makes a namespace with a loopback device.
func (k *Kernel) NewNamespace(name string) *Namespace {
	n := &Namespace{Name: name, Sysctl: k.sysctl, kernel: k, label: k.log.Name(name), devices: []*Device{nil}, fib: route.New()}
	n.context.Local = n.IsLocal
	lo := n.AddDevice("lo", loopbackMTUBytes)
	lo.Link = loopback{}
	n.AddAddr(lo, netip.MustParseAddr("127.0.0.1"))
	return n
}

// Kernel is the kernel that n runs on.
func (n *Namespace) Kernel() *Kernel { return n.kernel }

// Engine is the engine of n's world.
func (n *Namespace) Engine() *engine.Engine { return n.kernel.engine }

// AddDevice adds a device that is up and has no link yet.
func (n *Namespace) AddDevice(name string, mtuBytes int) *Device {
	d := &Device{Name: name, MTUBytes: mtuBytes, Up: true, ns: n, index: len(n.devices), label: n.kernel.log.Name(n.Name + "/" + name)}
	n.devices = append(n.devices, d)
	return d
}

// Device returns the device of a name, or nil.
func (n *Namespace) Device(name string) *Device {
	for _, d := range n.devices[1:] {
		if d != nil && d.Name == name {
			return d
		}
	}
	return nil
}

// Devices lists the devices, lo first.
func (n *Namespace) Devices() []*Device {
	return slices.DeleteFunc(slices.Clone(n.devices[1:]), func(d *Device) bool { return d == nil })
}

// AddAddr gives a device an address, which becomes local to the namespace.
func (n *Namespace) AddAddr(d *Device, a netip.Addr) {
	d.Addrs = append(d.Addrs, a)
	if i, ok := slices.BinarySearchFunc(n.local, a, netip.Addr.Compare); !ok {
		n.local = slices.Insert(n.local, i, a)
	}
	n.fib.Replace(&route.Route{Dst: netip.PrefixFrom(a, a.BitLen()), Type: route.ToLocal, Dev: d.index, DevName: d.Name, Table: route.Local, Src: a, Name: n.kernel.log.Name("local " + a.String() + " dev " + d.Name)})
}

// IsLocal says whether a is an address of the namespace.
func (n *Namespace) IsLocal(a netip.Addr) bool {
	_, ok := slices.BinarySearchFunc(n.local, a, netip.Addr.Compare)
	return ok || a.IsLoopback()
}

// AddRoute installs a route, as ip route replace does, and records it. Dev may be nil for types that need none.
func (n *Namespace) AddRoute(r route.Route, d *Device) {
	if r.Table == 0 {
		r.Table = route.Main
	}
	if d != nil {
		r.Dev, r.DevName = d.index, d.Name
		if !r.Src.IsValid() {
			r.Src = d.Addr()
		}
	}
	text := r.String()
	r.Name = n.kernel.log.Name(text)
	before := n.kernel.engine.Cause()
	r.Origin = n.kernel.log.Emit(trace.Record{Kind: trace.Config, Actor: n.label, What: n.kernel.log.Name("ip route add"), Text: text})
	n.kernel.engine.SetCause(before)
	n.fib.Replace(&r)
}

// DeleteRoute removes the route to a destination, and says whether there was one.
func (n *Namespace) DeleteRoute(t route.Table, dst netip.Prefix) bool {
	if !n.fib.Delete(t, dst) {
		return false
	}
	n.kernel.log.Say(trace.Config, n.Name, "ip route del", dst.String()+" table "+t.String())
	return true
}

// AddRule installs a policy rule and records it.
func (n *Namespace) AddRule(r route.Rule) {
	before := n.kernel.engine.Cause()
	n.kernel.log.Say(trace.Config, n.Name, "ip rule add", r.String())
	n.kernel.engine.SetCause(before)
	n.fib.AddRule(r)
}

// Routes is the routing policy database, to look at.
func (n *Namespace) Routes() *route.Database { return n.fib }

// Netfilter returns the namespace's rules, and turns netfilter and connection tracking on at the first call.
func (n *Namespace) Netfilter() *netfilter.Ruleset {
	if n.rules == nil {
		n.rules = netfilter.NewRuleset(n.kernel.log, n.kernel.random)
		n.ct = n.kernel.newConntrack()
	}
	return n.rules
}

// Conntrack is the connection tracking table, nil unless Netfilter was called.
func (n *Namespace) Conntrack() *netfilter.Table { return n.ct }

// lookupOut is the route of a packet that the namespace itself would send, nil if there is none.
func (n *Namespace) lookupOut(dst netip.Addr) *route.Route {
	r := n.fib.Lookup(route.Key{Dst: dst})
	if r == nil || r.Type == route.Unreachable || r.Type == route.Blackhole {
		return nil
	}
	return r
}

func (n *Namespace) drop(at trace.Name, p *packet.Packet, reason string) {
	log := n.kernel.log
	log.Emit(trace.Record{Kind: trace.Drop, Actor: at, Reason: log.Name(reason), Packet: p})
}
