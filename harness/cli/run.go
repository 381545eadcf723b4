package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

type runFlags struct {
	choice
	output []string
	pcap   string
	trace  string
}

func (a *app) run() *cobra.Command {
	var f runFlags
	command := &cobra.Command{
		Use:   "run [SCENARIO|PATH...] [flags]",
		Short: "Run scenarios and compare what is seen with what is expected",
		Long: `Run scenarios and compare what is seen with what is expected.

A SCENARIO is a name that "ekslab list" shows; a PATH is a folder of your own with a scenario.yaml, such
as "ekslab copy" makes. None means all that are built in. Every variant runs, unless --variant names one.

Values of parameters are written as 4,4,4 for a list, 10,20 for a range and 500ms for a duration. What
--set gives wins over the variant, and the variant over the default.

Formats of -o are text (the default), json, junit and github. It may be repeated. The result goes to
standard output, or with =FILE to a file, which appears whole or not at all.

Exit code: 0 all expectations hold, 1 one fails, 2 wrong usage or a mistake in a scenario (nothing ran),
3 inconclusive or nothing but skips, 130 interrupted.`,
		Example: `  # the failure and all of its remedies
  ekslab run nlb-hairpin

  # with your own numbers
  ekslab run nlb-hairpin --variant broken --set nodesPerZone=4,4,4 --set connections=10000

  # in CI: a report for people, and files for machines
  ekslab run -o text -o junit=ekslab.xml -o json=ekslab.json

  # every packet, for Wireshark
  ekslab run nlb-hairpin --variant broken --set connections=20 --pcap hairpin.pcapng

  # a scenario of your own
  ekslab copy nlb-hairpin my-hairpin && ekslab run ./my-hairpin`,
		ValidArgsFunction: a.completeScenarios,
		RunE: func(command *cobra.Command, args []string) error {
			return a.runScenarios(command.Context(), args, &f)
		},
	}
	a.choiceFlags(command, &f.choice, "run this variant only")
	a.imageFlag(command)
	flags := command.Flags()
	flags.StringArrayVarP(&f.output, "output", "o", nil, "write the result as `FORMAT[=FILE]`: text, json, junit or github; may be repeated")
	flags.StringVar(&f.pcap, "pcap", "", "write every captured packet to `FILE` (pcapng); needs one scenario and one variant")
	flags.StringVar(&f.trace, "trace", "", "write what happened, in order, to `FILE`; needs one scenario and one variant")
	a.manifestsFlag(command, &f.choice)
	a.complete(command, "output", func([]string) []string { return runFormats })
	return command
}

func (a *app) runScenarios(ctx context.Context, args []string, f *runFlags) error {
	b, err := a.backend(f.backend)
	if err != nil {
		return err
	}
	out, err := a.parseOutputs(f.output)
	if err != nil {
		return err
	}
	scenarios, err := a.scenarios(args)
	if err != nil {
		return err
	}
	if err := a.own(scenarios, &f.choice); err != nil {
		return err
	}
	jobs, err := a.jobs(scenarios, len(args) == 0, &f.choice)
	if err != nil {
		return err
	}
	if f.manifests != "" { // what they ask for that is not modelled is a mistake like any other in a file
		for _, job := range jobs {
			if err := b.Check(ctx, job.Plan); err != nil {
				return err
			}
		}
	}
	if len(jobs) != 1 && (f.pcap != "" || f.trace != "") {
		return oneRunOnly(f, scenarios)
	}

	// Files are opened before anything runs: what cannot be written is a usage error.
	defer out.discard()
	if err := out.open(); err != nil {
		return err
	}
	opts := run.Options{Record: true}
	captures := map[string]*wholeFile{}
	for _, path := range []string{f.pcap, f.trace} {
		if path == "" {
			continue
		}
		flag := map[bool]string{true: "--pcap", false: "--trace"}[path == f.pcap]
		if captures[path] != nil {
			return fmt.Errorf("--pcap and --trace both go to %s", path)
		}
		if out.has(path) {
			return fmt.Errorf("%s and -o both go to %s", flag, path)
		}
		w, err := newWholeFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		defer w.Discard()
		captures[path] = w
	}
	if f.pcap != "" {
		opts.Pcap = captures[f.pcap]
	}
	if f.trace != "" {
		opts.Trace = captures[f.trace]
	}

	repeat := repeatCommand(args, &f.choice)
	outcomes, writeErr := a.drive(ctx, b, jobs, opts, out, repeat)

	for path, w := range captures {
		if o := outcomes[0]; o.Err != nil {
			a.complain("ekslab: %s was not written: %v", path, o.Err)
			continue
		}
		if err := w.Commit(); err != nil {
			writeErr = errors.Join(writeErr, fmt.Errorf("cannot write %s: %w", path, err))
		}
	}
	wrote, err := out.write(a.stdout, outcomes, len(jobs) > 1, repeat)
	writeErr = errors.Join(writeErr, err)
	a.remark(outcomes, out, wrote)

	code := run.ExitCode(outcomes, ctx.Err() != nil)
	if writeErr != nil && code == run.ExitSuccess {
		code = run.ExitUndecided
	}
	return exitWith(code, quietPipe(writeErr))
}

// drive runs jobs with progress on standard error, and writes the text for standard output as outcomes come.
func (a *app) drive(ctx context.Context, b backend.Backend, jobs []run.Job, opts run.Options, out *outputs, repeat string) ([]run.Outcome, error) {
	p := newProgress(a.stderr, a.Terminal(a.stderr), columns(a.stderr), len(jobs))
	defer p.Stop()
	opts.Progress = func(job run.Job, done, total int, note string) { p.Update(label(job), done, total, note) }
	var text *report.Text
	if out.textOnStdout() {
		text = &report.Text{W: a.stdout, Color: a.color(a.stdout), Vocabulary: observe.All(), Several: len(jobs) > 1, Repeat: repeat}
	}
	var outcomes []run.Outcome
	var writeErr error
	run.All(ctx, b, jobs, opts, func(o run.Outcome) {
		outcomes = append(outcomes, o)
		p.Finished(label(o.Job), func() {
			a.printStack(o.Err)
			if text != nil {
				writeErr = errors.Join(writeErr, text.Outcome(o))
			}
		})
	})
	if text != nil {
		writeErr = errors.Join(writeErr, text.Close())
	}
	return outcomes, writeErr
}

// remark says on standard error what a person who sees no text report would miss.
func (a *app) remark(outcomes []run.Outcome, out *outputs, wrote []string) {
	if !out.textOnStdout() {
		said := map[string]bool{}
		for _, o := range outcomes {
			if o.Verdict.Status == expect.Skipped && !said[o.Verdict.Reason] {
				said[o.Verdict.Reason] = true
				a.complain("ekslab: skipped: %s", o.Verdict.Reason)
			}
		}
	}
	if len(wrote) > 0 {
		a.complain("ekslab: %s; wrote %s", report.Tally(outcomes), strings.Join(wrote, ", "))
	}
}

func label(job run.Job) string { return job.Plan.Scenario.Name + " " + job.Plan.Variant }

// repeatCommand is the command line that runs the same again.
func repeatCommand(args []string, c *choice) string {
	words := append([]string{"ekslab", "run"}, args...)
	if c.manifests != "" {
		words = append(words, "--manifests", c.manifests)
	}
	if c.variant != "" {
		words = append(words, "--variant", c.variant)
	}
	for _, s := range c.set {
		words = append(words, "--set", s)
	}
	if c.backend != DefaultBackend {
		words = append(words, "--backend", c.backend)
	}
	return report.Quote(append(words, "--seed", fmt.Sprint(c.seed)))
}

// oneRunOnly is the error of asking for the capture or the trace of several runs.
func oneRunOnly(f *runFlags, scenarios []chosen) error {
	flag := "--pcap"
	if f.pcap == "" {
		flag = "--trace"
	}
	if len(scenarios) != 1 {
		return fmt.Errorf("%s needs one scenario and one variant, such as: ekslab run %s --variant %s %s FILE",
			flag, scenarios[0].ref, scenarios[0].scenario.VariantNames()[0], flag)
	}
	return fmt.Errorf("%s needs one variant; choose one with --variant: %s", flag, strings.Join(scenarios[0].scenario.VariantNames(), ", "))
}
