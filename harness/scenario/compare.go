package scenario

import (
	"math"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// Comparison is one thing that an expectation compares, and what stood on either side of it in a run. It is for reports: whether an
// expectation is met, Eval says.
type Comparison struct {
	// Left is CEL, mostly an observation. Operator is ==, !=, <, <=, >, >= or near. Right is CEL, empty when it is a value as it stands.
	Left, Operator, Right string
	// Observed and Expected are the values of the sides: float64, string, bool, []any, map[string]any or nil.
	Observed, Expected any
	// Margin is how far from Expected near lets the observed value be.
	Margin float64
	Holds  bool
}

// Comparisons lists what the expectation compares, where it is a comparison or several joined by &&; otherwise, or when something in it
// cannot be evaluated, the list is empty.
func (e Expectation) Comparisons(vars Vars) []Comparison {
	p := e.that
	program, err := p.traced()
	if err != nil {
		return nil
	}
	_, details, err := program.Eval(vars.values)
	if err != nil || details == nil {
		return nil
	}
	var list []Comparison
	var visit func(x ast.Expr) bool
	visit = func(x ast.Expr) bool {
		if x.Kind() != ast.CallKind {
			return false
		}
		call := x.AsCall()
		args := call.Args()
		if call.FunctionName() == operators.LogicalAnd {
			return visit(args[0]) && visit(args[1])
		}
		c := Comparison{Operator: comparisonOperators[call.FunctionName()]}
		if c.Operator == "" {
			return false
		}
		result, ok := details.State().Value(x.ID())
		if !ok {
			return false
		}
		c.Holds = result == types.True
		left, right := args[0], args[1]
		if !readsObservation(left) && readsObservation(right) && c.Operator != "near" {
			left, right, c.Operator = right, left, mirrored(c.Operator)
		}
		var known [2]bool
		c.Left, c.Observed, known[0] = p.side(left, details)
		c.Right, c.Expected, known[1] = p.side(right, details)
		if c.Operator == "near" {
			if n, p, ok := nearNumbers(args[2], c.Expected, details); ok {
				c.Margin = 4 * math.Sqrt(p*(1-p)/n)
			}
		}
		if right.Kind() == ast.LiteralKind {
			c.Right = ""
		}
		list = append(list, c)
		return known[0] && known[1]
	}
	if !visit(p.ast.Expr()) {
		return nil
	}
	return list
}

var comparisonOperators = map[string]string{
	operators.Equals: "==", operators.NotEquals: "!=", operators.Less: "<", operators.LessEquals: "<=", operators.Greater: ">", operators.GreaterEquals: ">=",
	"near": "near",
}

func mirrored(operator string) string {
	switch operator[0] {
	case '<':
		return ">" + operator[1:]
	case '>':
		return "<" + operator[1:]
	}
	return operator
}

func readsObservation(e ast.Expr) (reads bool) {
	ast.PreOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		reads = reads || e.Kind() == ast.IdentKind && strings.HasPrefix(e.AsIdent(), "obs.")
	}))
	return reads
}

// side is one side of a comparison: its text, and its value.
func (p *program) side(e ast.Expr, details *cel.EvalDetails) (text string, value any, known bool) {
	text, err := cel.ExprToString(e, p.ast.SourceInfo())
	if err != nil {
		return "", nil, false
	}
	text = strings.ReplaceAll(text, letName+".", "let.")
	if name, ok := strings.CutPrefix(text, "obs."); ok && e.Kind() == ast.IdentKind {
		text = name
	}
	var v ref.Val
	if e.Kind() == ast.LiteralKind {
		v = e.AsLiteral()
	} else if v, known = details.State().Value(e.ID()); !known {
		return text, nil, false
	}
	value, known = plain(v)
	return text, value, known
}

func nearNumbers(samples ast.Expr, share any, details *cel.EvalDetails) (n, p float64, ok bool) {
	p, ok = share.(float64)
	var v ref.Val
	if samples.Kind() == ast.LiteralKind {
		v = samples.AsLiteral()
	} else if v, _ = details.State().Value(samples.ID()); v == nil {
		return 0, 0, false
	}
	n, isNumber := toFloat(v)
	return n, p, ok && isNumber && n > 0 && p >= 0 && p <= 1
}

// plain is a CEL value as recordings have it.
func plain(v ref.Val) (any, bool) {
	if f, ok := toFloat(v); ok {
		return f, true
	}
	switch v := v.(type) {
	case types.Null:
		return nil, true
	case types.Bool:
		return bool(v), true
	case types.String:
		return string(v), true
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, ok := plain(it.Next())
			if !ok {
				return nil, false
			}
			list = append(list, item)
		}
		return list, true
	case traits.Mapper:
		m := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, isText := key.(types.String)
			item, ok := plain(v.Get(key))
			if !isText || !ok {
				return nil, false
			}
			m[string(name)] = item
		}
		return m, true
	}
	return nil, false
}
