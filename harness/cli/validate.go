package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

func (a *app) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check scenario files and say every mistake by file and line",
		Long: `Check scenarios without running them: the form of the files, types and bounds, CEL expressions and the
names in them, manifests and patches, and that every variant can be had. Every mistake is said, one a
line, as file:line: message.

A PATH is a scenario.yaml, its folder, or a folder below which there are scenarios; the name of a
scenario that is built in works, too.`,
		Example: `  ekslab validate ./my-hairpin
  ekslab validate scenarios/`,
		ValidArgsFunction: a.completeScenarios,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("which scenario? Name a folder with a scenario.yaml, such as: ekslab validate ./my-hairpin")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.validatePaths(args) },
	}
}

func (a *app) validatePaths(args []string) error {
	var errs []error
	var good []string
	for _, arg := range args {
		targets, err := a.targets(arg)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, target := range targets {
			s, err := target()
			if err == nil {
				err = s.Validate(observe.All())
			}
			if err != nil {
				errs = append(errs, err)
				continue
			}
			good = append(good, describe(s))
		}
	}
	if len(good) > 0 {
		if _, err := fmt.Fprintln(a.stdout, strings.Join(good, "\n")); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// targets finds what an argument of validate stands for.
func (a *app) targets(arg string) ([]func() (*scenario.Scenario, error), error) {
	load := func(path string) func() (*scenario.Scenario, error) {
		return func() (*scenario.Scenario, error) { return scenario.LoadPath(path) }
	}
	if !isFile(arg) && !isPath(arg) {
		catalog, err := a.Catalog()
		if err != nil {
			return nil, err
		}
		s, err := catalog.Find(arg)
		if err != nil {
			return nil, err
		}
		return []func() (*scenario.Scenario, error){func() (*scenario.Scenario, error) { return s, nil }}, nil
	}
	if !isFile(arg) || isFile(filepath.Join(arg, "scenario.yaml")) {
		return []func() (*scenario.Scenario, error){load(arg)}, nil
	}
	var found []func() (*scenario.Scenario, error)
	var isFolder bool
	err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == arg && d.IsDir() {
			isFolder = true
		}
		if isFolder && !d.IsDir() && d.Name() == "scenario.yaml" {
			found = append(found, load(path))
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case !isFolder:
		return []func() (*scenario.Scenario, error){load(arg)}, nil
	case len(found) == 0:
		return nil, fmt.Errorf("%s: there is no scenario.yaml in this folder or below it", arg)
	}
	return found, nil
}

// describe says in one line what a good scenario has.
func describe(s *scenario.Scenario) string {
	count := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	return fmt.Sprintf("ok %s: %s/%s, %s, %s, %s", s.File, s.Area, s.Name,
		count(len(s.Parameters), "parameter"), count(len(s.Variants), "variant"), count(len(slices.Compact(s.Observations)), "observation"))
}
