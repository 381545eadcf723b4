package scenario

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/ec2"
)

// worldChecker holds the parts of a world against each other. It finds the place of a value by its path.
type worldChecker struct {
	world *World
	found *findings
	at    place
}

// checkWorld reports what does not fit together in a world. Places are those of the items by their names, since items
// may have been left out.
func checkWorld(w *World, tree *node, found *findings) {
	c := worldChecker{world: w, found: found, at: tree.at}
	c.cut(tree.get("vpc").get("subnets"))
	blocks := []netip.Prefix{c.prefix(tree.get("vpc").get("cidr"), "world.vpc.cidr", w.VPC.CIDR)}
	for _, text := range w.VPC.SecondaryCIDRs {
		p := c.prefix(tree.get("vpc").get("secondaryCIDRs"), "world.vpc.secondaryCIDRs", text)
		for _, other := range blocks {
			if p.IsValid() && other.IsValid() && p.Overlaps(other) {
				c.report(tree.get("vpc"), "secondaryCIDRs", "the VPC's CIDR blocks %s and %s overlap", other, p)
			}
		}
		blocks = append(blocks, p)
	}
	if n := len(blocks); n > mostCIDRBlocks {
		c.report(tree.get("vpc"), "subnets", "the VPC would need %d CIDR blocks, and %d are the most: its subnets are too large or too many for %s", n, mostCIDRBlocks, w.VPC.CIDR)
	}
	c.prefix(tree.get("cluster").get("serviceCIDR"), "world.cluster.serviceCIDR", w.Cluster.ServiceCIDR)

	subnets := map[string]netip.Prefix{}
	var names []string
	items := tree.get("vpc").get("subnets")
	for i, s := range w.VPC.Subnets {
		n := itemNamed(items, s.Name)
		if slices.Contains(names, s.Name) {
			c.report(n, "name", "two subnets are named %q", s.Name)
		}
		names = append(names, s.Name)
		if !strings.HasPrefix(s.Zone, w.Region) {
			c.report(n, "zone", "the zone %q of subnet %s is not in region %s", s.Zone, s.Name, w.Region)
		}
		if s.CIDR == "" {
			subnets[s.Name] = netip.Prefix{} // reported by cut
			continue
		}
		p := c.prefix(n.get("cidr"), "the cidr of subnet "+s.Name, s.CIDR)
		if p.IsValid() && (p.Bits() < shortestSubnet || p.Bits() > longestSubnet) {
			c.report(n, "cidr", "subnet %s (%s): a subnet is from /%d to /%d", s.Name, p, shortestSubnet, longestSubnet)
			p = netip.Prefix{}
		}
		inside := func(b netip.Prefix) bool { return !b.IsValid() || b.Contains(p.Addr()) && p.Bits() >= b.Bits() }
		if p.IsValid() && !slices.ContainsFunc(blocks, inside) {
			c.report(n, "cidr", "subnet %s (%s) is not inside the VPC's %s", s.Name, p, strings.Join(append([]string{w.VPC.CIDR}, w.VPC.SecondaryCIDRs...), ", "))
		}
		for _, other := range w.VPC.Subnets[:i] {
			if q := subnets[other.Name]; q.IsValid() && p.IsValid() && p.Overlaps(q) {
				c.report(n, "cidr", "subnet %s (%s) overlaps %s (%s)", s.Name, p, other.Name, q)
			}
		}
		if _, twice := subnets[s.Name]; !twice {
			subnets[s.Name] = p
		}
	}

	var groups []string
	items = tree.get("nodeGroups")
	for _, g := range w.NodeGroups {
		n := itemNamed(items, g.Name)
		if slices.Contains(groups, g.Name) {
			c.report(n, "name", "two node groups are named %q", g.Name)
		}
		groups = append(groups, g.Name)
		subnet, ok := subnets[g.Subnet]
		if !ok {
			c.report(n, "subnet", "node group %s is in subnet %q, which the world does not have%s", g.Name, g.Subnet, didYouMean(g.Subnet, names))
		}
		if limits, err := ec2.LimitsOf(g.InstanceType); err != nil {
			c.report(n, "instanceType", "node group %s: unknown instance type %q%s", g.Name, shorten(g.InstanceType), didYouMean(g.InstanceType, ec2.InstanceTypes()))
		} else if size := subnetSize(subnet); subnet.IsValid() && g.Size > size {
			c.report(n, "size", "node group %s: %d nodes of %s, but subnet %s (%s) has %d addresses to give", g.Name, g.Size, g.InstanceType, g.Subnet, subnet, size)
		} else if g.MaxPods > mostPods {
			c.report(n, "maxPods", "node group %s: maxPods %d; %d are the most, and 0 is what EKS sets for %s, %d", g.Name, g.MaxPods, mostPods, g.InstanceType, limits.MaxPods())
		}
		for i, a := range g.Addresses {
			addr, err := netip.ParseAddr(a)
			switch {
			case err != nil || !addr.Is4():
				c.report(n, "addresses", "node group %s: %q is no IPv4 address", g.Name, a)
			case subnet.IsValid() && !subnet.Contains(addr):
				c.report(n, "addresses", "node group %s: %s is not in subnet %s (%s)", g.Name, a, g.Subnet, subnet)
			case slices.Contains(g.Addresses[:i], a):
				c.report(n, "addresses", "node group %s: %s is given twice", g.Name, a)
			}
		}
	}
	c.checkVPCCNI(tree.get("addOns").get("vpc-cni"), names)
	dns := w.AddOns.CoreDNS
	if dns.Replicas > 0 && !slices.Contains(groups, dns.NodeGroup) {
		c.report(tree.get("addOns").get("coredns"), "nodeGroup", "CoreDNS runs on node group %q, which the world does not have%s", dns.NodeGroup, didYouMean(dns.NodeGroup, groups))
	}
}

// reservedAddresses of each subnet: the network's, the router's, the resolver's, one for future use, and the last.
// Source: Amazon VPC user guide, "Subnet sizing".
const reservedAddresses = 5

// subnetSize is how many addresses a subnet has to give.
func subnetSize(p netip.Prefix) int {
	if !p.IsValid() {
		return 0
	}
	return 1<<(32-p.Bits()) - reservedAddresses
}

// mostPods bounds maxPods; kubelet itself takes any number.
const mostPods = 1000

// checkVPCCNI holds the settings of the VPC CNI against its versions and the world's subnets.
func (c *worldChecker) checkVPCCNI(n *node, subnets []string) {
	cni := c.world.AddOns.VPCCNI
	version, err := ipamd.VersionOf(cni.Version)
	if err != nil {
		c.report(n, "version", "version %q of the VPC CNI is not modelled; there are %s", shorten(cni.Version), strings.Join(ipamd.Versions, ", "))
	} else if _, err := ipamd.ReadSettings(version, ipamd.ManifestEnv(version, envMap(cni.Env))); err != nil {
		c.report(n, "env", "world.addOns.vpc-cni.env: %v", err)
	}
	c.checkEnv(n.get("env"), cni.Env)
	var names []string
	for _, e := range cni.ENIConfigs {
		at := itemNamed(n.get("eniConfigs"), e.Name)
		if slices.Contains(names, e.Name) {
			c.report(at, "name", "two ENIConfigs are named %q", shorten(e.Name))
		}
		names = append(names, e.Name)
		if !slices.Contains(subnets, e.Subnet) {
			c.report(at, "subnet", "ENIConfig %s is in subnet %q, which the world does not have%s", e.Name, shorten(e.Subnet), didYouMean(e.Subnet, subnets))
		}
	}
}

func envMap(env []EnvVar) map[string]string {
	m := map[string]string{}
	for _, v := range env {
		m[v.Name] = v.Value
	}
	return m
}

// awsNode is the DaemonSet of the VPC CNI.
const awsNode = "DaemonSet/kube-system/aws-node"

// check holds what kubectl set env is to change against what there is.
func (s *SetEnv) check(at place, plan *Plan, deployments []string, found *findings) {
	kind, name, _ := strings.Cut(s.Target, "/")
	switch {
	case s.Target == awsNode:
		cni := plan.World.AddOns.VPCCNI
		version, err := ipamd.VersionOf(cni.Version)
		if err != nil {
			return // reported with the world
		}
		env := envMap(append(slices.Clone(cni.Env), s.Env...))
		for _, name := range s.Remove {
			delete(env, name)
		}
		if _, err := ipamd.ReadSettings(version, ipamd.ManifestEnv(version, env)); err != nil {
			found.add(at, "setEnv: %v", err)
		}
	case kind == "Deployment" && slices.Contains(deployments, name):
	default:
		found.add(at, "setEnv: there is no %q; %s and the Deployments of the manifests have an environment", shorten(s.Target), awsNode)
	}
	for i, v := range s.Env {
		if slices.Contains(s.Remove, v.Name) || slices.ContainsFunc(s.Env[:i], func(other EnvVar) bool { return other.Name == v.Name }) {
			found.add(at, "setEnv: the variable %s is named twice", shorten(v.Name))
		}
	}
	if len(s.Env)+len(s.Remove) == 0 {
		found.add(at, "setEnv: no variable is named: env or remove is needed")
	}
}

// checkEnv finds variables that are set twice.
func (c *worldChecker) checkEnv(n *node, env []EnvVar) {
	for i, v := range env {
		if slices.ContainsFunc(env[:i], func(other EnvVar) bool { return other.Name == v.Name }) {
			c.report(itemNamed(n, v.Name), "name", "the variable %s is set twice", shorten(v.Name))
		}
	}
}

// report is about a field of n; its place is the nearest one that is known.
func (c *worldChecker) report(n *node, key, format string, args ...any) {
	at := c.at
	if n != nil {
		at = n.at
		if v := n.get(key); v != nil {
			at = v.at
		}
	}
	c.found.add(at, format, args...)
}

func (c *worldChecker) prefix(n *node, what, cidr string) netip.Prefix {
	p, err := netip.ParsePrefix(cidr)
	var message string
	switch {
	case err != nil || !p.Addr().Is4():
		message = "is no IPv4 range such as 192.168.0.0/16"
	case p != p.Masked():
		message = "has bits beyond its length: it should be " + p.Masked().String()
	default:
		return p
	}
	at := c.at
	if n != nil {
		at = n.at
	}
	c.found.add(at, "%s: %q %s", what, cidr, message)
	return netip.Prefix{}
}

// itemNamed finds an item of a list by its name, which may be a template: then it is not found.
func itemNamed(list *node, name string) *node {
	if list == nil {
		return nil
	}
	for _, item := range list.items {
		if n := item.get("name"); n != nil && n.text == name {
			return item
		}
	}
	return nil
}

// checkReferences reports Services and pods that the timeline or the load names and the manifests lack.
func checkReferences(plan *Plan, found *findings) {
	checkRollout(plan, found)
	var services, pods, deployments, ingresses []string
	for _, o := range plan.Objects {
		name := o.Value.GetNamespace() + "/" + o.Value.GetName()
		switch o.Value.(type) {
		case *corev1.Service:
			services = append(services, name)
		case *corev1.Pod:
			pods = append(pods, name)
		case *appsv1.Deployment:
			deployments = append(deployments, name)
		case *networkingv1.Ingress:
			ingresses = append(ingresses, name)
		}
	}
	check := func(at place, what, name string, names []string) {
		if !slices.Contains(names, name) {
			found.add(at, "the manifests have no %s %q%s", what, shorten(name), targetHint(name, names))
		}
	}
	for _, a := range plan.Timeline {
		v := reflect.ValueOf(a)
		for i := range v.NumField() {
			if m, ok := v.Field(i).Interface().(*ModifyAttributes); ok && m != nil {
				if m.Ingress != "" {
					check(place{file: a.File, line: a.Line}, "Ingress", m.Ingress, ingresses)
					continue
				}
				check(place{file: a.File, line: a.Line}, "Service", m.Service, services)
			}
		}
		at := place{file: a.File, line: a.Line}
		if a.Scale != nil {
			check(at, "Deployment", a.Scale.Deployment, deployments)
		}
		if a.SetEnv != nil {
			a.SetEnv.check(at, plan, deployments, found)
		}
	}
	names := map[string]bool{}
	for _, l := range plan.Load {
		at := place{file: l.File, line: l.Line}
		if l.Pod != "" {
			check(at, "Pod", l.Pod, pods)
		}
		switch {
		case l.Curl == nil:
		case l.Curl.Ingress != "":
			check(at, "Ingress", l.Curl.Ingress, ingresses)
		default:
			check(at, "Service", l.Curl.Service, services)
			if l.Pod == "" && l.Curl.Address == "clusterIP" {
				found.add(at, "a client on the internet cannot call a cluster IP; name a pod")
			}
		}
		if names[l.Name] {
			found.add(at, "two loads are named %q", shorten(l.Name))
		}
		names[l.Name] = true
	}
}
