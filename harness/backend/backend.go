package backend

import (
	"context"
	"io"
	"strings"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Options of one run. The zero value, with a seed, records what expectations and reports need and nothing more.
type Options struct {
	Seed uint64
	// Pcap receives a pcapng capture of every captured interface, Trace the text form of the trace. Nil means not wanted.
	Pcap  io.Writer
	Trace io.Writer
	// Record keeps the full records of the run, from which evidence is drawn; otherwise a backend may keep their hash alone.
	Record bool
	// Progress is told now and then how far the run has come. Total is 0 while it is unknown. It is called on the goroutine of Run and
	// must not block it.
	Progress func(done, total int, note string)
}

// Backend runs plans. Its methods are safe for concurrent use; one that can hold a single world at a time lets its callers queue.
type Backend interface {
	// Name is what --backend and reports call it.
	Name() string
	// Check says why the backend cannot run this plan on this machine; nil means it can. When something is missing here the error is an
	// *Unavailable.
	Check(ctx context.Context, plan *scenario.Plan) error
	// Run drives the plan to its end, or until ctx ends, and then returns at once what was recorded so far with Interrupted set.
	// An error means that there is no recording to judge, for instance since the plan needs what is not modelled.
	Run(ctx context.Context, plan *scenario.Plan, opts Options) (*observe.Recording, error)
}

// Doctor is implemented by a backend that needs something of the machine it runs on.
type Doctor interface {
	// Needs lists what the backend needs of this machine, whether met or not.
	Needs(ctx context.Context) []Need
	// Clean removes what earlier runs left behind and names each thing it removed.
	Clean(ctx context.Context) (removed []string, err error)
}

// Need is one thing that a backend needs of the machine it runs on.
type Need struct {
	Name string
	// Found says what is there; it is set when the need is met.
	Found string
	// Problem says what is wrong, Remedy how to put it right; both are empty when the need is met.
	Problem string
	Remedy  string
}

// Met is whether the machine has it.
func (n Need) Met() bool { return n.Problem == "" }

// Unavailable is the error of a backend that cannot run on this machine. It lists everything that is missing, not only the first.
type Unavailable struct {
	Backend string
	Missing []Need
}

// NewUnavailable returns the error for the needs that are not met, or nil when all are.
func NewUnavailable(name string, needs []Need) error {
	u := &Unavailable{Backend: name}
	for _, n := range needs {
		if !n.Met() {
			u.Missing = append(u.Missing, n)
		}
	}
	if len(u.Missing) == 0 {
		return nil
	}
	return u
}

func (u *Unavailable) Error() string {
	problems := make([]string, len(u.Missing))
	for i, n := range u.Missing {
		problems[i] = n.Problem
	}
	return "backend " + u.Backend + " is not available here: " + strings.Join(problems, "; ")
}
