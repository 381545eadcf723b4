package simulated

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// specOf is a plan's world in the simulator's terms.
func specOf(plan *scenario.Plan, seed uint64) (sim.Spec, error) {
	w := &plan.World
	s := sim.Spec{Seed: seed, Region: w.Region, LoadBalancerController: w.LoadBalancerController, TimerHZ: w.Kernel.TimerHZ,
		CoreDNS: sim.CoreDNS{Replicas: w.AddOns.CoreDNS.Replicas, NodeGroup: w.AddOns.CoreDNS.NodeGroup}}
	balancing(&s, w)
	if m := w.AddOns.KubeProxy.Mode; m != "iptables" {
		return s, engine.NotModelled("kube-proxy mode %q", m)
	}
	var err error
	prefix := func(text string) (p netip.Prefix) {
		if err == nil {
			p, err = netip.ParsePrefix(text)
		}
		return p
	}
	s.Cluster = sim.Cluster{Name: w.Cluster.Name, Version: w.Cluster.Version, ServiceCIDR: prefix(w.Cluster.ServiceCIDR)}
	s.VPC.CIDR = prefix(w.VPC.CIDR)
	for _, sn := range w.VPC.Subnets {
		s.VPC.Subnets = append(s.VPC.Subnets, sim.Subnet{Name: sn.Name, Zone: sn.Zone, CIDR: prefix(sn.CIDR), Public: sn.Public})
	}
	for _, g := range w.NodeGroups {
		ng := sim.NodeGroup{Name: g.Name, Subnet: g.Subnet, InstanceType: g.InstanceType, Size: g.Size}
		for _, a := range g.Addresses {
			addr, bad := netip.ParseAddr(a)
			if bad != nil && err == nil {
				err = bad
			}
			ng.Addresses = append(ng.Addresses, addr)
		}
		s.NodeGroups = append(s.NodeGroups, ng)
	}
	if err != nil {
		return s, err
	}
	s.Sysctls, err = sysctls(w.Kernel.Sysctls)
	return s, err
}

// sysctls reads settings by their names; what is not named is as in current Linux.
func sysctls(set map[string]int) (linux.Sysctls, error) {
	s := linux.DefaultSysctls()
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		v := set[n]
		if v < 0 || v > math.MaxInt16 {
			return s, fmt.Errorf("sysctl %s=%d: out of range", n, v)
		}
		switch n {
		case "net.ipv4.tcp_syn_retries":
			s.TCPSynRetries = v
		case "net.ipv4.tcp_syn_linear_timeouts":
			s.TCPSynLinearTimeouts = v
		case "net.ipv4.tcp_synack_retries":
			s.TCPSynAckRetries = v
		case "net.ipv4.tcp_retries2":
			s.TCPRetries2 = v
		case "net.ipv4.ip_default_ttl":
			s.IPDefaultTTL = uint8(min(v, 255))
		case "net.ipv4.conf.all.rp_filter":
			s.RPFilter = v
		case "net.ipv4.conf.all.accept_local":
			s.AcceptLocal = v != 0
		default:
			return s, engine.NotModelled("sysctl %s", n)
		}
	}
	return s, nil
}

// loadsOf and changesOf are a plan's load and timeline, at times of the world.
func loadsOf(plan *scenario.Plan) (out []sim.Load) {
	for _, c := range plan.Load {
		out = append(out, sim.Load{Name: c.Name, Pace: sim.Pace(c.Pace), At: plan.Settle + c.At, Every: c.Every, Count: c.Count, Pod: c.Pod, Service: c.Curl.Service, Ingress: c.Curl.Ingress,
			ByClusterIP: c.Curl.Address == "clusterIP", Method: c.Curl.Method, Path: c.Curl.Path, MaxTime: c.Curl.MaxTime, Fallback: c.Curl.Fallback})
	}
	return out
}

func changesOf(plan *scenario.Plan) (out []sim.Change) {
	for _, a := range plan.Timeline {
		c := sim.Change{At: plan.Settle + a.At}
		if m := a.ModifyTargetGroupAttributes; m != nil {
			c.Service, c.Ingress, c.TargetGroupAttributes = m.Service, m.Ingress, m.Attributes
		}
		if m := a.ModifyLoadBalancerAttributes; m != nil {
			c.Service, c.Ingress, c.LoadBalancerAttributes = m.Service, m.Ingress, m.Attributes
		}
		if m := a.SetImage; m != nil {
			c.Action = sim.SetImage{Deployment: m.Deployment, Container: m.Container, Image: m.Image}
		}
		if m := a.Patch; m != nil {
			kind, name, _ := strings.Cut(m.Target, "/")
			c.Action = sim.Patch{Kind: kind, Name: name, JSON: m.Patch.JSON}
		}
		if m := a.RolloutRestart; m != nil {
			c.Action = sim.RolloutRestart{Deployment: m.Deployment}
		}
		if m := a.LabelNamespace; m != nil {
			c.Action = sim.LabelNamespace{Name: m.Name, Labels: m.Labels}
		}
		if m := a.CrashNode; m != nil {
			c.CrashNodeOf = m.Deployment + "-*"
		}
		out = append(out, c)
	}
	return out
}
