package scenario

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestScalars(t *testing.T) {
	rows := []struct{ yaml, json string }{
		{"1", "1"}, {"-7", "-7"}, {"0x1F", "31"}, {"0o17", "15"}, {"0644", "420"}, {"1_000", "1000"}, {"9223372036854775807", "9223372036854775807"},
		{"0.10", "0.10"}, {"1e3", "1e3"}, {".5", "0.5"}, {"1.22", "1.22"},
		{"true", "true"}, {"False", "false"}, {"yes", `"yes"`}, {`"true"`, `"true"`},
		{"~", "null"}, {"null", "null"}, {"", "null"}, {`""`, `""`},
		{"2022-10-07", `"2022-10-07"`}, {"10:30", `"10:30"`}, {"192.168.0.0/16", `"192.168.0.0/16"`},
		{"|\n  a\n  b\n", `"a\nb\n"`}, {">\n  a\n  b\n", `"a b\n"`}, {"a\n  b", `"a b"`},
		{"!!str 1", `"1"`}, {"!!int \"1\"", "1"},
		{"[a, {b: 1}, []]", `["a",{"b":1},[]]`},
		{"{1: x, true: y}", `{"1":"x","true":"y"}`},
	}
	for _, row := range rows {
		root := parsed(t, "x.yaml", "v: "+row.yaml+"\n")
		if got := string(root.get("v").json()); got != row.json {
			t.Errorf("%s is %s, want %s", row.yaml, got, row.json)
		}
	}
}

// What is written as YAML reads back as the same values, and words that old readers take for booleans are quoted.
func TestYAMLRoundTrip(t *testing.T) {
	text := `a: ["1", "true", "yes", "no", "null", "", "~", "0644", "1e3", "2022-10-07", " x ", "a: b", "#", "a\nb\n", "\t", "é", "- a", "*a", "&a", "!a", "%a", "@a", "12:30:45", "0x1F", "=", "<<"]
b: [1, 0644, 0.10, 1e3, true, false, null, {}, []]
"yes": 1
"1": 2
"<<": 3
`
	root := parsed(t, "x.yaml", text)
	out, err := yaml.Marshal(root.yaml())
	if err != nil {
		t.Fatal(err)
	}
	again := parsed(t, "y.yaml", string(out))
	if string(again.json()) != string(root.json()) {
		t.Errorf("got\n%s\nwant\n%s\nby way of\n%s", again.json(), root.json(), out)
	}
	found := &findings{}
	refuseOldBooleans(again, found)
	if found.any() {
		t.Errorf("%v in\n%s", found.err(), out)
	}
}
