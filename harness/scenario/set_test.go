package scenario

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultText(t *testing.T) {
	s := mustLoad(t, full)
	for name, want := range map[string]string{
		"sizes": "1,2", "every": "500ms", "preserve": "null", "label": "x", "controller": `${params.kind == "ip" ? "lbc" : "in-tree"}`,
	} {
		p, _ := s.Parameter(name)
		if got := p.DefaultText(); got != want || p.Nullable() != (name == "preserve") {
			t.Errorf("%s: default %s, nullable %v", name, got, p.Nullable())
		}
	}
}

// A wrong --set has no file: it says the parameter, what it was given, and what would be right.
func TestSetErrors(t *testing.T) {
	s := mustLoad(t, full)
	rows := []struct {
		name string
		set  map[string]string
		want []string
	}{
		{"unknown", map[string]string{"zon": "1"}, []string{`--set zon=1: unknown parameter "zon"; did you mean "zone"?`}},
		{"unknown, unlike any", map[string]string{"qqqq": "1"}, []string{
			`--set qqqq=1: unknown parameter "qqqq"; full has sizes, zone, kind, controller, preserve, every, share, delay, label`}},
		{"out of bounds", map[string]string{"zone": "9"}, []string{`--set zone=9: zone must be a whole number from 1 to 3; it was given 9`}},
		{"not a number", map[string]string{"zone": "one"}, []string{`--set zone=one: zone must be a whole number from 1 to 3; it was given one`}},
		{"a fraction", map[string]string{"zone": "1.5"}, []string{`--set zone=1.5: zone must be a whole number from 1 to 3; it was given 1.5`}},
		{"nothing", map[string]string{"zone": ""}, []string{`--set zone=: zone must be a whole number from 1 to 3; it was given ""`}},
		{"null for one that is always set", map[string]string{"zone": "null"}, []string{`--set zone=null: zone must be a whole number from 1 to 3; it was given null`}},
		{"too large for 64 bits", map[string]string{"zone": "99999999999999999999"}, []string{
			`--set zone=99999999999999999999: zone must be a whole number from 1 to 3; it was given 99999999999999999999`}},
		{"bool", map[string]string{"preserve": "no"}, []string{
			`--set preserve=no: preserve must be true or false, or null to leave it unset; it was given no`}},
		{"enum", map[string]string{"kind": "instances"}, []string{
			`--set kind=instances: kind must be one of instance, ip; it was given instances; did you mean "instance"?`}},
		{"a duration without unit", map[string]string{"every": "500"}, []string{
			`--set every=500: every must be a duration from 1ms to 1h, such as 500ms; it was given 500`}},
		{"a duration out of bounds", map[string]string{"every": "2h"}, []string{
			`--set every=2h: every must be a duration from 1ms to 1h, such as 500ms; it was given 2h`}},
		{"too long a list", map[string]string{"sizes": "1,2,3,4"}, []string{
			`--set sizes=1,2,3,4: sizes must be a list of 1 to 3 whole numbers from 0 to 9, such as 1,2; it was given 1,2,3,4`}},
		{"an item out of bounds", map[string]string{"sizes": "1,10"}, []string{
			`--set sizes=1,10: sizes must be a list of 1 to 3 whole numbers from 0 to 9, such as 1,2; it was given 1,10`}},
		{"an empty list", map[string]string{"sizes": ""}, []string{
			`--set sizes=: sizes must be a list of 1 to 3 whole numbers from 0 to 9, such as 1,2; it was given ""`}},
		{"a hole in a list", map[string]string{"sizes": "1,,2"}, []string{
			`--set sizes=1,,2: sizes must be a list of 1 to 3 whole numbers from 0 to 9, such as 1,2; it was given 1,,2`}},
		{"not a number of the reals", map[string]string{"share": "NaN"}, []string{`--set share=NaN: share must be a number from 0 to 1; it was given NaN`}},
		{"a range the wrong way round", map[string]string{"delay": "5,1"}, []string{
			`--set delay=5,1: delay must be min,max: two whole numbers of at least 0, the smaller first, such as 1,5; it was given 5,1`}},
		{"half a range", map[string]string{"delay": "5"}, []string{
			`--set delay=5: delay must be min,max: two whole numbers of at least 0, the smaller first, such as 1,5; it was given 5`}},
		{"several", map[string]string{"zone": "9", "every": "x", "nope": "1"}, []string{
			`--set every=x: every must be a duration from 1ms to 1h, such as 500ms; it was given x`,
			`--set nope=1: unknown parameter "nope"; full has sizes, zone, kind, controller, preserve, every, share, delay, label`,
			`--set zone=9: zone must be a whole number from 1 to 3; it was given 9`}},
		{"a rule", map[string]string{"zone": "3"}, []string{`scenario.yaml:22: zone is a position in sizes (sizes=1,2 zone=3)`}},
		{"every rule", map[string]string{"zone": "3", "kind": "ip", "controller": "in-tree"}, []string{
			`scenario.yaml:22: zone is a position in sizes (sizes=1,2 zone=3)`,
			`scenario.yaml:23: ip needs lbc (controller=in-tree kind=ip)`}},
		{"very long", map[string]string{"label" + strings.Repeat("x", 500): "1"}, []string{
			`--set label` + strings.Repeat("x", 75) + `...=1: unknown parameter "label` + strings.Repeat("x", 75) + `..."; full has sizes, zone, kind, controller, preserve, every, share, delay, label`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := s.Resolve("broken", row.set)
			wantErr(t, err, row.want...)
		})
	}
}

func TestUnknownVariant(t *testing.T) {
	_, err := mustLoad(t, full).Resolve("fixed-off2", nil)
	wantErr(t, err, `full has no variant "fixed-off2"; did you mean "fixed-off"; its variants are broken, fixed-off, fixed-ip`)
}

func TestSetValues(t *testing.T) {
	s := mustLoad(t, full)
	rows := []struct {
		set, want string // as name=value; what the value is written as afterwards
		value     any
	}{
		{"zone=2", "2", int64(2)},
		{"sizes=4,4,4", "4,4,4", []any{int64(4), int64(4), int64(4)}},
		{"sizes=1, 2", "1,2", []any{int64(1), int64(2)}}, // as typed by hand
		{"kind=ip", "ip", "ip"},
		{"preserve=true", "true", true},
		{"preserve=null", "null", nil},
		{"preserve=", "null", nil},
		{"every=1m0s", "1m", time.Minute},
		{"every=1h", "1h", time.Hour},
		{"every=1.5s", "1.5s", 1500 * time.Millisecond},
		{"share=0.25", "0.25", 0.25},
		{"share=1", "1", 1.0},
		{"delay=0,7", "0,7", []any{int64(0), int64(7)}},
		{"label=a,b=c", "a,b=c", "a,b=c"},
		{"label=", "", ""},
	}
	for _, row := range rows {
		name, text, _ := strings.Cut(row.set, "=")
		p, _ := s.Parameter(name)
		v, err := p.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", row.set, err)
			continue
		}
		if !equal(v, row.value) {
			t.Errorf("%s: %#v, want %#v", row.set, v, row.value)
		}
		written := FormatValue(v)
		if written != row.want {
			t.Errorf("%s: written as %q, want %q", row.set, written, row.want)
		}
		if again, err := p.Parse(written); err != nil || !equal(again, v) {
			t.Errorf("%s: what is written reads back as %#v, %v", row.set, again, err)
		}
	}
}

func TestAllowed(t *testing.T) {
	three := Parameter{Type: TypeInt, Min: int64(1), Max: int64(3)}
	rows := []struct {
		p    Parameter
		want string
	}{
		{three, "a whole number from 1 to 3"},
		{Parameter{Type: TypeInt}, "a whole number"},
		{Parameter{Type: TypeNumber, Min: 0.5}, "a number of at least 0.5"},
		{Parameter{Type: TypeNumber, Max: 0.5}, "a number of at most 0.5"},
		{Parameter{Type: TypeBool, nullable: true}, "true or false, or null to leave it unset"},
		{Parameter{Type: TypeString}, "text"},
		{Parameter{Type: TypeEnum, Values: []string{"a", "b"}}, "one of a, b"},
		{Parameter{Type: TypeEnum, Values: []string{"a"}}, `"a"`},
		{Parameter{Type: TypeDuration, Default: time.Duration(0)}, "a duration, such as 500ms"},
		{Parameter{Type: TypeDuration, Default: 2 * time.Minute}, "a duration, such as 2m"},
		{Parameter{Type: TypeList, Items: &three}, "a list of whole numbers from 1 to 3"},
		{Parameter{Type: TypeList, Items: &three, MinItems: 1, MaxItems: 1}, "a list of one item, a whole number from 1 to 3"},
		{Parameter{Type: TypeList, Items: &three, MinItems: 3, MaxItems: 3}, "a list of 3 whole numbers from 1 to 3"},
		{Parameter{Type: TypeList, Items: &three, MinItems: 2}, "a list of at least 2 whole numbers from 1 to 3"},
		{Parameter{Type: TypeList, Items: &Parameter{Type: TypeEnum, Values: []string{"a", "b"}}, MaxItems: 2}, "a list of 0 to 2 values out of a, b"},
		{Parameter{Type: TypeRange, Items: &Parameter{Type: TypeDuration}, MinItems: 2, MaxItems: 2}, "min,max: two durations, the smaller first"},
	}
	for _, row := range rows {
		if got := row.p.Allowed(); got != row.want {
			t.Errorf("got %q, want %q", got, row.want)
		}
	}
}
