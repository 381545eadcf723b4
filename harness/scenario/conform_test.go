package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// conforms says how a value breaks a schema, in as much of JSON Schema as ours uses; a keyword it does not know fails the test.
func conforms(t *testing.T, schema map[string]any, value any, path string) (broken []string) {
	t.Helper()
	report := func(format string, args ...any) {
		broken = append(broken, path+": "+fmt.Sprintf(format, args...))
	}
	fields, isObject := value.(map[string]any)
	items, _ := value.([]any)
	text, isText := value.(string)
	for keyword, want := range schema {
		switch keyword {
		case "$schema", "title", "description":
		case "type":
			types, several := want.([]any)
			if !several {
				types = []any{want}
			}
			if !slices.ContainsFunc(types, func(name any) bool { return isOfType(value, name.(string)) }) {
				report("is no %v", want)
			}
		case "enum":
			if !slices.Contains(want.([]any), value) {
				report("is none of %v", want)
			}
		case "pattern":
			if isText && !regexp.MustCompile(want.(string)).MatchString(text) {
				report("does not match %v", want)
			}
		case "minimum":
			if n, ok := value.(float64); ok && n < want.(float64) {
				report("is less than %v", want)
			}
		case "anyOf":
			var all []string
			for _, option := range want.([]any) {
				b := conforms(t, option.(map[string]any), value, path)
				if b == nil {
					all = nil
					break
				}
				all = append(all, b...)
			}
			broken = append(broken, all...)
		case "items":
			for i, item := range items {
				broken = append(broken, conforms(t, want.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i))...)
			}
		case "required":
			for _, name := range want.([]any) {
				if _, ok := fields[name.(string)]; isObject && !ok {
					report("has no %v", name)
				}
			}
		case "properties":
			for name, property := range want.(map[string]any) {
				if v, ok := fields[name]; ok && v != nil {
					broken = append(broken, conforms(t, property.(map[string]any), v, path+"."+name)...)
				}
			}
		case "additionalProperties":
			known, _ := schema["properties"].(map[string]any)
			for name, v := range fields {
				if _, ok := known[name]; ok {
					continue
				}
				if inner, ok := want.(map[string]any); !ok {
					report("has an unknown %s", name)
				} else if v != nil {
					broken = append(broken, conforms(t, inner, v, path+"."+name)...)
				}
			}
		default:
			t.Fatalf("the schema uses %q, which this test does not know", keyword)
		}
	}
	slices.Sort(broken)
	return broken
}

func isOfType(value any, name string) bool {
	switch name {
	case "integer":
		n, ok := value.(float64)
		return ok && n == float64(int64(n))
	case "number":
		return reflect.ValueOf(value).Kind() == reflect.Float64
	case "string":
		return reflect.ValueOf(value).Kind() == reflect.String
	case "boolean":
		return reflect.ValueOf(value).Kind() == reflect.Bool
	case "array":
		return reflect.ValueOf(value).Kind() == reflect.Slice
	default:
		return name == "object" && reflect.ValueOf(value).Kind() == reflect.Map
	}
}

// What the decoder takes, the published schema takes; what an editor can know to be wrong, it knows.
func TestScenariosConformToTheSchema(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	breaks := func(text string) []string {
		var value any
		if err := json.Unmarshal(parsed(t, "x.yaml", text).json(), &value); err != nil {
			t.Fatal(err)
		}
		return conforms(t, schema, value, "")
	}
	right := map[string]string{"minimal": minimal, "full": full}
	files, err := filepath.Glob("../../scenarios/*/*/scenario.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		right[file] = string(text)
	}
	for name, text := range right {
		if b := breaks(text); b != nil {
			t.Errorf("%s: %s", name, strings.Join(b, "\n"))
		}
	}
	for _, row := range []struct{ old, new string }{
		{"settle: 5m", "settel: 5m"},
		{"settle: 5m", "settle: 5"},
		{"settle: 5m", "settle: five"},
		{"count: 100", "count: 0"},
		{"count: 100", "count: many"},
		{"mode: iptables", "mode: iptable"},
		{"    vpc-cni: {}", "    vpc-cni: []"},
		{"zone: {type: int", "zone: {type: integer"},
		{"kind: Scenario", "kind: Scene"},
		{"  title: A scenario with everything", "  titel: A scenario"},
		{"      meaning: No call hangs.\n", ""},
		{"modifyTargetGroupAttributes:", "modifyTargetGroupAttribute:"},
	} {
		if b := breaks(replaced(t, full, row.old, row.new)); b == nil {
			t.Errorf("the schema takes %q", row.new)
		}
	}
}
