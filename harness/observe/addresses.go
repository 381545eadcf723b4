package observe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// prefixAddresses is how many addresses a prefix of a network interface has.
const prefixAddresses = 16

// Addresses is what is gathered of a cluster whose pods have addresses of its subnets: at the end what EC2 and Kubernetes say of what there is, and
// of the time before that the account's log of calls and Kubernetes' events.
type Addresses struct {
	Nodes []AddressNode
	// Subnets of the nodes and PodSubnets, which are for pods alone, by zone.
	Subnets, PodSubnets []SubnetState
	Pods                []PodState
	// SandboxFailures counts the events FailedCreatePodSandBox.
	SandboxFailures int
	// Calls of the EC2 API by the nodes' address management, in the order in which they had effect.
	Calls []EC2Call
}

// AddressNode is a node and its network interfaces.
type AddressNode struct {
	Name       string
	Interfaces []InterfaceState
	// Metrics are what port 61678 shows, by name and labels; nil where it does not answer.
	Metrics map[string]float64
	// Introspection is what port 61679 shows, by network interface.
	Introspection map[string]Introspected
}

// Introspected is a network interface as ipamd shows it: how many addresses it has for pods, and how many of them pods have.
type Introspected struct{ Addresses, Assigned int }

// InterfaceState is how many addresses a network interface has beside its primary one, and prefixes.
type InterfaceState struct {
	ID, Subnet          string
	Secondary, Prefixes int
}

// SubnetState is a subnet as DescribeSubnets shows it.
type SubnetState struct {
	ID        string
	Available int
}

// PodState is a pod that does not use its node's address.
type PodState struct {
	// Node is empty for a pod that has not been scheduled.
	Node string
	// HasAddress is whether it has an address; Running, whether it runs, and Took, how long after its creation it did.
	HasAddress, Running bool
	Took                time.Duration
}

// EC2Call is a call of the EC2 API.
type EC2Call struct {
	At     time.Duration
	Action string
	// Node that called.
	Node string
	// Code of the error, empty for none.
	Code string
	// Interface that it is about; for CreateNetworkInterface the one that was made.
	Interface string
	// Moved is how many addresses or prefixes it assigned or gave back, if it succeeded.
	Moved int
}

// held is how many addresses an interface has for pods.
func (i InterfaceState) held() int { return i.Secondary + prefixAddresses*i.Prefixes }

// Summarize computes the observations. What has no sample is nil, and missing says why.
func (x *Addresses) Summarize() (obs map[string]any, missing map[string]string) {
	obs, missing = map[string]any{}, map[string]string{}
	x.summarizeNodes(obs)
	x.summarizePods(obs, missing)
	x.summarizeCalls(obs, missing)
	x.summarizeMetrics(obs, missing)
	return obs, missing
}

func (x *Addresses) summarizeNodes(obs map[string]any) {
	n := len(x.Nodes)
	addresses, enis, secondary, prefixes, byInterface := make([]any, n), make([]any, n), make([]any, n), make([]any, n), make([]any, n)
	used := map[string]int{}
	held, forPods := 0, 0
	for i, node := range x.Nodes {
		all, pool, pfx := 0, 0, 0
		var each []string
		for _, e := range node.Interfaces {
			all += 1 + e.held()
			pool += e.held()
			pfx += e.Prefixes
			each = append(each, strconv.Itoa(e.held()))
			used[e.Subnet] += 1 + e.held()
		}
		addresses[i], enis[i], secondary[i], prefixes[i] = float64(all), float64(len(node.Interfaces)), float64(pool), float64(pfx)
		byInterface[i] = strings.Join(each, "+")
		held, forPods = held+all, forPods+pool
	}
	obs["addressesPerNode"], obs["enisPerNode"], obs["secondaryPerNode"], obs["prefixesPerNode"] = addresses, enis, secondary, prefixes
	obs["secondaryByInterface"] = byInterface
	obs["addressesHeld"], obs["secondaryHeld"] = float64(held), float64(forPods)
	available, byNodes, forPodsOnly := []any{}, []any{}, []any{}
	for _, s := range x.Subnets {
		available, byNodes = append(available, float64(s.Available)), append(byNodes, float64(used[s.ID]))
	}
	for _, s := range x.PodSubnets {
		forPodsOnly = append(forPodsOnly, float64(s.Available))
	}
	obs["subnetAvailable"], obs["subnetUsedByNodes"], obs["podSubnetAvailable"] = available, byNodes, forPodsOnly
}

func (x *Addresses) summarizePods(obs map[string]any, missing map[string]string) {
	assigned := map[string]int{}
	running, unscheduled, sum := 0, 0, 0
	var longest time.Duration
	for _, p := range x.Pods {
		if p.HasAddress {
			assigned[p.Node]++
			sum++
		}
		switch {
		case p.Running:
			running++
			longest = max(longest, p.Took)
		case p.Node == "":
			unscheduled++
		}
	}
	perNode := make([]any, len(x.Nodes))
	for i, n := range x.Nodes {
		perNode[i] = float64(assigned[n.Name])
	}
	stuck := len(x.Pods) - running
	obs["assignedPerNode"], obs["secondaryAssigned"] = perNode, float64(sum)
	obs["podsRunning"], obs["podsStuck"], obs["podsUnschedulable"] = float64(running), float64(stuck), float64(unscheduled)
	obs["failedCreatePodSandBox"] = float64(x.SandboxFailures)
	switch {
	case len(x.Pods) == 0:
		obs["secondsToAllRunning"], missing["secondsToAllRunning"] = nil, "there is no pod"
	case stuck > 0:
		obs["secondsToAllRunning"], missing["secondsToAllRunning"] = nil, fmt.Sprintf("%d of %d pods do not run", stuck, len(x.Pods))
	default:
		obs["secondsToAllRunning"] = longest.Seconds()
	}
}

func (x *Addresses) summarizeMetrics(obs map[string]any, missing map[string]string) {
	for what, name := range map[string]string{"awscniTotalIPAddresses": "awscni_total_ip_addresses", "awscniAssignedIPAddresses": "awscni_assigned_ip_addresses"} {
		list := make([]any, len(x.Nodes))
		for i, n := range x.Nodes {
			if v, ok := n.Metrics[name]; ok {
				list[i] = v
			}
		}
		obs[what] = list
	}
	if len(x.Nodes) == 0 || x.Nodes[0].Metrics == nil {
		for _, what := range []string{"awscniMetrics", "introspectedENIs"} {
			obs[what], missing[what] = nil, "aws-node of the first node does not answer"
		}
		return
	}
	metrics, enis := map[string]any{}, map[string]any{}
	for name, v := range x.Nodes[0].Metrics {
		if !strings.Contains(name, "latency") {
			metrics[name] = v
		}
	}
	for id, e := range x.Nodes[0].Introspection {
		enis[id] = fmt.Sprintf("%d addresses, %d assigned", e.Addresses, e.Assigned)
	}
	obs["awscniMetrics"], obs["introspectedENIs"] = metrics, enis
}

// poolVerbs are the calls that change what a pool has, each an action of its own. Attaching an interface belongs to its creation, detaching it to its
// deletion.
var poolVerbs = []string{"AssignPrivateIpAddresses", "UnassignPrivateIpAddresses", "CreateNetworkInterface", "DeleteNetworkInterface"}

// maxPoolCalls bounds the list of calls: a node that flaps has no end of them.
const maxPoolCalls = 200

func (x *Addresses) summarizeCalls(obs map[string]any, missing map[string]string) {
	calls, errors := map[string]any{}, map[string]any{}
	changing, actions := 0, 0
	pool := []any{}
	made := map[string]bool{} // interfaces that were made a moment ago, and whose first addresses belong to that
	count := func(m map[string]any, key string) {
		n, _ := m[key].(float64)
		m[key] = n + 1
	}
	for _, c := range x.Calls {
		count(calls, c.Action)
		if c.Code != "" {
			count(errors, c.Code)
		}
		if !strings.HasPrefix(c.Action, "Describe") {
			changing++
		}
		if c.Code != "" || !slices.Contains(poolVerbs, c.Action) {
			continue
		}
		first := c.Action == "AssignPrivateIpAddresses" && made[c.Interface]
		made[c.Interface] = c.Action == "CreateNetworkInterface" && c.Moved == 0
		if !first {
			actions++
		}
		if len(x.Nodes) > 0 && c.Node == x.Nodes[0].Name && len(pool) < maxPoolCalls {
			text := c.Action
			if c.Moved > 0 {
				text += fmt.Sprintf(" %d", c.Moved)
			}
			pool = append(pool, text)
		}
	}
	obs["ec2Calls"], obs["ec2Errors"] = calls, errors
	obs["ec2ChangingCalls"], obs["poolActions"], obs["poolCalls"] = float64(changing), float64(actions), pool
	if order := x.growth(); len(order) > 0 {
		obs["ec2CallOrder"] = order
	} else {
		obs["ec2CallOrder"], missing["ec2CallOrder"] = nil, "no node grew by a network interface"
	}
}

// tryPause is between two tries of a node's loop to get addresses, at least.
const tryPause = 2 * time.Second

// growth lists the actions of the last try in which a node got a network interface: the calls of that node around the one that attached it, as far as
// no pause lies between them, up to the last that changed something.
func (x *Addresses) growth() (order []any) {
	attach := -1
	for i, c := range x.Calls {
		if c.Action == "AttachNetworkInterface" && c.Code == "" {
			attach = i
		}
	}
	if attach < 0 {
		return nil
	}
	node := x.Calls[attach].Node
	var mine []EC2Call
	at := 0
	for i, c := range x.Calls {
		if c.Node != node {
			continue
		}
		if i == attach {
			at = len(mine)
		}
		mine = append(mine, c)
	}
	from, to := at, at
	for from > 0 && mine[from].At-mine[from-1].At < tryPause {
		from--
	}
	for to+1 < len(mine) && mine[to+1].At-mine[to].At < tryPause {
		to++
	}
	for strings.HasPrefix(mine[to].Action, "Describe") {
		to--
	}
	for _, c := range mine[from : to+1] {
		order = append(order, c.Action)
	}
	return order
}
