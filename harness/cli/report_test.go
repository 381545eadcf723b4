package cli

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// TestText holds the whole text of reports, byte for byte: it has no wall-clock figure.
func TestText(t *testing.T) {
	for name, line := range map[string]string{
		"report-broken.txt":       "run slow-calls --variant broken --set nodesPerZone=3,3",
		"report-fixed.txt":        "run slow-calls --variant fixed-clusterip",
		"report-fails.txt":        "run slow-calls --variant broken --set via=clusterIP",
		"report-inconclusive.txt": "run slow-calls --variant broken --set connections=40",
		"report-skipped.txt":      "run slow-calls --variant broken --backend kind",
		"report-several.txt":      "run slow-calls --set via=clusterIP",
		"report-all-skipped.txt":  "run --backend kind",
		"help-run.txt":            "run --help",
		"list.txt":                "list",
		"sweep.txt":               "sweep slow-calls --over nodesPerZone=1,2,2;4,4,4 --over via=nlb,clusterIP --seeds 3 --where params.via=='nlb'||obs.hungRatio==0.0",
	} {
		t.Run(name, func(t *testing.T) {
			first, _, _ := ekslab(t, strings.Fields(line)...)
			again, _, _ := ekslab(t, strings.Fields(line)...)
			if first != again {
				t.Error("two runs print different text")
			}
			golden(t, name, "$ ekslab "+line+"\n"+first)
		})
	}
}

// TestColor: colours are for a terminal only, and only change how the text looks.
func TestColor(t *testing.T) {
	line := strings.Fields("run slow-calls --set via=clusterIP")
	terminal := Config{Terminal: func(io.Writer) bool { return true }}
	plain, _, _ := ekslab(t, line...)
	for _, test := range []struct {
		name  string
		c     command
		color bool
	}{
		{"pipe", command{}, false},
		{"terminal", command{config: terminal}, true},
		{"NO_COLOR", command{config: terminal, env: map[string]string{"NO_COLOR": "1"}}, false},
		{"dumb terminal", command{config: terminal, env: map[string]string{"TERM": "dumb"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			text, _, _ := test.c.ekslab(t, line...)
			if has := strings.Contains(text, "\x1b["); has != test.color {
				t.Errorf("colour: %v, want %v", has, test.color)
			}
			if strip(text) != plain {
				t.Errorf("without colours it differs:\n%s\nwant:\n%s", strip(text), plain)
			}
		})
	}
}

func strip(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

// TestJSON holds the keys of the document, which scripts hold on to: all of them and no others, whatever came of the run.
func TestJSON(t *testing.T) {
	var (
		top         = []string{"schema", "runs"}
		runs        = []string{"scenario", "articles", "variant", "backend", "seed", "parameters", "verdict", "reason", "expectations", "observations", "virtualSeconds", "wallSeconds", "events", "traceHash", "images"}
		expectation = []string{"name", "meaning", "expression", "verdict", "observed", "evidence"}
		evidence    = []string{"id", "seconds", "actor", "text"}
	)
	for line, verdict := range map[string]string{
		"run slow-calls --variant broken -o json":                      "holds",
		"run slow-calls --variant broken -o json --set via=clusterIP":  "fails",
		"run slow-calls --variant broken -o json --set connections=40": "inconclusive",
		"run slow-calls --variant broken -o json --backend kind":       "skipped",
	} {
		t.Run(verdict, func(t *testing.T) {
			stdout, _, _ := ekslab(t, strings.Fields(line)...)
			var doc map[string]any
			if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
				t.Fatal(err)
			}
			keys(t, doc, top)
			r := doc["runs"].([]any)[0].(map[string]any)
			keys(t, r, runs)
			if r["verdict"] != verdict {
				t.Errorf("verdict %v", r["verdict"])
			}
			if (r["reason"] == "") != (verdict == "holds") {
				t.Errorf("reason %q", r["reason"])
			}
			for _, e := range r["expectations"].([]any) {
				keys(t, e.(map[string]any), expectation)
				if v := e.(map[string]any)["verdict"]; !slices.Contains([]any{"holds", "fails", "inconclusive", "notApplicable"}, v) {
					t.Errorf("an expectation is %v", v)
				}
				for _, record := range e.(map[string]any)["evidence"].([]any) {
					keys(t, record.(map[string]any), evidence)
				}
			}
			if strings.Contains(stdout, "\\u003") {
				t.Error("the document escapes < > &, which hurts to read")
			}
		})
	}
}

// TestJSONKeepsOrder: parameters and observations stand in the order of the file.
func TestJSONKeepsOrder(t *testing.T) {
	stdout, _, _ := ekslab(t, "run", "slow-calls", "--variant", "broken", "-o", "json")
	for _, order := range [][]string{
		{`"nodesPerZone"`, `"connections"`, `"interval": "500ms"`, `"via"`, `"preserve": null`},
		{`"observations"`, `"hungConnections"`, `"hungRatio"`, `"slowestAnswerSeconds"`, `"hungTargetNodes"`, `"backendHalfOpen"`, `"virtualSeconds"`},
	} {
		at := strings.LastIndex(stdout, order[0])
		if order[0] == `"nodesPerZone"` {
			at = strings.Index(stdout, order[0])
		}
		for _, key := range order[1:] {
			next := strings.Index(stdout[at:], key)
			if next < 0 {
				t.Fatalf("%s does not follow in order %v", key, order)
			}
			at += next
		}
	}
}

// TestJSONHasNoInfinities: what JSON has no form for is null, and the document stays whole.
func TestJSONHasNoInfinities(t *testing.T) {
	c := command{config: Config{Backends: map[string]backend.Backend{"sim": &fake{name: "sim",
		run: func(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
			rec := recording("sim", plan, opts)
			zero := 0.0
			rec.Observations["hungRatio"] = zero / zero
			rec.Observations["hungRatioByAddress"] = map[string]any{"a": 1 / zero}
			rec.Observations["hungTargetNodes"] = []any{-1 / zero}
			rec.VirtualSeconds = zero / zero
			return rec, nil
		}}}}}
	stdout, _, _ := c.ekslab(t, "run", "slow-calls", "--variant", "broken", "-o", "json")
	var doc any
	if err := json.Unmarshal([]byte(stdout), &doc); err != nil {
		t.Fatalf("%v in:\n%s", err, stdout)
	}
}

func keys(t *testing.T, have map[string]any, want []string) {
	t.Helper()
	want = slices.Clone(want)
	slices.Sort(want)
	if keys := slices.Sorted(maps.Keys(have)); !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
}

// TestJUnit reads the document as the tools do that show it.
func TestJUnit(t *testing.T) {
	type detail struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	type suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Skipped  int      `xml:"skipped,attr"`
		Suites   []struct {
			Name  string `xml:"name,attr"`
			Tests int    `xml:"tests,attr"`
			Cases []struct {
				Name    string  `xml:"name,attr"`
				Class   string  `xml:"classname,attr"`
				Line    int     `xml:"line,attr"`
				Failure *detail `xml:"failure"`
				Error   *detail `xml:"error"`
				Skipped *detail `xml:"skipped"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	for _, test := range []struct {
		line                             string
		tests, failures, errors, skipped int
	}{
		{"run slow-calls -o junit", 5, 0, 0, 1},
		{"run slow-calls -o junit --set via=clusterIP", 5, 3, 0, 0},
		{"run slow-calls -o junit --set connections=40", 5, 0, 1, 1},
		{"run slow-calls -o junit --backend kind", 5, 0, 0, 5},
		{"run -o junit", 10, 0, 0, 2},
	} {
		t.Run(test.line, func(t *testing.T) {
			stdout, _, _ := ekslab(t, strings.Fields(test.line)...)
			if !strings.HasPrefix(stdout, `<?xml version="1.0" encoding="UTF-8"?>`) {
				t.Error("no XML declaration")
			}
			var doc suites
			if err := xml.Unmarshal([]byte(stdout), &doc); err != nil {
				t.Fatal(err)
			}
			if doc.Tests != test.tests || doc.Failures != test.failures || doc.Errors != test.errors || doc.Skipped != test.skipped {
				t.Errorf("%d tests, %d failures, %d errors, %d skipped; want %+v", doc.Tests, doc.Failures, doc.Errors, doc.Skipped, test)
			}
			count := 0
			for _, s := range doc.Suites {
				count += len(s.Cases)
				if len(s.Cases) != s.Tests {
					t.Errorf("suite %s has %d cases and says %d", s.Name, len(s.Cases), s.Tests)
				}
				for _, c := range s.Cases {
					if c.Name == "" || c.Line == 0 || c.Class != strings.ReplaceAll(s.Name, "/", ".") {
						t.Errorf("case %+v of suite %s", c, s.Name)
					}
					if c.Failure != nil && (!strings.Contains(c.Failure.Message, " is ") || !strings.Contains(c.Failure.Text, "expected: ")) {
						t.Errorf("failure %+v", c.Failure)
					}
				}
			}
			if count != doc.Tests {
				t.Errorf("%d cases, and the document says %d", count, doc.Tests)
			}
		})
	}
}

// TestGitHub: an error for what fails, a warning for what cannot be told, a notice for what was skipped, at the place where it is stated;
// by default under GitHub Actions.
func TestGitHub(t *testing.T) {
	actions := command{env: map[string]string{"GITHUB_ACTIONS": "true"}}
	const fails = "::error file=elb/slow-calls/scenario.yaml,line=67,title=elb/slow-calls broken%3A own-node fails::Every connection that hung had been sent to the client's own node.%0A"
	for _, test := range []struct {
		name, line, stdout, stderr string
		c                          command
	}{
		{"asked for", "run slow-calls --variant broken --set via=clusterIP -o github", fails, "", command{}},
		{"beside text", "run slow-calls --variant broken --set via=clusterIP", fails, "", actions},
		{"a document is left alone", "run slow-calls --variant broken --set via=clusterIP -o json", "", fails, actions},
		{"inconclusive", "run slow-calls --variant broken --set connections=40", "::warning file=elb/slow-calls/scenario.yaml,line=64,title=", "", actions},
		{"skipped", "run slow-calls --variant broken --backend kind", "::notice file=elb/slow-calls/scenario.yaml,title=elb/slow-calls broken skipped::backend kind is not", "", actions},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, _ := test.c.ekslab(t, strings.Fields(test.line)...)
			for _, s := range []struct{ name, have, want string }{{"stdout", stdout, test.stdout}, {"stderr", stderr, test.stderr}} {
				if !strings.Contains("\n"+s.have, "\n"+s.want) || s.want == "" && strings.Contains(s.have, "::error") {
					t.Errorf("%s:\n%s\nwant a line that begins with %q", s.name, s.have, s.want)
				}
			}
		})
	}
	if stdout, _, _ := actions.ekslab(t, "run", "slow-calls"); strings.Contains(stdout, "::") {
		t.Errorf("annotations though everything holds:\n%s", stdout)
	}
	if stdout, _, _ := ekslab(t, "run", "slow-calls", "--set", "via=clusterIP"); strings.Contains(stdout, "::error") {
		t.Error("annotations outside of GitHub Actions")
	}
}
