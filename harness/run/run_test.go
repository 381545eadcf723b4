package run_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

type fake struct {
	check error
	run   func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error)
}

func (f fake) Name() string                                { return "fake" }
func (f fake) Check(context.Context, *scenario.Plan) error { return f.check }
func (f fake) Run(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
	return f.run(ctx, plan, opts)
}

func plan(t *testing.T) *scenario.Plan {
	t.Helper()
	s, err := scenario.Load(os.DirFS("../cli/testdata/catalog"), "elb/slow-calls")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve("fixed-clusterip", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func good() *observe.Recording {
	return &observe.Recording{Observations: map[string]any{"hungConnections": 0.0}}
}

func TestOne(t *testing.T) {
	interrupted, cancel := context.WithCancel(context.Background())
	cancel()
	for _, test := range []struct {
		name    string
		ctx     context.Context
		b       fake
		verdict expect.Verdict
		err     error // as errors.Is finds it; nil for none
	}{
		{"holds", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) { return good(), nil }},
			expect.Verdict{Status: expect.Holds}, nil},
		{"unavailable", context.Background(), fake{check: errNoDocker},
			expect.Verdict{Status: expect.Skipped, Reason: "no Docker"}, errNoDocker},
		{"not modelled", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			return nil, errNotModelled
		}}, expect.Verdict{Status: expect.Inconclusive, Reason: "not modelled"}, errNotModelled},
		{"a recording and an error", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			return good(), errNotModelled
		}}, expect.Verdict{Status: expect.Inconclusive, Reason: "not modelled"}, errNotModelled}, // an error wins: nothing is judged
		{"neither", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) { return nil, nil }},
			expect.Verdict{Status: expect.Inconclusive, Reason: "the backend recorded nothing"}, nil},
		{"panic", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			panic("two owners")
		}},
			expect.Verdict{Status: expect.Inconclusive, Reason: "the backend broke an invariant: two owners"}, nil},
		{"interrupted before", interrupted, fake{}, expect.Verdict{Status: expect.Skipped, Reason: "interrupted before it began"}, run.ErrInterrupted},
		{"interrupted within", context.Background(), fake{run: func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			rec := good()
			rec.Interrupted = true
			return rec, nil
		}}, expect.Verdict{Status: expect.Inconclusive, Reason: "the run was interrupted before its end"}, run.ErrInterrupted},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := run.One(test.ctx, test.b, run.Job{Plan: plan(t), Seed: 7}, run.Options{})
			if o.Verdict != test.verdict {
				t.Errorf("verdict %+v, want %+v", o.Verdict, test.verdict)
			}
			if test.err != nil && !errors.Is(o.Err, test.err) {
				t.Errorf("error %v, want %v", o.Err, test.err)
			}
			if (o.Recording != nil) != (test.name == "holds" || test.name == "interrupted within") {
				t.Errorf("recording %v", o.Recording)
			}
			var panicked *run.Panic
			if errors.As(o.Err, &panicked) != (test.name == "panic") || panicked != nil && !strings.Contains(string(panicked.Stack), "goroutine") {
				t.Errorf("panic %v", panicked)
			}
		})
	}
}

var (
	errNoDocker    = errors.New("no Docker")
	errNotModelled = errors.New("not modelled")
)

// TestOptionsReachTheBackend: seed, writers and progress arrive.
func TestOptionsReachTheBackend(t *testing.T) {
	var pcap, trace strings.Builder
	var told []int
	b := fake{run: func(_ context.Context, _ *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
		if opts.Seed != 42 || !opts.Record {
			t.Errorf("%+v", opts)
		}
		_, _ = opts.Pcap.Write([]byte("p"))
		_, _ = opts.Trace.Write([]byte("t"))
		opts.Progress(3, 9, "calls")
		return good(), nil
	}}
	run.One(context.Background(), b, run.Job{Plan: plan(t), Seed: 42}, run.Options{Pcap: &pcap, Trace: &trace, Record: true,
		Progress: func(job run.Job, done, total int, note string) { told = []int{int(job.Seed), done, total, len(note)} }})
	if pcap.String() != "p" || trace.String() != "t" || !slices.Equal(told, []int{42, 3, 9, 5}) {
		t.Errorf("pcap %q, trace %q, progress %v", pcap.String(), trace.String(), told)
	}
}

// TestOrdered: whatever is done first, results come in order; no more run at a time than allowed, and none runs far ahead.
func TestOrdered(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 100} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			var running, most, begun atomic.Int64
			var got []int
			run.Ordered(n, workers, func(i int) int {
				most.Store(max(most.Load(), running.Add(1)))
				begun.Add(1)
				time.Sleep(time.Duration(n-i) * time.Second) // the first take longest
				running.Add(-1)
				return i * i
			}, func(i, result int) {
				if ahead := int(begun.Load()) - i; ahead > 3*workers {
					t.Errorf("%d workers: %d tasks ahead", workers, ahead)
				}
				if i != len(got) || result != i*i {
					t.Errorf("%d workers: result %d of task %d comes as number %d", workers, result, i, len(got))
				}
				got = append(got, result)
			})
			if len(got) != n || most.Load() > int64(workers) {
				t.Errorf("%d workers: %d results, %d at a time", workers, len(got), most.Load())
			}
		})
	}
	run.Ordered(0, 4, func(int) int { panic("no task") }, func(int, int) { panic("no result") })
}

// TestExitCode holds the precedence: interrupted, fails, undecided, success.
func TestExitCode(t *testing.T) {
	const (
		h, f, i, s = expect.Holds, expect.Fails, expect.Inconclusive, expect.Skipped
	)
	for _, test := range []struct {
		verdicts    []expect.Status
		interrupted bool
		want        int
	}{
		{[]expect.Status{h}, false, 0},
		{[]expect.Status{h, h}, false, 0},
		{[]expect.Status{h, s}, false, 0}, // something was shown
		{[]expect.Status{h, f}, false, 1},
		{[]expect.Status{f, i, s}, false, 1},
		{[]expect.Status{h, i}, false, 3},
		{[]expect.Status{i, s}, false, 3},
		{[]expect.Status{s}, false, 3},
		{[]expect.Status{s, s}, false, 3},
		{nil, false, 3},
		{[]expect.Status{h}, true, 130},
		{[]expect.Status{f}, true, 130},
		{nil, true, 130},
	} {
		var outcomes []run.Outcome
		for _, v := range test.verdicts {
			outcomes = append(outcomes, run.Outcome{Verdict: expect.Verdict{Status: v}})
		}
		if have := run.ExitCode(outcomes, test.interrupted); have != test.want {
			t.Errorf("%v interrupted=%v: %d, want %d", test.verdicts, test.interrupted, have, test.want)
		}
	}
}
