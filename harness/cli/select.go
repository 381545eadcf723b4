package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// choice holds the flags that choose what is run and with which values.
type choice struct {
	backend string
	variant string
	set     []string
	seed    uint64
	// manifests is a folder of the user's own manifests.
	manifests string
}

func (a *app) choiceFlags(command *cobra.Command, c *choice, variantUsage string) {
	f := command.Flags()
	f.StringVar(&c.backend, "backend", DefaultBackend, "where to run it: sim (simulated, needs nothing) or kind (real Kubernetes in Docker)")
	f.StringVar(&c.variant, "variant", "", variantUsage)
	f.StringArrayVar(&c.set, "set", nil, "set a parameter, as `key=value`; may be repeated")
	f.Uint64Var(&c.seed, "seed", 1, "seed of every random choice")
	a.complete(command, "backend", func([]string) []string { return a.backendNames() })
	a.complete(command, "variant", func(args []string) []string {
		var names []string
		for _, s := range a.quietly(args) {
			for _, v := range s.Variants {
				names = append(names, v.Name+"\t"+v.Doc)
			}
		}
		return names
	})
	a.complete(command, "set", func(args []string) []string {
		var names []string
		for _, s := range a.quietly(args) {
			for _, p := range s.Parameters {
				names = append(names, p.Name+"=\t"+p.Doc)
			}
		}
		return names
	})
}

// imageFlag lets a command that runs on kind, or asks about it, name another image of LocalStack.
func (a *app) imageFlag(command *cobra.Command) {
	if a.LocalStackImage != nil {
		command.Flags().Func("localstack-image", "LocalStack `IMAGE` that backend kind runs, in place of its own", a.LocalStackImage)
	}
}

// manifestsFlag adds --manifests.
func (a *app) manifestsFlag(command *cobra.Command, c *choice) {
	command.Flags().StringVar(&c.manifests, "manifests", "", "use the Kubernetes manifests in `DIR` in place of the scenario's, where it allows that")
}

// own puts the user's own manifests into the scenarios, and chooses the variant that takes them as they are, if none is chosen.
func (a *app) own(scenarios []chosen, c *choice) error {
	if c.manifests == "" {
		return nil
	}
	if len(scenarios) > 1 {
		return errors.New("--manifests needs one scenario, such as: ekslab run rolling-update-502 --manifests " + c.manifests)
	}
	var err error
	if scenarios[0].scenario, err = scenarios[0].scenario.WithManifests(c.manifests); err != nil {
		return err
	}
	if c.variant == "" {
		c.variant = scenario.OwnVariant
	}
	return nil
}

// complete offers words for a flag to the shell.
func (a *app) complete(command *cobra.Command, flag string, words func(args []string) []string) {
	_ = command.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return words(args), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

// completeScenarios offers the scenarios that are built in, and files.
func (a *app) completeScenarios(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, s := range a.quietly(nil) {
		names = append(names, s.Name+"\t"+s.Title)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// quietly finds scenarios for completion, which has nobody to complain to.
func (a *app) quietly(args []string) []*scenario.Scenario {
	chosen, err := a.scenarios(args)
	if err != nil {
		return nil
	}
	var found []*scenario.Scenario
	for _, c := range chosen {
		found = append(found, c.scenario)
	}
	return found
}

// chosen is a scenario and how the user named it.
type chosen struct {
	scenario *scenario.Scenario
	ref      string
}

// scenarios finds scenarios by slug or path; no argument means all that are built in. Mistakes in files of the user's own are all
// reported together.
func (a *app) scenarios(args []string) ([]chosen, error) {
	catalog, err := a.Catalog()
	if err != nil {
		return nil, err
	}
	var list []chosen
	if len(args) == 0 {
		all, err := catalog.All()
		for _, s := range all {
			list = append(list, chosen{s, s.Name})
		}
		return list, err
	}
	var errs []error
	for _, arg := range args {
		c, err := a.scenario(catalog, arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !slices.ContainsFunc(list, func(other chosen) bool { return other.scenario == c.scenario }) {
			list = append(list, c)
		}
	}
	return list, errors.Join(errs...)
}

// scenario finds one scenario. A slug wins over a folder of the same name, for which ./ asks.
func (a *app) scenario(catalog *scenario.Catalog, arg string) (chosen, error) {
	if !isPath(arg) {
		s, err := catalog.Find(arg)
		if err == nil {
			if isFile(filepath.Join(arg, "scenario.yaml")) {
				a.complain("ekslab: note: %s is the scenario that is built in; for the folder of that name say ./%s", arg, arg)
			}
			return chosen{s, s.Name}, nil
		}
		if !isFile(arg) {
			return chosen{}, err
		}
	}
	s, err := scenario.LoadPath(arg)
	if err != nil {
		return chosen{}, err
	}
	if err := s.Validate(observe.All()); err != nil {
		return chosen{}, err
	}
	return chosen{s, arg}, nil
}

// isPath is whether an argument can only be a path.
func isPath(arg string) bool {
	return strings.HasPrefix(arg, ".") || filepath.IsAbs(arg) || strings.Contains(arg, `\`) || strings.HasSuffix(arg, string(os.PathSeparator)) ||
		strings.HasSuffix(arg, "/") || strings.HasSuffix(arg, ".yaml") || strings.HasSuffix(arg, ".yml") || strings.Count(arg, "/") > 1
}

// jobs resolves what is to run: every scenario in the variant asked for, or in each of its variants.
func (a *app) jobs(scenarios []chosen, all bool, c *choice) ([]run.Job, error) {
	set, err := parseSet(c.set)
	if err != nil {
		return nil, err
	}
	var jobs []run.Job
	var errs []error
	var known []string
	wrong := mistakes{tried: map[string]int{}}
	for _, s := range scenarios {
		names := s.scenario.VariantNames()
		if c.variant != "" {
			if !slices.Contains(names, c.variant) {
				for _, n := range names {
					if !slices.Contains(known, n) {
						known = append(known, n)
					}
				}
				if !all {
					errs = append(errs, fmt.Errorf("%s: %s", s.ref, unknown("variant", c.variant, names)))
				}
				continue
			}
			names = []string{c.variant}
		}
		for _, variant := range names {
			wrong.tried[s.ref]++
			plan, err := s.scenario.Resolve(variant, set)
			if err != nil {
				wrong.add(s.ref, variant, err)
				continue
			}
			jobs = append(jobs, run.Job{Plan: plan, Seed: c.seed, Ref: s.ref, Set: set, Manifests: c.manifests})
		}
	}
	if err := errors.Join(append(errs, wrong.err())...); err != nil {
		return nil, err
	}
	if len(jobs) == 0 && c.variant != "" {
		return nil, errors.New(unknown("variant", c.variant, known))
	}
	return jobs, nil
}

// mistakes collects what is wrong with scenarios in their variants, each said once.
type mistakes struct {
	list  []error
	in    map[string][]string // variants by message
	tried map[string]int      // variants by scenario
	of    map[string]string   // scenario by message
}

// add notes an error of one scenario in one variant.
func (m *mistakes) add(ref, variant string, err error) {
	if m.in == nil {
		m.in, m.of = map[string][]string{}, map[string]string{}
	}
	for _, leaf := range leaves(err) {
		text := leaf.Error()
		if _, known := m.in[text]; !known {
			m.list = append(m.list, leaf)
			m.of[text] = ref
		}
		if m.of[text] == ref {
			m.in[text] = append(m.in[text], variant)
		}
	}
}

// err joins them. What is wrong in some of a scenario's variants only is said with their names, since another choice of variants is then
// the way out.
func (m *mistakes) err() error {
	var errs []error
	for _, e := range m.list {
		text := e.Error()
		if in := m.in[text]; len(in) < m.tried[m.of[text]] {
			var p scenario.Problem
			note := fmt.Sprintf(" (in variant %s; --variant chooses another)", strings.Join(in, ", "))
			if errors.As(e, &p) {
				p.Message += note
				e = p
			} else {
				e = errors.New(text + note)
			}
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// leaves takes joined errors apart.
func leaves(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, leaves(e)...)
	}
	return all
}
