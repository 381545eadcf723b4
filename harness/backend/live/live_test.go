package live

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/scenario"
)

func TestDocker(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, test := range []struct {
		name, host string
		installed  bool
		dial       error
		want       string // of what is found or wrong
		met        bool
	}{
		{"runs", "", true, nil, "answers at unix:///var/run/docker.sock", true},
		{"runs without the command", "", false, nil, "answers at unix:///var/run/docker.sock", true},
		{"not installed", "", false, refused, "Docker is not installed", false},
		{"not started", "", true, refused, "Docker does not answer at unix:///var/run/docker.sock (connection refused)", false},
		{"elsewhere", "tcp://10.0.0.9:2376", false, nil, "answers at tcp://10.0.0.9:2376", true},
		{"elsewhere, down", "tcp://10.0.0.9:2376", false, refused, "Docker does not answer at tcp://10.0.0.9:2376", false},
		{"by ssh", "ssh://me@build", false, nil, "answers at ssh://me@build", true},
		{"nonsense", "docker.sock", true, nil, `scheme ""`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := New(Options{
				Getenv: func(name string) string { return map[string]string{"DOCKER_HOST": test.host}[name] },
				LookPath: func(string) (string, error) {
					if test.installed {
						return "/usr/bin/docker", nil
					}
					return "", errors.New("not found")
				},
				Dial: func(context.Context, string, string) (net.Conn, error) {
					c, _ := net.Pipe()
					return c, test.dial
				},
			})
			n := b.docker(context.Background())
			if n.Met() != test.met || !strings.Contains(n.Found+n.Problem, test.want) || (n.Remedy == "") != test.met {
				t.Errorf("%+v, want %q", n, test.want)
			}
		})
	}
}

// TestNeverAPass: where an image is missing nothing runs, nothing is made, and the error says how to get it.
func TestNeverAPass(t *testing.T) {
	catalog, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := catalog.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve("broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{has: map[string]string{RealLocalStack: described("a1"), BuiltTools: described("e5")}}
	b := New(Options{
		Getenv:   func(string) string { return "" },
		LookPath: func(name string) (string, error) { return "/usr/bin/" + name, nil },
		Dial: func(context.Context, string, string) (net.Conn, error) {
			c, _ := net.Pipe()
			return c, nil
		},
		Docker:  e.command,
		TempDir: t.TempDir(),
	})
	var u *backend.Unavailable
	if err := b.Check(t.Context(), plan); !errors.As(err, &u) || !strings.Contains(u.Missing[0].Problem, "no node image") || !strings.Contains(u.Missing[0].Remedy, "make images") {
		t.Errorf("Check: %v", err)
	}
	if rec, err := b.Run(t.Context(), plan, backend.Options{}); rec != nil || !errors.As(err, &u) {
		t.Errorf("Run: %v, %v", rec, err)
	}
	for _, call := range e.calls {
		if !strings.HasPrefix(call, "image inspect ") && !strings.HasPrefix(call, "manifest inspect ") {
			t.Errorf("docker %s", call)
		}
	}
}
