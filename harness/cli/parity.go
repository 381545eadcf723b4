package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

// otherBackend is what parity holds the default backend against.
const otherBackend = "kind"

func (a *app) parity() *cobra.Command {
	c := choice{}
	var format string
	command := &cobra.Command{
		Use:   "parity SCENARIO|PATH... [flags]",
		Short: "Run scenarios on both backends and compare them observation by observation",
		Long: `Run scenarios on both backends, sim and kind, and compare them observation by observation: what each saw,
how far apart they may be, and whether they agree.

How far apart two values may be follows from what they are: shares and counts of calls and packets within
4 standard deviations, times within 5 % and 500 ms, everything else equal.

Exit code: 0 all agree, 1 some do not, 3 an observation has no sample on one side or a backend is not
available here.`,
		Example: `  ekslab parity nlb-hairpin
  ekslab parity nlb-hairpin --variant broken --set connections=200`,
		ValidArgsFunction: a.completeScenarios,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("which scenario? \"ekslab list\" shows them, such as: ekslab parity nlb-hairpin")
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error {
			if err := oneOf("-o "+format, format, "text", "json"); err != nil {
				return err
			}
			return a.compareBackends(command.Context(), args, format, &c)
		},
	}
	a.imageFlag(command)
	f := command.Flags()
	f.StringVar(&c.variant, "variant", "", "compare this variant only")
	f.StringArrayVar(&c.set, "set", nil, "set a parameter, as `key=value`; may be repeated")
	f.Uint64Var(&c.seed, "seed", 1, "seed of every random choice")
	f.StringVarP(&format, "output", "o", "text", "text or json")
	return command
}

type parityDocument struct {
	Schema string      `json:"schema"`
	Runs   []parityRun `json:"runs"`
}

type parityRun struct {
	Scenario     string              `json:"scenario"`
	Variant      string              `json:"variant"`
	Seed         uint64              `json:"seed"`
	Verdict      string              `json:"verdict"`
	Reason       string              `json:"reason"`
	Observations []parityObservation `json:"observations"`
}

type parityObservation struct {
	Name      string `json:"name"`
	Sim       any    `json:"sim"`
	Kind      any    `json:"kind"`
	Tolerance string `json:"tolerance"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason"`
}

func (a *app) compareBackends(ctx context.Context, args []string, format string, c *choice) error {
	var backends [2]backend.Backend
	for i, name := range []string{DefaultBackend, otherBackend} {
		var err error
		if backends[i], err = a.backend(name); err != nil {
			return err
		}
	}
	scenarios, err := a.scenarios(args)
	if err != nil {
		return err
	}
	jobs, err := a.jobs(scenarios, false, c)
	if err != nil {
		return err
	}

	p := newProgress(a.stderr, a.Terminal(a.stderr), columns(a.stderr), 2*len(jobs))
	doc := parityDocument{Schema: "ekslab.parity/v1", Runs: []parityRun{}}
	var all []run.Outcome
	for _, job := range jobs {
		one := parityRun{Scenario: job.Plan.Scenario.Name, Variant: job.Plan.Variant, Seed: job.Seed, Observations: []parityObservation{}}
		verdict := parityCheck(ctx, job, backends)
		var agreements []expect.Agreement
		if verdict.Status == "" {
			agreements, verdict = parityOf(ctx, job, backends, p)
		}
		one.Verdict, one.Reason = string(verdict.Status), verdict.Reason
		for _, g := range agreements {
			one.Observations = append(one.Observations, parityObservation{
				Name: g.Name, Sim: report.JSON(g.A), Kind: report.JSON(g.B), Tolerance: g.Tolerance, Verdict: string(g.Status), Reason: g.Reason,
			})
		}
		doc.Runs = append(doc.Runs, one)
		all = append(all, run.Outcome{Job: job, Verdict: verdict})
	}
	p.Stop()

	if format == "json" {
		err = report.Encode(a.stdout, doc)
	} else {
		_, err = a.stdout.Write([]byte(parityText(doc)))
	}
	code := run.ExitCode(all, ctx.Err() != nil)
	if err != nil && code == run.ExitSuccess {
		code = run.ExitUndecided
	}
	return exitWith(code, quietPipe(err))
}

// parityCheck says whether both backends can run the job, before either does.
func parityCheck(ctx context.Context, job run.Job, backends [2]backend.Backend) expect.Verdict {
	if ctx.Err() != nil {
		return expect.Verdict{Status: expect.Skipped, Reason: "interrupted before it began"}
	}
	for _, b := range backends {
		if err := b.Check(ctx, job.Plan); err != nil {
			return expect.Verdict{Status: expect.Skipped, Reason: err.Error()}
		}
	}
	return expect.Verdict{}
}

func parityOf(ctx context.Context, job run.Job, backends [2]backend.Backend, p *progress) ([]expect.Agreement, expect.Verdict) {
	var recordings [2]*observe.Recording
	for i, b := range backends {
		name := label(job) + " on " + b.Name()
		o := run.One(ctx, b, job, run.Options{Progress: func(_ run.Job, done, total int, note string) { p.Update(name, done, total, note) }})
		p.Finished(name, nil)
		if o.Err != nil || o.Recording == nil {
			return nil, expect.Verdict{Status: expect.Inconclusive, Reason: b.Name() + ": " + o.Verdict.Reason}
		}
		recordings[i] = o.Recording
	}
	vocabulary := observe.All()
	var names []string
	for _, name := range job.Plan.Scenario.Observations {
		if shownBy(vocabulary[name], DefaultBackend) && shownBy(vocabulary[name], otherBackend) {
			names = append(names, name)
		}
	}
	agreements := expect.Agree(names, vocabulary, recordings[0], recordings[1])
	return agreements, expect.Agreed(agreements)
}

func shownBy(doc observe.Doc, backend string) bool {
	for _, b := range doc.Backends {
		if b == backend {
			return true
		}
	}
	return false
}

func parityText(doc parityDocument) string {
	var b strings.Builder
	for i, r := range doc.Runs {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s · %s  seed %d\n", r.Scenario, r.Variant, r.Seed)
		if len(r.Observations) > 0 {
			w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "  OBSERVATION\tSIM\tKIND\tTOLERANCE\tAGREE")
			for _, o := range r.Observations {
				agree := map[string]string{string(expect.Holds): "✓ yes", string(expect.Fails): "✗ no", string(expect.Inconclusive): "? " + o.Reason}[o.Verdict]
				_, _ = fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", o.Name, report.Value(o.Sim), report.Value(o.Kind), o.Tolerance, agree)
			}
			_ = w.Flush()
		}
		reason := ""
		if r.Reason != "" {
			reason = ": " + r.Reason
		}
		fmt.Fprintf(&b, "%s%s\n", r.Verdict, reason)
	}
	return b.String()
}
