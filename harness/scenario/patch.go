package scenario

import (
	"reflect"
	"slices"
	"strings"
)

// mergePatch applies a JSON merge patch (RFC 7396): null removes a field, mappings are merged, all else replaces. What
// the patch brings keeps its place in the patch, so that a mistake in it is reported there.
func mergePatch(target, patch *node) *node {
	if patch.kind != objectNode {
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
			out.fields[i] = field{key: f.key, at: f.at, value: mergePatch(out.fields[i].value, f.value)}
		default:
			out.fields = append(out.fields, field{key: f.key, at: f.at, value: mergePatch(nil, f.value)})
		}
	}
	return out
}

// checkPatches holds the patches against the manifests that they name, whatever their `when` says.
func checkPatches(patches []patchDoc, manifests []manifest, found *findings) {
	keys := make([]string, len(manifests))
	for i, m := range manifests {
		keys[i] = m.key
	}
	for _, p := range patches {
		i := slices.Index(keys, p.Target.text)
		switch {
		case p.Target.text == "" || p.Patch.node == nil:
			continue // reported when it was read
		case i < 0:
			found.add(p.Target.at, "the manifests have no %q to patch%s", shorten(p.Target.text), targetHint(p.Target.text, keys))
			continue
		case p.Patch.kind != objectNode:
			found.add(p.Patch.at, "patch: want a mapping, have %s", p.Patch.describe())
			continue
		}
		refuseOldBooleans(p.Patch.node, found)
		form := decoder{found: found, tag: "json", form: true}
		form.decode(p.Patch.node, reflect.ValueOf(manifests[i].kind.make()).Elem(), "")
		for _, key := range []string{"apiVersion", "kind"} {
			if n := p.Patch.get(key); n != nil {
				found.add(n.at, "a patch cannot change %s", key)
			}
		}
	}
}

func targetHint(target string, keys []string) string {
	if hint := didYouMean(target, keys); hint != "" {
		return hint
	}
	if len(keys) == 0 {
		return ""
	}
	return "; they have " + strings.Join(keys, ", ")
}

// applyPatches returns the manifests with the patches applied whose `when` holds. A target is named as its file has it,
// even where an earlier patch renames or repeats it. Of what a forEach repeats, an item whose `when` is false is left out.
func (t *templates) applyPatches(manifests []manifest, patches []patchDoc, vars map[string]any, found *findings) []manifest {
	out := slices.Clone(manifests)
	for _, p := range patches {
		if p.Patch.node == nil {
			continue // reported by checkPatches
		}
		before := out
		out = make([]manifest, 0, len(before))
		for _, m := range before {
			if m.key != p.Target.text {
				out = append(out, m)
				continue
			}
			t.repeat(p.ForEach.node, vars, found, func() {
				copy := m
				if p.When.node == nil || t.holds(p.When.node, vars, found) {
					copy.tree = mergePatch(m.tree, t.render(p.Patch.node, vars, false, found))
				} else if p.ForEach.node != nil {
					return
				}
				out = append(out, copy)
			})
		}
	}
	return out
}
