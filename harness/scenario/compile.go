package scenario

import (
	"slices"

	"github.com/ekslab/ekslab/harness/observe"
)

// code holds the compiled expressions of a scenario, but for those of its expectations.
type code struct {
	defaults  *templates
	rules     []*program
	lets      []*program
	templates *templates
	// scope is that of the templates: params and let.
	scope scope
}

// compiled compiles the scenario's expressions once; the error is *Problems.
func (s *Scenario) compiled() (*code, error) {
	s.once.Do(func() {
		found := &findings{}
		c, err := s.compile(found)
		if err != nil {
			found.add(place{file: s.File, line: 1, column: 1}, "%v", err)
		}
		s.code, s.codeErr = c, found.err()
	})
	return s.code, s.codeErr
}

func newTemplates() *templates {
	return &templates{texts: map[*node][]segment{}, whens: map[*node]*program{}}
}

func (s *Scenario) compile(found *findings) (*code, error) {
	env, err := newEnv(s.Parameters)
	if err != nil {
		return nil, err
	}
	names := parameterNames(s.Parameters)
	c := &code{defaults: newTemplates(), templates: newTemplates()}

	for i, p := range s.Parameters {
		if p.computed != nil {
			scope := scope{where: "a default", env: env, params: names[:i], compiled: map[string]*program{}}
			for _, name := range names[i:] {
				scope.later = append(scope.later, "params."+name)
			}
			c.defaults.compileText(p.computed, &scope, found)
		}
	}

	c.scope = scope{where: "a rule", env: env, params: names, compiled: map[string]*program{}}
	for _, r := range s.doc.Rules {
		c.rules = append(c.rules, c.scope.compileBool(r.That.node, found))
	}

	c.scope.lets = []string{}
	for i, l := range s.doc.Let {
		c.scope.where = "let." + l.name
		c.scope.later = nil
		for _, name := range s.doc.Let.names()[i:] {
			c.scope.later = append(c.scope.later, "let."+name)
		}
		p := c.scope.compile(l.value.node, 0, len(l.value.text), found)
		c.lets = append(c.lets, p)
		if p == nil {
			continue
		}
		if c.scope, err = c.scope.with(l.name, p.output); err != nil {
			return nil, err
		}
	}
	c.scope.later = nil
	if len(c.scope.lets) < len(s.doc.Let) {
		return c, nil // whatever reads the missing ones would be reported in vain
	}

	c.scope.where = "when"
	t := c.templates
	t.compile(s.world, &c.scope, true, found)
	t.compile(s.doc.Settle.node, &c.scope, true, found)
	t.compile(s.doc.Timeline.node, &c.scope, true, found)
	t.compile(s.doc.Load.node, &c.scope, true, found)
	for _, m := range s.doc.Manifests {
		if m.when.node != nil {
			t.compileWhen(m.when.node, &c.scope, found)
		}
	}
	for _, p := range s.allPatches() {
		if p.When.node != nil {
			t.compileWhen(p.When.node, &c.scope, found)
		}
		t.compile(p.Patch.node, &c.scope, false, found)
	}
	for _, v := range s.Variants {
		t.compile(v.doc.Timeline.node, &c.scope, true, found)
	}
	return c, nil
}

func (s *Scenario) allPatches() []patchDoc {
	all := slices.Clone(s.doc.Patches)
	for _, v := range s.Variants {
		all = append(all, v.doc.Patches...)
	}
	return all
}

// observed is the scope of expressions over a recording.
func (s *Scenario) observed(c *code, where string, vocabulary observe.Vocabulary) (scope, error) {
	scope := c.scope
	var err error
	scope.where, scope.vocabulary, scope.compiled = where, vocabulary, map[string]*program{}
	scope.obs = append([]string{}, s.Observations...)
	scope.env, err = scope.env.Extend(observationTypes(s.Observations, vocabulary)...)
	return scope, err
}

// compileExpectations compiles the expectations. With a vocabulary their types are checked, too; what the programs do
// does not depend on it.
func (s *Scenario) compileExpectations(vocabulary observe.Vocabulary, found *findings) []Expectation {
	c, err := s.compiled()
	if err != nil {
		return nil
	}
	before := c.scope
	before.where, before.compiled = "when", map[string]*program{}
	after, err := s.observed(c, "that", vocabulary)
	if err != nil {
		found.add(place{file: s.File, line: 1, column: 1}, "%v", err)
		return nil
	}
	list := slices.Clone(s.Expect)
	i := 0
	for _, group := range s.doc.Expect {
		for _, doc := range group.value {
			e := &list[i]
			i++
			if n := doc.When.node; n != nil {
				e.when = before.compileBool(n, found)
			}
			if e.that = after.compileBool(doc.That.node, found); e.that == nil {
				continue
			}
			e.Reads = e.that.reads
			if len(e.Reads) == 0 {
				found.add(doc.That.at, "that reads no observation, so no run can fail it: name one as in obs.x")
			}
		}
	}
	return list
}

// expectations returns the compiled expectations, compiling them the first time.
func (s *Scenario) expectations() ([]Expectation, error) {
	s.expectMu.Lock()
	defer s.expectMu.Unlock()
	if s.expect == nil {
		found := &findings{}
		list := s.compileExpectations(nil, found)
		if err := found.err(); err != nil {
			return nil, err
		}
		s.expect = list
	}
	return s.expect, nil
}
