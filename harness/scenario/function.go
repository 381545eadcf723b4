package scenario

import (
	"errors"
	"fmt"
	"math"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
)

// ErrTooFewSamples is what evaluating an expectation returns when near cannot tell: the observation agrees, but so would
// one that is wrong. errors.Is finds it.
var ErrTooFewSamples = errors.New("too few samples to tell")

// fewestAtBound is how many samples near wants before it believes a share of exactly 0 or 1.
const fewestAtBound = 30

// near says whether a share observed in n samples is within 4 standard deviations of p. A share of 0 or 1 has to be met
// exactly. With so few samples that the answer means nothing, the error is ErrTooFewSamples; a share that is off even so
// is simply off.
func near(observed, p, n float64) (bool, error) {
	if math.IsNaN(p) || p < 0 || p > 1 {
		return false, fmt.Errorf("near: the share %v is not between 0 and 1", p)
	}
	if n <= 0 || math.IsNaN(n) || math.IsNaN(observed) {
		return false, fmt.Errorf("near: %v samples: %w", n, ErrTooFewSamples)
	}
	if p == 0 || p == 1 {
		if observed == p && n < fewestAtBound {
			return false, fmt.Errorf("near: %v samples, and %d are needed for a share of %v: %w", n, fewestAtBound, p, ErrTooFewSamples)
		}
		return observed == p, nil
	}
	tolerance := 4 * math.Sqrt(p*(1-p)/n)
	if math.Abs(observed-p) > tolerance {
		return false, nil
	}
	if tolerance >= min(p, 1-p) {
		return false, fmt.Errorf("near: %v samples leave a tolerance of %.3g around the share %.3g: %w", n, tolerance, p, ErrTooFewSamples)
	}
	return true, nil
}

// functions are what the expressions of a scenario know besides CEL's own: near(observed, p, n), sum(list) and
// scaledValue(text, total, roundUp).
func functions() []cel.EnvOption {
	number := []*cel.Type{cel.IntType, cel.DoubleType}
	var nears []cel.FunctionOpt
	for _, o := range number {
		for _, p := range number {
			for _, n := range number {
				id := fmt.Sprintf("near_%s_%s_%s", o, p, n)
				nears = append(nears, cel.Overload(id, []*cel.Type{o, p, n}, cel.BoolType))
			}
		}
	}
	nears = append(nears, cel.SingletonFunctionBinding(func(args ...ref.Val) ref.Val {
		var v [3]float64
		for i, a := range args {
			f, ok := toFloat(a)
			if !ok {
				return types.NewErr("near: argument %d is a %s, not a number", i+1, a.Type())
			}
			v[i] = f
		}
		ok, err := near(v[0], v[1], v[2])
		if err != nil {
			return types.WrapErr(err)
		}
		return types.Bool(ok)
	}))
	return []cel.EnvOption{
		cel.Function("near", nears...), scaledValue(), ext.Math(),
		cel.Function("sum",
			cel.Overload("sum_int", []*cel.Type{cel.ListType(cel.IntType)}, cel.IntType),
			cel.Overload("sum_double", []*cel.Type{cel.ListType(cel.DoubleType)}, cel.DoubleType),
			cel.SingletonUnaryBinding(sum),
		),
	}
}

// sum adds the items of a list; that of an empty one is 0.
func sum(list ref.Val) ref.Val {
	items, ok := list.(traits.Lister)
	if !ok {
		return types.NewErr("sum: %s is no list", list.Type())
	}
	var total ref.Val = types.Int(0)
	for i, it := 0, items.Iterator(); it.HasNext() == types.True; i++ {
		item := it.Next()
		adder, ok := item.(traits.Adder)
		if _, numeric := toFloat(item); !ok || !numeric {
			return types.NewErr("sum: item %d is a %s, not a number", i, item.Type())
		}
		if i == 0 {
			total = item
		} else {
			total = adder.Add(total)
		}
		if types.IsError(total) {
			return total
		}
	}
	return total
}

func toFloat(v ref.Val) (float64, bool) {
	switch v := v.(type) {
	case types.Int:
		return float64(v), true
	case types.Uint:
		return float64(v), true
	case types.Double:
		return float64(v), true
	}
	return 0, false
}
