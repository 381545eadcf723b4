package report

import (
	"encoding/json"
	"io"
	"math"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// RunSchema names the document that WriteJSON writes. Keys are only ever added to it.
const RunSchema = "ekslab.run/v1"

type document struct {
	Schema string        `json:"schema"`
	Runs   []runDocument `json:"runs"`
}

type runDocument struct {
	Scenario     string                `json:"scenario"`
	Articles     []int                 `json:"articles"`
	Variant      string                `json:"variant"`
	Backend      string                `json:"backend"`
	Seed         uint64                `json:"seed"`
	Parameters   scenario.ParamValues  `json:"parameters"`
	Verdict      string                `json:"verdict"`
	Reason       string                `json:"reason"`
	Expectations []expectationDocument `json:"expectations"`
	Observations Ordered               `json:"observations"`
	// VirtualSeconds is how long the run took on the clock of the world, WallSeconds how long it took here.
	VirtualSeconds float64           `json:"virtualSeconds"`
	WallSeconds    float64           `json:"wallSeconds"`
	Events         uint64            `json:"events"`
	TraceHash      string            `json:"traceHash"`
	Images         map[string]string `json:"images"`
}

type expectationDocument struct {
	Name       string             `json:"name"`
	Meaning    string             `json:"meaning"`
	Expression string             `json:"expression"`
	Verdict    string             `json:"verdict"`
	Observed   Ordered            `json:"observed"`
	Evidence   []observe.Evidence `json:"evidence"`
}

// WriteJSON writes the outcomes as one document.
func WriteJSON(w io.Writer, outcomes []run.Outcome) error {
	d := document{Schema: RunSchema, Runs: []runDocument{}}
	for _, o := range outcomes {
		d.Runs = append(d.Runs, newRunDocument(o))
	}
	return Encode(w, d)
}

// Encode writes a document as every command does: indented, and with <, > and & as they are.
func Encode(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(document)
}

func newRunDocument(o run.Outcome) runDocument {
	s := o.Job.Plan.Scenario
	d := runDocument{
		Scenario:     s.Name,
		Articles:     append([]int{}, s.Articles...),
		Variant:      o.Job.Plan.Variant,
		Backend:      o.Backend,
		Seed:         o.Job.Seed,
		Parameters:   o.Job.Plan.Params,
		Verdict:      string(o.Verdict.Status),
		Reason:       o.Verdict.Reason,
		Expectations: []expectationDocument{},
		Observations: Ordered{},
		WallSeconds:  o.Wall.Seconds(),
		Images:       map[string]string{},
	}
	for _, r := range o.Results {
		d.Expectations = append(d.Expectations, newExpectationDocument(r))
	}
	if rec := o.Recording; rec != nil {
		for _, e := range observations(s, rec) {
			d.Observations = append(d.Observations, Entry(e))
		}
		d.VirtualSeconds, d.Events, d.TraceHash = finite(rec.VirtualSeconds), rec.Events, rec.TraceHash
		for name, image := range rec.Images {
			d.Images[name] = image
		}
	}
	return d
}

func newExpectationDocument(r expect.Result) expectationDocument {
	d := expectationDocument{
		Name:       r.Expectation.Name,
		Meaning:    r.Expectation.Meaning,
		Expression: r.Expectation.That,
		Verdict:    string(r.Status),
		Observed:   Ordered{},
		Evidence:   append([]observe.Evidence{}, r.Evidence...),
	}
	for _, name := range r.Expectation.Reads {
		if v, ok := r.Observed[name]; ok {
			d.Observed = append(d.Observed, Entry{name, v})
		}
	}
	return d
}

// observations lists what a scenario declares, in its order, as recorded; what the recording lacks is nil.
func observations(s *scenario.Scenario, rec *observe.Recording) []entry {
	es := make([]entry, len(s.Observations))
	for i, name := range s.Observations {
		es[i] = entry{name, rec.Observations[name]}
	}
	return es
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}
