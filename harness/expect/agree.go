package expect

import (
	"cmp"
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
//	calls                     4 standard deviations of the difference of two counts, 4*sqrt(a+b)
//	packets, draws            the same, and what chance brings by how many connections hang, each of which sends its SYN several times
//	a mean over connections   5 % of the larger: the same is to happen to each of them
//	seconds (s)               5 % of the larger and 500 ms: a wall clock, a scheduler and a timer wheel lie between them
//	everything else           nothing: targets, sockets, names, yes or no, and how many calls were made are the same or not
//
// A list or map agrees when it has the same length or keys and each item agrees. The keys of a map by address are no more than names, which each backend
// gives out as it likes: of such maps the values are compared, the largest with the largest and so on.
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
			t := toleranceOf(name, doc, a, b)
			g.Tolerance, g.Status = t.words(g.A, g.B), Fails
			if t.agree(g.A, g.B) {
				g.Status = Holds
			}
		}
		all = append(all, g)
	}
	return all
}

// Observations that say how large a sample another one was taken from.
const (
	calls         = "connections"
	hung          = "hungConnections"
	packetsPerOne = "synsPerHungConnection"
)

func number(rec *observe.Recording, name string) float64 {
	n, _ := rec.Observations[name].(float64)
	return n
}

const (
	deviations       = 4.0  // as near() allows in expectations
	relative         = 0.05 // of the larger, for times and means
	secondsAbsolute  = 0.5
	leastUncertainty = 0.5 // of a count of 0 or 1, whose own deviation would be 0
)

// tolerance is how far apart the values of one observation may be.
type tolerance struct {
	unit               string
	mean, addressed    bool
	samplesA, samplesB float64
	// parts is among how many keys of a map the samples and packets are divided.
	parts float64
	// bunches is how many connections hung on both sides together, bunch how many packets each of them has more than another.
	bunches, bunch float64
}

func toleranceOf(name string, doc observe.Doc, a, b *observe.Recording) tolerance {
	t := tolerance{unit: doc.Unit, mean: doc.Mean, addressed: doc.Addressed, parts: 1,
		samplesA: max(number(a, calls), 1), samplesB: max(number(b, calls), 1),
		bunches: number(a, hung) + number(b, hung), bunch: max(number(a, packetsPerOne), number(b, packetsPerOne))}
	if name == calls {
		t.unit = "" // is set, not drawn
	}
	if m, ok := a.Observations[name].(map[string]any); ok && len(m) > 0 {
		t.parts = float64(len(m))
	}
	return t
}

// of is how far apart two numbers may be.
func (t tolerance) of(a, b float64) float64 {
	larger := max(math.Abs(a), math.Abs(b))
	switch {
	case t.mean:
		return relative * larger
	case t.unit == "1":
		na, nb := t.samplesA/t.parts, t.samplesB/t.parts
		p := (a*na + b*nb) / (na + nb)
		return deviations * math.Sqrt(max(p*(1-p), 0)*(1/na+1/nb))
	case t.unit == "calls":
		return deviations * math.Sqrt(max(math.Abs(a)+math.Abs(b), leastUncertainty))
	case t.unit == "packets", t.unit == "draws":
		extra := t.bunch / t.parts
		return deviations * math.Sqrt(max(math.Abs(a)+math.Abs(b)+t.bunches*extra*extra, leastUncertainty))
	case t.unit == "s":
		return relative*larger + secondsAbsolute
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
		return fmt.Sprintf("± %g %% + %g s each", relative*100, secondsAbsolute)
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
		if ok && t.addressed {
			return slices.EqualFunc(descending(a), descending(b), t.agree)
		}
		return ok && maps.EqualFunc(a, b, t.agree)
	}
	return reflect.DeepEqual(a, b)
}

// descending are the values of a map, the largest number first.
func descending(m map[string]any) []any {
	values := slices.Collect(maps.Values(m))
	slices.SortFunc(values, func(a, b any) int {
		x, _ := a.(float64)
		y, _ := b.(float64)
		return cmp.Compare(y, x)
	})
	return values
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
