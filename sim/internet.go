package sim

import (
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/vpc"
)

// internet joins the VPC to the internet, where r answers for public names.
func (w *World) internet(r *dns.Resolver) {
	latency := elb.Range{Min: time.Millisecond, Max: 1500 * time.Microsecond}
	if l := w.spec.Internet.Latency; l != nil {
		latency = *l
	}
	n := w.VPC.Internet()
	draws := w.Engine.Rand("internet: latency")
	n.SetDelay(func() time.Duration { return latency.Draw(draws) })
	n.SetResolver(r)
}

// Client is a host on the internet that runs a load.
type Client struct {
	Name      string
	Namespace *linux.Namespace
	Addr      netip.Addr
	Resolv    dns.Config
}

// internetMTUBytes is the MTU of hosts on the internet, and of what an internet gateway passes.
// Source: Amazon EC2 User Guide, "Network maximum transmission unit (MTU)".
const internetMTUBytes = 1500

// newClient makes a host on the internet.
func (w *World) newClient(name string) *Client {
	ns := linux.NewKernel(w.Engine, w.Log, name, linux.DefaultSysctls(), &w.serial, linux.KernelOptions{}).NewNamespace(name)
	d := ns.AddDevice("eth0", internetMTUBytes)
	h := w.VPC.Internet().AddHost(d)
	ns.AddAddr(d, h.Addr)
	ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, d)
	return &Client{Name: name, Namespace: ns, Addr: h.Addr, Resolv: dns.Config{Nameserver: vpc.ResolverAddr, NDots: 1}}
}
