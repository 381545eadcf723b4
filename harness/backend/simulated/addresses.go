package simulated

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// addressWatcher reads at the end what EC2, the log of calls and the Kubernetes API hold.
type addressWatcher struct {
	w    *sim.World
	plan *scenario.Plan
	// done is told what was gathered; it may be nil.
	done func(*observe.Addresses)
}

func watchAddresses(w *sim.World, plan *scenario.Plan, _ bool) watcher {
	return &addressWatcher{w: w, plan: plan}
}

func (o *addressWatcher) observed(rec *observe.Recording) {
	x := o.gather()
	if o.done != nil {
		o.done(x)
	}
	rec.Add(x.Summarize())
	rec.Setup = append(rec.Setup, o.setup()...)
}

// gather collects what an engineer would.
func (o *addressWatcher) gather() *observe.Addresses {
	w := o.w
	x := &observe.Addresses{}
	for _, n := range w.Nodes {
		node := observe.AddressNode{Name: n.Name}
		for _, e := range n.Instance.Interfaces {
			node.Interfaces = append(node.Interfaces, observe.InterfaceState{ID: string(e.ID), Subnet: string(e.Subnet.ID), Secondary: len(e.Addrs) - 1, Prefixes: len(e.Prefixes)})
		}
		ask(n.CNI, &node)
		x.Nodes = append(x.Nodes, node)
	}
	var nodes, pods []string
	for _, g := range o.plan.World.NodeGroups {
		nodes = append(nodes, g.Subnet)
	}
	for _, e := range o.plan.World.AddOns.VPCCNI.ENIConfigs {
		pods = append(pods, e.Subnet)
	}
	x.Subnets, x.PodSubnets = o.subnets(nodes), o.subnets(pods)
	reader := w.Kube.As(kube.Caller{User: "observer"})
	for _, p := range kube.List[*corev1.Pod](reader) {
		if !p.Spec.HostNetwork {
			x.Pods = append(x.Pods, podState(p))
		}
	}
	for _, e := range kube.Events(reader) {
		if e.Reason == "FailedCreatePodSandBox" {
			x.SandboxFailures += int(e.Count)
		}
	}
	x.Calls = o.calls()
	return x
}

// ask reads what a node's ipamd shows on its ports, if it answers.
func ask(host *cni.Host, node *observe.AddressNode) {
	if !host.Serving() {
		return
	}
	agent := host.Agent()
	node.Metrics, node.Introspection = agent.Samples(), map[string]observe.Introspected{}
	for id, e := range agent.Introspect().ENIs {
		var i observe.Introspected
		for _, c := range e.AvailableIPv4Cidrs {
			i.Addresses++
			if c.IsPrefix {
				i.Addresses += 15
			}
			for _, a := range c.IPAddresses {
				if a.ContainerID != "" {
					i.Assigned++
				}
			}
		}
		node.Introspection[string(id)] = i
	}
}

// subnets are those of some names, each once, as EC2 has them.
func (o *addressWatcher) subnets(names []string) (out []observe.SubnetState) {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			continue
		}
		for _, s := range o.w.VPC.Subnets() {
			if s.Name == name {
				out = append(out, observe.SubnetState{ID: string(s.ID), Available: s.Available()})
			}
		}
	}
	return out
}

// podState is what a pod's status says.
func podState(p *corev1.Pod) observe.PodState {
	s := observe.PodState{Node: p.Spec.NodeName, HasAddress: p.Status.PodIP != "", Running: p.Status.Phase == corev1.PodRunning}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			s.Took = c.LastTransitionTime.Sub(p.CreationTimestamp.Time)
		}
	}
	return s
}

// calls are those of the EC2 API that came from nodes.
func (o *addressWatcher) calls() (out []observe.EC2Call) {
	nodes := map[string]string{}
	for _, n := range o.w.Nodes {
		nodes[agentName(n)] = n.Name
	}
	for _, ev := range o.w.Trail.Events() {
		node := nodes[ev.Caller.Name]
		if node == "" || ev.Source != "ec2.amazonaws.com" {
			continue
		}
		out = append(out, ec2Call(&ev, node))
	}
	return out
}

// agentName is the name under which a node's address management calls AWS.
func agentName(n *sim.Node) string {
	host, _, _ := strings.Cut(n.Name, ".")
	return "aws-node on " + host
}

// ec2Call is an event of the log.
func ec2Call(ev *cloudtrail.Event, node string) observe.EC2Call {
	c := observe.EC2Call{At: ev.Time, Action: ev.Name, Node: node, Code: ev.ErrorCode}
	switch in := ev.Request.(type) {
	case *ec2.AssignPrivateIpAddressesInput:
		c.Interface, c.Moved = aws.ToString(in.NetworkInterfaceId), int(aws.ToInt32(in.SecondaryPrivateIpAddressCount)+aws.ToInt32(in.Ipv4PrefixCount))
	case *ec2.UnassignPrivateIpAddressesInput:
		c.Interface, c.Moved = aws.ToString(in.NetworkInterfaceId), len(in.PrivateIpAddresses)+len(in.Ipv4Prefixes)
	case *ec2.CreateNetworkInterfaceInput:
		c.Moved = int(aws.ToInt32(in.SecondaryPrivateIpAddressCount) + aws.ToInt32(in.Ipv4PrefixCount))
		if made, ok := ev.Response.(*ec2.CreateNetworkInterfaceOutput); ok && made != nil {
			c.Interface = aws.ToString(made.NetworkInterface.NetworkInterfaceId)
		}
	case *ec2.AttachNetworkInterfaceInput:
		c.Interface = aws.ToString(in.NetworkInterfaceId)
	case *ec2.ModifyNetworkInterfaceAttributeInput:
		c.Interface = aws.ToString(in.NetworkInterfaceId)
	case *ec2.DeleteNetworkInterfaceInput:
		c.Interface = aws.ToString(in.NetworkInterfaceId)
	}
	return c
}

// setup says in short lines what there was.
func (o *addressWatcher) setup() (out []string) {
	w := o.w
	out = append(out, nodesOf(w))
	var parts []string
	for _, g := range o.plan.World.NodeGroups {
		for _, s := range w.VPC.Subnets() {
			if s.Name == g.Subnet {
				parts = append(parts, fmt.Sprintf("%v (%d usable)", s.CIDR, s.Size()-s.Reserved()))
			}
		}
	}
	if len(w.Nodes) > 0 {
		l := w.Nodes[0].Instance.Limits
		out = append(out, fmt.Sprintf("%s takes %d network interfaces of %d addresses each: 1 of its own, %d for pods", w.Nodes[0].Instance.Type, l.Interfaces, l.Addresses, l.Addresses-1))
	}
	out = append(out, "subnets of the nodes: "+strings.Join(parts, ", "))
	cni := o.plan.World.AddOns.VPCCNI
	var env []string
	for _, v := range cni.Env {
		env = append(env, v.Name+"="+v.Value)
	}
	out = append(out, fmt.Sprintf("VPC CNI %s: %s", cni.Version, strings.Join(env, " ")))
	for _, a := range o.plan.Timeline {
		if a.SetEnv == nil {
			continue
		}
		words := []string{"kubectl set env", a.SetEnv.Target}
		for _, v := range a.SetEnv.Env {
			words = append(words, v.Name+"="+v.Value)
		}
		for _, n := range a.SetEnv.Remove {
			words = append(words, n+"-")
		}
		out = append(out, fmt.Sprintf("after %v: %s", plainDuration(o.plan.Settle+a.At), strings.Join(words, " ")))
	}
	return out
}

// since is a time of the Kubernetes API in the world's clock.
func since(t time.Time) time.Duration { return t.Sub(engine.Epoch) }

func plainDuration(d time.Duration) time.Duration { return d.Round(time.Second) }
