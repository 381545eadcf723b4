package elb

import (
	"math/rand/v2"
	"time"
)

// Range is a range of durations that one is drawn from, uniformly, both ends included.
type Range struct{ Min, Max time.Duration }

// Draw draws from the range. It draws nothing from r when the range is one value.
func (g Range) Draw(r *rand.Rand) time.Duration {
	if g.Max <= g.Min {
		return g.Min
	}
	return g.Min + time.Duration(r.Int64N(int64(g.Max-g.Min)+1))
}

// or is the range that g points to, else another.
func (g *Range) or(other Range) Range {
	if g == nil {
		return other
	}
	return *g
}
