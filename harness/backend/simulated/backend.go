package simulated

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/capture"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/trace"
)

// Backend is the simulator. The zero value works.
type Backend struct {
	// Switches turn mechanisms off, for experiments.
	Switches sim.Switches
	// ShuffleTies runs simultaneous events in random order.
	ShuffleTies bool
	// Prepare is called with each world before it runs, for experiments that reach into it. It may be nil.
	Prepare func(*sim.World)

	watch func([]watcher)
}

var _ backend.Backend = (*Backend)(nil)

// Name is "sim".
func (*Backend) Name() string { return "sim" }

// Check says which of the plan's objects ask for what is not modelled. Of the machine the simulator needs nothing.
func (*Backend) Check(_ context.Context, plan *scenario.Plan) error {
	var all []error
	for _, o := range plan.Objects {
		if err := sim.Refuse(o.Value); err != nil {
			all = append(all, fmt.Errorf("%s:%d: %w", o.File, o.Line, err))
		}
	}
	return errors.Join(all...)
}

// applyAt is when the manifests are applied: the nodes are up by then.
const applyAt = 30 * time.Second

// linger is how long a world goes on when the last call has ended.
const linger = 2 * time.Second

// build makes the world of a plan, with everything scheduled that is to happen in it.
func (b *Backend) build(plan *scenario.Plan, seed uint64, attach func(*trace.Log)) (*sim.World, error) {
	spec, err := specOf(plan, seed)
	if err != nil {
		return nil, err
	}
	spec.Switches, spec.ShuffleTies = b.Switches, b.ShuffleTies
	w, err := sim.New(spec, attach)
	if err != nil {
		return nil, err
	}
	apply(w, plan)
	for _, c := range changesOf(plan) {
		w.Do(c)
	}
	for _, l := range loadsOf(plan) {
		w.Start(l)
	}
	if b.Prepare != nil {
		b.Prepare(w)
	}
	return w, nil
}

// apply has the manifests applied, those of one time with one command.
func apply(w *sim.World, plan *scenario.Plan) {
	objects := map[time.Duration]sim.Objects{}
	var times []time.Duration
	for _, o := range plan.Objects {
		if objects[o.After] == nil {
			times = append(times, o.After)
		}
		objects[o.After] = append(objects[o.After], o.Value.(runtime.Object))
	}
	for _, after := range times {
		w.Apply(applyAt+after, objects[after])
	}
}

// Run drives a plan to its end, or to ctx's.
func (b *Backend) Run(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
	var views []io.Closer
	w, err := b.build(plan, opts.Seed, func(log *trace.Log) {
		if opts.Trace != nil {
			views = append(views, attachText(log, opts.Trace))
		}
		if opts.Pcap != nil {
			views = append(views, capture.Attach(log, opts.Pcap))
		}
	})
	if err != nil {
		return nil, err
	}
	defer w.Close()
	watching := watching(w, plan, opts.Record)
	if b.watch != nil {
		b.watch(watching)
	}
	interrupted := func() bool {
		if opts.Progress != nil && len(w.Loads) > 0 {
			l := w.Loads[0]
			opts.Progress(l.Ended, l.Count, "calls")
		}
		return ctx.Err() != nil
	}
	if err := w.Engine.Run(plan.Settle, interrupted); err != nil {
		return nil, err
	}
	if err := w.Engine.RunWhile(func() bool { return !w.Done() }, interrupted); err != nil {
		return nil, err
	}
	if err := w.Engine.RunWhile(func() bool { return pending(watching) }, interrupted); err != nil {
		return nil, err
	}
	if ctx.Err() == nil { // the last connections close
		if err := w.Engine.Run(w.Engine.Now()+linger, interrupted); err != nil {
			return nil, err
		}
	}
	rec := &observe.Recording{}
	for _, o := range watching {
		o.observed(rec)
	}
	rec.Backend, rec.Seed = b.Name(), opts.Seed
	rec.Interrupted = ctx.Err() != nil
	rec.VirtualSeconds = w.Engine.Now().Seconds()
	rec.Events = w.Engine.Events()
	rec.TraceHash = w.Log.Hash()
	for _, v := range views {
		if err := v.Close(); err != nil {
			return nil, err
		}
	}
	return rec, nil
}

// text writes the trace as lines.
type text struct {
	w   *bufio.Writer
	err error
}

func attachText(log *trace.Log, to io.Writer) *text {
	t := &text{w: bufio.NewWriterSize(to, 1<<16)}
	log.Attach(trace.All, func(r *trace.Record) {
		if t.err == nil {
			_, t.err = t.w.WriteString(log.Line(r) + "\n")
		}
	})
	return t
}

// Close writes what is buffered.
func (t *text) Close() error {
	if t.err == nil {
		t.err = t.w.Flush()
	}
	return t.err
}
