package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ekslab/ekslab/harness/observe"
)

// Whatever the file holds, reading it ends soon, never panics, and every complaint has a file and a line.
func FuzzLoad(f *testing.F) {
	dir := filepath.Join("..", "..", "scenarios", "elb", "nlb-hairpin")
	names := []string{"namespace.yaml", "client.yaml", "nginx.yaml"}
	files := fstest.MapFS{}
	for _, n := range append(names, "scenario.yaml") {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			f.Fatal(err)
		}
		if n == "scenario.yaml" {
			f.Add(b)
			continue
		}
		files["elb/fuzzed/"+n] = &fstest.MapFile{Data: b}
	}
	for _, s := range []string{"", "\x00", "a: &a [*a]", "a: &a [x]\nb: [*a, *a, *a]", "? {a: b}\n: c", "kind: Scenario\nkind: Scenario", "- 1", "world: ${", "let: {a: '${params.'}", "\xff\xfe", "a: !!binary x", "<<: {a: b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fstest.MapFS{"elb/fuzzed/scenario.yaml": &fstest.MapFile{Data: b}}
		for n, file := range files {
			fsys[n] = file
		}
		began := time.Now()
		s, err := Load(fsys, "elb/fuzzed")
		if err == nil {
			err = s.Validate(observe.All())
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
		if err == nil {
			return
		}
		var problems *Problems
		if !errors.As(err, &problems) || len(*problems) == 0 {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range *problems {
			if p.File == "" || p.Line < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}

// Whatever an expression holds, compiling and evaluating it ends soon and never panics.
func FuzzExpression(f *testing.F) {
	for _, source := range []string{
		"sum(params.list) + let.total", "near(obs.ratio, 1.0 / double(params.n), 100)", "params.list.filter(n, n > 0).map(n, n * 2)", "params.unset == null ? 'a' : \"b\"",
		"[1, 2][params.n]", "{'a': 1}.a", "r'\\'", "let", "params", "obs.nope", "'${}'", "duration('1s') < params.every", "obs.nodes == ['a'] && !has(params.n)", "dyn(1) + dyn('a')",
	} {
		f.Add(source)
	}
	s := celScope(f)
	vars := map[string]any{
		"params.n": int64(3), "params.x": 0.5, "params.list": []any{int64(1), int64(2)}, "params.unset": nil, "params.every": time.Second,
		"params.span": []any{0.5, 2.0}, "params.list2": nil, "Let.total": int64(5), "obs.ratio": 0.25, "obs.nodes": []any{"a"},
	}
	f.Fuzz(func(t *testing.T, source string) {
		clear(s.compiled)
		found := &findings{}
		n := &node{kind: textNode, text: "x ${" + source + "} y", at: place{file: "x.yaml", line: 1, column: 1}}
		templates := newTemplates()
		templates.compileText(n, s, found)
		templates.renderText(n, vars, found)
		for _, p := range found.list {
			if p.File != "x.yaml" || p.Line != 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}
