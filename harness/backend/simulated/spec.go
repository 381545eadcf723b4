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
	s.StandIns = plan.Own != ""
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
	s.VPC.CIDRs = []netip.Prefix{prefix(w.VPC.CIDR)}
	for _, c := range w.VPC.SecondaryCIDRs {
		s.VPC.CIDRs = append(s.VPC.CIDRs, prefix(c))
	}
	s.EC2Throttle = w.EC2Throttle
	s.VPCCNI = vpcCNI(&w.AddOns.VPCCNI)
	for _, sn := range w.VPC.Subnets {
		s.VPC.Subnets = append(s.VPC.Subnets, sim.Subnet{Name: sn.Name, Zone: sn.Zone, CIDR: prefix(sn.CIDR), Public: sn.Public})
	}
	for _, g := range w.NodeGroups {
		ng := sim.NodeGroup{Name: g.Name, Subnet: g.Subnet, InstanceType: g.InstanceType, Size: g.Size, MaxPods: g.MaxPods}
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

func vpcCNI(c *scenario.VPCCNI) sim.VPCCNI {
	out := sim.VPCCNI{Version: c.Version, Env: envOf(c.Env)}
	for _, e := range c.ENIConfigs {
		out.ENIConfigs = append(out.ENIConfigs, sim.ENIConfig{Name: e.Name, Subnet: e.Subnet})
	}
	return out
}

func envOf(vars []scenario.EnvVar) map[string]string {
	env := map[string]string{}
	for _, v := range vars {
		env[v.Name] = v.Value
	}
	return env
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
			ByClusterIP: c.Curl.Address == "clusterIP", Method: c.Curl.Method, Path: c.Curl.Path, HostHeader: c.Curl.Host, MaxTime: c.Curl.MaxTime, Fallback: c.Curl.Fallback})
	}
	return out
}

func changesOf(plan *scenario.Plan) (out []sim.Change) {
	for _, a := range plan.Timeline {
		c := sim.Change{At: plan.Settle + a.At}
		if m := a.ModifyTargetGroupAttributes; m != nil {
			c.Action = sim.ModifyLoadBalancer{Service: m.Service, Ingress: m.Ingress, TargetGroupAttributes: m.Attributes}
		}
		if m := a.ModifyLoadBalancerAttributes; m != nil {
			c.Action = sim.ModifyLoadBalancer{Service: m.Service, Ingress: m.Ingress, LoadBalancerAttributes: m.Attributes}
		}
		if m := a.SetEnv; m != nil {
			kind, name, _ := strings.Cut(m.Target, "/")
			c.Action = sim.SetEnv{Kind: kind, Name: name, Env: envOf(m.Env), Remove: m.Remove}
		}
		if m := a.Scale; m != nil {
			c.Action = sim.Scale{Deployment: m.Deployment, Replicas: m.Replicas}
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
			c.Action = sim.CrashNode{Of: m.Deployment + "-*"}
		}
		out = append(out, c)
	}
	return out
}
