package explain

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// LostRequest is a request of a client during a rolling update that is to be explained.
type LostRequest struct {
	Number, Total int
	// Lost is how many of the requests no pod answered.
	Lost    int
	Command string
	// Outcome is what the client saw.
	Outcome     string
	Sent, Ended time.Duration
	// Client is the client's end of the connection.
	Client netip.AddrPort
	// Failed is whether no pod answered it.
	Failed bool
	// Zero is the first deletion of a pod, for the times in sentences; negative if there was none.
	Zero time.Duration
	// Pods are the pods that had an address, each from when on.
	Pods []PodAt
	// Deployment is the one that is updated, as namespace/name.
	Deployment string
}

// PodAt is a pod and its address.
type PodAt struct {
	Key, Addr string
	Created   time.Duration
}

// rollout finds the chain of one request.
type rollout struct {
	tape   *Tape
	r      LostRequest
	choice *entry // the load balancer's choice of a target
	answer *entry // its answer
	target string // ADDRESS:PORT
	pod    string // namespace/name
	syn    *entry // of the load balancer to the target, or of the client through it
	trip   []*entry
	del    *entry // the pod's deletion
	dereg  *entry // the DeregisterTargets call with its address
	gone   *entry // the node learns of it
}

// ExplainRollout finds the chain of whys of a request that was lost during a rolling update; of one that was not, why not.
func ExplainRollout(t *Tape, r LostRequest) *Document {
	f := &rollout{tape: t, r: r}
	f.find()
	d := &Document{Schema: Schema, Failed: r.Failed, Packets: f.crossings()}
	d.Symptom = fmt.Sprintf("Request %d of %d, %s, sent %s: %s.", r.Number, r.Total, r.Command, f.when(r.Sent), r.Outcome)
	if r.Failed {
		d.Symptom += fmt.Sprintf(" %d of %d requests got no answer of a pod.", r.Lost, r.Total)
	} else {
		d.Symptom = fmt.Sprintf("No request was lost: all %d got a pod's answer. The one that came closest is looked at: %s", r.Total, d.Symptom)
	}
	for _, link := range []func() (Why, bool){f.end, f.address, f.alive, f.belief, f.controller, f.deletion, f.update} {
		if why, ok := link(); ok {
			d.Whys = append(d.Whys, why)
		}
	}
	return d
}

func (f *rollout) name(e *entry) string { return f.tape.log.String(e.Actor) }
func (f *rollout) what(e *entry) string { return f.tape.log.String(e.What) }

// when says a moment, from the first deletion of a pod.
func (f *rollout) when(at time.Duration) string {
	if f.r.Zero < 0 {
		return fmt.Sprintf("at %s", trace.Clock(at))
	}
	d := at - f.r.Zero
	if d < 0 {
		return fmt.Sprintf("%s before the first pod was deleted", Round(-d))
	}
	return fmt.Sprintf("%s after the first pod was deleted", Round(d))
}

func (f *rollout) node() string {
	if f.choice == nil {
		return "the load balancer"
	}
	n, _, _ := strings.Cut(f.name(f.choice), "/")
	return n
}

// find looks up the records that the chain is made of.
func (f *rollout) find() {
	f.tape.each(1, func(e *entry) bool {
		if e.Time < f.r.Sent {
			return true
		}
		switch e.Kind {
		case trace.HTTP:
			if strings.Contains(e.Text, " for "+f.r.Client.String()+" ") && f.answer == nil {
				f.answer = e
				f.choice = f.tape.at(e.Ref)
			}
		case trace.Balance:
			if f.choice == nil && e.Packet != nil && e.packet.Src == f.r.Client.Addr() && e.packet.SrcPort == f.r.Client.Port() {
				f.choice = e
			}
		}
		return e.Time <= f.r.Ended+time.Second
	})
	if f.choice == nil {
		return
	}
	f.target = f.what(f.choice)
	addr, _, _ := strings.Cut(f.target, ":")
	for _, p := range f.r.Pods {
		if p.Addr == addr && p.Created <= f.choice.Time {
			f.pod = p.Key
		}
	}
	for _, e := range f.tape.after(f.choice.ID, 400) {
		if e.Kind == trace.Out && e.packet.Flags.Has(packet.SYN) && !e.packet.Flags.Has(packet.ACK) && e.packet.Dst.String() == addr && f.syn == nil {
			f.syn = e
		}
	}
	if f.syn != nil {
		f.trip = append([]*entry{f.syn}, f.tape.after(f.syn.ID, 60)...)
	}
	f.tape.each(1, func(e *entry) bool {
		what := f.what(e)
		switch {
		case e.Kind == trace.Kube && what == "delete Pod" && e.Text == f.pod && f.del == nil && f.pod != "":
			f.del = e
		case e.Kind == trace.AWS && what == "DeregisterTargets" && strings.Contains(e.Text, `"`+addr+`"`) && (f.del == nil || e.Time >= f.del.Time) && f.dereg == nil && f.del != nil:
			f.dereg = e
		case e.Kind == trace.Health && what == f.target && e.Actor == f.choice.Actor && strings.Contains(e.Text, " to gone") && e.Time >= f.choice.Time && f.gone == nil:
			f.gone = e
		}
		return true
	})
}

// end: who answered, and why so.
func (f *rollout) end() (Why, bool) {
	if f.choice == nil {
		if f.answer == nil {
			return Why{}, false
		}
		w := Why{Question: "Who answered?"}
		w.Answer = fmt.Sprintf("%s itself: it knew no target that it could send the request to (%s).", f.name(f.answer), f.tape.log.String(f.answer.Reason))
		w.Evidence = f.tape.evidence(f.answer)
		return w, true
	}
	w := Why{Question: "Who answered, and what was the request sent to?"}
	switch {
	case f.answer != nil && f.r.Failed:
		w.Answer = fmt.Sprintf("No pod, but %s, a node of the load balancer, after %s. It had chosen the target %s: %s.", f.node(), Round(f.answer.Time-f.choice.Time), f.target, f.choice.Text)
	case f.answer != nil:
		w.Answer = fmt.Sprintf("The pod behind %s, which %s had chosen: %s.", f.target, f.node(), f.choice.Text)
	case f.r.Failed:
		w.Answer = fmt.Sprintf("Nobody. %s passed the connection on to the target %s: %s. A load balancer of this layer says nothing itself, so the client saw what its own kernel and its own patience make of it.", f.node(), f.target, f.choice.Text)
	default:
		w.Answer = fmt.Sprintf("The pod behind %s, to which %s passed the connection on: %s.", f.target, f.node(), f.choice.Text)
	}
	w.Evidence = f.tape.evidence(f.choice, f.answer)
	return w, true
}

// address: what became of the SYN at that address.
func (f *rollout) address() (Why, bool) {
	if !f.r.Failed || f.choice == nil {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("What did %s do with it?", f.target)}
	if f.syn == nil {
		return f.kept(w)
	}
	var arrived, drop, rst *entry
	for _, e := range f.trip {
		switch {
		case e.Kind == trace.In && e.packet.Dst == f.syn.packet.Dst && e.packet.Flags == packet.SYN:
			arrived = e
		case e.Kind == trace.Drop && drop == nil:
			drop = e
		case e.Kind == trace.Out && e.packet.Flags.Has(packet.RST) && e.packet.Src == f.syn.packet.Dst && rst == nil:
			rst = e
		}
	}
	switch {
	case rst != nil:
		w.Answer = fmt.Sprintf("The SYN reached %s, where no socket listens any more (%s), and its kernel answered with a reset. That is an answer at once: an Application Load Balancer makes it HTTP 502.", place(f.name(rst)), f.tape.log.String(drop.Reason))
	case drop != nil:
		w.Answer = fmt.Sprintf("The SYN was dropped at %s (%s), and nobody says so to the sender. It is sent again and again until the sender's patience ends; an Application Load Balancer waits 10 s and makes it HTTP 504.", place(f.name(drop)), f.tape.log.String(drop.Reason))
	default:
		return Why{}, false
	}
	w.Evidence = f.tape.evidence(f.syn, arrived, drop, rst)
	return w, true
}

// kept: the request went over a connection that was open already, and that the target had closed, or closed just then.
func (f *rollout) kept(w Why) (Why, bool) {
	addr, _, _ := strings.Cut(f.target, ":")
	var sent, fin, rst *entry
	f.tape.each(f.choice.ID, func(e *entry) bool {
		switch {
		case e.Time > f.r.Ended:
			return false
		case e.Kind == trace.Out && e.Actor == f.choice.Actor && e.packet.Dst.String() == addr && e.packet.PayloadLen() > 0 && sent == nil:
			sent = e
		case e.Kind == trace.In && e.Actor == f.choice.Actor && e.packet.Src.String() == addr && e.packet.Flags.Has(packet.FIN) && fin == nil:
			fin = e
		case e.Kind == trace.In && e.Actor == f.choice.Actor && e.packet.Src.String() == addr && e.packet.Flags.Has(packet.RST) && rst == nil:
			rst = e
		}
		return true
	})
	switch {
	case fin != nil:
		w.Answer = "The request went over a connection that was kept open, and while it was under way the target closed that connection: its FIN came before any answer. A load balancer does not send a request twice, and makes it HTTP 502."
	case rst != nil:
		w.Answer = "The request went over a connection that was kept open, of which the target knows nothing any more: it answered with a reset. A load balancer does not send a request twice, and makes it HTTP 502."
	default:
		return w, false
	}
	w.Evidence = f.tape.evidence(sent, fin, rst)
	return w, true
}

// place is an interface without the interface's own name, where that is a host's or a pod's.
func place(actor string) string {
	if i := strings.LastIndexByte(actor, '/'); i > 0 {
		return actor[:i]
	}
	return actor
}

// alive: what had become of the pod by then, or that it was still there.
func (f *rollout) alive() (Why, bool) {
	if f.del == nil {
		return Why{}, false
	}
	node := ""
	var signal, kill, hook, teardown, killing *entry
	addr, _, _ := strings.Cut(f.target, ":")
	f.tape.each(f.del.ID, func(e *entry) bool {
		what := f.what(e)
		switch {
		case e.Kind == trace.Kube && what == "Killing" && strings.HasPrefix(e.Text, f.pod+":") && killing == nil:
			killing, node = e, strings.TrimPrefix(f.name(e), "kubelet ")
		case e.Kind == trace.Kube && what == "FailedPreStopHook" && strings.HasPrefix(e.Text, f.pod+":") && hook == nil:
			hook = e
		case e.Kind == trace.Kube && what == "signal" && strings.HasPrefix(e.Text, f.pod+" "):
			if strings.HasSuffix(e.Text, "SIGKILL") {
				kill = e
			} else if signal == nil {
				signal = e
			}
		case e.Kind == trace.Config && strings.HasPrefix(what, "ip route del") && strings.Contains(what+" "+e.Text, addr+"/32") && teardown == nil:
			teardown = e
		}
		return teardown == nil
	})
	since := func(e *entry) string { return Round(e.Time - f.del.Time) }
	if !f.r.Failed {
		w := Why{Question: fmt.Sprintf("Why did %s still answer?", f.target)}
		if signal == nil {
			return w, false
		}
		if f.choice.Time < f.del.Time {
			return w, false
		}
		w.Answer = fmt.Sprintf("Its pod %s had been deleted %s before, and went on serving: the stop signal came %s after the deletion, so there were %s to spare.", f.pod, Round(f.choice.Time-f.del.Time), since(signal), Round(signal.Time-f.choice.Time))
		w.Evidence = f.tape.evidence(f.del, killing, signal)
		return w, true
	}
	if signal == nil {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why was nobody there? %s was a pod's address.", f.target)}
	w.Answer = fmt.Sprintf("The pod %s had been deleted %s before. Its kubelet on %s sent the stop signal %s after the deletion, and the program closed its port.", f.pod, Round(f.choice.Time-f.del.Time), node, since(signal))
	if hook != nil {
		w.Answer += " The preStop hook could not be run, so nothing was waited for."
	}
	if kill != nil {
		w.Answer += fmt.Sprintf(" SIGKILL followed %s after the deletion.", since(kill))
	}
	if teardown != nil {
		if teardown.Time <= f.choice.Time {
			w.Answer += fmt.Sprintf(" %s after the deletion its network namespace was taken away, and with it the route to the address.", since(teardown))
		} else {
			w.Answer += fmt.Sprintf(" Its network namespace was there for %s more, so that its kernel could still refuse.", Round(teardown.Time-f.choice.Time))
		}
	}
	w.Evidence = f.tape.evidence(f.del, hook, signal, kill, teardown)
	return w, true
}

// belief: since when the node was wrong, and when it learned.
func (f *rollout) belief() (Why, bool) {
	if f.choice == nil || f.del == nil || f.choice.Time < f.del.Time {
		return Why{}, false
	}
	w := Why{Question: fmt.Sprintf("Why did %s still choose it?", f.node())}
	switch {
	case f.dereg == nil:
		w.Answer = "Nobody had deregistered it."
	case f.dereg.Time > f.choice.Time:
		w.Answer = fmt.Sprintf("It was wrong for %s, and nobody had said so yet: DeregisterTargets was called only %s later.", Round(f.choice.Time-f.del.Time), Round(f.dereg.Time-f.choice.Time))
	default:
		w.Answer = fmt.Sprintf("DeregisterTargets had been called %s before, but each node of a load balancer learns that in its own time.", Round(f.choice.Time-f.dereg.Time))
	}
	if f.gone != nil && f.dereg != nil {
		w.Answer += fmt.Sprintf(" This node learned it %s after the call, and chose the target no more.", Round(f.gone.Time-f.dereg.Time))
	}
	w.Evidence = f.tape.evidence(f.dereg, f.choice, f.gone)
	return w, true
}

// controller: how the deletion became a call of DeregisterTargets.
func (f *rollout) controller() (Why, bool) {
	if f.dereg == nil || f.del == nil {
		return Why{}, false
	}
	var slice *entry
	f.tape.each(f.del.ID, func(e *entry) bool {
		if e.Kind == trace.Kube && f.what(e) == "update EndpointSlice" && strings.HasPrefix(e.Text, f.pod[:strings.IndexByte(f.pod, '/')+1]) {
			slice = e
		}
		return slice == nil && e.ID < f.dereg.ID
	})
	w := Why{Question: "Why was it deregistered only then?"}
	if slice == nil {
		w.Answer = fmt.Sprintf("%s called DeregisterTargets %s after the deletion. The kubelet does not wait for it.", f.name(f.dereg), Round(f.dereg.Time-f.del.Time))
	} else {
		w.Answer = fmt.Sprintf("The deletion took two ways at once. The kubelet stopped the pod. And %s took its address out of the EndpointSlice %s after the deletion, whereupon %s called DeregisterTargets, %s after the deletion. Neither way waits for the other.", short(f.name(slice)), Round(slice.Time-f.del.Time), f.name(f.dereg), Round(f.dereg.Time-f.del.Time))
	}
	w.Evidence = f.tape.evidence(f.del, slice, f.dereg)
	return w, true
}

// short is the last part of a user's name.
func short(user string) string { return user[strings.LastIndexByte(user, ':')+1:] }

// deletion: who deleted the pod.
func (f *rollout) deletion() (Why, bool) {
	if f.del == nil {
		return Why{}, false
	}
	var scaled *entry
	rs := f.pod
	if i := strings.LastIndexByte(rs, '-'); i > 0 {
		rs = rs[:i]
	}
	f.tape.each(1, func(e *entry) bool {
		if e.ID >= f.del.ID {
			return false
		}
		if e.Kind == trace.Kube && f.what(e) == "ScalingReplicaSet" && strings.Contains(e.Text, "Scaled down") && strings.Contains(e.Text, rs[strings.IndexByte(rs, '/')+1:]+" ") {
			scaled = e
		}
		return true
	})
	w := Why{Question: fmt.Sprintf("Why was the pod %s deleted?", f.pod)}
	w.Answer = fmt.Sprintf("%s deleted it", short(f.name(f.del)))
	if scaled != nil {
		_, text, _ := strings.Cut(scaled.Text, ": ")
		w.Answer += fmt.Sprintf(", since the deployment controller had made its ReplicaSet smaller: %q.", text)
	} else {
		w.Answer += "."
	}
	w.Evidence = f.tape.evidence(scaled, f.del)
	return w, true
}

// update: what set the rolling update off.
func (f *rollout) update() (Why, bool) {
	if f.del == nil {
		return Why{}, false
	}
	var update *entry
	f.tape.each(1, func(e *entry) bool {
		if e.ID >= f.del.ID {
			return false
		}
		what := f.what(e)
		if e.Kind == trace.Kube && (what == "update Deployment" || what == "patch Deployment") && e.Text == f.r.Deployment && !strings.Contains(f.name(e), "deployment-controller") {
			update = e
		}
		return true
	})
	if update == nil {
		return Why{}, false
	}
	w := Why{Question: "Why did it?"}
	w.Answer = fmt.Sprintf("%s had changed the pod template of Deployment %s, %s before the deletion. A rolling update makes new pods and deletes old ones; it looks at what Kubernetes calls available, never at what the load balancer knows.", f.name(update), f.r.Deployment, Round(f.del.Time-update.Time))
	w.Evidence = f.tape.evidence(update)
	return w, true
}

// crossings is the SYN to the target and what it led to, as captures show it.
func (f *rollout) crossings() []Crossing {
	if f.syn == nil {
		return nil
	}
	var out []Crossing
	for _, e := range f.trip {
		switch {
		case len(out) >= 24:
		case e.Kind == trace.Out || e.Kind == trace.In:
			out = append(out, Crossing{ID: uint64(e.ID), Microseconds: int64((e.Time - f.syn.Time) / time.Microsecond), Interface: f.name(e), Out: e.Kind == trace.Out, Packet: header(&e.packet), TTL: int(e.packet.TTL), MSS: int(e.packet.MSS)})
		case e.Kind == trace.Drop && len(out) > 0:
			out[len(out)-1].Note = "dropped at " + f.name(e) + ": " + f.tape.log.String(e.Reason)
		}
	}
	return out
}
