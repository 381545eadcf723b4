package simulated

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/explain"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// explainAddresses finds the chain of whys of the first pod that is stuck, or where none is, of the node with the most addresses that no pod has.
func (b *Backend) explainAddresses(ctx context.Context, plan *scenario.Plan, seed uint64) (*explain.Document, error) {
	var tape *explain.Tape
	w, err := b.build(plan, seed, func(log *trace.Log) { tape = explain.Record(log) })
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := finish(ctx, w, plan, nil, func() bool { return ctx.Err() != nil }); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(w.Nodes) == 0 {
		return nil, fmt.Errorf("there is no node")
	}
	stuck, node := firstStuck(w)
	if node == nil {
		node = mostIdle(w)
	}
	return explain.ExplainAddresses(tape, poolOf(w, node), stuck), nil
}

// firstStuck is the pod that was created first of those that do not run, and its node, nil if it has none.
func firstStuck(w *sim.World) (*explain.StuckPod, *sim.Node) {
	reader := w.Kube.As(kube.Caller{User: "observer"})
	var first *corev1.Pod
	stuck, all := 0, 0
	for _, p := range kube.List[*corev1.Pod](reader) {
		if p.Spec.HostNetwork {
			continue
		}
		all++
		if p.Status.Phase == corev1.PodRunning {
			continue
		}
		stuck++
		// One on a node tells more than one that has none.
		if first == nil || (p.Spec.NodeName != "") != (first.Spec.NodeName != "") && p.Spec.NodeName != "" || (p.Spec.NodeName != "") == (first.Spec.NodeName != "") && p.CreationTimestamp.Before(&first.CreationTimestamp) {
			first = p
		}
	}
	if first == nil {
		return nil, nil
	}
	out := &explain.StuckPod{Name: kube.KeyOf(first).String(), Since: w.Engine.Now() - since(first.CreationTimestamp.Time), Unscheduled: first.Spec.NodeName == "", Like: stuck, Of: all}
	for _, c := range first.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			out.Message = c.Message
		}
	}
	for _, e := range kube.Events(reader) {
		if e.Reason == "FailedCreatePodSandBox" && e.InvolvedObject.Namespace == first.Namespace && e.InvolvedObject.Name == first.Name {
			out.Message = e.Message
		}
	}
	for _, n := range w.Nodes {
		if n.Name == first.Spec.NodeName {
			return out, n
		}
	}
	return out, nil
}

// mostIdle is the first of the nodes with the most addresses that no pod has.
func mostIdle(w *sim.World) (idle *sim.Node) {
	most := -1
	assigned := podsByNode(w)
	for _, n := range w.Nodes {
		held := 0
		for _, e := range n.Instance.Interfaces {
			held += len(e.Addrs) - 1 + 16*len(e.Prefixes)
		}
		if held-assigned[n.Name] > most && (most < 0 || assigned[n.Name] > 0 || assigned[idle.Name] == 0) {
			most, idle = held-assigned[n.Name], n
		}
	}
	return idle
}

// podsByNode counts the pods that have addresses of their own.
func podsByNode(w *sim.World) map[string]int {
	n := map[string]int{}
	for _, p := range kube.List[*corev1.Pod](w.Kube.As(kube.Caller{User: "observer"})) {
		if !p.Spec.HostNetwork && p.Status.PodIP != "" {
			n[p.Spec.NodeName]++
		}
	}
	return n
}

// poolOf is a node's addresses in the explanation's terms.
func poolOf(w *sim.World, n *sim.Node) explain.Pool {
	assigned := podsByNode(w)
	subnet := n.Instance.Interfaces[len(n.Instance.Interfaces)-1].Subnet
	p := explain.Pool{Node: n.Name, Agent: "ipamd " + n.Name, Caller: agentName(n), InstanceType: n.Instance.Type, Interfaces: n.Instance.Limits.Interfaces, Addresses: n.Instance.Limits.Addresses,
		Assigned: assigned[n.Name], Subnet: subnet.CIDR.String(), SubnetSize: subnet.Size() - subnet.Reserved(), SubnetUnused: subnet.Available(), Nodes: len(w.Nodes)}
	for _, e := range n.Instance.Interfaces {
		p.Held = append(p.Held, len(e.Addrs)-1+16*len(e.Prefixes))
		p.Prefixes = p.Prefixes || len(e.Prefixes) > 0
	}
	for _, o := range w.Nodes {
		here := 0
		for _, e := range o.Instance.Interfaces {
			p.AllHeld += len(e.Addrs) + 16*len(e.Prefixes)
			if e.Subnet == subnet {
				here += len(e.Addrs) + 16*len(e.Prefixes)
			}
		}
		p.AllAssigned += assigned[o.Name]
		if here > 0 && len(p.Holding) < 8 {
			host, _, _ := strings.Cut(o.Name, ".")
			p.Holding = append(p.Holding, fmt.Sprintf("%s %d", host, here))
			if o != n {
				p.Others = append(p.Others, explain.Taker{Agent: "ipamd " + o.Name, Caller: agentName(o)})
			}
		}
	}
	return p
}
