package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

var update = flag.Bool("update", false, "rewrite the files of testdata that hold what the commands print")

// fake is a backend whose recordings a test makes up.
type fake struct {
	name  string
	check error
	run   func(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error)
}

func (f *fake) Name() string                                { return f.name }
func (f *fake) Check(context.Context, *scenario.Plan) error { return f.check }
func (f *fake) Run(ctx context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
	if f.run != nil {
		return f.run(ctx, plan, opts)
	}
	return recording(f.name, plan, opts), nil
}

// recording is what the fake sees: one call in as many as there are nodes hangs, unless a remedy is in place. Each seed after the
// first adds a hung call.
func recording(name string, plan *scenario.Plan, opts backend.Options) *observe.Recording {
	nodes := int64(0)
	for _, n := range plan.Params.Get("nodesPerZone").([]any) {
		nodes += n.(int64)
	}
	connections := float64(plan.Params.Get("connections").(int64))
	hung := math.Round(connections/float64(nodes)) + float64(opts.Seed-1)
	if plan.Params.Get("via") == "clusterIP" || plan.Params.Get("preserve") == false {
		hung = 0
	}
	rec := &observe.Recording{
		Backend: name, Seed: opts.Seed, VirtualSeconds: 1300.25, Events: 4711, TraceHash: "sha256:0123456789abcdef0123456789abcdef",
		Setup: []string{fmt.Sprintf("%d nodes in eu-west-1, Kubernetes 1.22", nodes)},
		Observations: map[string]any{
			"connections": connections, "hungConnections": hung, "hungRatio": hung / connections,
			"hungTargetNodes": []any{}, "clientNodeName": "ip-192-168-55-245",
			"hungRatioByAddress":   map[string]any{"192.168.101.9": 0.0, "192.168.155.87": hung / connections * 2},
			"slowestAnswerSeconds": 0.0123456789,
		},
		Missing:  map[string]string{"backendHalfOpen": "no connection hung"},
		Evidence: map[string][]observe.Evidence{},
	}
	if hung > 0 {
		rec.Observations["hungTargetNodes"] = []any{"ip-192-168-55-245"}
		rec.Observations["slowestAnswerSeconds"] = 130.0831
		rec.Observations["backendHalfOpen"] = 0.0
		rec.Evidence["hungTargetNodes"] = []observe.Evidence{{ID: 57, Seconds: 450.016, Actor: "packet", Text: "192.168.41.36:52618 > 192.168.55.245:30161 SYN"}}
	}
	return rec
}

// noDocker is the error of a backend on a machine that lacks something.
var noDocker = backend.NewUnavailable("kind", []backend.Need{{Name: "Docker", Problem: "Docker is not installed", Remedy: "install it"}})

// command is one command line in a test. The zero value is that of a user at a pipe, with the fakes for backends.
type command struct {
	config Config
	env    map[string]string
	ctx    context.Context
}

// ekslab runs a command line against the catalog of testdata.
func (c command) ekslab(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	if c.config.Backends == nil {
		c.config.Backends = map[string]backend.Backend{"sim": &fake{name: "sim"}, "kind": &fake{name: "kind", check: noDocker}}
	}
	if c.config.Catalog == nil {
		c.config.Catalog = func() (*scenario.Catalog, error) {
			return scenario.NewCatalog(os.DirFS(filepath.Join(home, "testdata", "catalog")))
		}
	}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	var out, err bytes.Buffer
	code = c.config.Main(c.ctx, args, &out, &err, func(name string) string { return c.env[name] })
	return out.String(), err.String(), code
}

func ekslab(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return command{}.ekslab(t, args...)
}

// home is the folder of the tests, which change to others.
var home, _ = os.Getwd()

// golden compares what a command printed with a file of testdata.
func golden(t *testing.T, name, have string) {
	t.Helper()
	path := filepath.Join(home, "testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(have), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if have != string(want) {
		t.Errorf("%s differs (go test -update accepts it); have:\n%s\nwant:\n%s", path, have, want)
	}
}

// TestCommandLines is the table of what people type: the exit code, and what they are told on either stream.
func TestCommandLines(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "folder/scenario.yaml", "apiVersion: ekslab/v1alpha1\nkind: Scenario\nbogus: 1\n")
	write(t, "empty/readme", "")
	for _, test := range []struct {
		line   string
		code   int
		stdout string // a part of it; "" means that there is none
		stderr string
	}{
		{"", 0, "ekslab list --symptom", ""},
		{"--help", 0, "Usage:", ""},
		{"--version", 0, "ekslab ", ""},
		{"lisst", 2, "", `unknown command "lisst"; did you mean "list"?`},
		{"frobnicate", 2, "", `unknown command "frobnicate"; there is`},

		{"list", 0, "elb/slow-calls  21, 22    Some calls through a load balancer hang", ""},
		{"list all", 2, "", `"all" is one word too many`},
		{"list -o xml", 2, "", `unknown format "xml"; there is table, json`},
		{"list -o jsn", 2, "", `did you mean "json"?`},
		{"list --sympton x", 2, "", `unknown flag "--sympton"; did you mean "--symptom"?`},
		{"list --symptom nothing-like-it", 0, "", `no scenario shows "nothing-like-it"`},

		{"run slow-calls --variant broken", 0, "✓ holds", ""},
		{"run elb/slow-calls --variant broken", 0, "✓ holds", ""},
		{"run slow-cals", 2, "", `unknown scenario "slow-cals"; did you mean "slow-calls"?`},
		{"run ./nowhere", 2, "", "nowhere: no such file or folder"},
		{"run slow-calls slow-cals ./folder", 2, "", "folder/scenario.yaml:3: "},
		{"run slow-calls slow-cals ./folder", 2, "", `unknown scenario "slow-cals"`},
		{"run slow-calls --variant fixed-cluster-ip", 2, "", `unknown variant "fixed-cluster-ip"; did you mean "fixed-clusterip"?`},
		{"run --variant nope", 2, "", `unknown variant "nope"; there is broken, fixed-preserve-off, fixed-clusterip`},
		{"run slow-calls --set connections", 2, "", "--set connections: say it as key=value"},
		{"run slow-calls --set conections=5", 2, "", `did you mean "connections"?`},
		{"run slow-calls --set connections=0 --set interval=5", 2, "", "connections must be a whole number from 1 to 200000"},
		{"run slow-calls --set connections=0 --set interval=5", 2, "", "interval must be a duration from 1ms to 1h"},
		{"run slow-calls --set preserve=true --set via=clusterIP", 2, "", "a cluster IP preserves nothing"},
		{"run slow-calls --set preserve=true", 2, "", "(in variant fixed-clusterip; --variant chooses another)"},
		{"run slow-calls --backend kinda", 2, "", `unknown backend "kinda"; did you mean "kind"?`},
		{"run slow-calls --backend aws", 2, "", `unknown backend "aws"; there is sim, kind`},
		{"run slow-calls --outptu json", 2, "", `unknown flag "--outptu"; did you mean "--output"?`},
		{"run slow-calls --seed x", 2, "", `invalid argument "x" for "--seed"`},
		{"run slow-calls -o txt", 2, "", `unknown format "txt"; did you mean "text"?`},
		{"run slow-calls -o json=", 2, "", "the name of the file is missing"},
		{"run slow-calls -o json -o junit", 2, "", "json and junit both go to standard output; give one a file"},
		{"run slow-calls -o json=a -o junit=./a", 2, "", "another result goes to ./a already"},
		{"run slow-calls -o json=no/such/folder/a.json", 2, "", "-o json=no/such/folder/a.json: write no/such/folder/a.json: no such file or directory"},
		{"run slow-calls -o json=folder", 2, "", "it is a folder"},
		{"run slow-calls --pcap a", 2, "", "--pcap needs one variant; choose one with --variant: broken, fixed-preserve-off, fixed-clusterip"},
		{"run --variant broken --trace a", 2, "", "--trace needs one scenario and one variant"},
		{"run slow-calls --variant broken --pcap a --trace a", 2, "", "both go to a"},
		{"run slow-calls --variant broken --pcap a -o json=./a", 2, "", "--pcap and -o both go to a"},
		{"run slow-calls --manifests empty", 2, "", "--manifests is not supported by scenario slow-calls"},
		// What the user got wrong is said before what the machine lacks.
		{"run slow-calls --backend kind --variant nope", 2, "", "unknown variant"},
		{"run slow-calls --backend kind --set connections=0", 2, "", "connections must be"},
		{"run slow-calls --backend kind --variant broken", 3, "– skipped: backend kind is not available here: Docker is not installed", ""},
		{"run slow-calls --backend kind -o json", 3, `"verdict": "skipped"`, "ekslab: skipped: backend kind is not available here: Docker is not installed"},
		{"run --backend kind", 3, "6 skipped", ""},
		// Exit codes of verdicts.
		{"run slow-calls --set via=clusterIP --variant broken", 1, "✗ fails: 3 of 3 expectations not met", ""},
		{"run slow-calls --set connections=40 --variant broken", 3, "? inconclusive: share-hung: near: 40 samples", ""},
		{"run slow-calls --set connections=40", 3, "2 hold, 1 inconclusive", ""},
		{"run slow-calls --set via=clusterIP", 1, "2 hold, 1 fails", ""},

		{"explain", 2, "", "which scenario?"},
		{"explain slow-calls lost-names", 2, "", "one scenario at a time"},
		{"explain slow-calls -o xml", 2, "", `unknown format "xml"; there is text, json`},
		{"explain slow-calls --variant nope", 2, "", "unknown variant"},
		{"explain slow-calls --backend kind", 3, "", "backend kind is not available here"},
		{"explain slow-calls", 3, "", "cannot explain"}, // this build has no explainer

		{"sweep slow-calls", 2, "", "what is to be varied?"},
		{"sweep slow-calls --over connections", 2, "", "say it as key=v1,v2"},
		{"sweep slow-calls --over conections=1,2", 2, "", `--over conections=1: unknown parameter "conections"; did you mean "connections"?`},
		{"sweep slow-calls --over connections=1,0 --over via=nlb,clusterip", 2, "", "--over connections=0: connections must be"},
		{"sweep slow-calls --over connections=1,0 --over via=nlb,clusterip", 2, "", `did you mean "clusterIP"?`},
		{"sweep slow-calls --over connections=5,5", 2, "", `"5" is given twice`},
		{"sweep slow-calls --over connections=5 --over connections=6", 2, "", "--over connections is given twice"},
		{"sweep slow-calls --over connections=5 --set connections=6", 2, "", "by --over and by --set"},
		{"sweep slow-calls --over connections=5,6 --seeds 0", 2, "", "--seeds 0: at least 1"},
		{"sweep slow-calls --over connections=5,6 --seeds 90000", 2, "", "more than 100000 runs"},
		{"sweep slow-calls --over connections=5,6 --where obs.hungRatoi>0", 2, "", `did you mean "hungRatio"?`},
		{"sweep slow-calls --over connections=5,6 --where obs.hungRatio>", 2, "", "--where obs.hungRatio>: not valid CEL"},
		{"sweep slow-calls --over connections=5,6 --variant nope", 2, "", "unknown variant"},
		{"sweep slow-calls --over variant=broken,nope", 2, "", `no variant "nope"`},
		{"sweep slow-calls --over connections=5,6 -o yaml", 2, "", `unknown format "yaml"`},
		{"sweep slow-calls --over connections=5,6 --backend kind", 3, "", "backend kind is not available here"},

		{"copy slow-calls", 2, "", "say which scenario and where to"},
		{"copy slow-cals dest", 2, "", `did you mean "slow-calls"?`},
		{"copy slow-calls folder", 2, "", "folder is not empty (it has scenario.yaml); nothing is overwritten"},
		{"copy slow-calls empty/readme", 2, "", "empty/readme is a file; nothing is overwritten"},

		{"validate", 2, "", "which scenario?"},
		{"validate slow-calls", 0, "ok elb/slow-calls/scenario.yaml: elb/slow-calls, 5 parameters, 3 variants, 8 observations", ""},
		{"validate folder", 2, "", `folder/scenario.yaml:3: `},
		{"validate folder/scenario.yaml", 2, "", `folder/scenario.yaml:3: `},
		{"validate empty", 2, "", "empty: there is no scenario.yaml in this folder or below it"},
		{"validate .", 2, "", `folder/scenario.yaml:3: `},
		{"validate nowhere", 2, "", `unknown scenario "nowhere"`},
		{"validate ./nowhere", 2, "", "no such file or folder"},

		{"parity", 2, "", "which scenario?"},
		{"parity slow-calls -o csv", 2, "", `unknown format "csv"`},
		{"parity slow-calls --variant nope", 2, "", "unknown variant"},
		{"parity slow-calls", 3, "skipped: backend kind is not available here: Docker is not installed", ""},

		{"doctor", 0, "✓ sim: ready", ""},
		{"doctor --clean", 0, "Nothing to remove", ""},
		{"doctor now", 2, "", "one word too many"},
	} {
		t.Run(strings.ReplaceAll(test.line, "/", "|"), func(t *testing.T) {
			stdout, stderr, code := ekslab(t, strings.Fields(test.line)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			for _, s := range []struct{ name, have, want string }{{"stdout", stdout, test.stdout}, {"stderr", stderr, test.stderr}} {
				if s.want == "" && s.have != "" || !strings.Contains(s.have, s.want) {
					t.Errorf("%s:\n%s\nwant in it: %q", s.name, s.have, s.want)
				}
			}
		})
	}
	if entries, _ := os.ReadDir("."); len(entries) != 2 {
		t.Errorf("the commands left something behind: %v", entries)
	}
}

// TestMistakesInFilesBeginWithTheirPlace holds what editors and CI look for: one line each, file:line: first, and no talk of --help.
func TestMistakesInFilesBeginWithTheirPlace(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "a/scenario.yaml", "apiVersion: ekslab/v1alpha1\nkind: Scenario\nbogus: 1\nmetadata: {area: elb, nam: x}\n")
	write(t, "b/scenario.yaml", "")
	for _, line := range []string{"validate a b", "run ./a ./b"} {
		_, stderr, code := ekslab(t, strings.Fields(line)...)
		if code != 2 {
			t.Errorf("%s: exit code %d", line, code)
		}
		lines := strings.Split(strings.TrimSpace(stderr), "\n")
		if len(lines) < 4 {
			t.Errorf("%s lists too little:\n%s", line, stderr)
		}
		for _, l := range lines {
			if !strings.HasPrefix(l, "a/scenario.yaml:") && !strings.HasPrefix(l, "b/scenario.yaml:") {
				t.Errorf("%s: line without its place: %s", line, l)
			}
		}
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}
