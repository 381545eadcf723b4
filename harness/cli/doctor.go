package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/run"
)

func (a *app) doctor() *cobra.Command {
	var clean bool
	command := &cobra.Command{
		Use:   "doctor [flags]",
		Short: "Say which backends work on this machine, what is missing and how to get it",
		Long: `Say for each backend whether it works on this machine, what is missing and how to get it.

--clean removes what earlier runs left behind: clusters, containers and networks that carry ekslab's label,
and nothing else.`,
		Example: `  ekslab doctor
  ekslab doctor --clean`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if clean {
				return a.clean(command.Context())
			}
			return a.diagnose(command.Context())
		},
	}
	a.imageFlag(command)
	command.Flags().BoolVar(&clean, "clean", false, "remove what earlier runs left behind")
	return command
}

func (a *app) diagnose(ctx context.Context) error {
	var b strings.Builder
	for i, name := range a.backendNames() {
		if i > 0 {
			b.WriteByte('\n')
		}
		doctor, ok := a.Backends[name].(backend.Doctor)
		if !ok {
			fmt.Fprintf(&b, "✓ %s: ready; it needs nothing of this machine\n", name)
			continue
		}
		needs := doctor.Needs(ctx)
		if backend.NewUnavailable(name, needs) == nil {
			fmt.Fprintf(&b, "✓ %s: ready\n", name)
		} else {
			fmt.Fprintf(&b, "✗ %s: not available here\n", name)
		}
		for _, n := range needs {
			if n.Met() {
				fmt.Fprintf(&b, "    ✓ %s: %s\n", n.Name, n.Found)
			} else {
				fmt.Fprintf(&b, "    ✗ %s: %s\n      → %s\n", n.Name, n.Problem, n.Remedy)
			}
		}
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}

func (a *app) clean(ctx context.Context) error {
	var all []string
	for _, name := range a.backendNames() {
		doctor, ok := a.Backends[name].(backend.Doctor)
		if !ok {
			continue
		}
		removed, err := doctor.Clean(ctx)
		all = append(all, removed...)
		if err != nil {
			return exitWith(run.ExitUndecided, fmt.Errorf("cleaning up after backend %s: %w", name, err))
		}
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(a.stdout, "Nothing to remove: ekslab has left no cluster, container or network on this machine.")
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "Removed %d:\n  %s\n", len(all), strings.Join(all, "\n  "))
	return err
}
