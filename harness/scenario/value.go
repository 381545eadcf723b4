package scenario

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Origin says where the value of a parameter comes from.
type Origin string

// The later of these wins.
const (
	FromDefault Origin = "default"
	// FromManifests is a value that the user's own manifests settle.
	FromManifests Origin = "manifests"
	FromVariant   Origin = "variant"
	FromSet       Origin = "set"
)

// ParamValue is the value of one parameter in a plan.
type ParamValue struct {
	Name string
	// Value is int64, float64, bool, string, time.Duration, []any of these or of Step, or nil when the parameter is unset.
	Value  any
	Origin Origin
}

// String is the value as --set takes it: 1,2,2 or 500ms or null.
func (v ParamValue) String() string { return FormatValue(v.Value) }

// cel is the value as expressions see it.
func (v ParamValue) cel() any {
	list, ok := v.Value.([]any)
	if !ok || len(list) == 0 {
		return v.Value
	}
	if _, ok := list[0].(Step); !ok {
		return v.Value
	}
	steps := make([]map[string]any, len(list))
	for i, s := range list {
		steps[i] = s.(Step).cel()
	}
	return steps
}

// ParamValues are the values of all parameters of a plan, in the order of the file.
type ParamValues []ParamValue

// Get returns the value of a parameter, nil if it is unset or unknown.
func (p ParamValues) Get(name string) any {
	for _, v := range p {
		if v.Name == name {
			return v.Value
		}
	}
	return nil
}

// MarshalJSON is an object in the order of the file: {"nodesPerZone":[1,2,2],"connectInterval":"500ms"}.
func (p ParamValues) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, v := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(v.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(JSONValue(v.Value))
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// JSONValue is the value of a parameter in the form of result documents: a duration is text such as "500ms".
func JSONValue(value any) any {
	switch v := value.(type) {
	case time.Duration:
		return formatDuration(v)
	case Step:
		return v.String()
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = JSONValue(item)
		}
		return list
	default:
		return v
	}
}

// FormatValue is the value of a parameter as --set takes it: 1,2,2 or 500ms or null.
func FormatValue(value any) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Duration:
		return formatDuration(v)
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = FormatValue(item)
		}
		return strings.Join(parts, ",")
	case Step:
		return v.String()
	case string:
		return v
	default:
		panic("scenario: a parameter holds a value of no parameter's type")
	}
}
