package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Job is one scenario in one variant with one seed.
type Job struct {
	Plan *scenario.Plan
	Seed uint64
	// Ref is the scenario as the user named it, and Set the values given on the command line: what it takes to say it again.
	Ref string
	Set map[string]string
	// Manifests is the folder of the user's own manifests; empty if the scenario's are used.
	Manifests string
}

// Outcome is what came of a job.
type Outcome struct {
	Job     Job
	Backend string
	Verdict expect.Verdict
	Results []expect.Result
	// Recording is nil when nothing was recorded: the job was skipped, or the backend could not finish.
	Recording *observe.Recording
	Wall      time.Duration
	// Err says why there is no whole recording.
	Err error
}

// Panic is the error of a backend that broke an invariant of its own.
type Panic struct {
	Value any
	Stack []byte
}

func (p *Panic) Error() string { return fmt.Sprintf("the backend broke an invariant: %v", p.Value) }

// ErrInterrupted is the Err of jobs that an interrupt kept from finishing.
var ErrInterrupted = errors.New("interrupted")

// Options of a series of jobs. The zero value works.
type Options struct {
	// Workers is how many jobs run at a time; 0 means GOMAXPROCS.
	Workers int
	// Pcap and Trace receive the capture and the trace of the job; they make sense for a single job only.
	Pcap  io.Writer
	Trace io.Writer
	// Record keeps the full records, from which evidence is drawn.
	Record bool
	// Progress is told how far a job has come. It is called from several goroutines at a time.
	Progress func(job Job, done, total int, note string)
}

// All runs the jobs and hands each outcome to deliver, one at a time and in the order of the jobs.
func All(ctx context.Context, b backend.Backend, jobs []Job, opts Options, deliver func(Outcome)) {
	Ordered(len(jobs), opts.Workers,
		func(i int) Outcome { return One(ctx, b, jobs[i], opts) },
		func(_ int, o Outcome) { deliver(o) })
}

// One runs a single job.
func One(ctx context.Context, b backend.Backend, job Job, opts Options) Outcome {
	o := Outcome{Job: job, Backend: b.Name()}
	if ctx.Err() != nil {
		o.Err = ErrInterrupted
		o.Verdict, o.Results = expect.Skip(job.Plan, "interrupted before it began")
		return o
	}
	if err := b.Check(ctx, job.Plan); err != nil {
		o.Err = err
		o.Verdict, o.Results = expect.Skip(job.Plan, err.Error())
		return o
	}
	began := time.Now()
	o.Recording, o.Err = drive(ctx, b, job, opts) // a panic leaves no recording
	o.Wall = time.Since(began)
	switch {
	case o.Recording != nil && o.Err == nil:
		o.Verdict, o.Results = expect.Judge(job.Plan, o.Recording)
		if o.Recording.Interrupted {
			o.Err = ErrInterrupted
		}
	case o.Err == nil:
		o.Err = errors.New("the backend recorded nothing")
		fallthrough
	default:
		reason := o.Err.Error()
		if ctx.Err() != nil && errors.Is(o.Err, ctx.Err()) {
			o.Err, reason = ErrInterrupted, "interrupted before anything was recorded"
		}
		o.Recording = nil
		o.Verdict, o.Results = expect.Undecided(job.Plan, reason)
	}
	return o
}

// Recover turns a panic of a backend into a *Panic; it is to be deferred. The program itself would end with exit code 2, which says that
// the user made a mistake.
func Recover(err *error) {
	if v := recover(); v != nil {
		*err = &Panic{Value: v, Stack: debug.Stack()}
	}
}

func drive(ctx context.Context, b backend.Backend, job Job, opts Options) (rec *observe.Recording, err error) {
	defer Recover(&err)
	o := backend.Options{Seed: job.Seed, Pcap: opts.Pcap, Trace: opts.Trace, Record: opts.Record}
	if opts.Progress != nil {
		o.Progress = func(done, total int, note string) { opts.Progress(job, done, total, note) }
	}
	return b.Run(ctx, job.Plan, o)
}

// Ordered runs task(0) to task(n-1) on a number of goroutines (0 means GOMAXPROCS) and hands the results to deliver one at a time and in
// order. No more than a few tasks run ahead of the oldest that is not delivered, so that results do not pile up.
func Ordered[T any](n, workers int, task func(i int) T, deliver func(i int, result T)) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	workers = min(workers, n)
	if workers <= 1 {
		for i := range n {
			deliver(i, task(i))
		}
		return
	}
	// Each task has a channel of its own; the queue of channels keeps the order and, being bounded, the distance.
	queue := make(chan chan T, workers)
	slots := make(chan struct{}, workers)
	go func() {
		defer close(queue)
		for i := range n {
			slots <- struct{}{}
			result := make(chan T, 1)
			queue <- result
			go func() {
				defer func() { <-slots }()
				result <- task(i)
			}()
		}
	}()
	i := 0
	for result := range queue {
		deliver(i, <-result)
		i++
	}
}
