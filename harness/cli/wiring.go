package cli

import (
	"context"
	"io"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/backend/live"
	"github.com/ekslab/ekslab/harness/backend/simulated"
	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

// Main is the program: the command line with the backends that it ships with.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer, getenv func(string) string) int {
	return Wiring(getenv).Main(ctx, args, stdout, stderr, getenv)
}

// Wiring puts the program together.
func Wiring(getenv func(string) string) Config {
	kind := live.New(live.Options{Getenv: getenv})
	sim := &simulated.Backend{}
	return Config{
		Backends: map[string]backend.Backend{
			sim.Name():  sim,
			kind.Name(): kind,
		},
		LocalStackImage: func(ref string) error { return kind.UseImage(live.LocalStackImage, ref) },
		Explain: func(ctx context.Context, job run.Job) (Explanation, error) {
			d, err := sim.Explain(ctx, job.Plan, job.Seed)
			if err != nil {
				return nil, err
			}
			d.Command = report.Command("explain", job, sim.Name())
			return d, nil
		},
	}
}
