package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// sim returns a command line whose simulator is run.
func sim(run func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error)) command {
	return command{config: Config{Backends: map[string]backend.Backend{"sim": &fake{name: "sim", run: run}}}}
}

// files lists what is in the current folder, with the hidden files that a discarded one would leave.
func files(t *testing.T) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.ToSlash(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestResultsInFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "old.json", "what was there before, and longer than nothing")
	stdout, stderr, code := ekslab(t, strings.Fields("run slow-calls --set via=clusterIP -o json=old.json -o junit=new.xml -o text=report.txt -o github=notes")...)
	if code != 1 || stdout != "" || stderr != "ekslab: 2 hold, 1 fails; wrote old.json, new.xml, report.txt, notes\n" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if have := files(t); have != "new.xml notes old.json report.txt" {
		t.Errorf("files: %s", have)
	}
	if !json.Valid([]byte(content(t, "old.json"))) {
		t.Error("old.json was not replaced")
	}
	text, _, _ := ekslab(t, strings.Fields("run slow-calls --set via=clusterIP")...)
	if content(t, "report.txt") != text {
		t.Error("text in a file differs from text on standard output")
	}
}

// TestFilesAreWholeOrAbsent: nothing is left of a file that could not be completed, and what was there stays.
func TestFilesAreWholeOrAbsent(t *testing.T) {
	partial := func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
		_, _ = io.WriteString(opts.Pcap, "half of a capture")
		_, _ = io.WriteString(opts.Trace, "half of a trace")
		return recording("sim", plan, opts), nil
	}
	line := strings.Fields("run slow-calls --variant broken --pcap a.pcapng --trace a.trace")
	t.Run("whole", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if _, stderr, code := sim(partial).ekslab(t, line...); code != 0 || stderr != "" {
			t.Errorf("exit %d, stderr %q", code, stderr)
		}
		if content(t, "a.pcapng") != "half of a capture" || content(t, "a.trace") != "half of a trace" || files(t) != "a.pcapng a.trace" {
			t.Errorf("files: %s", files(t))
		}
	})
	for _, test := range []struct {
		name string
		run  func(cancel func()) func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error)
		code int
	}{
		{"error", func(func()) func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			return func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
				_, _ = partial(ctx, plan, opts)
				return nil, errors.New("protocol sctp is not modelled")
			}
		}, 3},
		{"panic", func(func()) func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			return func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
				_, _ = partial(ctx, plan, opts)
				panic("address 10.0.0.4 is both free and assigned")
			}
		}, 3},
		{"interrupt", func(cancel func()) func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
			return func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
				rec, _ := partial(ctx, plan, opts)
				cancel()
				rec.Interrupted = true
				return rec, nil
			}
		}, 130},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			write(t, "a.trace", "an older trace")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := sim(test.run(cancel))
			c.ctx = ctx
			_, stderr, code := c.ekslab(t, line...)
			if code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			if !strings.Contains(stderr, "a.pcapng was not written: ") || !strings.Contains(stderr, "a.trace was not written: ") {
				t.Errorf("stderr %q", stderr)
			}
			if files(t) != "a.trace" || content(t, "a.trace") != "an older trace" {
				t.Errorf("files: %s", files(t))
			}
		})
	}
}

// TestPlacesThatAreNoFiles: a device or a pipe is written, not replaced.
func TestPlacesThatAreNoFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such devices")
	}
	before, err := os.Stat(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := ekslab(t, "run", "slow-calls", "-o", "json="+os.DevNull); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if after, err := os.Stat(os.DevNull); err != nil || !os.SameFile(before, after) {
		t.Fatalf("%s was replaced", os.DevNull)
	}

	t.Chdir(t.TempDir())
	write(t, "real/report.json", "old")
	if err := os.Symlink("real/report.json", "link.json"); err != nil {
		t.Fatal(err)
	}
	ekslab(t, "run", "slow-calls", "-o", "json=link.json")
	if info, err := os.Lstat("link.json"); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if !json.Valid([]byte(content(t, "real/report.json"))) {
		t.Error("the file behind the link was not written")
	}
}

// TestInterrupt: what was finished is reported, what was under way is inconclusive, what had not begun is skipped; exit 130 even though an
// expectation failed.
func TestInterrupt(t *testing.T) {
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := sim(func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
		rec := recording("sim", plan, opts)
		switch plan.Variant {
		case "broken":
			rec.Observations["hungTargetNodes"] = []any{}
		case "fixed-preserve-off":
			cancel()
			rec.Interrupted = true
		default:
			t.Error("a run began after the interrupt")
		}
		return rec, nil
	})
	c.ctx = ctx
	t.Setenv("GOMAXPROCS", "1")
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	stdout, _, code := c.ekslab(t, strings.Fields("run slow-calls -o text -o json=partial.json")...)
	if code != 130 {
		t.Errorf("exit %d, want 130", code)
	}
	for _, want := range []string{"broken              ✗ fails", "fixed-preserve-off  ? inconclusive  the run was interrupted", "fixed-clusterip     – skipped", "skipped: interrupted before it began"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	var doc struct {
		Runs []struct{ Verdict, Reason string }
	}
	if err := json.Unmarshal([]byte(content(t, "partial.json")), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Runs) != 3 || doc.Runs[0].Verdict != "fails" || doc.Runs[1].Verdict != "inconclusive" || doc.Runs[2].Reason != "interrupted before it began" {
		t.Errorf("%+v", doc)
	}
	if files(t) != "partial.json" {
		t.Errorf("files: %s", files(t))
	}
}

// TestInterruptInOtherCommands: they end with 130, too, with what they have.
func TestInterruptInOtherCommands(t *testing.T) {
	for _, test := range []struct{ line, stdout string }{
		{"sweep slow-calls --over connections=100,200,300", "connections  hungRatio  hungTargetNodes\n100                0.2  ip-192-168-55-245\n\ninterrupted: 2 more not finished\n"},
		{"parity slow-calls", "skipped: interrupted before it began"},
		{"explain slow-calls", ""},
	} {
		t.Run(test.line, func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := sim(func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
				cancel()
				return recording("sim", plan, opts), nil
			})
			c.config.Backends["kind"] = &fake{name: "kind"}
			c.config.Explain = func(ctx context.Context, _ run.Job) (Explanation, error) {
				cancel()
				return nil, ctx.Err()
			}
			c.ctx = ctx
			stdout, _, code := c.ekslab(t, strings.Fields(test.line)...)
			if code != 130 || !strings.Contains(stdout, test.stdout) {
				t.Errorf("exit %d, stdout:\n%s", code, stdout)
			}
		})
	}
}

// TestBackendErrors: what the backend cannot do is inconclusive with its reason, and a broken invariant leaves its stack.
func TestBackendErrors(t *testing.T) {
	stdout, _, code := sim(func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
		return nil, errors.New("elb: protocol SCTP: not modelled")
	}).ekslab(t, "run", "slow-calls", "--variant", "broken")
	if code != 3 || !strings.Contains(stdout, "? inconclusive: elb: protocol SCTP: not modelled") {
		t.Errorf("exit %d, stdout:\n%s", code, stdout)
	}
	_, stderr, code := sim(func(context.Context, *scenario.Plan, backend.Options) (*observe.Recording, error) {
		panic("seed 1, +00:30: an address is both free and assigned")
	}).ekslab(t, "run", "slow-calls", "--variant", "broken")
	if code != 3 || !strings.Contains(stderr, "goroutine ") || !strings.Contains(stderr, "an address is both free") {
		t.Errorf("exit %d, stderr:\n%s", code, stderr)
	}
}

// failing is a standard output that takes so many bytes and no more.
type failing struct {
	room int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if len(p) > f.room {
		return 0, f.err
	}
	f.room -= len(p)
	return len(p), nil
}

// TestStandardOutputFails: a result that nobody gets is no success; a reader that went away is not worth a word. Files are complete.
func TestStandardOutputFails(t *testing.T) {
	for _, test := range []struct {
		err    error
		stderr string
	}{{errors.New("no space left on device"), "no space left"}, {&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}, ""}} {
		t.Chdir(t.TempDir())
		catalog := func() (*scenario.Catalog, error) {
			return scenario.NewCatalog(os.DirFS(filepath.Join(home, "testdata", "catalog")))
		}
		var stderr bytes.Buffer
		code := Config{Backends: map[string]backend.Backend{"sim": &fake{name: "sim"}}, Catalog: catalog}.Main(
			context.Background(), strings.Fields("run slow-calls -o text -o json=a.json"), &failing{room: 100, err: test.err}, &stderr, nil)
		if code != 3 || !strings.Contains(stderr.String(), test.stderr) || test.stderr == "" && strings.Contains(stderr.String(), "pipe") {
			t.Errorf("exit %d, stderr %q", code, stderr.String())
		}
		if !json.Valid([]byte(content(t, "a.json"))) {
			t.Error("the file is not whole")
		}
	}
}
