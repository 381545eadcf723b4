package scenario

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Resolve settles every value for a run of one variant. A parameter's value is what set gives for it, in the text form
// of --set; else what the variant gives; else its default. Then the rules are checked, the names of let and every ${CEL}
// evaluated, items whose `when` is false left out, and the manifests patched. The error is *Problems.
func (s *Scenario) Resolve(variant string, set map[string]string) (*Plan, error) {
	v, ok := s.Variant(variant)
	if !ok {
		return nil, &Problems{{Message: fmt.Sprintf("%s has no variant %q%s; its variants are %s",
			s.Name, shorten(variant), withoutMark(didYouMean(variant, s.VariantNames())), strings.Join(s.VariantNames(), ", "))}}
	}
	given, err := s.parse(set)
	if err != nil {
		return nil, err
	}
	c, err := s.compiled()
	if err != nil {
		return nil, err
	}
	expect, err := s.expectations()
	if err != nil {
		return nil, err
	}
	found := &findings{}
	plan := &Plan{Scenario: s, Variant: variant, Golden: s.Golden}
	plan.Params = s.settle(c, v, given, found)
	plan.vars = map[string]any{}
	for _, p := range plan.Params {
		plan.vars["params."+p.Name] = p.Value
	}
	if !found.any() {
		s.checkRules(c, plan.vars, found)
	}
	if !found.any() {
		s.evaluateLets(c, plan.vars, found)
	}
	if found.any() {
		return nil, found.err()
	}
	s.fill(plan, c, v, found)
	if !found.any() {
		checkWorld(&plan.World, s.world, found)
		checkReferences(plan, found)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	for _, e := range expect {
		if e.appliesTo(variant) {
			plan.Expect = append(plan.Expect, e)
		}
	}
	return plan, nil
}

func withoutMark(hint string) string { return strings.TrimSuffix(hint, "?") }

// parse reads the values of --set; every wrong one is reported.
func (s *Scenario) parse(set map[string]string) (map[string]any, error) {
	found := &findings{}
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		text := set[name]
		flag := fmt.Sprintf("--set %s=%s", shorten(name), shorten(text))
		p, ok := s.Parameter(name)
		if !ok {
			names := parameterNames(s.Parameters)
			hint := didYouMean(name, names)
			if hint == "" {
				hint = fmt.Sprintf("; %s has %s", s.Name, strings.Join(names, ", "))
			}
			found.add(place{}, "%s: unknown parameter %q%s", flag, shorten(name), hint)
			continue
		}
		v, err := p.Parse(text)
		if err != nil {
			found.add(place{}, "%s: %v", flag, err)
			continue
		}
		values[name] = v
	}
	return values, found.err()
}

// settle gives every parameter its value.
func (s *Scenario) settle(c *code, variant Variant, given map[string]any, found *findings) ParamValues {
	values := make(ParamValues, 0, len(s.Parameters))
	vars := map[string]any{}
	for _, p := range s.Parameters {
		v := ParamValue{Name: p.Name, Value: p.Default, Origin: FromDefault}
		if value, ok := given[p.Name]; ok {
			v.Value, v.Origin = value, FromSet
		} else if i := slices.IndexFunc(variant.Set, func(v ParamValue) bool { return v.Name == p.Name }); i >= 0 {
			v = variant.Set[i]
		} else if p.computed != nil {
			v.Value = s.computeDefault(c, p, vars, found)
		}
		vars["params."+p.Name] = v.Value
		values = append(values, v)
	}
	return values
}

func (s *Scenario) computeDefault(c *code, p Parameter, vars map[string]any, found *findings) any {
	before := len(found.list)
	n := c.defaults.renderText(p.computed, vars, found)
	if len(found.list) > before {
		return nil
	}
	v, err := p.fromNode(n)
	if err != nil {
		found.add(p.computed.at, "the default %s: %s", shorten(p.Computed), p.must(given(n)))
	}
	return v
}

// checkRules reports every rule that is broken, with the values that break it.
func (s *Scenario) checkRules(c *code, vars map[string]any, found *findings) {
	for i, r := range s.doc.Rules {
		ok, err := c.rules[i].evalBool(vars)
		switch {
		case err != nil:
			found.add(r.That.at, "%s: %v", shorten(r.That.text), err)
		case !ok:
			var values []string
			for _, name := range c.rules[i].params {
				values = append(values, name+"="+FormatValue(vars["params."+name]))
			}
			found.add(r.That.at, "%s (%s)", r.Otherwise, strings.Join(values, " "))
		}
	}
}

func (s *Scenario) evaluateLets(c *code, vars map[string]any, found *findings) {
	for i, l := range s.doc.Let {
		v, err := c.lets[i].eval(vars)
		if err != nil {
			found.add(l.value.at, "let.%s: %v", l.name, err)
			return // those below may read it
		}
		vars[letName+"."+l.name] = v
	}
}

// fill decodes what the templates of the scenario come to.
func (s *Scenario) fill(plan *Plan, c *code, variant Variant, found *findings) {
	decode := func(n *node, whens bool, into any, path string) {
		if n == nil {
			return
		}
		before := len(found.list)
		n = c.templates.render(n, plan.vars, whens, found)
		if len(found.list) > before {
			return
		}
		d := decoder{found: found, tag: "yaml"}
		d.decode(n, reflect.ValueOf(into).Elem(), path)
	}
	decode(s.world, true, &plan.World, "world")
	var settle struct {
		Settle time.Duration `yaml:"settle,omitempty"`
	}
	if n := s.doc.Settle.node; n != nil {
		decode(&node{at: n.at, kind: objectNode, fields: []field{{key: "settle", at: n.at, value: n}}}, false, &settle, "")
	}
	plan.Settle = settle.Settle
	var more []Action
	decode(s.doc.Timeline.node, true, &plan.Timeline, "timeline")
	decode(variant.doc.Timeline.node, true, &more, "variants."+variant.Name+".timeline")
	plan.Timeline = append(plan.Timeline, more...)
	decode(s.doc.Load.node, true, &plan.Load, "load")

	patches := append(slices.Clone(s.doc.Patches), variant.doc.Patches...)
	manifests := c.templates.used(s.manifests, plan.vars, found)
	plan.Objects = decodeManifests(c.templates.applyPatches(manifests, patches, plan.vars, found), found)
}
