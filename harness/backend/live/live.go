package live

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Options say where to look. The zero value looks at the machine.
type Options struct {
	// Getenv reads the environment; nil means os.Getenv.
	Getenv func(string) string
	// LookPath finds a command; nil means exec.LookPath.
	LookPath func(string) (string, error)
	// Dial opens a connection to the Docker API; nil means a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Backend is real Kubernetes in Docker.
type Backend struct {
	opts Options
}

var (
	_ backend.Backend = (*Backend)(nil)
	_ backend.Doctor  = (*Backend)(nil)
)

// New returns the backend.
func New(opts Options) *Backend {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.LookPath == nil {
		opts.LookPath = exec.LookPath
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	return &Backend{opts: opts}
}

// Name is "kind".
func (b *Backend) Name() string { return "kind" }

// ErrNotBuilt is the error of asking this build to run on a cluster.
var ErrNotBuilt = errors.New("this build of ekslab has no cluster support")

// Check answers with everything that is missing.
func (b *Backend) Check(ctx context.Context, _ *scenario.Plan) error {
	return backend.NewUnavailable(b.Name(), b.Needs(ctx))
}

// Run refuses: there is nothing yet to run on.
func (b *Backend) Run(ctx context.Context, plan *scenario.Plan, _ backend.Options) (*observe.Recording, error) {
	if err := b.Check(ctx, plan); err != nil {
		return nil, err
	}
	return nil, ErrNotBuilt
}

// Needs lists what the backend needs of the machine.
func (b *Backend) Needs(ctx context.Context) []backend.Need {
	return []backend.Need{
		b.docker(ctx),
		{
			Name:    "cluster support",
			Problem: ErrNotBuilt.Error(),
			Remedy:  "run the scenario on the simulator, which needs nothing: --backend sim (the default)",
		},
	}
}

// Clean removes what earlier runs left behind. As nothing is ever created, there is nothing to remove.
func (b *Backend) Clean(context.Context) ([]string, error) { return nil, nil }

// dialTimeout bounds the wait for a Docker API on another machine; a local one answers or refuses at once.
const dialTimeout = 2 * time.Second

func (b *Backend) docker(ctx context.Context) backend.Need {
	need := backend.Need{Name: "Docker"}
	where := b.opts.Getenv("DOCKER_HOST")
	if where == "" {
		where = "unix:///var/run/docker.sock"
		if runtime.GOOS == "windows" {
			where = "npipe:////./pipe/docker_engine"
		}
	}
	if err := b.reach(ctx, where); err != nil {
		if _, missing := b.opts.LookPath("docker"); missing != nil && b.opts.Getenv("DOCKER_HOST") == "" {
			need.Problem = "Docker is not installed (no docker on PATH, no Docker API at " + where + ")"
			need.Remedy = "install Docker Engine or Docker Desktop: https://docs.docker.com/get-started/get-docker/"
			return need
		}
		need.Problem = fmt.Sprintf("Docker does not answer at %s (%v)", where, cause(err))
		need.Remedy = "start Docker (Linux: sudo systemctl start docker), or point DOCKER_HOST at one that runs"
		return need
	}
	need.Found = "answers at " + where
	return need
}

// reach opens and closes a connection to the Docker API at an address as DOCKER_HOST has it.
func (b *Backend) reach(ctx context.Context, where string) error {
	u, err := url.Parse(where)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "unix":
		return b.dial(ctx, "unix", u.Path)
	case "tcp", "http", "https":
		return b.dial(ctx, "tcp", u.Host)
	case "ssh":
		port := u.Port()
		if port == "" {
			port = "22"
		}
		return b.dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	case "npipe":
		_, err := os.Stat(strings.ReplaceAll(strings.TrimPrefix(where, "npipe://"), "/", `\`))
		return err
	}
	return fmt.Errorf("DOCKER_HOST has scheme %q; Docker knows unix, tcp, ssh and npipe", u.Scheme)
}

func (b *Backend) dial(ctx context.Context, network, address string) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := b.opts.Dial(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}

// cause strips the wrappers that repeat the address.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
