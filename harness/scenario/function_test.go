package scenario

import (
	"errors"
	"math"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
)

func TestNear(t *testing.T) {
	const yes, no, few, wrong = "true", "false", "too few", "wrong"
	rows := []struct {
		name           string
		observed, p, n float64
		want           string
	}{
		{"as expected", 1.0 / 6, 1.0 / 6, 2000, yes},
		{"within 4 standard deviations", 0.196, 1.0 / 6, 2000, yes},
		{"beyond them", 0.204, 1.0 / 6, 2000, no},
		{"none, where a sixth was expected", 0, 1.0 / 6, 2000, no},
		{"few samples agree", 1.0 / 6, 1.0 / 6, 60, few},
		{"few samples are off all the same", 1, 1.0 / 6, 60, no},
		{"enough samples", 1.0 / 6, 1.0 / 6, 81, yes},
		{"just not enough", 1.0 / 6, 1.0 / 6, 80, few}, // the tolerance reaches down to no share at all
		{"a half", 0.5, 0.5, 17, yes},
		{"a half of 16", 0.5, 0.5, 16, few},
		{"nearly all", 0.9, 0.9, 100, few}, // up to all
		{"exactly none", 0, 0, 30, yes},
		{"exactly none of 29", 0, 0, 29, few},
		{"one where none was expected", 1e-9, 0, 1e9, no},
		{"one of few where none was expected", 0.5, 0, 2, no},
		{"exactly all", 1, 1, 30, yes},
		{"not quite all", 0.999, 1, 2000, no},
		{"no sample", 0, 0.5, 0, few},
		{"a share above 1", 0.5, 1.5, 100, wrong},
		{"a negative share", 0.5, -0.5, 100, wrong},
		{"no share", 0.5, math.NaN(), 100, wrong},
		{"nothing observed", math.NaN(), 0.5, 100, few},
	}
	for _, row := range rows {
		ok, err := near(row.observed, row.p, row.n)
		got := no
		switch {
		case errors.Is(err, ErrTooFewSamples):
			got = few
		case err != nil:
			got = wrong
		case ok:
			got = yes
		}
		if got != row.want {
			t.Errorf("%s: near(%v, %v, %v) is %s (%v), want %s", row.name, row.observed, row.p, row.n, got, err, row.want)
		}
	}
}

// celScope is a scope with a few names of every sort.
func celScope(t testing.TB) *scope {
	t.Helper()
	env, err := newEnv([]Parameter{
		{Name: "n", Type: TypeInt}, {Name: "x", Type: TypeNumber}, {Name: "list", Type: TypeList, Items: &Parameter{Type: TypeInt}},
		{Name: "unset", Type: TypeBool, nullable: true}, {Name: "every", Type: TypeDuration}, {Name: "span", Type: TypeRange, Items: &Parameter{Type: TypeNumber}},
		{Name: "list2", Type: TypeList, Items: &Parameter{Type: TypeInt}, nullable: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := scope{where: "it", env: env, params: []string{"n", "x", "list", "unset", "every", "span", "list2"}, lets: []string{}, compiled: map[string]*program{}}
	if s, err = s.with("total", cel.IntType); err != nil {
		t.Fatal(err)
	}
	if s.env, err = s.env.Extend(observationTypes([]string{"ratio", "nodes"}, nil)...); err != nil {
		t.Fatal(err)
	}
	s.obs = []string{"ratio", "nodes"}
	return &s
}

func TestExpressions(t *testing.T) {
	s := celScope(t)
	vars := map[string]any{
		"params.n": int64(3), "params.x": 0.5, "params.list": []any{int64(1), int64(2), int64(2)}, "params.unset": nil,
		"params.every": 500_000_000, "params.span": []any{0.5, 2.0}, "params.list2": nil, "Let.total": int64(5), "obs.ratio": 0.25, "obs.nodes": []any{"a"},
	}
	vars["params.every"], _ = parseDuration("500ms")
	rows := []struct{ source, want string }{
		{"sum(params.list)", "5"},
		{"sum([])", "0"},
		{"sum(params.span)", "2.5"},
		{"sum(params.list.map(n, double(n)))", "5"},
		{"sum(params.list.filter(n, n > 1)) == 4", "true"},
		{"params.list[params.n - 1]", "2"},
		{"params.unset == null", "true"},
		{"params.unset == true", "false"},
		{"params.unset == null ? 'default' : string(params.unset)", `"default"`},
		{"params.list2 == null", "true"},
		{"params.every < duration('1s')", "true"},
		{"params.every * 1 == params.every", ""}, // CEL has no such thing
		{"let.total + params.n", "8"},
		{"'let.total'", `"let.total"`},
		{"{'let': 1}.let", "1"},
		{"obs.ratio == 1.0 / 4.0", "true"},
		{"obs.ratio < params.n", "true"}, // a double beside an int
		{"double(params.n) == params.n", ""},
		{"near(obs.ratio, 0.25, 1000)", "true"},
		{"near(obs.ratio, 0, 1000)", "false"},
		{"true || near(obs.ratio, 0.25, 1)", "true"}, // what the other side cannot change
		{"obs.nodes == ['a']", "true"},
		{"params.x * 4.0", "2"}, // a double without fraction is whole in YAML
		{"params.x", "0.5"},
		{"[params.n, params.x]", "[3,0.5]"},
		{"{'b': 1, 'a': null}", `{"a":null,"b":1}`},
		{"duration('90s')", `"1m30s"`},
		{"timestamp('2022-10-07T08:47:48Z')", `"2022-10-07T08:47:48Z"`},
		{"5u", "5"},
		{"1.0 / 0.0", "error: the value is +Inf, no finite number"},
		{"1 / 0", "error: division by zero"},
		{"b'x'", "error: a bytes has no form in YAML"},
		{"{1: 2}", "error: the key 1 is not text"},
		{"18446744073709551615u", "error: 18446744073709551615 is too large"},
	}
	for _, row := range rows {
		found := &findings{}
		n := &node{kind: textNode, text: row.source, at: place{file: "x.yaml", line: 1, column: 1}}
		p := s.compile(n, 0, len(row.source), found)
		if (p == nil) != (row.want == "") {
			t.Errorf("%s: compiles: %v (%v)", row.source, p != nil, found.list)
			continue
		}
		if p == nil {
			continue
		}
		v, err := p.eval(vars)
		var got string
		if err == nil {
			var value *node
			if value, err = fromCEL(v, n.at, 0); err == nil {
				got = string(value.json())
			}
		}
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != row.want {
			t.Errorf("%s is %s, want %s", row.source, got, row.want)
		}
	}
}

func TestTooFewSamplesComesThroughCEL(t *testing.T) {
	s := celScope(t)
	source := "near(obs.ratio, 0.25, 10)"
	found := &findings{}
	p := s.compile(&node{kind: textNode, text: source}, 0, len(source), found)
	if _, err := p.evalBool(map[string]any{"obs.ratio": 0.25}); !errors.Is(err, ErrTooFewSamples) {
		t.Errorf("got %v", err)
	}
}

func TestEscapeLet(t *testing.T) {
	rows := []struct{ source, want string }{
		{"let.a + let.b", "Let.a + Let.b"},
		{"x.let.a", "x.let.a"},
		{"x . let", "x . let"},
		{"letter + outlet + let_", "letter + outlet + let_"},
		{`"let.a" + 'let.b' + let.c`, `"let.a" + 'let.b' + Let.c`},
		{`"a\"let.b" + let.c`, `"a\"let.b" + Let.c`},
		{`r"\" + let.c`, `r"\" + Let.c`},
		{`"""let "x" let""" + let.c`, `"""let "x" let""" + Let.c`},
		{"1 // let.a\n+ let.b", "1 // let.a\n+ Let.b"},
		{"no names", "no names"},
		{`"never closed let.a`, `"never closed let.a`},
	}
	for _, row := range rows {
		if got := escapeLet(row.source); got != row.want {
			t.Errorf("%s became %s, want %s", row.source, got, row.want)
		}
	}
}

func TestSegments(t *testing.T) {
	rows := []struct {
		text string
		want string // literals in quotes, expressions in braces
	}{
		{"plain", `"plain"`},
		{"${a}", `{a}`},
		{"x-${a}-y${b}", `"x-"{a}"-y"{b}`},
		{"$${a}", `"${""a}"`},
		{"${a}$${b}", `{a}"${""b}"`},
		{"$$ $a {b}", `"$$ $a {b}"`},
		{`${{"k": "}"}["k"]}`, `{{"k": "}"}["k"]}`},
		{`${'}' + "\"}"}!`, `{'}' + "\"}"}"!"`},
		{`${r'\'}`, `{r'\'}`},
		{"${a", "open"},
		{"${'}", "open"},
		{"${", "open"},
	}
	for _, row := range rows {
		n := &node{kind: textNode, text: row.text}
		list, ok := segments(n, &findings{})
		var got strings.Builder
		for _, s := range list {
			if s.start < 0 {
				got.WriteString(`"` + s.literal + `"`)
			} else {
				got.WriteString("{" + row.text[s.start:s.end] + "}")
			}
		}
		if !ok {
			got.WriteString("open")
		}
		if got.String() != row.want {
			t.Errorf("%s: got %s, want %s", row.text, got.String(), row.want)
		}
	}
}
