package observe

import "maps"

// Recording is what a backend saw in one run. Backends write it, the judge and the reports read it, nobody changes it.
type Recording struct {
	Backend string
	Seed    uint64
	// Observations by name. A value is float64, string, bool, []any, map[string]any, or nil when there was no sample.
	Observations map[string]any
	// Missing says, for an observation that is nil, why there was no sample.
	Missing map[string]string
	// Evidence holds, for an observation, a few records of the trace that show it.
	Evidence map[string][]Evidence

	VirtualSeconds float64
	Events         uint64
	TraceHash      string
	// Images that ran, by name, where a backend runs images.
	Images map[string]string

	// Setup describes in short lines what was set up.
	Setup []string
	// Interrupted is true when the run was ended before its time; the observations cover what was finished.
	Interrupted bool
}

// Add puts in what one watcher observed, and why the rest is missing.
func (r *Recording) Add(observations map[string]any, missing map[string]string) {
	if r.Observations == nil {
		r.Observations, r.Missing = map[string]any{}, map[string]string{}
	}
	maps.Copy(r.Observations, observations)
	maps.Copy(r.Missing, missing)
}

// AddEvidence puts in the records that show what one watcher observed.
func (r *Recording) AddEvidence(evidence map[string][]Evidence) {
	if r.Evidence == nil {
		r.Evidence = map[string][]Evidence{}
	}
	maps.Copy(r.Evidence, evidence)
}

// Evidence is one record of a run's trace, as a person reads it.
type Evidence struct {
	ID      uint64  `json:"id"`
	Seconds float64 `json:"seconds"`
	Actor   string  `json:"actor"`
	Text    string  `json:"text"`
}

// Doc documents one observation.
type Doc struct {
	Name string `json:"name"`
	// Type is number, string, bool, list or map.
	Type string `json:"type"`
	// Unit of a number or of a list's or map's values; empty for none.
	Unit    string `json:"unit,omitempty"`
	Meaning string `json:"meaning"`
	// Mean is whether a number is a mean over connections to which the same is to happen, not a count of what chance brings.
	Mean bool `json:"-"`
	// Addressed is whether the keys of a map are addresses, which each backend gives out as it likes.
	Addressed bool `json:"-"`
	// Backends that can show it: sim, kind.
	Backends []string `json:"backends"`
	// Family is what watches for it: observations of one family are made together.
	Family Family `json:"-"`
}

// Vocabulary is the set of observations that scenarios may name.
type Vocabulary map[string]Doc
