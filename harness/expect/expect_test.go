package expect_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// plan resolves the scenario that the command line's tests use. With its five nodes one call in five hangs.
func plan(t *testing.T, variant string, set map[string]string) *scenario.Plan {
	t.Helper()
	s, err := scenario.Load(os.DirFS("../cli/testdata/catalog"), "elb/slow-calls")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// good is what the broken variant should show.
func good() map[string]any {
	return map[string]any{
		"connections": 2000.0, "hungConnections": 400.0, "hungRatio": 0.2,
		"hungTargetNodes": []any{"node-1"}, "clientNodeName": "node-1", "backendHalfOpen": 0.0,
	}
}

func with(changes map[string]any) map[string]any {
	m := good()
	maps.Copy(m, changes)
	return m
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name    string
		variant string
		set     map[string]string
		rec     observe.Recording
		verdict expect.Status
		reason  string // a part of it
		results string // of each expectation
	}{
		{"as expected", "broken", nil, observe.Recording{Observations: good()},
			expect.Holds, "", "holds holds notApplicable"},
		{"share off by more than 4 deviations", "broken", nil, observe.Recording{Observations: with(map[string]any{"hungRatio": 0.24})},
			expect.Fails, "1 of 2 expectations not met: share-hung", "fails holds notApplicable"},
		{"too few samples for the share", "broken", nil, observe.Recording{Observations: with(map[string]any{"connections": 20.0})},
			expect.Inconclusive, "share-hung: near: 20 samples", "inconclusive holds notApplicable"},
		{"no sample", "broken", nil, observe.Recording{Observations: with(map[string]any{"hungTargetNodes": nil}), Missing: map[string]string{"hungTargetNodes": "no call hung"}},
			expect.Inconclusive, "own-node: hungTargetNodes has no sample: no call hung", "holds inconclusive notApplicable"},
		{"an observation that was not recorded at all", "broken", nil, observe.Recording{Observations: map[string]any{"connections": 2000.0, "hungRatio": 0.2}},
			expect.Inconclusive, "own-node: clientNodeName has no sample; hungTargetNodes has no sample", "holds inconclusive notApplicable"},
		{"one fails, one has no sample", "broken", nil, observe.Recording{Observations: with(map[string]any{"hungRatio": 0.9, "hungTargetNodes": nil})},
			expect.Fails, "share-hung", "fails inconclusive notApplicable"}, // failing wins
		{"applies where its condition is true", "broken", map[string]string{"via": "clusterIP"}, observe.Recording{Observations: good()},
			expect.Holds, "", "holds holds holds"},
		{"a null that no expectation reads", "fixed-clusterip", nil, observe.Recording{Observations: map[string]any{"hungConnections": 0.0, "hungRatio": nil}},
			expect.Holds, "", "holds"},
		{"a value of the wrong type", "fixed-clusterip", nil, observe.Recording{Observations: map[string]any{"hungConnections": "none"}},
			expect.Fails, "none-hangs", "fails"},
		{"interrupted", "broken", nil, observe.Recording{Observations: good(), Interrupted: true},
			expect.Inconclusive, "interrupted", "inconclusive inconclusive notApplicable"}, // though all would hold
	} {
		t.Run(test.name, func(t *testing.T) {
			verdict, results := expect.Judge(plan(t, test.variant, test.set), &test.rec)
			if verdict.Status != test.verdict || !strings.Contains(verdict.Reason, test.reason) || (verdict.Reason == "") != (test.reason == "") {
				t.Errorf("verdict %+v, want %s because %q", verdict, test.verdict, test.reason)
			}
			var have []string
			for _, r := range results {
				have = append(have, string(r.Status))
				if (r.Reason != "") != (r.Status == expect.Inconclusive) {
					t.Errorf("%s is %s because %q", r.Expectation.Name, r.Status, r.Reason)
				}
			}
			if s := strings.Join(have, " "); s != test.results {
				t.Errorf("results %s, want %s", s, test.results)
			}
		})
	}
}

// TestNothingToJudge: a run that nothing is expected of, or to which nothing applies, proves nothing.
func TestNothingToJudge(t *testing.T) {
	p := plan(t, "broken", nil)
	only := *p
	only.Expect = p.Expect[2:] // applies to via=clusterIP
	if v, _ := expect.Judge(&only, &observe.Recording{Observations: good()}); v.Status != expect.Inconclusive || !strings.Contains(v.Reason, "no expectation applies") {
		t.Errorf("%+v", v)
	}
	only.Expect = nil
	if v, _ := expect.Judge(&only, &observe.Recording{Observations: good()}); v.Status != expect.Inconclusive || !strings.Contains(v.Reason, "expects nothing of variant broken") {
		t.Errorf("%+v", v)
	}
}

// TestSkip: a run that could not begin neither holds nor fails.
func TestSkip(t *testing.T) {
	v, results := expect.Skip(plan(t, "broken", nil), "no Docker")
	if v != (expect.Verdict{Status: expect.Skipped, Reason: "no Docker"}) {
		t.Errorf("%+v", v)
	}
	for _, r := range results {
		if r.Status == expect.Holds || r.Status == expect.Fails {
			t.Errorf("%s is %s", r.Expectation.Name, r.Status)
		}
	}
}

// TestEvidence: an expectation carries what it read, and the records of all of that, each once.
func TestEvidence(t *testing.T) {
	syn := observe.Evidence{ID: 1, Actor: "packet", Text: "SYN"}
	rst := observe.Evidence{ID: 2, Actor: "packet", Text: "RST"}
	_, results := expect.Judge(plan(t, "broken", nil), &observe.Recording{Observations: good(), Evidence: map[string][]observe.Evidence{
		"hungTargetNodes": {syn, rst}, "clientNodeName": {syn}, "backendHalfOpen": {rst},
	}})
	if r := results[1]; len(r.Evidence) != 2 || len(r.Observed) != 2 || r.Observed["clientNodeName"] != "node-1" {
		t.Errorf("observed %v, evidence %v", r.Observed, r.Evidence)
	}
	if r := results[0]; len(r.Evidence) != 0 {
		t.Errorf("evidence of what it does not read: %v", r.Evidence)
	}
}

func TestAgree(t *testing.T) {
	vocabulary := observe.All()
	for _, test := range []struct {
		name, observation string
		a, b              any
		want              expect.Status
	}{
		{"shares within", "hungRatio", 0.20, 0.24, expect.Holds},  // 0.052 is 4 deviations of 2000 and 2000
		{"shares beyond", "hungRatio", 0.20, 0.26, expect.Fails},  //
		{"share of nothing", "hungRatio", 0.0, 0.0, expect.Holds}, //
		{"share of nearly nothing", "hungRatio", 0.0, 0.01, expect.Fails},
		{"counts within", "nlbPackets", 10000.0, 10400.0, expect.Holds}, // 571
		{"counts beyond", "nlbPackets", 10000.0, 10700.0, expect.Fails},
		{"calls are set", "connections", 2000.0, 1999.0, expect.Fails},
		{"times within", "connectTimeoutSeconds", 127.0, 131.07, expect.Holds}, // timers of a kernel at 250 Hz
		{"times beyond", "connectTimeoutSeconds", 127.0, 140.0, expect.Fails},
		{"schedule within", "synOffsetsSeconds", []any{0.0, 1.0, 3.0}, []any{0.0, 1.016, 3.032}, expect.Holds},
		{"schedule shorter", "synOffsetsSeconds", []any{0.0, 1.0, 3.0}, []any{0.0, 1.016}, expect.Fails},
		{"targets are counted", "healthyTargets", 5.0, 4.0, expect.Fails},
		{"names", "hungTargetNodes", []any{"a"}, []any{"a"}, expect.Holds},
		{"other names", "hungTargetNodes", []any{"a"}, []any{"b"}, expect.Fails},
		{"shares by address", "hungRatioByAddress", map[string]any{"a": 0.5, "b": 0.0}, map[string]any{"a": 0.49, "b": 0.0}, expect.Holds},
		{"other addresses are other names", "hungRatioByAddress", map[string]any{"a": 0.5, "b": 0.0}, map[string]any{"c": 0.0, "d": 0.49}, expect.Holds},
		{"more addresses", "hungRatioByAddress", map[string]any{"a": 0.5}, map[string]any{"c": 0.5, "d": 0.0}, expect.Fails},
		{"another share by address", "hungRatioByAddress", map[string]any{"a": 0.5, "b": 0.0}, map[string]any{"c": 0.0, "d": 0.6}, expect.Fails}, // 0.063 of 1000 and 1000
		{"what each connection does", "synsPerHungConnection", 7.0, 7.1, expect.Holds},
		{"each does something else", "synsPerHungConnection", 7.0, 11.0, expect.Fails},
		{"different types", "hungRatio", 0.5, "0.5", expect.Fails},
		{"no sample on either side", "connectTimeoutSeconds", nil, nil, expect.Holds},
		{"no sample on one side", "connectTimeoutSeconds", 127.0, nil, expect.Inconclusive},
		{"no sample on the other", "connectTimeoutSeconds", nil, 127.0, expect.Inconclusive},
	} {
		t.Run(test.name, func(t *testing.T) {
			rec := func(v any) *observe.Recording {
				return &observe.Recording{Observations: map[string]any{"connections": 2000.0, test.observation: v}}
			}
			g := expect.Agree([]string{test.observation}, vocabulary, rec(test.a), rec(test.b))
			if g[0].Status != test.want {
				t.Errorf("%s with %s, want %s", g[0].Status, g[0].Tolerance, test.want)
			}
		})
	}
}
