package live

import (
	"context"
	"errors"
	"io"
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

// TestNeverAPass: a machine without Docker runs nothing, and says what is missing.
func TestNeverAPass(t *testing.T) {
	b := New(Options{
		Dial:     func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED },
		LookPath: func(string) (string, error) { return "", errors.New("not found") },
		TempDir:  t.TempDir(),
		ReadFile: func(string) ([]byte, error) { return []byte("12\n"), nil },
	})
	plan := planOf(t, "broken", nil)
	var u *backend.Unavailable
	if err := b.Check(t.Context(), plan); !errors.As(err, &u) || len(u.Missing) != 4 {
		t.Errorf("Check: %v", err)
	}
	if rec, err := b.Run(t.Context(), plan, backend.Options{}); rec != nil || !errors.As(err, &u) {
		t.Errorf("Run: %v, %v", rec, err)
	}
}

// What the backend cannot do it says by its name, before it looks at the machine.
func TestSupported(t *testing.T) {
	for _, test := range []struct {
		variant string
		set     map[string]string
		want    string // empty: it can
	}{
		{"broken", nil, ""},
		{"fixed-preserve-off", nil, ""},
		{"fixed-ip-targets", nil, ""},
		{"fixed-clusterip", nil, ""},
		{"fixed-local", nil, ""},
		{"broken", map[string]string{"dnsAffinity": "zone"}, ""},
		{"broken", map[string]string{"clientHostNetwork": "true"}, ""},
		{"broken", map[string]string{"nodesPerZone": "10,10,10"}, "30 nodes"},
		{"broken", map[string]string{"kernelTimerHZ": "250"}, "kernel.timerHZ 250"},
	} {
		err := supported(planOf(t, test.variant, test.set))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s %v: %v, want %q", test.variant, test.set, err, test.want)
		}
	}
}

// The other scenarios are refused by what they need, at once and on any machine.
func TestOtherScenariosAreRefused(t *testing.T) {
	catalog, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Docker: func(context.Context, io.Reader, io.Writer, ...string) error { t.Error("Docker was asked"); return nil }})
	for name, want := range map[string]string{"ip-exhaustion": `observations of the family "addresses"`, "rolling-update-502": `observations of the family "rollouts"`} {
		s, err := catalog.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := s.Resolve(s.VariantNames()[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Check(t.Context(), plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
