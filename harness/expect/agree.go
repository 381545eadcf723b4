package expect

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"github.com/ekslab/ekslab/harness/observe"
)

// Agreement compares one observation of two backends.
type Agreement struct {
	Name string
	// A and B are the values of the first and the second backend.
	A, B any
	// Tolerance says in words how far apart they may be.
	Tolerance string
	// Status is Holds when they agree, Fails when not, and Inconclusive when one has no sample.
	Status Status
	Reason string
}

// Agree compares what two backends recorded of the same plan. How far apart two values may be follows from what they are, by their unit:
//
//	a share (1)               4 standard deviations of the difference of two samples, as large as the calls that each recorded
//	calls, packets, draws     4 standard deviations of the difference of two counts, 4*sqrt(a+b)
//	seconds (s)               5 % of the larger and 250 ms: a wall clock, a scheduler and a timer wheel lie between them
//	everything else           nothing: targets, sockets, names, yes or no, and how many calls were made are the same or not
//
// A list or map agrees when it has the same length or keys and each item agrees.
func Agree(names []string, vocabulary observe.Vocabulary, a, b *observe.Recording) []Agreement {
	var all []Agreement
	for _, name := range names {
		doc := vocabulary[name]
		g := Agreement{Name: name, A: a.Observations[name], B: b.Observations[name]}
		switch {
		case g.A == nil && g.B == nil:
			g.Status, g.Tolerance = Holds, "equal"
		case g.A == nil:
			g.Status, g.Reason = Inconclusive, a.Backend+": "+noSample(a, name)
		case g.B == nil:
			g.Status, g.Reason = Inconclusive, b.Backend+": "+noSample(b, name)
		default:
			t := tolerance{unit: doc.Unit, samplesA: samples(a), samplesB: samples(b)}
			if name == calls {
				t.unit = "" // is set, not drawn
			}
			g.Tolerance, g.Status = t.words(g.A, g.B), Fails
			if t.agree(g.A, g.B) {
				g.Status = Holds
			}
		}
		all = append(all, g)
	}
	return all
}

// calls is the observation that says how many calls a share was taken over.
const calls = "connections"

func samples(rec *observe.Recording) float64 {
	n, _ := rec.Observations[calls].(float64)
	return max(n, 1)
}

const (
	deviations       = 4.0  // as near() allows in expectations
	secondsRelative  = 0.05 // of the larger
	secondsAbsolute  = 0.25
	leastUncertainty = 0.5 // of a count of 0 or 1, whose own deviation would be 0
)

type tolerance struct {
	unit               string
	samplesA, samplesB float64
}

// of is how far apart two numbers may be.
func (t tolerance) of(a, b float64) float64 {
	switch t.unit {
	case "1":
		p := (a*t.samplesA + b*t.samplesB) / (t.samplesA + t.samplesB)
		return deviations * math.Sqrt(max(p*(1-p), 0)*(1/t.samplesA+1/t.samplesB))
	case "calls", "packets", "draws":
		return deviations * math.Sqrt(max(math.Abs(a)+math.Abs(b), leastUncertainty))
	case "s":
		return secondsRelative*max(math.Abs(a), math.Abs(b)) + secondsAbsolute
	}
	return 0
}

func (t tolerance) words(a, b any) string {
	x, isNumber := a.(float64)
	y, both := b.(float64)
	switch {
	case isNumber && both:
		if d := t.of(x, y); d > 0 {
			return fmt.Sprintf("± %.3g", d)
		}
		return "equal"
	case t.unit == "s":
		return fmt.Sprintf("± %g %% + %g s each", secondsRelative*100, secondsAbsolute)
	case t.unit == "1", t.unit == "calls", t.unit == "packets", t.unit == "draws":
		return fmt.Sprintf("%g deviations each", deviations)
	}
	return "equal"
}

func (t tolerance) agree(a, b any) bool {
	switch a := a.(type) {
	case float64:
		b, ok := b.(float64)
		return ok && math.Abs(a-b) <= t.of(a, b)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, t.agree)
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, t.agree)
	}
	return reflect.DeepEqual(a, b)
}

// Agreed sums up agreements.
func Agreed(agreements []Agreement) Verdict {
	count := map[Status]int{}
	for _, g := range agreements {
		count[g.Status]++
	}
	switch {
	case count[Fails] > 0:
		return Verdict{Fails, fmt.Sprintf("%d of %d observations differ", count[Fails], len(agreements))}
	case count[Inconclusive] > 0:
		return Verdict{Inconclusive, fmt.Sprintf("%d of %d observations have no sample on one side", count[Inconclusive], len(agreements))}
	case len(agreements) == 0:
		return Verdict{Inconclusive, "the backends have no observation in common"}
	}
	return Verdict{Status: Holds}
}
