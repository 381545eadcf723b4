package simulated

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// balancerServer is the Server header of answers that an Application Load Balancer makes itself.
const balancerServer = "awselb/"

// requests are the client's calls, each with who answered it.
func (o *rolloutWatcher) requests() (out []observe.Request) {
	if o.load == nil {
		return nil
	}
	access := map[netip.AddrPort][]elb.Access{}
	for _, lb := range o.w.ELB.LoadBalancers() {
		for _, a := range lb.AccessLog {
			access[a.Client] = append(access[a.Client], a)
		}
	}
	old := map[string]bool{} // Server headers of old pods, for answers that no log tells the pod of
	for _, r := range o.load.Results[:o.load.Begun] {
		if r == nil {
			continue // it had not ended when the run was interrupted
		}
		q := observe.Request{Sent: r.Began, Ended: r.Ended, Status: r.HTTPCode, Exit: r.Exit, Node: r.Node, FromBalancer: strings.HasPrefix(r.Server, balancerServer)}
		target := ""
		for _, u := range o.flows[r.Local] {
			if u.At >= r.Began && u.At <= r.Ended {
				target = u.Target
			}
		}
		for _, a := range access[r.Local] {
			if a.Created >= r.Began && a.Created <= r.Ended {
				q.Reason = a.Reason
				target = a.Target.String()
			}
		}
		if !q.Failed() {
			q.Pod = o.generation(target, r, old)
		}
		out = append(out, q)
	}
	return out
}

// generation says which pods a target is one of. Of a target that is a node, the answer's Server header tells, if old and new pods differ in it.
func (o *rolloutWatcher) generation(target string, r *workload.Result, old map[string]bool) observe.Generation {
	addr, _, _ := strings.Cut(target, ":")
	var pod *watchedPod
	for _, p := range o.byAddr[addr] {
		if p.created <= r.Ended {
			pod = p
		}
	}
	switch {
	case pod != nil && pod.new:
		return observe.New
	case pod != nil:
		old[r.Server] = true
		return observe.Old
	case o.x.Update < 0 || r.Ended < o.x.Update:
		old[r.Server] = true
		return observe.Old
	case old[r.Server]:
		return observe.Unknown // old ones, or new ones that say the same
	}
	return observe.New
}

// setup says in short lines what there was.
func (o *rolloutWatcher) setup() (out []string) {
	w := o.w
	out = append(out, nodesOf(w))
	pods := 0
	for _, p := range o.pods {
		if !p.new {
			pods++
		}
	}
	out = append(out, fmt.Sprintf("Deployment %v: %s, behind Service %v", o.key, plural(pods, "pod"), o.service))
	for _, lb := range w.ELB.LoadBalancers() {
		what, nodes := "Network", len(lb.Nodes)
		if lb.Type == elb.Application {
			what, nodes = "Application", len(lb.ALBNodes)
		}
		out = append(out, fmt.Sprintf("%s %s Load Balancer of %s", lb.Scheme, what, plural(nodes, "node")))
	}
	for _, tg := range w.ELB.TargetGroups() {
		h := tg.HealthCheck
		out = append(out, fmt.Sprintf("%s targets, deregistration delay %s s; health check %s every %v, timeout %v", tg.TargetType, tg.Attributes[elb.AttrDeregistrationDelay], h.Protocol, h.Interval, h.Timeout))
	}
	if l := o.load; l != nil {
		from := "the internet"
		if l.Pod != "" {
			from = "pod " + l.Pod
		}
		method := "curl"
		if l.Method == "HEAD" {
			method = "curl -I"
		}
		pace := map[string]string{"serial": "one after the other, with %v between", "keepAlive": "over one connection, every %v", "openLoop": "one every %v", "": "one every %v"}[string(l.Pace)]
		out = append(out, fmt.Sprintf("client on %s: %s of %s http://%s/, %s", from, plural(l.Count, "request"), method, shorten(l.Host), fmt.Sprintf(pace, l.Every)))
	}
	return out
}

// rolloutEvidence keeps a few records that show what was observed.
type rolloutEvidence struct {
	log                    *trace.Log
	answers, calls, health []observe.Evidence
	signals                []observe.Evidence
}

func (e *rolloutEvidence) record(r *trace.Record) {
	keep := func(to *[]observe.Evidence) {
		if len(*to) < maxKept {
			*to = append(*to, observe.Evidence{ID: uint64(r.ID), Seconds: r.Time.Seconds(), Actor: e.log.String(r.Actor), Text: r.Kind.String() + " " + e.log.Body(r)})
		}
	}
	switch what := e.log.String(r.What); {
	case r.Kind == trace.HTTP && strings.HasSuffix(what, "awselb/2.0"):
		keep(&e.answers)
	case r.Kind == trace.AWS && (what == "DeregisterTargets" || what == "RegisterTargets"):
		keep(&e.calls)
	case r.Kind == trace.Health:
		keep(&e.health)
	case r.Kind == trace.Kube && what == "signal":
		keep(&e.signals)
	}
}

// byObservation says what shows what.
func (e *rolloutEvidence) byObservation() map[string][]observe.Evidence {
	out := map[string][]observe.Evidence{}
	put := func(records []observe.Evidence, names ...string) {
		for _, n := range names {
			if len(records) > 0 {
				out[n] = slices.Clone(records)
			}
		}
	}
	put(e.answers, "errors", "errors502", "errors503", "errors504", "errorsByNode", "errorTimesSeconds", "slow502s", "early504s")
	put(e.calls, "registerTargetsCalls", "deregisterTargetsCalls", "firstDeregisterSeconds", "lastDeregisterSeconds")
	put(e.health, "targetStates", "minHealthyTargets", "plateau")
	put(e.signals, "sigkills", "sigkillAfterSeconds", "stopSignalAfterSeconds")
	return out
}

