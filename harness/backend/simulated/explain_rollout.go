package simulated

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/explain"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim/trace"
)

// explainRollout finds the chain of whys of the first request that no pod answered; if there is none, of the one whose target had been deleted for the
// longest time, and which was answered all the same. The world is run twice, as for flows.
func (b *Backend) explainRollout(ctx context.Context, plan *scenario.Plan, seed uint64) (*explain.Document, error) {
	var first *rolloutWatcher
	inner := *b
	inner.watch = func(all []watcher) { first = rolloutOf(all) }
	rec, err := inner.Run(ctx, plan, backend.Options{Seed: seed})
	switch {
	case err != nil:
		return nil, err
	case rec.Interrupted:
		return nil, ctx.Err()
	case first == nil || first.load == nil:
		return nil, fmt.Errorf("no request was made in %g s", rec.VirtualSeconds)
	}
	requests := first.requests()
	chosen := first.pickRequest(requests)
	if chosen < 0 {
		return nil, fmt.Errorf("no request was made in %g s", rec.VirtualSeconds)
	}
	lost := 0
	for i := range requests {
		if requests[i].Failed() {
			lost++
		}
	}
	// A node of the load balancer learns of it at last; as far as that.
	until := requests[chosen].Ended + learnsWithin(plan)
	var tape *explain.Tape
	w, err := b.build(plan, seed, func(log *trace.Log) { tape = explain.Record(log) })
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := w.Engine.Run(min(until, time.Duration(rec.VirtualSeconds*1e9)), func() bool { return ctx.Err() != nil }); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return explain.ExplainRollout(tape, first.lostRequest(requests, chosen, lost)), nil
}

// learnsWithin is how long a node of a load balancer takes at most to learn of a change.
func learnsWithin(plan *scenario.Plan) time.Duration {
	most := 15 * time.Second
	for _, r := range []*scenario.Range{plan.World.LoadBalancers.ALBPropagation, plan.World.LoadBalancers.NLBPropagation} {
		if r != nil {
			most = max(most, r[1])
		}
	}
	for _, d := range plan.World.LoadBalancers.ALBPropagationByNode {
		most = max(most, d)
	}
	return most + 5*time.Second
}

func rolloutOf(all []watcher) *rolloutWatcher {
	for _, o := range all {
		if o, ok := o.(*rolloutWatcher); ok {
			return o
		}
	}
	return nil
}

// pickRequest is the first request that was lost; else the last one to a target whose pod had been deleted; else the last.
func (o *rolloutWatcher) pickRequest(requests []observe.Request) int {
	for i := range requests {
		if requests[i].Failed() {
			return i
		}
	}
	chosen := len(requests) - 1
	var longest time.Duration
	for i := range requests {
		q := &requests[i]
		for _, u := range o.x.Uses {
			if u.At < q.Sent || u.At > q.Ended {
				continue
			}
			addr, _, _ := strings.Cut(u.Target, ":")
			for _, d := range o.x.Deletions {
				if d.Addr == addr && d.At <= u.At && u.At-d.At > longest && (d.Signal == 0 || u.At <= d.Signal) {
					longest, chosen = u.At-d.At, i
				}
			}
		}
	}
	return chosen
}

// lostRequest is a request in the explanation's terms.
func (o *rolloutWatcher) lostRequest(requests []observe.Request, i, lost int) explain.LostRequest {
	q := &requests[i]
	l := o.load
	var result = l.Results[i]
	for _, r := range l.Results {
		if r != nil && r.Began == q.Sent {
			result = r
		}
	}
	command := fmt.Sprintf("curl http://%s/", shorten(l.Host))
	if l.Method == "HEAD" {
		command = fmt.Sprintf("curl -I http://%s%s", shorten(l.Host), orSlash(l.Path))
	}
	x := explain.LostRequest{Number: i + 1, Total: len(requests), Lost: lost, Command: command, Sent: q.Sent, Ended: q.Ended, Client: result.Local, Failed: q.Failed(), Zero: -1,
		Deployment: o.key.String()}
	if len(o.x.Deletions) > 0 {
		x.Zero = o.x.Zero()
	}
	switch {
	case q.Status != 0:
		x.Outcome = fmt.Sprintf("HTTP %d from %s after %s", q.Status, result.Server, explain.Round(q.Ended-q.Sent))
	default:
		x.Outcome = fmt.Sprintf("curl: (%d) %s", q.Exit, result.Message)
	}
	for _, pods := range o.byAddr {
		for _, p := range pods {
			x.Pods = append(x.Pods, explain.PodAt{Key: p.key.String(), Addr: p.addr, Created: p.created})
		}
	}
	slices.SortFunc(x.Pods, func(a, b explain.PodAt) int { return int(a.Created - b.Created) })
	return x
}

func orSlash(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
