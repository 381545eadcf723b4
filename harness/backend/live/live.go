package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
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
	// Docker runs the docker command; nil means the one on PATH.
	Docker DockerCommand
	// Images are the images named on the command line.
	Images map[ImageName]string
	// ReadFile reads what the kernel says of the machine; nil means os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// TempDir is where runs keep their files; empty means os.TempDir.
	TempDir string
	// Artifacts is where a run leaves its captures, and one that fails its logs as well; empty means the folder that EKSLAB_ARTIFACTS names, and without it none.
	Artifacts string
	// Log is told of what goes on; nil means nobody.
	Log *slog.Logger
}

// Backend is real Kubernetes in Docker.
type Backend struct {
	opts   Options
	images *Images
	// running is held by a run: a cluster of this size fills a machine, and callers queue.
	running chan struct{}
	// swept is whether this process has removed what dead ones left.
	swept atomic.Bool

	// afterwards is the wait of that name; a test does not wait.
	afterwards time.Duration

	checking sync.Mutex
	checked  []backend.Need
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
	if opts.Docker == nil {
		opts.Docker = RunDocker
	}
	if opts.ReadFile == nil {
		opts.ReadFile = os.ReadFile
	}
	if opts.TempDir == "" {
		opts.TempDir = os.TempDir()
	}
	if opts.Artifacts == "" {
		opts.Artifacts = opts.Getenv("EKSLAB_ARTIFACTS")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	b := &Backend{opts: opts, running: make(chan struct{}, 1), afterwards: afterwards}
	b.images = NewImages(ImageOptions{Flags: opts.Images, Getenv: opts.Getenv, Docker: opts.Docker, Progress: func(note string) { opts.Log.Info(note) }})
	return b
}

// Name is "kind".
func (b *Backend) Name() string { return "kind" }

// usedImages are those that a run needs from outside.
var usedImages = []ImageName{NodeImage, ToolsImage, LocalStackImage}

// Check says what of the plan it cannot do, and what the machine lacks. It starts and pulls nothing.
func (b *Backend) Check(ctx context.Context, plan *scenario.Plan) error {
	if err := supported(plan); err != nil {
		return err
	}
	b.checking.Lock()
	defer b.checking.Unlock()
	if b.checked == nil { // the machine does not change between two variants, and a registry may take long to say that it is not there
		needs := b.commands(ctx)
		needs = append(needs, b.imageNeeds(ctx, needs)...)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b.checked = needs
	}
	workers := 0
	for _, g := range plan.World.NodeGroups {
		workers += g.Size
	}
	return backend.NewUnavailable(b.Name(), append(slices.Clone(b.checked), inotifyNeed(workers, b.opts.ReadFile)))
}

// Needs lists what the backend needs of the machine.
func (b *Backend) Needs(ctx context.Context) []backend.Need {
	needs := b.commands(ctx)
	if needs[0].Met() && needs[1].Met() {
		needs = append(needs, b.images.MachineNeeds(ctx)...)
		needs = append(needs, inotifyNeed(doctorWorkers, b.opts.ReadFile))
	}
	return append(needs, b.imageNeeds(ctx, needs)...)
}

// doctorWorkers is the size of the cluster that doctor asks for, which is that of the scenarios.
const doctorWorkers = 5

// commands are Docker's API and the commands that a run uses.
func (b *Backend) commands(ctx context.Context) []backend.Need {
	return []backend.Need{b.docker(ctx),
		b.command("docker", "kind drives Docker by this command", "install Docker's command line: https://docs.docker.com/engine/install/"),
		b.command("go", "the programs that run in pods are compiled on the spot", "install Go: https://go.dev/doc/install")}
}

// command is the need for a command on PATH.
func (b *Backend) command(name, why, remedy string) backend.Need {
	path, err := b.opts.LookPath(name)
	if err != nil {
		return backend.Need{Name: name + " command", Problem: "there is no " + name + " on PATH; " + why, Remedy: remedy}
	}
	return backend.Need{Name: name + " command", Found: path}
}

// imageNeeds are the images, where there is a Docker to ask.
func (b *Backend) imageNeeds(ctx context.Context, others []backend.Need) (needs []backend.Need) {
	if backend.NewUnavailable(b.Name(), others[:min(len(others), 2)]) != nil {
		return nil
	}
	needs = make([]backend.Need, len(usedImages))
	var all sync.WaitGroup
	for i, name := range usedImages {
		all.Go(func() { needs[i] = b.images.Need(ctx, name) })
	}
	all.Wait()
	return needs
}

func (b *Backend) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := b.opts.Docker(ctx, nil, &out, args...)
	return out.Bytes(), err
}

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
