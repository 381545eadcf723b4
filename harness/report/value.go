package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/scenario"
)

// Number writes a number with at most six significant digits and no exponent.
func Number(f float64) string {
	switch {
	case math.IsNaN(f):
		return "not a number"
	case math.IsInf(f, 1):
		return "infinite"
	case math.IsInf(f, -1):
		return "-infinite"
	case f == math.Trunc(f) && math.Abs(f) < 1e15:
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	digits := min(max(5-int(math.Floor(math.Log10(math.Abs(f)))), 0), 12)
	s := strconv.FormatFloat(f, 'f', digits, 64)
	if strings.ContainsRune(s, '.') {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Value writes a value of an observation in one line. A nil is a missing sample.
func Value(v any) string {
	switch v := v.(type) {
	case nil:
		return "no sample"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return Number(v)
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		if r.Len() == 0 {
			return "none"
		}
		parts := make([]string, r.Len())
		for i := range parts {
			item := r.Index(i).Interface()
			parts[i] = Value(item)
			if k := reflect.ValueOf(item).Kind(); k == reflect.Slice || k == reflect.Array {
				parts[i] = "[" + parts[i] + "]"
			}
		}
		return strings.Join(parts, ", ")
	case reflect.Map:
		if r.Len() == 0 {
			return "none"
		}
		var parts []string
		for _, e := range entries(v) {
			parts = append(parts, e.Name+" "+Value(e.Value))
		}
		return strings.Join(parts, ", ")
	case reflect.Float32:
		return Number(r.Float())
	}
	return fmt.Sprint(v)
}

// entry is one entry of a map.
type entry struct {
	Name  string
	Value any
}

// entries lists a map with string keys in the order of its keys.
func entries(v any) []entry {
	if m, ok := v.(map[string]any); ok {
		es := make([]entry, 0, len(m))
		for _, k := range slices.Sorted(maps.Keys(m)) {
			es = append(es, entry{k, m[k]})
		}
		return es
	}
	r := reflect.ValueOf(v)
	es := make([]entry, 0, r.Len())
	for it := r.MapRange(); it.Next(); {
		es = append(es, entry{fmt.Sprint(it.Key().Interface()), it.Value().Interface()})
	}
	slices.SortFunc(es, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return es
}

// Ordered is a JSON object whose keys keep their order.
type Ordered []Entry

// Entry is one key of an Ordered.
type Entry struct {
	Name  string
	Value any
}

// MarshalJSON writes the keys in order.
func (o Ordered) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, entry := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := e.Encode(entry.Name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := e.Encode(JSON(entry.Value)); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// JSON prepares a value for a document: durations become text, and a number that JSON has no form for becomes null.
func JSON(v any) any {
	switch v := v.(type) {
	case nil, string, bool, Ordered, json.Marshaler:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		return v
	case time.Duration:
		return scenario.JSONValue(v)
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Slice, reflect.Array:
		l := make([]any, r.Len())
		for i := range l {
			l[i] = JSON(r.Index(i).Interface())
		}
		return l
	case reflect.Map:
		m := make(map[string]any, r.Len())
		for _, e := range entries(v) {
			m[e.Name] = JSON(e.Value)
		}
		return m
	}
	return v
}
