package scenario

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
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
	vpc := c.prefix(tree.get("vpc").get("cidr"), "world.vpc.cidr", w.VPC.CIDR)
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
		p := c.prefix(n.get("cidr"), "the cidr of subnet "+s.Name, s.CIDR)
		if p.IsValid() && vpc.IsValid() && (!vpc.Contains(p.Addr()) || p.Bits() < vpc.Bits()) {
			c.report(n, "cidr", "subnet %s (%s) is not inside the VPC's %s", s.Name, p, vpc)
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
	dns := w.AddOns.CoreDNS
	if dns.Replicas > 0 && !slices.Contains(groups, dns.NodeGroup) {
		c.report(tree.get("addOns").get("coredns"), "nodeGroup", "CoreDNS runs on node group %q, which the world does not have%s", dns.NodeGroup, didYouMean(dns.NodeGroup, groups))
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
	var services, pods, ingresses []string
	for _, o := range plan.Objects {
		name := o.Value.GetNamespace() + "/" + o.Value.GetName()
		switch o.Value.(type) {
		case *corev1.Service:
			services = append(services, name)
		case *corev1.Pod:
			pods = append(pods, name)
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
