package scenario

import (
	"maps"
	"path"

	"github.com/ekslab/ekslab/harness/observe"
)

// Expectation is a statement about a run that should be true.
type Expectation struct {
	// Variant names the variants that it is about: a name, "*", or a pattern such as fixed-*.
	Variant string
	// Name is unique in a variant.
	Name    string
	Meaning string
	// When is CEL over params and let; empty for always. Where it is false the expectation does not apply.
	When string
	// That is CEL over params, let and obs.
	That string
	// Reads are the observations that That reads, sorted.
	Reads []string

	File string
	Line int

	when, that *program
}

// appliesTo says whether the expectation is about the variant.
func (e Expectation) appliesTo(variant string) bool {
	ok, err := path.Match(e.Variant, variant)
	return err == nil && ok
}

// EvalWhen says whether the expectation applies to these parameters.
func (e Expectation) EvalWhen(vars Vars) (bool, error) {
	if e.when == nil {
		return true, nil
	}
	return e.when.evalBool(vars.values)
}

// Eval says whether the expectation is met. The error is ErrTooFewSamples (see errors.Is) when the observations cannot tell.
func (e Expectation) Eval(vars Vars) (bool, error) { return e.that.evalBool(vars.values) }

// Vars are the values that expressions see: params and let of a plan, and obs of a recording.
type Vars struct{ values map[string]any }

// Vars returns what expressions see in this plan. Observations may be nil before a run; one that has no sample is null.
func (p *Plan) Vars(observations map[string]any) Vars {
	values := maps.Clone(p.vars)
	for _, name := range p.Scenario.Observations {
		values["obs."+name] = observations[name]
	}
	return Vars{values}
}

// Condition is CEL over params, let and obs that a user gives, as in `sweep --where`.
type Condition struct {
	Source string
	// Reads are the observations that it reads, sorted.
	Reads []string

	program *program
}

// Condition compiles source. Errors begin with what, the flag that source was given to.
func (s *Scenario) Condition(what, source string, vocabulary observe.Vocabulary) (*Condition, error) {
	c, err := s.compiled()
	if err != nil {
		return nil, err
	}
	found := &findings{}
	scope, err := s.observed(c, "the condition", vocabulary)
	if err != nil {
		return nil, err
	}
	n := &node{kind: textNode, text: source}
	p := scope.compileBool(n, found)
	if p == nil {
		for i := range found.list {
			found.list[i].Message = what + " " + quoteEmpty(source) + ": " + found.list[i].Message
		}
		return nil, found.err()
	}
	return &Condition{Source: source, Reads: p.reads, program: p}, nil
}

// Eval says whether the condition holds.
func (c *Condition) Eval(vars Vars) (bool, error) { return c.program.evalBool(vars.values) }
