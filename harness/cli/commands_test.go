package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

func TestSymptoms(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // scenarios in the order of the answer
	}{
		{"ETIMEDOUT", "slow-calls"},
		{"etimedout", "slow-calls"},
		{"connection timed out", "slow-calls lost-names"}, // a symptom is exactly this, before one that has it in it
		{"timed connection", "lost-names slow-calls"},     // all words, in whatever order
		{"servers reached", "lost-names"},
		{"no such host", "lost-names"},
		{"dial tcp: lookup web.internal on 10.100.0.10:53: no such host", "lost-names"}, // a line of a log has a symptom in it
		{"curl: (28) Failed to connect to 10.0.0.9 port 80 after 130071 ms: Connection timed out", "slow-calls"},
		{"balancer hang", "slow-calls"},                   // the title
		{"lost-names", "lost-names"},                      // the name
		{"preserve_client_ip.enabled=true", "slow-calls"}, // the symptom in a longer text
		{"curl balancer", "slow-calls"},                   // one word in a symptom, one in the title
		{"curl zone", ""},                                 // each word in another scenario
		{"time", "lost-names slow-calls"},                 // the beginning of a word
		{"imed", ""},                                      // but not its middle
		{"", "lost-names slow-calls"},                     // nothing asked for: all
	} {
		stdout, _, code := ekslab(t, "list", "-o", "json", "--symptom", test.text)
		var doc struct{ Scenarios []struct{ Scenario string } }
		if err := json.Unmarshal([]byte(stdout), &doc); err != nil || code != 0 {
			t.Fatal(err, code)
		}
		var names []string
		for _, s := range doc.Scenarios {
			names = append(names, s.Scenario)
		}
		if have := strings.Join(names, " "); have != test.want {
			t.Errorf("%q finds %q, want %q", test.text, have, test.want)
		}
	}
}

// TestListJSON holds what the documentation of a scenario has.
func TestListJSON(t *testing.T) {
	stdout, _, _ := ekslab(t, "list", "-o", "json")
	golden(t, "list.json", stdout)
}

func TestCopy(t *testing.T) {
	t.Chdir(t.TempDir())
	stdout, stderr, code := ekslab(t, "copy", "slow-calls", "mine")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, stderr %q", code, stderr)
	}
	if want := "Copied slow-calls to mine (2 files). Edit it, then:\n  ekslab validate ./mine\n  ekslab run ./mine\n"; stdout != want {
		t.Errorf("stdout %q", stdout)
	}
	if have := files(t); have != "mine/scenario.yaml mine/web.yaml" {
		t.Errorf("files: %s", have)
	}
	for _, line := range []string{"validate ./mine", "run ./mine --variant broken", "explain ./mine", "sweep ./mine --seeds 2", "validate mine/scenario.yaml"} {
		_, stderr, code := ekslab(t, strings.Fields(line)...)
		if code != 0 && !strings.HasPrefix(line, "explain") {
			t.Errorf("%s: exit %d: %s", line, code, stderr)
		}
	}
	report, _, _ := ekslab(t, "run", "./mine", "--variant", "broken")
	if want := "\nReproduce\n  ekslab run ./mine --variant broken --seed 1\n"; !strings.HasSuffix(report, want) {
		t.Errorf("the report of a path ends differently:\n%s", report)
	}

	if err := os.Mkdir("empty", 0o777); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := ekslab(t, "copy", "slow-calls", "empty"); code != 0 {
		t.Errorf("into an empty folder: exit %d: %s", code, stderr)
	}
	if _, stderr, code := ekslab(t, "copy", "slow-calls", "a/b/c"); code != 0 {
		t.Errorf("into a new folder in a new folder: exit %d: %s", code, stderr)
	}
	write(t, "mine/scenario.yaml", "edited")
	if _, _, code := ekslab(t, "copy", "slow-calls", "mine"); code != 2 || content(t, "mine/scenario.yaml") != "edited" {
		t.Errorf("exit %d; an edited copy is %q", code, content(t, "mine/scenario.yaml"))
	}
}

// TestCopyAllOrNothing: when a file cannot be read nothing is left behind.
func TestCopyAllOrNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("empty", 0o777); err != nil {
		t.Fatal(err)
	}
	broken := unreadable{fstest.MapFS{"a.yaml": {Data: []byte("a")}, "b.yaml": {Data: []byte("b")}}}
	for _, dir := range []string{"new", "empty"} {
		if _, err := copyFolder(broken, dir); err == nil {
			t.Errorf("%s: no error", dir)
		}
		if have := files(t); have != "" {
			t.Errorf("%s: files: %s", dir, have)
		}
	}
	if _, err := os.Stat("new"); err == nil {
		t.Error("a folder was left behind")
	}
}

// unreadable is a folder whose last file cannot be read.
type unreadable struct{ fstest.MapFS }

func (u unreadable) ReadFile(name string) ([]byte, error) {
	if name == "b.yaml" {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("input/output error")}
	}
	return u.MapFS.ReadFile(name)
}

// TestSlugBeforeFolder: a folder of the same name as a scenario is not taken for it, and the user is told.
func TestSlugBeforeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "slow-calls/scenario.yaml", "broken: true")
	stdout, stderr, code := ekslab(t, "run", "slow-calls", "--variant", "broken")
	if code != 0 || !strings.Contains(stdout, "✓ holds") || !strings.Contains(stderr, "for the folder of that name say ./slow-calls") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
	if _, stderr, code := ekslab(t, "run", "./slow-calls"); code != 2 || !strings.HasPrefix(stderr, "slow-calls/scenario.yaml:1:") {
		t.Errorf("exit %d, stderr %q", code, stderr)
	}
}

// reasons is an explanation.
type reasons struct {
	Why []string `json:"why"`
}

func (r reasons) Text(w io.Writer, color bool) error {
	_, err := io.WriteString(w, strings.Join(r.Why, "\n")+map[bool]string{true: " in colour"}[color]+"\n")
	return err
}

func TestExplain(t *testing.T) {
	c := command{config: Config{Explain: func(_ context.Context, job run.Job) (Explanation, error) {
		switch plan := job.Plan; {
		case job.Seed == 2:
			return nil, errors.New("nothing hung, so there is nothing to explain")
		case job.Seed == 3:
			panic("no cause")
		default:
			return reasons{[]string{plan.Variant, "connections " + scenario.FormatValue(plan.Params.Get("connections"))}}, nil
		}
	}}}
	terminal := c
	terminal.config.Terminal = func(io.Writer) bool { return true }
	for _, test := range []struct {
		c              command
		line           string
		code           int
		stdout, stderr string
	}{
		{c, "explain slow-calls", 0, "broken\nconnections 2000\n", ""},
		{c, "explain slow-calls --variant fixed-clusterip --set connections=7", 0, "fixed-clusterip\nconnections 7\n", ""},
		{c, "explain slow-calls -o json", 0, "{\n  \"why\": [\n    \"broken\",\n    \"connections 2000\"\n  ]\n}\n", ""},
		{terminal, "explain slow-calls", 0, "broken\nconnections 2000 in colour\n", ""},
		{c, "explain slow-calls --seed 2", 3, "", "ekslab: nothing hung, so there is nothing to explain\n"},
		{c, "explain slow-calls --seed 3", 3, "", "goroutine "},
		{c, "explain slow-calls --set connections=0", 2, "", "connections must be"},
	} {
		stdout, stderr, code := test.c.ekslab(t, strings.Fields(test.line)...)
		if code != test.code || stdout != test.stdout || !strings.Contains(stderr, test.stderr) {
			t.Errorf("%s: exit %d, stdout %q, stderr %q", test.line, code, stdout, stderr)
		}
	}
}

func TestParity(t *testing.T) {
	both := func(change func(*observe.Recording)) command {
		return command{config: Config{Backends: map[string]backend.Backend{
			"sim": &fake{name: "sim"},
			"kind": &fake{name: "kind", run: func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
				rec := recording("kind", plan, opts)
				change(rec)
				return rec, nil
			}},
		}}}
	}
	for _, test := range []struct {
		name   string
		change func(*observe.Recording)
		code   int
		stdout string
	}{
		{"same", func(*observe.Recording) {}, 0, "  hungRatio             0.2                                  0.2                                  ± 0.0506           ✓ yes"},
		{"within", func(rec *observe.Recording) { rec.Observations["hungRatio"] = 0.21 }, 0, "✓ yes"},
		{"beyond", func(rec *observe.Recording) { rec.Observations["hungRatio"] = 0.5 }, 1, "✗ no"},
		{"no sample", func(rec *observe.Recording) {
			rec.Observations["clientNodeName"] = nil
			rec.Missing["clientNodeName"] = "the node was gone"
		}, 3, "? kind: clientNodeName has no sample: the node was gone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, _, code := both(test.change).ekslab(t, "parity", "slow-calls", "--variant", "broken")
			if code != test.code || !strings.Contains(stdout, test.stdout) {
				t.Errorf("exit %d, want %d and %q in:\n%s", code, test.code, test.stdout, stdout)
			}
			stdout, _, _ = both(test.change).ekslab(t, "parity", "slow-calls", "--variant", "broken", "-o", "json")
			if !json.Valid([]byte(stdout)) {
				t.Errorf("not JSON:\n%s", stdout)
			}
		})
	}
}

func TestSweepFormats(t *testing.T) {
	line := "sweep slow-calls --over nodesPerZone=1,2,2;4,4,4 --over via=nlb,clusterIP "
	for _, test := range []struct {
		flags string
		want  [][]string
	}{
		{"", [][]string{
			{"nodesPerZone", "via", "hungRatio", "hungTargetNodes"},
			{"1,2,2", "nlb", "0.2", "ip-192-168-55-245"},
			{"1,2,2", "clusterIP", "0", "none"},
			{"4,4,4", "nlb", "0.0835", "ip-192-168-55-245"},
			{"4,4,4", "clusterIP", "0", "none"},
		}},
		{"--seeds 3 --seed 2", [][]string{
			{"nodesPerZone", "via", "hungRatio_mean", "hungRatio_min", "hungRatio_max", "hungTargetNodes"},
			{"1,2,2", "nlb", "0.201", "0.2005", "0.2015", "ip-192-168-55-245"},
			{"1,2,2", "clusterIP", "0", "0", "0", "none"},
			{"4,4,4", "nlb", "0.0845", "0.084", "0.085", "ip-192-168-55-245"},
			{"4,4,4", "clusterIP", "0", "0", "0", "none"},
		}},
		{"--where obs.hungRatio>0.1", [][]string{
			{"nodesPerZone", "via", "hungRatio", "hungTargetNodes"},
			{"1,2,2", "nlb", "0.2", "ip-192-168-55-245"},
		}},
		{"--where params.nodesPerZone[0]==4&&obs.hungConnections<1.0", [][]string{
			{"nodesPerZone", "via", "hungRatio", "hungTargetNodes"},
			{"4,4,4", "clusterIP", "0", "none"},
		}},
	} {
		stdout, stderr, code := ekslab(t, strings.Fields(line+"-o csv "+test.flags)...)
		have, err := csv.NewReader(strings.NewReader(stdout)).ReadAll()
		if err != nil || code != 0 {
			t.Errorf("%s: exit %d, %v, stderr %s", test.flags, code, err, stderr)
		}
		if a, b := flat(have), flat(test.want); a != b {
			t.Errorf("%s:\n%s\nwant:\n%s", test.flags, a, b)
		}
	}
	stdout, _, _ := ekslab(t, strings.Fields("sweep slow-calls --over variant=broken,fixed-clusterip --over connections=100 -o json")...)
	golden(t, "sweep.json", stdout)
}

// TestSweepCannotTell: a row whose condition reads what has no sample is left out, and that is said.
func TestSweepCannotTell(t *testing.T) {
	stdout, _, code := ekslab(t, strings.Fields("sweep slow-calls --over via=nlb,clusterIP --where obs.backendHalfOpen<1.0")...)
	if want := "via  hungRatio  hungTargetNodes\nnlb        0.2  ip-192-168-55-245\n\n1 more left out since --where could not be told"; code != 0 || !strings.HasPrefix(stdout, want) {
		t.Errorf("exit %d, stdout:\n%s", code, stdout)
	}
}

// TestSweepRunsNothingItLeavesOut: a condition over parameters alone is known before.
func TestSweepRunsNothingItLeavesOut(t *testing.T) {
	ran := make(chan string, 10)
	c := sim(func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
		ran <- scenario.FormatValue(plan.Params.Get("connections"))
		return recording("sim", plan, opts), nil
	})
	c.ekslab(t, strings.Fields("sweep slow-calls --over connections=1,5,10 --where params.connections>4&&params.connections<9")...)
	if len(ran) != 1 || <-ran != "5" {
		t.Errorf("%d runs", len(ran)+1)
	}
}

// TestSweepRowThatFails is shown in its place, and the others are.
func TestSweepRowThatFails(t *testing.T) {
	stdout, stderr, code := sim(func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
		if plan.Params.Get("via") == "nlb" {
			return nil, errors.New("elb: not modelled")
		}
		return recording("sim", plan, opts), nil
	}).ekslab(t, strings.Fields("sweep slow-calls --over via=nlb,clusterIP")...)
	if code != 3 || !strings.Contains(stdout, "nlb        elb: not modelled\nclusterIP") || !strings.Contains(stderr, "1 of 2 rows could not be run") {
		t.Errorf("exit %d, stdout:\n%s\nstderr: %s", code, stdout, stderr)
	}
}

func flat(rows [][]string) string {
	lines := make([]string, len(rows))
	for i, r := range rows {
		lines[i] = strings.Join(r, " | ")
	}
	return strings.Join(lines, "\n")
}

// needy is a backend that needs something of the machine.
type needy struct {
	fake
	needs   []backend.Need
	removed []string
	err     error
}

func (n *needy) Needs(context.Context) []backend.Need    { return n.needs }
func (n *needy) Clean(context.Context) ([]string, error) { return n.removed, n.err }

func TestDoctor(t *testing.T) {
	n := &needy{needs: []backend.Need{{Name: "Docker", Problem: "Docker does not answer", Remedy: "start it"}, {Name: "memory", Found: "8 GiB"}}}
	c := command{config: Config{Backends: map[string]backend.Backend{"sim": &fake{name: "sim"}, "kind": n}}}
	stdout, _, code := c.ekslab(t, "doctor")
	if want := "✓ sim: ready; it needs nothing of this machine\n\n✗ kind: not available here\n    ✗ Docker: Docker does not answer\n      → start it\n    ✓ memory: 8 GiB\n"; code != 0 || stdout != want {
		t.Errorf("exit %d, stdout:\n%s", code, stdout)
	}
	n.removed = []string{"cluster ekslab-1", "network ekslab-1"}
	if stdout, _, code := c.ekslab(t, "doctor", "--clean"); code != 0 || stdout != "Removed 2:\n  cluster ekslab-1\n  network ekslab-1\n" {
		t.Errorf("exit %d, stdout:\n%s", code, stdout)
	}
	n.err = errors.New("network in use")
	if _, stderr, code := c.ekslab(t, "doctor", "--clean"); code != 3 || !strings.Contains(stderr, "network in use") {
		t.Errorf("exit %d, stderr:\n%s", code, stderr)
	}
}

// TestProgress: nothing for what is done within a second; then a live line on a terminal that leaves no trace, plain lines elsewhere.
func TestProgress(t *testing.T) {
	for _, test := range []struct {
		name string
		live bool
		took time.Duration
		want string
	}{
		{"quick", true, 900 * time.Millisecond, ""},
		{"quick, no terminal", false, 900 * time.Millisecond, ""},
		{"live", true, 1150 * time.Millisecond, "\r\x1b[K1s  1 of 2 done  slow-calls broken 50/2000 calls\r\x1b[K1s  1 of 2 done  slow-calls broken 50/2000 calls\r\x1b[K"},
		{"plain", false, 12 * time.Second, "ekslab: 1 of 2 done  slow-calls broken 50/2000 calls (1s)\nekslab: 1 of 2 done  slow-calls broken 50/2000 calls (11s)\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b strings.Builder
				p := newProgress(&b, test.live, 80, 2)
				p.Update("other", 1, 2, "")
				p.Finished("other", nil)
				p.Update("slow-calls broken", 50, 2000, "calls")
				time.Sleep(test.took)
				p.Stop()
				if b.String() != test.want {
					t.Errorf("%q, want %q", b.String(), test.want)
				}
			})
		})
	}
}

// TestProgressMakesRoom: the live line is gone while a result is written, and never wider than the terminal.
func TestProgressMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		p := newProgress(&b, true, 24, 1)
		p.Update("a scenario of a long name", 5, 10, "")
		time.Sleep(1050 * time.Millisecond)
		p.Finished("a scenario of a long name", func() { b.WriteString("RESULT\n") })
		p.Stop()
		if want := "\r\x1b[K1s  a scenario of a lo…\r\x1b[KRESULT\n"; b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	})
}

func TestNearest(t *testing.T) {
	known := []string{"run", "list", "explain", "nlb-hairpin", "fixed-preserve-off", "--output"}
	for word, want := range map[string]string{
		"rn": "run", "lsit": "list", "Explain": "explain", "hairpin": "nlb-hairpin", "fixed-preserve": "fixed-preserve-off",
		"--outptu": "--output", "x": "", "": "", "something-else": "", strings.Repeat("r", 1000): "",
	} {
		if have := nearest(word, known); have != want {
			t.Errorf("%q: %q, want %q", word, have, want)
		}
	}
}

// TestExitCodeOfTheDocument: the numbers are a promise.
func TestExitCodeOfTheDocument(t *testing.T) {
	for have, want := range map[int]int{run.ExitSuccess: 0, run.ExitFails: 1, run.ExitUsage: 2, run.ExitUndecided: 3, run.ExitInterrupted: 130} {
		if have != want {
			t.Errorf("%d, want %d", have, want)
		}
	}
}

// TestCompletion: the shell is offered scenarios, variants and parameters.
func TestCompletion(t *testing.T) {
	for line, want := range map[string]string{
		"run ":                        "slow-calls\t",
		"run slow-calls --variant ":   "fixed-clusterip\t",
		"run slow-calls --set ":       "nodesPerZone=\t",
		"run slow-calls -o ":          "junit",
		"sweep slow-calls --backend ": "kind",
	} {
		words := strings.Split(line, " ")
		stdout, _, _ := ekslab(t, append([]string{"__complete"}, words...)...)
		if !strings.Contains(stdout, want) {
			t.Errorf("%s: %q not in:\n%s", line, want, stdout)
		}
	}
}

func TestLocalStackImage(t *testing.T) {
	var named string
	c := command{config: Config{LocalStackImage: func(ref string) error {
		if ref == "No:1" {
			return errors.New("repository name must be lowercase")
		}
		named = ref
		return nil
	}}}
	for _, args := range [][]string{{"run", "--backend", "kind"}, {"parity", "slow-calls"}, {"doctor"}} {
		named = ""
		if _, stderr, code := c.ekslab(t, append(args, "--localstack-image", "mine:7")...); named != "mine:7" || code == run.ExitUsage {
			t.Errorf("%v: the image is %q, exit code %d, %s", args, named, code, stderr)
		}
		if _, stderr, code := c.ekslab(t, append(args, "--localstack-image", "No:1")...); code != run.ExitUsage || !strings.Contains(stderr, "--localstack-image") || !strings.Contains(stderr, "must be lowercase") {
			t.Errorf("%v with no reference: exit code %d, %s", args, code, stderr)
		}
	}
}
