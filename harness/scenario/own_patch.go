package scenario

import (
	"slices"
	"strings"
)

// over holds which parameters were set by hand, or by a variant that was chosen: only what depends on them is put over a user's own manifests.
type over struct {
	set  map[string]bool
	lets map[string]map[string]bool // parameters that each let depends on
}

// newOver finds out what was set.
func newOver(s *Scenario, c *code, params ParamValues) *over {
	o := &over{set: map[string]bool{}, lets: map[string]map[string]bool{}}
	for _, p := range params {
		if p.Origin == FromSet || p.Origin == FromVariant {
			o.set[p.Name] = true
		}
	}
	for i, l := range s.doc.Let {
		if p := c.lets[i]; p != nil {
			o.lets[l.name] = o.depends(p)
		}
	}
	return o
}

// depends is which parameters a program depends on, by names of let as well.
func (o *over) depends(p *program) map[string]bool {
	out := map[string]bool{}
	for _, name := range p.params {
		out[name] = true
	}
	for name, params := range o.lets {
		if strings.Contains(p.source, "let."+name) {
			for k := range params {
				out[k] = true
			}
		}
	}
	return out
}

// touches is whether a program depends on what was set.
func (o *over) touches(p *program) bool {
	if p == nil {
		return false
	}
	for name := range o.depends(p) {
		if o.set[name] {
			return true
		}
	}
	return false
}

// prune leaves of a patch what depends on what was set; nil if nothing does.
func (o *over) prune(t *templates, n *node) *node {
	switch n.kind {
	case textNode:
		for _, s := range t.texts[n] {
			if o.touches(s.program) {
				return n
			}
		}
		return nil
	case listNode:
		out := *n
		out.items = slices.Clone(n.items)
		kept := false
		for i, item := range n.items {
			out.items[i] = o.prune(t, item)
			kept = kept || out.items[i] != nil
		}
		if !kept {
			return nil
		}
		return &out
	case objectNode:
		out := *n
		out.fields = nil
		for _, f := range n.fields {
			if v := o.prune(t, f.value); v != nil {
				out.fields = append(out.fields, field{key: f.key, at: f.at, value: v})
			}
		}
		if len(out.fields) == 0 {
			return nil
		}
		return &out
	}
	return nil
}

// lay puts a patch over an object of the user's. It is a merge patch, but for lists: an item goes to the one at its position.
func lay(target, patch *node) *node {
	switch {
	case patch.kind == listNode && target != nil && target.kind == listNode:
		out := *target
		out.items = slices.Clone(target.items)
		for i, item := range patch.items {
			switch {
			case item == nil:
			case i < len(out.items):
				out.items[i] = lay(out.items[i], item)
			default:
				out.items = append(out.items, item)
			}
		}
		return &out
	case patch.kind != objectNode:
		return patch
	}
	out := &node{at: patch.at, kind: objectNode}
	if target != nil && target.kind == objectNode {
		out.at, out.fields = target.at, slices.Clone(target.fields)
	}
	for _, f := range patch.fields {
		i := slices.IndexFunc(out.fields, func(g field) bool { return g.key == f.key })
		switch {
		case f.value.kind == nullNode && i >= 0:
			out.fields = slices.Delete(out.fields, i, i+1)
		case f.value.kind == nullNode:
		case i >= 0:
			out.fields[i] = field{key: f.key, at: f.at, value: lay(out.fields[i].value, f.value)}
		default:
			out.fields = append(out.fields, field{key: f.key, at: f.at, value: lay(nil, f.value)})
		}
	}
	return out
}

// renderPruned renders a pruned patch, whose lists may have gaps.
func (t *templates) renderPruned(n *node, vars map[string]any, found *findings) *node {
	switch {
	case n == nil:
		return nil
	case n.kind == listNode:
		out := *n
		out.items = slices.Clone(n.items)
		for i := range out.items {
			out.items[i] = t.renderPruned(out.items[i], vars, found)
		}
		return &out
	case n.kind == objectNode:
		out := *n
		out.fields = slices.Clone(n.fields)
		for i := range out.fields {
			out.fields[i].value = t.renderPruned(out.fields[i].value, vars, found)
		}
		return &out
	}
	return t.render(n, vars, false, found)
}

// layOver puts the scenario's patches over the user's objects, as far as they follow from what was set. What is the scenario's own is patched as ever.
func (o *own) layOver(s *Scenario, c *code, plan *Plan, manifests []manifest, patches []patchDoc, found *findings) []manifest {
	t := c.templates
	sets := newOver(s, c, plan.Params)
	out := slices.Clone(manifests)
	for _, p := range patches {
		key := o.keyOf(p.Target.text)
		i := slices.IndexFunc(out, func(m manifest) bool { return m.key == key })
		if i < 0 || p.Patch.node == nil || p.When.node != nil && !t.holds(p.When.node, plan.vars, found) {
			continue
		}
		if key == p.Target.text && !o.mine(key) {
			out[i].tree = mergePatch(out[i].tree, t.render(p.Patch.node, plan.vars, false, found))
			continue
		}
		patch := p.Patch.node
		if p.When.node == nil || !sets.touches(t.whens[p.When.node]) {
			if patch = sets.prune(t, patch); patch == nil {
				continue
			}
		}
		out[i].tree = lay(out[i].tree, t.renderPruned(patch, plan.vars, found))
	}
	return out
}

// keyOf is the key of the object that is now in the place of one of the scenario's.
func (o *own) keyOf(key string) string {
	if m, ok := o.now[key]; ok {
		return m.key
	}
	// A Namespace of what was replaced is that of what is there now.
	if name, ok := strings.CutPrefix(key, "Namespace/"); ok {
		for was, m := range o.now {
			if parts := strings.Split(was, "/"); len(parts) == 3 && parts[1] == name {
				return "Namespace/" + namespaceOf(m.tree.get("metadata"))
			}
		}
	}
	return key
}

// mine is whether an object is the user's.
func (o *own) mine(key string) bool {
	if slices.ContainsFunc(o.manifests, func(m manifest) bool { return m.key == key }) {
		return true
	}
	for _, m := range o.now {
		if m.key == key {
			return true
		}
	}
	return false
}
