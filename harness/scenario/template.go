package scenario

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// A template is text with ${CEL} in it, or a tree with such text. $${ stands for ${ itself.

// hasTemplate says whether text holds ${ or $${.
func hasTemplate(text string) bool { return strings.Contains(text, "${") }

// segment is a piece of a template: literal text, or an expression from start to end.
type segment struct {
	literal    string
	start, end int
	program    *program
}

// segments splits the text of n; it returns false, having reported it, when a ${ is not closed.
func segments(n *node, found *findings) (list []segment, ok bool) {
	s := n.text
	literal := func(text string) {
		if text != "" {
			list = append(list, segment{literal: text, start: -1})
		}
	}
	for i := 0; ; {
		j := strings.Index(s[i:], "${")
		if j < 0 {
			literal(s[i:])
			return list, true
		}
		j += i
		if j > i && s[j-1] == '$' {
			literal(s[i : j-1])
			literal("${")
			i = j + 2
			continue
		}
		literal(s[i:j])
		end := closingBrace(s, j+2)
		if end < 0 {
			found.add(n.placeOf(j), "${ is not closed by }")
			return nil, false
		}
		list = append(list, segment{start: j + 2, end: end})
		i = end + 1
	}
}

// templates holds the compiled expressions of the parts of a scenario, by the node they stand in.
type templates struct {
	texts    map[*node][]segment
	whens    map[*node]*program
	forEachs map[*node]*program
}

// compile finds and compiles every ${} below n, and with whens the `forEach` and the `when` of each item of a list.
func (t *templates) compile(n *node, s *scope, whens bool, found *findings) {
	if n == nil {
		return
	}
	switch n.kind {
	case textNode:
		t.compileText(n, s, found)
	case listNode:
		for _, item := range n.items {
			inner := s
			if each := item.get("forEach"); each != nil && whens {
				inner = t.compileForEach(each, s, found)
				item = item.without("forEach")
			}
			if when := item.get("when"); when != nil && whens {
				t.compileWhen(when, inner, found)
				item = item.without("when")
			}
			t.compile(item, inner, whens, found)
		}
	case objectNode:
		for _, f := range n.fields {
			if hasTemplate(f.key) {
				found.add(f.at, "the key %q cannot hold ${}", shorten(f.key))
			}
			t.compile(f.value, s, whens, found)
		}
	}
}

func (t *templates) compileText(n *node, s *scope, found *findings) {
	if !hasTemplate(n.text) {
		return
	}
	if _, done := t.texts[n]; done {
		return
	}
	list, ok := segments(n, found)
	if !ok {
		return
	}
	for i := range list {
		if list[i].start >= 0 {
			list[i].program = s.compile(n, list[i].start, list[i].end, found)
		}
	}
	t.texts[n] = list
}

func (t *templates) compileWhen(n *node, s *scope, found *findings) {
	if _, done := t.whens[n]; done {
		return
	}
	if !n.scalar() || n.kind == nullNode {
		found.add(n.at, "when: want a CEL expression, have %s", n.describe())
		return
	}
	if hasTemplate(n.text) {
		found.add(n.at, "when is CEL as it stands: leave out ${ and }")
		return
	}
	if p := s.compileBool(n, found); p != nil {
		t.whens[n] = p
	}
}

// render returns the tree with every ${} replaced by its value and, with whens, without the items whose `when` is false.
func (t *templates) render(n *node, vars map[string]any, whens bool, found *findings) *node {
	switch {
	case n == nil:
		return nil
	case n.kind == textNode:
		return t.renderText(n, vars, found)
	case n.kind == listNode:
		out := *n
		out.items = make([]*node, 0, len(n.items))
		for _, item := range n.items {
			if !whens {
				out.items = append(out.items, t.render(item, vars, whens, found))
				continue
			}
			when, plain := item.get("when"), item.without("forEach").without("when")
			t.repeat(item.get("forEach"), vars, found, func() {
				if when == nil || t.holds(when, vars, found) {
					out.items = append(out.items, t.render(plain, vars, whens, found))
				}
			})
		}
		return &out
	case n.kind == objectNode:
		out := *n
		out.fields = slices.Clone(n.fields)
		for i := range out.fields {
			out.fields[i].value = t.render(out.fields[i].value, vars, whens, found)
		}
		return &out
	}
	return n
}

// holds evaluates a `when`.
func (t *templates) holds(when *node, vars map[string]any, found *findings) bool {
	p := t.whens[when]
	if p == nil {
		return false // reported when it was compiled
	}
	ok, err := p.evalBool(vars)
	if err != nil {
		found.add(when.at, "when: %v", err)
	}
	return ok
}

func (t *templates) renderText(n *node, vars map[string]any, found *findings) *node {
	if !hasTemplate(n.text) {
		return n
	}
	list := t.texts[n]
	var text strings.Builder
	for _, s := range list {
		if s.start < 0 {
			text.WriteString(s.literal)
			continue
		}
		if s.program == nil {
			return n // reported when it was compiled
		}
		at := n.placeOf(s.start)
		v, err := s.program.eval(vars)
		if err != nil {
			found.add(at, "${%s}: %v", shorten(s.program.source), err)
			return &node{at: at}
		}
		value, err := fromCEL(v, n.at, 0)
		if err != nil {
			found.add(at, "${%s}: %v", shorten(s.program.source), err)
			return &node{at: at}
		}
		if len(list) == 1 {
			return value
		}
		if !value.scalar() || value.kind == nullNode {
			found.add(at, "${%s} is %s, which cannot stand within text", shorten(s.program.source), value.describe())
			return &node{at: at}
		}
		text.WriteString(value.text)
	}
	return &node{at: n.at, kind: textNode, text: text.String(), quoted: true}
}

// fromCEL turns the value of an expression into a tree. A double without a fraction becomes a whole number, since YAML's
// readers know one kind of number.
func fromCEL(v ref.Val, at place, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d levels", maxDepth)
	}
	whole := func(i int64) (*node, error) {
		return &node{at: at, kind: intNode, integer: i, text: strconv.FormatInt(i, 10)}, nil
	}
	text := func(s string) (*node, error) { return &node{at: at, kind: textNode, text: s, quoted: true}, nil }
	switch v := v.(type) {
	case types.Null:
		return &node{at: at, kind: nullNode}, nil
	case types.Bool:
		return &node{at: at, kind: boolNode, boolean: bool(v), text: strconv.FormatBool(bool(v))}, nil
	case types.Int:
		return whole(int64(v))
	case types.Uint:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d is too large", v)
		}
		return whole(int64(v))
	case types.Double:
		f := float64(v)
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("the value is %v, no finite number", f)
		}
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return whole(int64(f))
		}
		return &node{at: at, kind: floatNode, float: f, text: strconv.FormatFloat(f, 'g', -1, 64)}, nil
	case types.String:
		return text(string(v))
	case types.Duration:
		return text(formatDuration(v.Duration))
	case types.Timestamp:
		return text(v.Time.Format(time.RFC3339Nano))
	case traits.Mapper:
		out := &node{at: at, kind: objectNode}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			name, ok := key.(types.String)
			if !ok {
				return nil, fmt.Errorf("the key %v is not text", key)
			}
			value, err := fromCEL(v.Get(key), at, depth+1)
			if err != nil {
				return nil, err
			}
			out.fields = append(out.fields, field{key: string(name), at: at, value: value})
		}
		slices.SortFunc(out.fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
		return out, nil
	case traits.Lister:
		out := &node{at: at, kind: listNode}
		for it := v.Iterator(); it.HasNext() == types.True; {
			item, err := fromCEL(it.Next(), at, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
		}
		return out, nil
	}
	return nil, fmt.Errorf("a %s has no form in YAML", v.Type().TypeName())
}
