package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
)

// engine is a Docker that has some images and can pull others.
type engine struct {
	has      map[string]string // reference to the JSON of docker image inspect
	pullable map[string]string
	silent   bool // the registry never says a word
	down     bool

	mu    sync.Mutex
	calls []string
}

func (e *engine) command(ctx context.Context, _ io.Reader, stdout io.Writer, args ...string) error {
	e.mu.Lock()
	e.calls = append(e.calls, strings.Join(args, " "))
	e.mu.Unlock()
	if e.down {
		return errors.New("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
	}
	ref := args[len(args)-1]
	switch args[0] {
	case "image":
		if text, ok := e.has[ref]; ok {
			_, err := io.WriteString(stdout, text)
			return err
		}
		_, _ = io.WriteString(stdout, "[]\n")
		return errors.New("Error: No such image: " + ref)
	case "pull", "manifest":
		if e.silent {
			<-ctx.Done()
			return ctx.Err()
		}
		text, ok := e.pullable[ref]
		if !ok {
			return errors.New("dial tcp: lookup registry: no such host")
		}
		fmt.Fprintf(stdout, "Pulling from %s\n", ref)
		if args[0] == "pull" {
			e.has[ref] = text
		}
		return nil
	}
	return errors.New("unexpected: docker " + strings.Join(args, " "))
}

func described(id string, digests ...string) string {
	return fmt.Sprintf(`[{"Id":"sha256:%s","RepoDigests":["%s"]}]`, id, strings.Join(digests, `","`))
}

func TestResolve(t *testing.T) {
	const other = "localhost:5000/mine:7"
	for _, test := range []struct {
		name     string
		image    ImageName
		flag     string
		env      map[string]string
		has      map[string]string
		pullable map[string]string
		want     string // as the result document has it
		built    bool
		problem  string
	}{
		{name: "the real one is here", image: LocalStackImage, has: map[string]string{RealLocalStack: described("a1", "localstack/localstack@sha256:d1"), BuiltLocalStack: described("b1")},
			want: "localstack/localstack:4.14.0@sha256:d1"},
		{name: "pinned by digest", image: NodeImage, has: map[string]string{RealNode: described("a2", "kindest/node@sha256:d2")},
			want: RealNode}, // the digest that it was asked for by
		{name: "pulled before what is built is taken", image: LocalStackImage, has: map[string]string{BuiltLocalStack: described("b1")},
			pullable: map[string]string{RealLocalStack: described("a1", "localstack/localstack@sha256:d1")}, want: "localstack/localstack:4.14.0@sha256:d1"},
		{name: "built", image: NodeImage, has: map[string]string{BuiltNode: described("b2")}, want: BuiltNode + " (id sha256:b2)", built: true},
		{name: "nothing", image: NodeImage, problem: "no node image: kindest/node:v1.34.11 is not here and cannot be pulled (dial tcp: lookup registry: no such host), and " + BuiltNode + " was not built"},
		{name: "by variable", image: NodeImage, env: map[string]string{"EKSLAB_NODE_IMAGE": other}, has: map[string]string{other: described("c1", "elsewhere/mine@sha256:d3", "localhost:5000/mine@sha256:d4"), RealNode: described("a2")},
			want: other + "@sha256:d4"}, // the digest under its own name
		{name: "by flag, over the variable", image: LocalStackImage, flag: other, env: map[string]string{"EKSLAB_LOCALSTACK_IMAGE": "x:1"}, has: map[string]string{other: described("c2")},
			want: other + " (id sha256:c2)"},
		{name: "by flag, pulled", image: LocalStackImage, flag: other, pullable: map[string]string{other: described("c3")}, want: other + " (id sha256:c3)"},
		{name: "by flag, nowhere: no other takes its place", image: LocalStackImage, flag: other, has: map[string]string{RealLocalStack: described("a1"), BuiltLocalStack: described("b1")},
			problem: "the image " + other + ", which --localstack-image names, is not here and cannot be pulled"},
		{name: "by variable, nowhere", image: ToolsImage, env: map[string]string{"EKSLAB_TOOLS_IMAGE": other}, problem: "which EKSLAB_TOOLS_IMAGE names"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &engine{has: map[string]string{}, pullable: test.pullable}
			for k, v := range test.has {
				e.has[k] = v
			}
			opts := ImageOptions{Getenv: func(k string) string { return test.env[k] }, Docker: e.command}
			if test.flag != "" {
				opts.Flags = map[ImageName]string{test.image: test.flag}
			}
			images := NewImages(opts)
			image, err := images.Resolve(t.Context(), test.image)
			if test.problem != "" {
				var u *backend.Unavailable
				if !errors.As(err, &u) || len(u.Missing) != 1 || !strings.Contains(u.Missing[0].Problem, test.problem) || u.Missing[0].Remedy == "" {
					t.Errorf("error %v, want %q", err, test.problem)
				}
			} else if err != nil || image.String() != test.want || image.Built != test.built {
				t.Errorf("%v (built %v), %v; want %s (built %v)", image, image.Built, err, test.want, test.built)
			}
			// The answer is kept: a second variant waits for no registry.
			before := len(e.calls)
			again, errAgain := images.Resolve(t.Context(), test.image)
			if len(e.calls) != before || again != image || (errAgain == nil) != (err == nil) {
				t.Errorf("asked again: %v, %v, after %q", again, errAgain, e.calls[before:])
			}
		})
	}
}

func TestUseImage(t *testing.T) {
	e := &engine{has: map[string]string{RealLocalStack: described("a1"), "mine:7": described("c1")}}
	b := New(Options{Getenv: func(string) string { return "" }, Docker: e.command})
	if image, err := b.images.Resolve(t.Context(), LocalStackImage); err != nil || image.Ref != RealLocalStack {
		t.Fatalf("%v, %v", image, err)
	}
	if err := b.UseImage(LocalStackImage, "mine:7"); err != nil {
		t.Fatal(err)
	}
	if image, err := b.images.Resolve(t.Context(), LocalStackImage); err != nil || image.Ref != "mine:7" {
		t.Errorf("%v, %v", image, err)
	}
	for _, ref := range []string{"", "Mine:7", "mine:", "-v", "a b", "mine@sha256:7"} {
		if err := b.UseImage(LocalStackImage, ref); err == nil || !strings.Contains(err.Error(), RealLocalStack) {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestResolveGivesUpASilentRegistry(t *testing.T) {
	e := &engine{silent: true, has: map[string]string{BuiltNode: described("b2")}}
	images := NewImages(ImageOptions{Getenv: func(string) string { return "" }, Docker: e.command, FirstAnswer: time.Millisecond})
	if image, err := images.Resolve(t.Context(), NodeImage); err != nil || image.Ref != BuiltNode {
		t.Errorf("%v, %v", image, err)
	}
	if _, err := images.Resolve(t.Context(), ToolsImage); err == nil || !strings.Contains(err.Error(), "did not answer within 1ms") {
		t.Errorf("error %v", err)
	}
}

func TestResolveInterrupted(t *testing.T) {
	e := &engine{silent: true, has: map[string]string{}}
	images := NewImages(ImageOptions{Getenv: func(string) string { return "" }, Docker: e.command, FirstAnswer: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := images.Resolve(ctx, NodeImage); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	// An interrupt says nothing of the image.
	e.silent, e.pullable = false, map[string]string{RealNode: described("a2")}
	if _, err := images.Resolve(t.Context(), NodeImage); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestDockerDownIsNoMissingImage(t *testing.T) {
	images := NewImages(ImageOptions{Getenv: func(string) string { return "" }, Docker: (&engine{down: true}).command})
	var u *backend.Unavailable
	if _, err := images.Resolve(t.Context(), NodeImage); err == nil || errors.As(err, &u) || !strings.Contains(err.Error(), "Is the docker daemon running") {
		t.Errorf("error %v", err)
	}
}

func TestImageNeed(t *testing.T) {
	for _, test := range []struct {
		name          string
		has, pullable map[string]string
		found         string
		problem       string
	}{
		{name: "here", has: map[string]string{RealNode: described("a2")}, found: "kindest/node:v1.34.11@sha256:"},
		{name: "built", has: map[string]string{BuiltNode: described("b2")}, found: BuiltNode},
		{name: "to be pulled", pullable: map[string]string{RealNode: described("a2")}, found: "the first run pulls it"},
		{name: "nowhere", problem: "no node image"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := &engine{has: test.has, pullable: test.pullable}
			n := NewImages(ImageOptions{Getenv: func(string) string { return "" }, Docker: e.command}).Need(t.Context(), NodeImage)
			if !strings.Contains(n.Found, test.found) || !strings.Contains(n.Problem, test.problem) || n.Met() == (test.problem != "") || (n.Remedy == "") != n.Met() {
				t.Errorf("%+v", n)
			}
			if slices.ContainsFunc(e.calls, func(c string) bool { return strings.HasPrefix(c, "pull ") }) {
				t.Errorf("doctor pulls: %q", e.calls)
			}
		})
	}
}

// TestVersions holds that what `make images` builds is what a run looks for.
func TestVersions(t *testing.T) {
	text, err := os.ReadFile("../../../e2e/images/versions.sh")
	if err != nil {
		t.Fatal(err)
	}
	pins := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)=(\S+)`).FindAllStringSubmatch(string(text), -1) {
		pins[m[1]] = m[2]
	}
	for name, want := range map[string]string{
		"real_node": RealNode, "real_localstack": RealLocalStack, "real_tools": RealTools,
		"built_node": BuiltNode, "built_localstack": BuiltLocalStack, "built_tools": BuiltTools,
	} {
		if pins[name] != want {
			t.Errorf("%s: make images has %s, the backend looks for %s", name, pins[name], want)
		}
	}
	if want := "ekslab/node:" + pins["kubernetes"]; BuiltNode != want {
		t.Errorf("%s is built of Kubernetes %s", BuiltNode, pins["kubernetes"])
	}
	if want := strings.Replace(pins["kubernetes"], "v1.", "v0.", 1); pins["staging"] != want {
		t.Errorf("staging %s, want %s", pins["staging"], want)
	}
	requirements, err := os.ReadFile("../../../e2e/images/localstack-requirements.txt")
	if err != nil {
		t.Fatal(err)
	}
	if want := "localstack-core==" + strings.TrimPrefix(BuiltLocalStack, "ekslab/localstack:"); !strings.Contains(string(requirements), want+"\n") {
		t.Errorf("localstack-requirements.txt lacks %s", want)
	}
	for line := range strings.Lines(string(requirements)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && !strings.Contains(line, "==") {
			t.Errorf("%q is not pinned", line)
		}
	}
}
