package scenario

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
)

// eachName is the item of a forEach, in the expressions of what is repeated.
const eachName = "each"

// maxRepeats bounds how often a forEach repeats something: a node of a large cluster each, and a step of each.
const maxRepeats = 100_000

// compileForEach compiles the list of a forEach and returns the scope of what it repeats: that with each.
func (t *templates) compileForEach(n *node, s *scope, found *findings) *scope {
	if !n.scalar() || n.kind == nullNode {
		found.add(n.at, "forEach: want a CEL expression, have %s", n.describe())
		return s.repeated(cel.DynType)
	}
	if hasTemplate(n.text) {
		found.add(n.at, "forEach is CEL as it stands: leave out ${ and }")
		return s.repeated(cel.DynType)
	}
	p := s.compile(n, 0, len(n.text), found)
	if p == nil {
		return s.repeated(cel.DynType)
	}
	element := cel.DynType
	switch {
	case p.output.Kind() == cel.ListKind && len(p.output.Parameters()) == 1:
		element = p.output.Parameters()[0]
	case !p.output.IsExactType(cel.DynType):
		found.add(n.at, "forEach must be a list, but this is %s", article(typeName(p.output)))
	}
	t.forEachs[n] = p
	return s.repeated(element)
}

// repeated is the scope with each.
func (s *scope) repeated(element *cel.Type) *scope {
	out := *s
	env, err := s.env.Extend(cel.Variable(eachName, element))
	if err != nil { // inside another forEach, whose item keeps its name
		return s
	}
	out.env, out.compiled = env, map[string]*program{}
	return &out
}

// repeat calls f for each item of the list, with the item in vars; once if there is no list.
func (t *templates) repeat(n *node, vars map[string]any, found *findings, f func()) {
	if n == nil {
		f()
		return
	}
	p := t.forEachs[n]
	if p == nil {
		return // reported when it was compiled
	}
	v, err := p.eval(vars)
	if err != nil {
		found.add(n.at, "forEach: %v", err)
		return
	}
	list, ok := v.(traits.Lister)
	if !ok {
		found.add(n.at, "forEach must be a list, but this is %s", article(v.Type().TypeName()))
		return
	}
	if size, ok := list.Size().(types.Int); ok && size > maxRepeats {
		found.add(n.at, "forEach: a list of %d items; %d are the most", size, maxRepeats)
		return
	}
	outer, nested := vars[eachName]
	for it := list.Iterator(); it.HasNext() == types.True; {
		vars[eachName] = it.Next()
		f()
	}
	if nested {
		vars[eachName] = outer
	} else {
		delete(vars, eachName)
	}
}
