package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/trace"
)

// Pool is a node and its addresses that are to be explained, as EC2 and Kubernetes have them in the end.
type Pool struct {
	// Node by its name; Agent and Caller are the names that its ipamd has in the trace, and that its calls of AWS have.
	Node, Agent, Caller string
	// InstanceType takes Interfaces of Addresses each.
	InstanceType          string
	Interfaces, Addresses int
	// Held is how many addresses for pods each interface has; Prefixes, whether they come as prefixes of 16.
	Held     []int
	Prefixes bool
	// Assigned is how many pods have one.
	Assigned int
	// Subnet that they are from, how many addresses it has to give, and how many are left.
	Subnet                   string
	SubnetSize, SubnetUnused int
	// Others are nodes that have addresses of the same subnet, and Holding is what all of them hold.
	Others  []Taker
	Holding []string
	// Nodes, AllHeld and AllAssigned count all nodes, and the addresses that they hold and that pods have.
	Nodes, AllHeld, AllAssigned int
}

// Taker is the names in the trace of a node's ipamd, and of its calls of AWS.
type Taker struct{ Agent, Caller string }

// StuckPod is a pod that does not run.
type StuckPod struct {
	Name string
	// Since its creation; Message is what Kubernetes says about it.
	Since   time.Duration
	Message string
	// Unscheduled pods have no node.
	Unscheduled bool
	// Like it are so many of so many pods.
	Like, Of int
}

// addressFinder holds the records that the chain is made from.
type addressFinder struct {
	tape   *Tape
	pool   Pool
	calls  []*entry // of the node, those that succeeded
	failed []*entry // failures of its calls
	judged []*entry // verdicts on its pool
	set    *entry   // what last set the environment of aws-node
	manner string   // and how
}

// ExplainAddresses finds the chain of whys of a stuck pod, or without one of what a node holds.
func ExplainAddresses(t *Tape, pool Pool, stuck *StuckPod) *Document {
	f := &addressFinder{tape: t, pool: pool}
	f.collect()
	d := &Document{Schema: Schema}
	links := []func() (Why, bool){f.holds, f.grew, f.unit, f.setting}
	d.Symptom = fmt.Sprintf("%s holds %s of subnet %s, and %s one of them. The cluster's %s hold %d for %s.", pool.Node, count(f.total(), "address"), pool.Subnet,
		havePods(pool.Assigned), count(pool.Nodes, "node"), pool.AllHeld, count(pool.AllAssigned, "pod"))
	if stuck != nil {
		d.Symptom = fmt.Sprintf("Pod %s has been in ContainerCreating for %s: %s %d of %d pods are stuck.", stuck.Name, Round(stuck.Since), sentence(stuck.Message), stuck.Like, stuck.Of)
		links = []func() (Why, bool){func() (Why, bool) { return f.sandbox(stuck) }, f.none, f.noMore, f.subnetEmpty, f.othersHold, f.setting}
		if stuck.Unscheduled {
			d.Symptom = fmt.Sprintf("Pod %s has been Pending for %s: %s %d of %d pods are stuck.", stuck.Name, Round(stuck.Since), sentence(stuck.Message), stuck.Like, stuck.Of)
			links = []func() (Why, bool){func() (Why, bool) { return f.unscheduled(stuck) }}
		}
	}
	for _, link := range links {
		if why, ok := link(); ok {
			d.Whys = append(d.Whys, why)
		}
	}
	d.Failed = len(d.Whys) > 0
	return d
}

func (f *addressFinder) total() int {
	n := 0
	for _, h := range f.pool.Held {
		n += 1 + h
	}
	return n
}

func havePods(n int) string {
	switch n {
	case 0:
		return "no pod has"
	case 1:
		return "1 pod has"
	}
	return fmt.Sprintf("%d pods have", n)
}

func sentence(s string) string {
	s = strings.TrimSuffix(strings.TrimSpace(s), ".")
	return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] + "."
}

func (f *addressFinder) what(e *entry) string { return f.tape.log.String(e.What) }

// collect finds the node's calls, the verdicts on its pool, and who set the environment.
func (f *addressFinder) collect() {
	failure := map[trace.ID]bool{}
	f.tape.each(1, func(e *entry) bool {
		if e.Kind == trace.AWS && strings.HasPrefix(e.Text, "failed: ") {
			failure[e.Cause] = true
		}
		return true
	})
	f.tape.each(1, func(e *entry) bool {
		switch actor := f.tape.log.String(e.Actor); {
		case e.Kind == trace.AWS && actor == f.pool.Caller && strings.HasPrefix(e.Text, "failed: "):
			f.failed = append(f.failed, e)
		case e.Kind == trace.AWS && actor == f.pool.Caller && !failure[e.ID]:
			f.calls = append(f.calls, e)
		case e.Kind == trace.Config && actor == f.pool.Agent && isVerdict(f.what(e)):
			f.judged = append(f.judged, e)
		case e.Kind == trace.Kube && e.Text == "kube-system/aws-node" && f.what(e) == "create DaemonSet":
			f.set, f.manner = e, fmt.Sprintf("the manifest of the add-on, applied by %s", actor)
		case e.Kind == trace.Kube && e.Text == "kube-system/aws-node" && f.what(e) == "update DaemonSet":
			f.set, f.manner = e, fmt.Sprintf("kubectl set env, by %s", actor)
		}
		return true
	})
}

func isVerdict(what string) bool {
	return slices.Contains([]string{ipamd.TooLow, ipamd.TooHigh, ipamd.Enough, ipamd.Paused, ipamd.Freeing}, what)
}

// lastVerdict is the last one on the pool itself.
func (f *addressFinder) lastVerdict() *entry {
	for _, e := range slices.Backward(f.judged) {
		if f.what(e) != ipamd.Freeing {
			return e
		}
	}
	return nil
}

// takes are the calls that got addresses.
func (f *addressFinder) takes() (out []*entry) {
	for _, e := range f.calls {
		if taken(e.Text) > 0 && (f.what(e) == "AssignPrivateIpAddresses" || f.what(e) == "CreateNetworkInterface") {
			out = append(out, e)
		}
	}
	return out
}

var asked = regexp.MustCompile(`"(SecondaryPrivateIpAddressCount|Ipv4PrefixCount)":(\d+)`)

// taken is how many addresses or prefixes a call asked for.
func taken(request string) int {
	if m := asked.FindStringSubmatch(request); m != nil {
		n, _ := strconv.Atoi(m[2])
		return n
	}
	return 0
}

func (f *addressFinder) things(n int) string {
	if f.pool.Prefixes {
		return count(n, "prefix") + " of 16 addresses"
	}
	return count(n, "address")
}

// holds: where the addresses are, and which calls got them.
func (f *addressFinder) holds() (Why, bool) {
	if len(f.pool.Held) == 0 {
		return Why{}, false
	}
	var parts []string
	for _, h := range f.pool.Held {
		parts = append(parts, fmt.Sprintf("1 + %d", h))
	}
	w := Why{Question: fmt.Sprintf("Why %s for %s?", count(f.total(), "address"), count(f.pool.Assigned, "pod"))}
	w.Answer = fmt.Sprintf("They are on %s: %s, each interface's own and those for pods.", count(len(f.pool.Held), "network interface"), strings.Join(parts, ", "))
	takes := f.takes()
	if len(takes) > 0 {
		w.Answer += fmt.Sprintf(" ipamd, in the node's aws-node pod, asked EC2 for them in %s; a pod then gets one out of this pool, without a call.", count(len(takes), "call"))
	}
	w.Evidence = f.tape.evidence(firstAndLast(takes, 4)...)
	return w, true
}

func firstAndLast(list []*entry, n int) []*entry {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n/2]), list[len(list)-n/2:]...)
}

// grew: what decided the last time that the pool got more.
func (f *addressFinder) grew() (Why, bool) {
	takes := f.takes()
	if len(takes) == 0 {
		return Why{}, false
	}
	last := takes[len(takes)-1]
	verdict := f.verdictOf(last)
	if verdict == nil {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why did it ask for %s more?", f.things(taken(last.Text)))}
	if f.what(last) == "CreateNetworkInterface" {
		w.Question = fmt.Sprintf("Why did it take another network interface, with %s more?", f.things(taken(last.Text)))
	}
	w.Answer = fmt.Sprintf("Every 5 s ipamd holds its pool against its settings, and found it too low: %s.", verdict.Text)
	evidence := []*entry{verdict, last}
	if pod := f.podBefore(verdict); pod != nil {
		w.Answer += fmt.Sprintf(" Pod %s had got an address a moment before.", pod.Text)
		evidence = []*entry{pod, verdict, last}
	}
	w.Evidence = f.tape.evidence(evidence...)
	return w, true
}

// verdictOf is the verdict that led to a call, through the calls of the same try.
func (f *addressFinder) verdictOf(call *entry) *entry {
	for e := call; e != nil; e = f.tape.at(e.Cause) {
		if e.Kind == trace.Config && f.what(e) == ipamd.TooLow && f.tape.log.String(e.Actor) == f.pool.Agent {
			return e
		}
	}
	return nil
}

// podBefore is the kubelet's report of a pod that came to run between the last two verdicts.
func (f *addressFinder) podBefore(verdict *entry) (pod *entry) {
	from := trace.ID(1)
	for _, e := range f.judged {
		if e.ID < verdict.ID {
			from = e.ID
		}
	}
	f.tape.each(from, func(e *entry) bool {
		if e.ID >= verdict.ID {
			return false
		}
		if e.Kind == trace.Kube && f.what(e) == "update status of Pod" && f.tape.log.String(e.Actor) == "system:node:"+f.pool.Node && !strings.HasPrefix(e.Text, "kube-system/aws-node-") && !strings.HasPrefix(e.Text, "kube-system/kube-proxy-") {
			pod = e
		}
		return true
	})
	return pod
}

// unit: how much comes at a time.
func (f *addressFinder) unit() (Why, bool) {
	takes := f.takes()
	if len(takes) == 0 {
		return Why{}, false
	}
	largest := takes[0]
	for _, e := range takes {
		if taken(e.Text) > taken(largest.Text) {
			largest = e
		}
	}
	n := taken(largest.Text)
	slots := f.pool.Addresses - 1
	w := Why{Question: fmt.Sprintf("Why %s at a time?", f.things(n))}
	switch verdict := f.verdictOf(largest); {
	case f.pool.Prefixes:
		w.Answer = "A prefix is what an interface's slot holds with prefix delegation, and it comes whole: 16 addresses in a row, whether or not they are wanted."
	case verdict != nil && strings.Contains(verdict.Text, "WARM_ENI_TARGET") && n == slots:
		w.Answer = fmt.Sprintf("WARM_ENI_TARGET counts network interfaces, not addresses: one is filled as far as it goes. An interface of %s has %d addresses, one of them its own.", f.pool.InstanceType, f.pool.Addresses)
	default: // what it was short of, as the verdict says
		return w, false
	}
	w.Evidence = f.tape.evidence(f.verdictOf(largest), largest)
	return w, true
}

// targets are those settings in a verdict that are set.
var targets = regexp.MustCompile(`(WARM_[A-Z]+_TARGET|MINIMUM_IP_TARGET) [1-9][0-9]*`)

// setting: who set the targets.
func (f *addressFinder) setting() (Why, bool) {
	verdict := f.lastVerdict()
	if f.set == nil || verdict == nil {
		return Why{}, false
	}
	names := targets.FindAllString(verdict.Text, -1)
	if len(names) == 0 {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Who set %s?", strings.Join(names, " and "))}
	w.Answer = fmt.Sprintf("It is in the environment of the DaemonSet aws-node, by %s.", f.manner)
	w.Evidence = f.tape.evidence(f.set)
	return w, true
}
