package expect

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Status is what is said of a run or of one expectation.
type Status string

// A run is never notApplicable, an expectation never skipped.
const (
	Holds         Status = "holds"
	Fails         Status = "fails"
	Inconclusive  Status = "inconclusive"
	Skipped       Status = "skipped"
	NotApplicable Status = "notApplicable"
)

// Verdict is what is said of a run.
type Verdict struct {
	Status Status
	// Reason is empty for a run that holds.
	Reason string
}

// Result is what is said of one expectation.
type Result struct {
	Expectation scenario.Expectation
	Status      Status
	// Reason says why one is inconclusive.
	Reason string
	// Observed has what the expectation reads, Evidence what shows it.
	Observed map[string]any
	Evidence []observe.Evidence
	// Compared is what it compared, side by side; empty where that cannot be told apart.
	Compared []scenario.Comparison
}

// Judge holds a recording against what the plan expects.
func Judge(plan *scenario.Plan, rec *observe.Recording) (Verdict, []Result) {
	if rec.Interrupted {
		verdict, results := undecided(plan, "the run was interrupted before its end")
		for i := range results {
			results[i].witness(rec)
		}
		return verdict, results
	}
	results := make([]Result, len(plan.Expect))
	vars := plan.Vars(rec.Observations)
	for i, e := range plan.Expect {
		r := Result{Expectation: e}
		r.witness(rec)
		r.judge(rec, vars)
		results[i] = r
	}
	return verdict(plan, results), results
}

// judge settles one expectation.
func (r *Result) judge(rec *observe.Recording, vars scenario.Vars) {
	applies, err := r.Expectation.EvalWhen(vars)
	if err != nil {
		r.Status, r.Reason = Inconclusive, fmt.Sprintf("whether it applies cannot be told: %v", err)
		return
	}
	if !applies {
		r.Status = NotApplicable
		return
	}
	var missing []string
	for _, name := range r.Expectation.Reads {
		if rec.Observations[name] == nil {
			missing = append(missing, noSample(rec, name))
		}
	}
	if len(missing) > 0 {
		r.Status, r.Reason = Inconclusive, strings.Join(missing, "; ")
		return
	}
	met, err := r.Expectation.Eval(vars)
	if err == nil {
		r.Compared = r.Expectation.Comparisons(vars)
	}
	switch {
	case errors.Is(err, scenario.ErrTooFewSamples):
		r.Status, r.Reason = Inconclusive, err.Error()
	case err != nil:
		r.Status, r.Reason = Inconclusive, fmt.Sprintf("cannot be evaluated: %v", err)
	case met:
		r.Status = Holds
	default:
		r.Status = Fails
	}
}

// noSample says that an observation has no sample, and why where the recording knows.
func noSample(rec *observe.Recording, name string) string {
	if why := rec.Missing[name]; why != "" {
		return name + " has no sample: " + why
	}
	return name + " has no sample"
}

// witness notes what the expectation reads and the evidence of it.
func (r *Result) witness(rec *observe.Recording) {
	r.Observed = map[string]any{}
	for _, name := range r.Expectation.Reads {
		r.Observed[name] = rec.Observations[name]
		for _, e := range rec.Evidence[name] {
			if !slices.ContainsFunc(r.Evidence, func(other observe.Evidence) bool { return other.ID == e.ID }) {
				r.Evidence = append(r.Evidence, e)
			}
		}
	}
}

// verdict sums up results.
func verdict(plan *scenario.Plan, results []Result) Verdict {
	names := map[Status][]string{}
	var reasons []string
	for _, r := range results {
		names[r.Status] = append(names[r.Status], r.Expectation.Name)
		if r.Status == Inconclusive {
			reasons = append(reasons, r.Expectation.Name+": "+r.Reason)
		}
	}
	switch {
	case len(names[Fails]) > 0:
		return Verdict{Fails, fmt.Sprintf("%d of %d expectations not met: %s", len(names[Fails]), len(results)-len(names[NotApplicable]),
			strings.Join(names[Fails], ", "))}
	case len(reasons) > 0:
		return Verdict{Inconclusive, strings.Join(reasons, "; ")}
	case len(results) == 0:
		return Verdict{Inconclusive, fmt.Sprintf("the scenario expects nothing of variant %s", plan.Variant)}
	case len(names[Holds]) == 0:
		return Verdict{Inconclusive, "no expectation applies with these values"}
	}
	return Verdict{Status: Holds}
}

// Skip is what is said of a run that could not begin.
func Skip(plan *scenario.Plan, reason string) (Verdict, []Result) {
	_, results := undecided(plan, reason)
	return Verdict{Skipped, reason}, results
}

// Undecided is what is said of a run without a recording.
func Undecided(plan *scenario.Plan, reason string) (Verdict, []Result) {
	return undecided(plan, reason)
}

func undecided(plan *scenario.Plan, reason string) (Verdict, []Result) {
	results := make([]Result, len(plan.Expect))
	for i, e := range plan.Expect {
		results[i] = Result{Expectation: e, Status: Inconclusive, Reason: reason, Observed: map[string]any{}}
		if applies, err := e.EvalWhen(plan.Vars(nil)); err == nil && !applies {
			results[i].Status, results[i].Reason = NotApplicable, ""
		}
	}
	return Verdict{Inconclusive, reason}, results
}
