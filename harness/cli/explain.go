package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

func (a *app) explain() *cobra.Command {
	var c choice
	var format string
	command := &cobra.Command{
		Use:   "explain SCENARIO|PATH [flags]",
		Short: "Show why it happens: the chain of whys, each link with its evidence from the run",
		Long: `Run a scenario and show why what happens happens: the chain of whys from what a person sees to its root,
each link with its evidence (packets, routes, API calls, timers) out of that very run.

The variant is the first one, broken, unless --variant names another.`,
		Example: `  ekslab explain nlb-hairpin
  ekslab explain nlb-hairpin --variant fixed-preserve-off
  ekslab explain nlb-hairpin --set clientIsBackend=true --set targetType=ip --set preserveClientIP=true`,
		Args:              oneScenario,
		ValidArgsFunction: a.completeScenarios,
		RunE: func(command *cobra.Command, args []string) error {
			if err := oneOf("-o "+format, format, "text", "json"); err != nil {
				return err
			}
			return a.explainScenario(command.Context(), args[0], format, &c)
		},
	}
	a.choiceFlags(command, &c, "explain this variant (default: the first, broken)")
	a.manifestsFlag(command, &c)
	command.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	a.complete(command, "output", func([]string) []string { return []string{"text", "json"} })
	return command
}

func oneScenario(command *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("which scenario? \"ekslab list\" shows them, such as: %s nlb-hairpin", command.CommandPath())
	case len(args) > 1:
		return fmt.Errorf("one scenario at a time: %q is one too many", args[1])
	}
	return nil
}

// one resolves a single scenario in a single variant, the first unless one is named.
func (a *app) one(arg string, c *choice) (run.Job, error) {
	scenarios, err := a.scenarios([]string{arg})
	if err != nil {
		return run.Job{}, err
	}
	one := *c
	if err := a.own(scenarios, &one); err != nil {
		return run.Job{}, err
	}
	if one.variant == "" {
		one.variant = scenarios[0].scenario.Variants[0].Name
	}
	jobs, err := a.jobs(scenarios, false, &one)
	if err != nil {
		return run.Job{}, err
	}
	return jobs[0], nil
}

func (a *app) explainScenario(ctx context.Context, arg, format string, c *choice) error {
	b, err := a.backend(c.backend)
	if err != nil {
		return err
	}
	job, err := a.one(arg, c)
	if err != nil {
		return err
	}
	if err := b.Check(ctx, job.Plan); err != nil {
		return exitWith(run.ExitUndecided, err)
	}
	if a.Explain == nil || c.backend != DefaultBackend {
		return exitWith(run.ExitUndecided, fmt.Errorf("backend %s cannot explain what it saw; --backend %s can", c.backend, DefaultBackend))
	}
	p := newProgress(a.stderr, a.Terminal(a.stderr), columns(a.stderr), 1)
	explanation, err := a.find(ctx, job)
	p.Stop()
	switch {
	case ctx.Err() != nil:
		return exitWith(run.ExitInterrupted, errors.New("interrupted before the run had ended"))
	case err != nil:
		a.printStack(err)
		return exitWith(run.ExitUndecided, err)
	}
	if format == "json" {
		err = report.Encode(a.stdout, explanation)
	} else {
		err = explanation.Text(a.stdout, a.color(a.stdout))
	}
	if err != nil {
		return exitWith(run.ExitUndecided, quietPipe(err))
	}
	return nil
}

// find runs the explainer.
func (a *app) find(ctx context.Context, job run.Job) (e Explanation, err error) {
	defer run.Recover(&err)
	return a.Explain(ctx, job)
}

// printStack prints where a broken invariant was found, for the report of the bug that it is.
func (a *app) printStack(err error) {
	var panicked *run.Panic
	if errors.As(err, &panicked) {
		a.complain("ekslab: %v\n%s", panicked, panicked.Stack)
	}
}
