package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Config is what the command line works with.
type Config struct {
	// Backends by the name that --backend takes. The one called sim is the default.
	Backends map[string]backend.Backend
	// Explain finds the chain of whys of a run; nil when this build cannot.
	Explain Explainer
	// LocalStackImage takes the image that --localstack-image names; nil leaves the flag out. Its error is a mistake of the user's.
	LocalStackImage func(ref string) error
	// Catalog reads the scenarios that are built in; nil means scenario.Embedded.
	Catalog func() (*scenario.Catalog, error)
	// Version is what --version prints; empty means the version that the build knows.
	Version string
	// Terminal is whether a stream is a terminal; nil means to ask the system.
	Terminal func(io.Writer) bool
}

// Explainer runs a job on the simulator and finds the chain of whys in what happened. report.Command says how to have it again.
type Explainer func(ctx context.Context, job run.Job) (Explanation, error)

// Explanation is a chain of whys, each link with its evidence. It marshals to JSON.
type Explanation interface {
	Text(w io.Writer, color bool) error
}

// DefaultBackend is the backend of a command that names none.
const DefaultBackend = "sim"

// Main runs one command line, without the program's name, and returns the exit code. When ctx ends the command ends at once with what
// was finished.
func (c Config) Main(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	if c.Catalog == nil {
		c.Catalog = scenario.Embedded
	}
	if c.Terminal == nil {
		c.Terminal = isTerminal
	}
	if c.Version == "" {
		c.Version = version()
	}
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	a := &app{Config: c, stdout: stdout, stderr: stderr, getenv: getenv}
	root := a.root()
	root.SetArgs(append([]string{}, args...))
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	return a.exit(command, err)
}

// app is one run of the program.
type app struct {
	Config
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
}

// exitError ends a command with a code. Its message is printed as it is, and may be empty when all has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func exitWith(code int, err error) error {
	if code == run.ExitSuccess && err == nil {
		return nil
	}
	return &exitError{code, err}
}

// exit prints an error as its kind wants it and returns the exit code. What carries no code is a usage error: nothing ran.
func (a *app) exit(command *cobra.Command, err error) int {
	if err == nil {
		return run.ExitSuccess
	}
	var coded *exitError
	if errors.As(err, &coded) {
		if coded.err != nil {
			a.complain("ekslab: %v", coded.err)
		}
		return coded.code
	}
	// A mistake in a file has a line of its own that begins with its place, as editors and CI look for it.
	help := false
	for _, leaf := range leaves(err) {
		var problem scenario.Problem
		switch isProblem := errors.As(leaf, &problem); {
		case isProblem && problem.File != "":
			a.complain("%v", leaf)
		default:
			a.complain("%s: %v", command.CommandPath(), leaf)
			help = help || !isProblem
		}
	}
	if help {
		a.complain("See %q.", command.CommandPath()+" --help")
	}
	return run.ExitUsage
}

func (a *app) complain(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", args...)
}

func (a *app) color(w io.Writer) bool {
	return a.Terminal(w) && a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb"
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ekslab",
		Short: "Reproduce the failures and surprises of AWS EKS, see why they happen, and see the remedy work",
		Long: `ekslab reproduces failures and surprises of AWS EKS on your own machine, without an AWS account: it
builds the world of a scenario (network, nodes, cluster), lets happen what happens, and compares what
was seen with what was expected. The default backend simulates it, packet by packet, in milliseconds.`,
		Example: `  ekslab list --symptom "connection timed out"
  ekslab run nlb-hairpin --variant broken
  ekslab explain nlb-hairpin
  ekslab run nlb-hairpin --variant fixed-clusterip`,
		Version:       a.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) > 0 {
				var known []string
				for _, c := range command.Commands() {
					if c.IsAvailableCommand() {
						known = append(known, c.Name())
					}
				}
				return errors.New(unknown("command", args[0], known))
			}
			return command.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetVersionTemplate("ekslab {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	for _, group := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"see", "See a failure, why it happens, and its remedies:", []*cobra.Command{a.list(), a.run(), a.explain(), a.sweep()}},
		{"own", "Make scenarios of your own:", []*cobra.Command{a.copy(), a.validate()}},
		{"machine", "Simulated and real clusters:", []*cobra.Command{a.parity(), a.doctor()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, c := range group.commands {
			c.GroupID, c.DisableFlagsInUseLine = group.id, true
			root.AddCommand(c)
		}
	}
	return root
}

// flagError adds to an unknown flag the one that was likely meant.
func flagError(command *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || len(missing.GetSpecifiedName()) < 2 {
		return err
	}
	var known []string
	command.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	slices.Sort(known)
	return errors.New(unknown("flag", "--"+missing.GetSpecifiedName(), known))
}

// backend finds a backend by name.
func (a *app) backend(name string) (backend.Backend, error) {
	if b, ok := a.Backends[name]; ok {
		return b, nil
	}
	return nil, errors.New(unknown("backend", name, a.backendNames()))
}

// backendNames lists the backends, the default first.
func (a *app) backendNames() []string {
	names := slices.Sorted(maps.Keys(a.Backends))
	if i := slices.Index(names, DefaultBackend); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, DefaultBackend)
	}
	return names
}

// parseSet reads the values of --set.
func parseSet(values []string) (map[string]string, error) {
	set := map[string]string{}
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--set %s: say it as key=value, such as --set nodesPerZone=4,4,4", v)
		}
		set[name] = value
	}
	return set, nil
}

// oneOf checks the value of a flag that takes one of a few words.
func oneOf(flag, value string, known ...string) error {
	if slices.Contains(known, value) {
		return nil
	}
	return fmt.Errorf("%s: %s", flag, unknown("format", value, known))
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
