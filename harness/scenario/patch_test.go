package scenario

import "testing"

func parsed(t testing.TB, file, text string) *node {
	t.Helper()
	found := &findings{}
	documents := parseYAML(file, []byte(text), found)
	if found.any() {
		t.Fatal(found.err())
	}
	if len(documents) == 0 {
		return &node{at: place{file: file, line: 1}}
	}
	return documents[0]
}

// The examples of RFC 7396, appendix A.
func TestMergePatch(t *testing.T) {
	rows := []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	}
	for _, row := range rows {
		target, patch := parsed(t, "t.yaml", row.target), parsed(t, "p.yaml", row.patch)
		if got := string(mergePatch(target, patch).json()); got != row.want {
			t.Errorf("%s patched with %s is %s, want %s", row.target, row.patch, got, row.want)
		}
		if got := string(target.json()); got != string(parsed(t, "t.yaml", row.target).json()) {
			t.Errorf("%s was changed by the patch to %s", row.target, got)
		}
	}
}

func TestMergePatchKeepsPlaces(t *testing.T) {
	out := mergePatch(parsed(t, "t.yaml", "a:\n  b: 1\n  c: 2\n"), parsed(t, "p.yaml", "\n\na: {c: 3}\n"))
	for path, want := range map[string]string{"b": "t.yaml:2", "c": "p.yaml:3"} {
		if got := out.get("a").get(path).at.String(); got != want {
			t.Errorf("a.%s is at %s, want %s", path, got, want)
		}
	}
}
