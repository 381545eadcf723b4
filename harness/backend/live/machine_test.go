package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestMachineNeeds(t *testing.T) {
	const info = `{"MemTotal":%d,"NCPU":4,"OSType":%q,"Architecture":"x86_64","KernelVersion":"6.12.1","CgroupVersion":"2","ServerVersion":"28.2.2"}`
	plenty := fmt.Sprintf(info, 16<<30, "linux")
	for _, test := range []struct {
		name, info string
		tools      bool   // whether the tools image is here
		lacks      string // what the container says
		fails      string // what starting it says
		found      []string
		problems   []string
	}{
		{name: "all there", info: plenty, tools: true, found: []string{"28.2.2, Linux 6.12.1 on x86_64, cgroup v2", "16.0 GiB, 4 processors", "has what a router and nodes need"}},
		{name: "little memory", info: fmt.Sprintf(info, 2<<30, "linux"), tools: true, problems: []string{"Docker has 2.0 GiB; a cluster needs 4"}},
		{name: "Windows containers", info: fmt.Sprintf(info, 16<<30, "windows"), problems: []string{"Docker runs windows containers"}},
		{name: "no tools yet", info: plenty, found: []string{"not tried"}},
		{name: "a kernel without", info: plenty, tools: true, lacks: "conntrack\npolicy routing\n", problems: []string{"the kernel that runs containers lacks conntrack, policy routing"}},
		{name: "a capability withheld", info: plenty, tools: true, fails: "unable to apply caps: operation not permitted", problems: []string{"a privileged container does not start: unable to apply caps"}},
		{name: "no access", problems: []string{"`docker info` fails: permission denied"}},
		{name: "another's Docker", info: "all is well", problems: []string{"cannot be read"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			runs := 0
			images := NewImages(ImageOptions{Getenv: func(string) string { return "" }, Docker: func(_ context.Context, _ io.Reader, stdout io.Writer, args ...string) error {
				switch args[0] {
				case "info":
					if test.info == "" {
						return errors.New("permission denied")
					}
					_, err := io.WriteString(stdout, test.info)
					return err
				case "image":
					if !test.tools || args[len(args)-1] != BuiltTools {
						return errors.New("Error: No such image: " + args[len(args)-1])
					}
					_, err := io.WriteString(stdout, described("e5"))
					return err
				case "run":
					runs++
					if test.fails != "" {
						return errors.New(test.fails)
					}
					_, err := io.WriteString(stdout, test.lacks)
					return err
				}
				return fmt.Errorf("unexpected: docker %q", args)
			}})
			needs := images.MachineNeeds(t.Context())
			var found, problems strings.Builder
			for _, n := range needs {
				found.WriteString(n.Found + "\n")
				problems.WriteString(n.Problem + "\n")
				if n.Met() != (n.Found != "") || n.Met() != (n.Remedy == "") {
					t.Errorf("%+v is neither met nor unmet", n)
				}
			}
			for _, want := range test.found {
				if !strings.Contains(found.String(), want) {
					t.Errorf("found %q, want %q", found.String(), want)
				}
			}
			for _, want := range test.problems {
				if !strings.Contains(problems.String(), want) {
					t.Errorf("problems %q, want %q", problems.String(), want)
				}
			}
			if all := strings.TrimSpace(problems.String()); (all != "") != (len(test.problems) > 0) {
				t.Errorf("problems %q", all)
			}
			if images.MachineNeeds(t.Context()); runs > 1 {
				t.Errorf("%d containers started", runs)
			}
		})
	}
}

func TestInotifyNeed(t *testing.T) {
	for _, test := range []struct {
		name, limit string
		workers     int
		met         bool
	}{
		{"the kernel's default does for a small cluster", "128\n", 2, true},
		{"and not for that of the scenarios", "128\n", 5, false}, // which had 181 open
		{"raised", "1024\n", 20, true},
		{"on another machine", "", 20, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := inotifyNeed(test.workers, func(string) ([]byte, error) {
				if test.limit == "" {
					return nil, errors.New("no such file")
				}
				return []byte(test.limit), nil
			})
			if n.Met() != test.met || (n.Remedy == "") != test.met || (n.Found != "") != test.met {
				t.Errorf("%+v", n)
			}
		})
	}
}
