package simulated

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/explain"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// explainFlows finds the chain of whys of the first call that went wrong. The world is run twice: once to find that call, and once
// with every record kept, as far as that call's end. Both runs are the same, record by record.
func (b *Backend) explainFlows(ctx context.Context, plan *scenario.Plan, seed uint64) (*explain.Document, error) {
	rec, calls, err := b.survey(ctx, plan, seed)
	if err != nil {
		return nil, err
	}
	chosen, bad := pick(calls)
	if chosen < 0 {
		return nil, fmt.Errorf("no call was made in %g s", rec.VirtualSeconds)
	}
	var tape *explain.Tape
	w, err := b.build(plan, seed, func(log *trace.Log) { tape = explain.Record(log) })
	if err != nil {
		return nil, err
	}
	defer w.Close()
	interrupted := func() bool { return ctx.Err() != nil }
	if err := w.Engine.Run(plan.Settle, interrupted); err != nil {
		return nil, err
	}
	load := w.Loads[0]
	if err := w.Engine.RunWhile(func() bool { return load.Results[chosen] == nil }, interrupted); err != nil {
		return nil, err
	}
	if err := w.Engine.Run(w.Engine.Now()+time.Second, interrupted); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	d := explain.Explain(tape, describe(load, chosen, bad, calls[chosen].hung))
	return d, nil
}

// outcome is what became of one call.
type outcome struct {
	made bool
	hung bool
	code int
}

// survey runs a plan to its end for the outcome of each call.
func (b *Backend) survey(ctx context.Context, plan *scenario.Plan, seed uint64) (*observe.Recording, []outcome, error) {
	var load *sim.LoadRun
	var obs *flowWatcher
	inner := *b
	inner.Prepare = func(w *sim.World) {
		if b.Prepare != nil {
			b.Prepare(w)
		}
		if len(w.Loads) > 0 {
			load = w.Loads[0]
		}
	}
	inner.watch = func(all []watcher) {
		for _, o := range all {
			if o, ok := o.(*flowWatcher); ok {
				obs = o
			}
		}
	}
	rec, err := inner.Run(ctx, plan, backend.Options{Seed: seed})
	if err != nil {
		return nil, nil, err
	}
	if rec.Interrupted {
		return nil, nil, ctx.Err()
	}
	if load == nil || obs.flows == nil {
		return rec, nil, nil
	}
	calls := make([]outcome, len(load.Results))
	index := obs.flows.Index()
	for i, r := range load.Results {
		if r == nil {
			continue
		}
		calls[i] = outcome{made: true, code: r.HTTPCode}
		if len(r.Attempts) > 0 {
			a := r.Attempts[0]
			f := index.Find(a.Local, a.Remote, a.Began, a.Ended)
			calls[i].hung = f != nil && f.Answered == 0
		}
	}
	return rec, calls, nil
}

// pick is the first call that hung, else the first that was not answered with 200, else the first; and how many were like it.
func pick(calls []outcome) (chosen, bad int) {
	chosen = -1
	for _, is := range []func(outcome) bool{
		func(o outcome) bool { return o.made && o.hung },
		func(o outcome) bool { return o.made && o.code != 200 },
	} {
		for i, o := range calls {
			if is(o) {
				bad++
				if chosen < 0 {
					chosen = i
				}
			}
		}
		if chosen >= 0 {
			return chosen, bad
		}
	}
	for i, o := range calls {
		if o.made {
			return i, 0
		}
	}
	return -1, 0
}

// describe is a call in the explanation's terms.
func describe(l *sim.LoadRun, i, bad int, hung bool) explain.Call {
	r := l.Results[i]
	c := explain.Call{Number: i + 1, Total: len(l.Results), Bad: bad, Command: fmt.Sprintf("curl http://%s/", shorten(l.Host)), Record: r.Record, Elapsed: r.Ended - r.Began,
		Namespace: l.Client.Namespace.Name, Hung: hung}
	switch {
	case r.HTTPCode != 0:
		c.Outcome = fmt.Sprintf("HTTP %d after %s", r.HTTPCode, explain.Round(c.Elapsed))
	default:
		c.Outcome = fmt.Sprintf("curl: (%d) %s", r.Exit, r.Message)
	}
	if len(r.Attempts) == 0 {
		return c
	}
	a := r.Attempts[0]
	c.Local, c.Remote, c.ConnectTook = a.Local, a.Remote, a.Ended-a.Began
	if a.Err != nil {
		c.ConnectErr = a.Err.Error()
		var errno linux.Errno
		if errors.As(a.Err, &errno) {
			c.ConnectErr = string(errno)
		}
	}
	return c
}
