package report

import (
	"math"
	"slices"
	"testing"

	"github.com/ekslab/ekslab/harness/scenario"
)

func TestNumber(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0", 1: "1", -3: "-3", 2000: "2000", 0.1665: "0.1665", 1.0 / 6: "0.166667", 130.0831: "130.083", 0.0000123456789: "0.0000123457",
		1234567.891: "1234568", 123456.7: "123457", 1e9: "1000000000", 99.99999999: "100", 1e15: "1000000000000000",
		math.Inf(1): "infinite", math.Inf(-1): "-infinite",
	} {
		if have := Number(f); have != want {
			t.Errorf("%v: %q, want %q", f, have, want)
		}
	}
	if have := Number(math.NaN()); have != "not a number" {
		t.Errorf("NaN: %q", have)
	}
}

func TestValue(t *testing.T) {
	for _, test := range []struct {
		v    any
		want string
	}{
		{nil, "no sample"}, {"a", "a"}, {true, "true"}, {0.5, "0.5"}, {[]any{}, "none"}, {[]any{0.0, 1.016}, "0, 1.016"},
		{map[string]any{"b": 0.5, "a": nil}, "a no sample, b 0.5"}, {map[string]any{}, "none"}, {[]string{"x", "y"}, "x, y"},
	} {
		if have := Value(test.v); have != test.want {
			t.Errorf("%v: %q, want %q", test.v, have, test.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for _, test := range []struct {
		words []string
		want  string
	}{
		{[]string{"ekslab", "run", "./my-hairpin", "--set", "nodesPerZone=4,4,4"}, "ekslab run ./my-hairpin --set nodesPerZone=4,4,4"},
		{[]string{"--over", "a=1;2"}, "--over 'a=1;2'"},
		{[]string{"my folder", ""}, "'my folder' ''"},
		{[]string{"it's"}, `'it'\''s'`},
	} {
		if have := Quote(test.words); have != test.want {
			t.Errorf("%q, want %q", have, test.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"short", []string{"short"}},
		{"one two three", []string{"one two", "three"}},
		{"alongwordthatfitsnowhere and", []string{"alongwordthatfitsnowhere", "and"}},
		{"own line\nends stay", []string{"own line", "ends stay"}},
	} {
		if have := wrap(test.text, 9); !slices.Equal(have, test.want) {
			t.Errorf("%q: %q, want %q", test.text, have, test.want)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, test := range []struct {
		v          float64
		unit, want string
	}{{0.1665, "1", "0.1665 (16.65 %)"}, {0, "1", "0"}, {1, "1", "1"}, {1.0 / 6, "1", "0.166667 (16.67 %)"}, {5, "s", "5 s"}, {1, "s", "1 s"}, {3, "", "3"}, {1, "requests", "1 request"}, {2, "requests", "2 requests"}, {1, "addresses", "1 address"}, {1, "prefixes", "1 prefix"}} {
		if have := quantity(test.v, test.unit); have != test.want {
			t.Errorf("%v %s: %q, want %q", test.v, test.unit, have, test.want)
		}
	}
}

// Long lists that are compared are shown where they differ.
func TestCompared(t *testing.T) {
	list := func(n int, set map[int]float64) (l []any) {
		for i := range n {
			v, ok := set[i]
			if !ok {
				v = 20
			}
			l = append(l, v)
		}
		return l
	}
	for _, c := range []struct {
		name string
		a, b any
		want string
	}{
		{"short", list(3, nil), list(3, map[int]float64{1: 30}), "x is 20, 20, 20, expected 20, 30, 20"},
		{"long and equal", list(12, nil), list(12, nil), "x is 20, 20, 20, 20, 20, 20, 20, 20, of 12, expected 20, 20, 20, 20, 20, 20, 20, 20, of 12"},
		{"long, the third differs", list(12, nil), list(12, map[int]float64{2: 30}), "x is 20, 20, 20, 20, 20, 20, 20, 20 from number 3 on, of 12, expected 30, 20, 20, 20, 20, 20, 20, 20 from number 3 on, of 12"},
		{"long, the last differs", list(12, nil), list(12, map[int]float64{11: 30}), "x is 20, 20, 20, 20, 20, 20, 20, 20 from number 5 on, of 12, expected 20, 20, 20, 20, 20, 20, 20, 30 from number 5 on, of 12"},
		{"of two lengths", list(1, nil), list(10, nil), "x is 20, expected 20, 20, 20, 20, 20, 20, 20, 20, 20, 20"},
		{"nothing", nil, list(10, nil), "x is no sample, expected 20, 20, 20, 20, 20, 20, 20, 20, 20, 20"},
	} {
		if got := Compared(scenario.Comparison{Left: "x", Operator: "==", Observed: c.a, Expected: c.b}); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}
