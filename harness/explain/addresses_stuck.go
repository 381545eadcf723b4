package explain

import (
	"fmt"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/trace"
)

// sandbox: what kubelet and the CNI plugin say.
func (f *addressFinder) sandbox(stuck *StuckPod) (Why, bool) {
	tries := f.sandboxFailures(stuck.Name)
	w := Why{Question: fmt.Sprintf("Why is pod %s stuck in ContainerCreating?", stuck.Name)}
	if len(tries) == 0 {
		return w, false
	}
	w.Answer = fmt.Sprintf("kubelet on %s cannot set up its sandbox: the CNI plugin asks ipamd for an address and gets none. It said so %s, from %s on, and goes on trying.",
		f.pool.Node, times(len(tries)), trace.Clock(tries[0].Time))
	w.Evidence = f.tape.evidence(firstAndLast(tries, 2)...)
	return w, true
}

// sandboxFailures are kubelet's failures to set up the network of a pod.
func (f *addressFinder) sandboxFailures(pod string) (out []*entry) {
	f.tape.each(1, func(e *entry) bool {
		if e.Kind == trace.Kube && strings.Contains(e.Text, "failed to assign an IP address to container") && strings.HasPrefix(e.Text, pod+":") {
			out = append(out, e)
		}
		return true
	})
	return out
}

// unscheduled: no node takes it.
func (f *addressFinder) unscheduled(stuck *StuckPod) (Why, bool) {
	w := Why{Question: fmt.Sprintf("Why is pod %s Pending?", stuck.Name)}
	w.Answer = fmt.Sprintf("The scheduler has no node for it: %s A node takes so many pods as kubelet's --max-pods says, whether or not it has addresses for more.", sentence(stuck.Message))
	var records []*entry
	f.tape.each(1, func(e *entry) bool {
		if e.Kind == trace.Kube && e.Text == stuck.Name && strings.Contains(f.what(e), "Pod") {
			records = append(records, e)
		}
		return true
	})
	w.Evidence = f.tape.evidence(firstAndLast(records, 4)...)
	return w, len(records) > 0
}

// none: the pool has none left.
func (f *addressFinder) none() (Why, bool) {
	verdict := f.lastVerdict()
	w := Why{Question: fmt.Sprintf("Why does %s have no address for it?", f.pool.Node)}
	if verdict == nil {
		return w, false
	}
	held := 0
	for _, h := range f.pool.Held {
		held += h
	}
	w.Answer = fmt.Sprintf("Its ipamd holds %s for pods on %s, and %s one. ", count(held, "address"), count(len(f.pool.Held), "network interface"), havePods(f.pool.Assigned))
	if held > f.pool.Assigned {
		w.Answer += "The others are of no use to it now: they cool down, or are not of the current mode. "
	}
	w.Answer += "A pod is given what is in this pool, and nothing else: no call is made for it."
	w.Evidence = f.tape.evidence(verdict)
	return w, true
}

// noMore: why the pool does not grow.
func (f *addressFinder) noMore() (Why, bool) {
	verdict := f.lastVerdict()
	if verdict == nil {
		return Why{}, false
	}
	refused, first, last := f.refusals()
	w := Why{Question: "Why does ipamd not get more?"}
	switch {
	case f.what(verdict) == ipamd.Enough || f.what(verdict) == ipamd.TooHigh:
		w.Answer = fmt.Sprintf("By its settings it has enough: %s. ", verdict.Text)
		if strings.Contains(verdict.Text, "WARM_IP_TARGET 0,") {
			w.Answer += "MINIMUM_IP_TARGET is met by addresses that pods have, and with WARM_IP_TARGET unset none has to be in hand: that no address is free is no shortage."
		}
		w.Evidence = f.tape.evidence(verdict)
	case refused > 0:
		code := f.tape.log.String(last.Reason)
		w.Answer = fmt.Sprintf("It asks, and EC2 refuses: %s. %s", code, f.pace(refused))
		w.Evidence = f.tape.evidence(f.tape.at(first.Cause), first, f.tape.at(last.Cause), last)
		if f.what(verdict) == ipamd.Paused {
			w.Evidence = append(w.Evidence, f.tape.evidence(verdict)...)
		}
	default:
		w.Answer = fmt.Sprintf("It would: %s. But the node has %s, as many as it may have, and each has all addresses that it can have.", verdict.Text, count(len(f.pool.Held), "network interface"))
		w.Evidence = f.tape.evidence(append([]*entry{verdict}, firstAndLast(f.takes(), 4)...)...)
	}
	return w, true
}

// refusals counts failed calls after the last that got something, or all if none did; with the first and the last of them.
func (f *addressFinder) refusals() (n int, first, last *entry) {
	after := trace.ID(0)
	if takes := f.takes(); len(takes) > 0 {
		after = takes[len(takes)-1].ID
	}
	for _, e := range f.failed {
		if e.ID < after {
			continue
		}
		if first == nil {
			first = e
		}
		last = e
		n++
	}
	return n, first, last
}

// pace is how often it asked in vain.
func (f *addressFinder) pace(n int) string {
	pauses := 0
	for _, e := range f.judged {
		if f.what(e) == ipamd.Paused {
			pauses++
		}
	}
	if pauses > 0 {
		return fmt.Sprintf("Since then %s failed, and after each round of them it waits for two minutes.", count(n, "call"))
	}
	_, first, last := f.refusals()
	return fmt.Sprintf("Since then %s failed in %s: every 5 s it tries again.", count(n, "call"), Round((last.Time - first.Time).Round(time.Second)))
}

// isEmpty says whether EC2 said that the subnet has nothing left.
func (f *addressFinder) isEmpty() bool {
	_, _, last := f.refusals()
	return last != nil && strings.HasPrefix(f.tape.log.String(last.Reason), "Insufficient")
}

// subnetEmpty: who has the subnet's addresses.
func (f *addressFinder) subnetEmpty() (Why, bool) {
	if v := f.lastVerdict(); !f.isEmpty() || v != nil && f.what(v) == ipamd.Enough {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why has subnet %s no more?", f.pool.Subnet)}
	w.Answer = fmt.Sprintf("It has %s to give, since AWS keeps 5, and %d are left. Nodes hold the rest: %s.", count(f.pool.SubnetSize, "address"), f.pool.SubnetUnused, strings.Join(f.pool.Holding, ", "))
	if f.pool.SubnetUnused > 0 {
		w.Answer += " A call for several addresses gets all of them or none; a prefix needs 16 in a row."
	}
	var got []*entry
	for _, other := range f.pool.Others {
		got = append(got, firstAndLast(f.other(other).takes(), 2)...)
	}
	if _, _, last := f.refusals(); len(got) == 0 {
		got = append(firstAndLast(f.takes(), 2), last)
	}
	w.Evidence = f.tape.evidence(firstAndLast(got, 6)...)
	return w, true
}

// other finds the records of another node.
func (f *addressFinder) other(t Taker) *addressFinder {
	o := &addressFinder{tape: f.tape, pool: Pool{Agent: t.Agent, Caller: t.Caller}}
	o.collect()
	return o
}

// othersHold: what made another node take so many.
func (f *addressFinder) othersHold() (Why, bool) {
	if v := f.lastVerdict(); !f.isEmpty() || v != nil && f.what(v) == ipamd.Enough {
		return Why{}, false
	}
	for _, other := range f.pool.Others {
		o := f.other(other)
		takes := o.takes()
		if len(takes) == 0 {
			continue
		}
		verdict := o.verdictOf(takes[0])
		if verdict == nil {
			continue
		}
		w := Why{Question: fmt.Sprintf("Why did %s take so many?", strings.TrimPrefix(other.Caller, "aws-node on "))}
		w.Answer = fmt.Sprintf("Its ipamd held its pool against its settings before any pod was there, and asked for %d: %s. Whoever comes first takes them.", taken(takes[0].Text), verdict.Text)
		w.Evidence = f.tape.evidence(verdict, takes[0])
		return w, true
	}
	return Why{}, false
}
