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

// TestNeverAPass: whatever the machine has, this build says that it cannot.
func TestNeverAPass(t *testing.T) {
	b := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		c, _ := net.Pipe()
		return c, nil
	}})
	var u *backend.Unavailable
	if err := b.Check(context.Background(), nil); !errors.As(err, &u) || len(u.Missing) == 0 {
		t.Errorf("Check: %v", err)
	}
	if rec, err := b.Run(context.Background(), nil, backend.Options{}); rec != nil || err == nil {
		t.Errorf("Run: %v, %v", rec, err)
	}
}
