package scenario

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types/ref"

	"github.com/ekslab/ekslab/harness/observe"
)

const (
	// maxExpression bounds the length of one expression, in characters.
	maxExpression = 4096
	// maxCost bounds the work of evaluating one, in CEL's own units: about one for each step.
	maxCost = 1_000_000
)

// scope is what the expressions of one part of a scenario may name.
type scope struct {
	// where says which part it is, for messages.
	where string
	env   *cel.Env
	// params, lets and obs are the known names; nil when the part has none.
	params, lets, obs []string
	// later are names that are declared below the expression, with their prefix.
	later []string
	// vocabulary has observations that exist but that the scenario does not list.
	vocabulary observe.Vocabulary
	// compiled keeps programs by their text.
	compiled map[string]*program
}

// with returns the scope with one more let.
func (s scope) with(name string, t *cel.Type) (scope, error) {
	env, err := s.env.Extend(cel.Variable(letName+"."+name, t))
	s.env, s.compiled = env, map[string]*program{}
	s.lets = append(slices.Clip(s.lets), name)
	return s, err
}

// program is an expression ready to be evaluated.
type program struct {
	source string
	cel    cel.Program
	// traced makes the program that also tells the value of each part.
	traced func() (cel.Program, error)
	ast    *ast.AST
	output *cel.Type
	params []string // parameters that it reads, sorted
	reads  []string // observations that it reads, sorted
}

// eval runs the program over variables by their full names, such as params.replicas.
func (p *program) eval(vars map[string]any) (ref.Val, error) {
	v, _, err := p.cel.Eval(vars)
	return v, err
}

// evalBool runs a program whose value has to be true or false.
func (p *program) evalBool(vars map[string]any) (bool, error) {
	v, err := p.eval(vars)
	if err != nil {
		return false, err
	}
	b, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("%s is neither true nor false but a %s", p.source, v.Type().TypeName())
	}
	return b, nil
}

// newEnv is an environment with the parameters.
func newEnv(parameters []Parameter) (*cel.Env, error) {
	options := append(functions(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(100),
	)
	for _, p := range parameters {
		options = append(options, cel.Variable("params."+p.Name, p.celType()))
	}
	return cel.NewEnv(options...)
}

// celType is the type of the parameter in expressions.
func (p Parameter) celType() *cel.Type {
	var t *cel.Type
	switch p.Type {
	case TypeInt:
		t = cel.IntType
	case TypeNumber:
		t = cel.DoubleType
	case TypeBool:
		t = cel.BoolType
	case TypeDuration:
		return cel.DurationType // null is a value of it
	case TypeList, TypeRange:
		if p.nullable {
			return cel.DynType
		}
		return cel.ListType(p.Items.celType())
	default:
		t = cel.StringType
	}
	if p.nullable {
		return cel.NullableType(t)
	}
	return t
}

// observationTypes declares observations. A number may be compared with ints and doubles, so it is left open here and
// looked at by checkNumbers.
func observationTypes(names []string, vocabulary observe.Vocabulary) (options []cel.EnvOption) {
	for _, name := range names {
		t := cel.DynType
		switch vocabulary[name].Type {
		case "string":
			t = cel.StringType
		case "bool":
			t = cel.BoolType
		case "list":
			t = cel.ListType(cel.DynType)
		case "map":
			t = cel.MapType(cel.StringType, cel.DynType)
		}
		options = append(options, cel.Variable("obs."+name, t))
	}
	return options
}

// compile makes a program of the part of n's text from start to end. It reports what is wrong and returns nil then.
func (s *scope) compile(n *node, start, end int, found *findings) *program {
	source := n.text[start:end]
	if p, ok := s.compiled[source]; ok {
		return p
	}
	report := func(offset int, format string, args ...any) {
		found.add(n.placeOf(start+offset), format, args...)
	}
	if strings.TrimSpace(source) == "" {
		report(0, "a CEL expression is missing")
		return nil
	}
	parsed, issues := s.env.Parse(escapeLet(source))
	if issues.Err() != nil {
		// What follows the first is mostly noise.
		e := issues.Errors()[0]
		report(offsetOf(source, e.Location.Line(), e.Location.Column()), "not valid CEL: %s", syntaxMessage(e.Message))
		return nil
	}
	p := &program{source: source, ast: parsed.NativeRep()}
	if !s.checkNames(p, report) {
		return nil
	}
	checked, issues := s.env.Check(parsed)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			report(offsetOf(source, e.Location.Line(), e.Location.Column()), "%s", s.checkMessage(e.Message))
		}
		return nil
	}
	p.ast, p.output = checked.NativeRep(), checked.OutputType()
	if s.obs != nil && !s.checkNumbers(p, report) {
		return nil
	}
	var err error
	if p.cel, err = s.env.Program(checked, cel.CostLimit(maxCost)); err != nil {
		report(0, "%v", err)
		return nil
	}
	env := s.env
	p.traced = sync.OnceValues(func() (cel.Program, error) {
		return env.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptExhaustiveEval))
	})
	s.compiled[source] = p
	return p
}

// compileBool makes a program of the whole of n, whose value has to be true or false.
func (s *scope) compileBool(n *node, found *findings) *program {
	p := s.compile(n, 0, len(n.text), found)
	if p != nil && !p.output.IsExactType(cel.BoolType) && !p.output.IsExactType(cel.DynType) && !p.output.IsExactType(cel.NullableType(cel.BoolType)) {
		found.add(n.at, "%s must be true or false, but this is %s", s.where, article(typeName(p.output)))
		return nil
	}
	return p
}

type reportAt func(offset int, format string, args ...any)

// checkNames holds every params.x, let.x and obs.x against what is known, and notes which ones are read.
func (s *scope) checkNames(p *program, report reportAt) bool {
	ok := true
	complain := func(e ast.Expr, format string, args ...any) {
		ok = false
		loc := p.ast.SourceInfo().GetStartLocation(e.ID())
		report(offsetOf(p.source, loc.Line(), loc.Column()), format, args...)
	}
	params, reads, selected := map[string]bool{}, map[string]bool{}, map[int64]bool{}
	ast.PreOrderVisit(p.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			for _, v := range []string{e.AsComprehension().IterVar(), e.AsComprehension().IterVar2()} {
				if v == "params" || v == letName || v == "obs" {
					complain(e, "%s cannot name a variable", strings.ToLower(v))
				}
			}
		case ast.IdentKind:
			if root := e.AsIdent(); !selected[e.ID()] && (root == "params" || root == letName || root == "obs") {
				root = strings.ToLower(root)
				complain(e, "%s is no value of its own; name one of its fields, as in %s.x", root, root)
			}
		case ast.SelectKind:
			sel := e.AsSelect()
			if sel.Operand().Kind() != ast.IdentKind {
				return
			}
			root, name := sel.Operand().AsIdent(), sel.FieldName()
			if root != "params" && root != letName && root != "obs" {
				return
			}
			selected[sel.Operand().ID()] = true
			if message := s.unknown(root, name); message != "" {
				complain(sel.Operand(), "%s", message)
				return
			}
			if sel.IsTestOnly() {
				complain(sel.Operand(), "has() does not go with %s.%s; one without a value is null", strings.ToLower(root), name)
			}
			switch root {
			case "params":
				params[name] = true
			case "obs":
				reads[name] = true
			}
		}
	}))
	p.params, p.reads = slices.Sorted(maps.Keys(params)), slices.Sorted(maps.Keys(reads))
	return ok
}

// unknown says what is wrong with root.name; nothing if it is known.
func (s *scope) unknown(root, name string) string {
	quoted := shorten(name)
	switch root {
	case "params":
		if slices.Contains(s.params, name) {
			return ""
		}
		if slices.Contains(s.later, "params."+name) {
			return fmt.Sprintf("params.%s is not known yet: %s sees the parameters above it", quoted, s.where)
		}
		return fmt.Sprintf("unknown parameter %q", quoted) + didYouMean(name, s.params)
	case letName:
		switch {
		case slices.Contains(s.lets, name):
			return ""
		case s.lets == nil:
			return fmt.Sprintf("let.%s is not known here: %s is over params", quoted, s.where)
		case slices.Contains(s.later, "let."+name):
			return fmt.Sprintf("let.%s is not known yet: %s sees the names above it", quoted, s.where)
		}
		return fmt.Sprintf("let has no name %q", quoted) + didYouMean(name, s.lets)
	default:
		switch {
		case slices.Contains(s.obs, name):
			return ""
		case s.obs == nil:
			return fmt.Sprintf("obs.%s is known after a run only: %s is over params and let", quoted, s.where)
		case s.vocabulary[name].Name != "":
			return fmt.Sprintf("observation %q is not in the scenario's list of observations", quoted)
		}
		return fmt.Sprintf("unknown observation %q", quoted) + didYouMean(name, s.obs)
	}
}

// checkNumbers finds what the type checker cannot, since observed numbers are open to it: a number compared with what is
// none, and arithmetic with an int, which fails when it is evaluated since CEL has no mixed arithmetic.
func (s *scope) checkNumbers(p *program, report reportAt) bool {
	ok := true
	number := func(e ast.Expr) (string, bool) {
		if e.Kind() != ast.IdentKind {
			return "", false
		}
		name, ok := strings.CutPrefix(e.AsIdent(), "obs.") // the checker makes one name of the selection
		return name, ok && s.vocabulary[name].Type == "number"
	}
	ast.PreOrderVisit(p.ast.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
			return
		}
		call := e.AsCall()
		for i, arg := range call.Args() {
			name, is := number(arg)
			if !is {
				continue
			}
			other := p.ast.GetType(call.Args()[1-i].ID())
			loc := p.ast.SourceInfo().GetStartLocation(arg.ID())
			offset := offsetOf(p.source, loc.Line(), loc.Column())
			switch call.FunctionName() {
			case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
				switch other.Kind() {
				case cel.StringKind, cel.BoolKind, cel.ListKind, cel.MapKind, cel.DurationKind:
					ok = false
					report(offset, "obs.%s is a number and cannot be compared with %s", name, article(typeName(other)))
				}
			case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo:
				if other.Kind() == cel.IntKind {
					ok = false
					report(offset, "obs.%s is a double, which CEL does not calculate with an int: write 2.0 for 2, double(x) for x", name)
				}
			}
		}
	}))
	return ok
}

var (
	noOverload = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`)
	undeclared = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	expecting  = regexp.MustCompile(` expecting .*$`)
)

// checkMessage words what the type checker found.
func (s *scope) checkMessage(message string) string {
	message = strings.ReplaceAll(message, letName+".", "let.")
	if m := noOverload.FindStringSubmatch(message); m != nil {
		name, args := m[1], strings.ReplaceAll(strings.ReplaceAll(m[2], "wrapper(", "optional("), "google.protobuf.Duration", "duration")
		if display, ok := operators.FindReverse(name); ok && display != "" {
			return fmt.Sprintf("%q does not go with %s", display, args)
		}
		switch name {
		case operators.Conditional:
			return fmt.Sprintf(`"? :" does not go with %s: it needs a bool and two values of one type`, args)
		case operators.Index:
			return fmt.Sprintf(`"[ ]" does not go with %s`, args)
		}
		return fmt.Sprintf("%s() does not go with %s", name, args)
	}
	if m := undeclared.FindStringSubmatch(message); m != nil {
		var known []string
		for _, name := range s.params {
			known = append(known, "params."+name)
		}
		for _, name := range s.lets {
			known = append(known, "let."+name)
		}
		for _, name := range s.obs {
			known = append(known, "obs."+name)
		}
		for _, name := range known {
			if strings.HasSuffix(name, "."+m[1]) {
				return fmt.Sprintf("unknown name %q; did you mean %q?", shorten(m[1]), name)
			}
		}
		return fmt.Sprintf("unknown name %q", shorten(m[1])) + didYouMean(m[1], celFunctions)
	}
	return message
}

// celFunctions are the functions to suggest from.
var celFunctions = []string{
	"near", "sum", "scaledValue", "size", "int", "uint", "double", "string", "bool", "duration", "type", "dyn", "filter", "map", "all", "exists", "exists_one",
	"contains", "startsWith", "endsWith", "matches", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
}

func syntaxMessage(message string) string {
	message = expecting.ReplaceAllString(strings.TrimPrefix(message, "Syntax error: "), "")
	if strings.Contains(message, "'<EOF>'") {
		return "the expression ends too early"
	}
	return strings.ReplaceAll(message, letName, "let")
}

// typeName is a CEL type as its users know it.
func typeName(t *cel.Type) string {
	s := strings.ReplaceAll(cel.FormatCELType(t), "google.protobuf.Duration", "duration")
	return strings.ReplaceAll(s, "wrapper", "optional")
}

func article(noun string) string {
	if strings.ContainsAny(noun[:1], "aeiou") {
		return "an " + noun
	}
	return "a " + noun
}

// offsetOf turns a line, from 1, and a column, from 0 and in characters, into an offset in bytes.
func offsetOf(source string, line, column int) int {
	offset := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(source[offset:], '\n')
		if n < 0 {
			break
		}
		offset += n + 1
	}
	for i := range source[offset:] {
		if column == 0 {
			return offset + i
		}
		column--
	}
	return len(source)
}

// placeOf is where the byte at an offset of n's text stands in the file: exact for text on one line and for | blocks,
// the beginning for text that YAML folds.
func (n *node) placeOf(offset int) place {
	offset = min(offset, len(n.text))
	at := n.at
	switch {
	case n.literal:
		at.line += 1 + strings.Count(n.text[:offset], "\n")
		at.column = 1
	case !strings.Contains(n.text, "\n"):
		at.column += offset
		if n.quoted {
			at.column++
		}
	}
	return at
}
