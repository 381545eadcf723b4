package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/sweep"
)

type sweepFlags struct {
	choice
	over   []string
	seeds  int
	where  string
	format string
}

func (a *app) sweep() *cobra.Command {
	var f sweepFlags
	command := &cobra.Command{
		Use:   "sweep SCENARIO|PATH --over key=v1,v2,... [flags]",
		Short: "Run a scenario over many values and seeds, and print what came of each",
		Long: `Run a scenario over many values of its parameters, and print the scenario's main observations for each.

--over may be repeated; every combination is run. Values of a list or range are separated by a semicolon,
as in --over "nodesPerZone=1,2,2;4,4,4". --over variant=broken,fixed-local compares variants. The variant
is the first one, broken, unless --variant names another.

--seeds N runs each combination with N seeds; a number is then shown as mean, least and greatest.
--where leaves out rows: CEL over params.NAME and obs.NAME, where obs is the mean over the seeds.

Every value is checked before anything runs.`,
		Example: `  ekslab sweep nlb-hairpin --over "nodesPerZone=1,1,1;1,2,2;4,4,4" --seeds 5
  ekslab sweep nlb-hairpin --over tcpSynRetries=2,4,6 --over externalTrafficPolicy=Cluster,Local
  ekslab sweep nlb-hairpin --over "nodesPerZone=1,2,2;4,4,4" --where "obs.hungRatio > 0.1" -o csv`,
		Args:              oneScenario,
		ValidArgsFunction: a.completeScenarios,
		RunE: func(command *cobra.Command, args []string) error {
			if err := oneOf("-o "+f.format, f.format, "text", "csv", "json"); err != nil {
				return err
			}
			return a.sweepScenario(command.Context(), args[0], &f)
		},
	}
	a.choiceFlags(command, &f.choice, "sweep this variant (default: the first, broken)")
	a.manifestsFlag(command, &f.choice)
	flags := command.Flags()
	flags.StringArrayVar(&f.over, "over", nil, "run with each of these values, as `key=v1,v2,...`; may be repeated")
	flags.IntVar(&f.seeds, "seeds", 1, "how many seeds to run each combination with, from --seed on")
	flags.StringVar(&f.where, "where", "", "only rows for which this `CEL` over params and obs is true")
	flags.StringVarP(&f.format, "output", "o", "text", "text, csv or json")
	a.complete(command, "output", func([]string) []string { return []string{"text", "csv", "json"} })
	return command
}

func (a *app) sweepScenario(ctx context.Context, arg string, f *sweepFlags) error {
	b, err := a.backend(f.backend)
	if err != nil {
		return err
	}
	if f.seeds < 1 {
		return fmt.Errorf("--seeds %d: at least 1 is needed", f.seeds)
	}
	if len(f.over) == 0 && f.seeds == 1 {
		return errors.New("what is to be varied? Say --over key=v1,v2,... or --seeds N")
	}
	scenarios, err := a.scenarios([]string{arg})
	if err != nil {
		return err
	}
	if err := a.own(scenarios, &f.choice); err != nil {
		return err
	}
	s := scenarios[0].scenario
	set, err := parseSet(f.set)
	if err != nil {
		return err
	}
	opts := sweep.Options{Variant: f.variant, Set: set, Seeds: f.seeds, Seed: f.seed, Where: f.where}
	if opts.Variant == "" {
		opts.Variant = s.Variants[0].Name
	}
	for _, text := range f.over {
		axis, err := sweep.ParseAxis(s, text)
		if err != nil {
			return err
		}
		opts.Axes = append(opts.Axes, axis)
	}
	if !slices.Contains(s.VariantNames(), opts.Variant) {
		return errors.New(unknown("variant", opts.Variant, s.VariantNames()))
	}
	sw, err := sweep.New(s, opts)
	if err != nil {
		return err
	}
	if err := sw.Check(ctx, b); err != nil {
		return exitWith(run.ExitUndecided, err)
	}
	p := newProgress(a.stderr, a.Terminal(a.stderr), columns(a.stderr), 1)
	table := sw.Run(ctx, b, 0, func(done, total int) { p.Update("sweep "+s.Name, done, total, "runs") })
	p.Stop()

	switch f.format {
	case "csv":
		err = table.WriteCSV(a.stdout)
	case "json":
		err = table.WriteJSON(a.stdout)
	default:
		err = table.WriteText(a.stdout)
	}
	if f.format != "text" {
		for _, n := range table.Notes() {
			a.complain("ekslab: %s", n)
		}
	}
	switch {
	case ctx.Err() != nil:
		return exitWith(run.ExitInterrupted, quietPipe(err))
	case err != nil:
		return exitWith(run.ExitUndecided, quietPipe(err))
	case table.Problems() > 0:
		return exitWith(run.ExitUndecided, fmt.Errorf("%d of %d rows could not be run", table.Problems(), len(table.Rows)))
	}
	return nil
}
