package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Type is the type of a parameter.
type Type string

// The types of parameters. A range is a list of two values, the first not above the second. A schedule is a list of steps.
const (
	TypeInt      Type = "int"
	TypeNumber   Type = "number"
	TypeBool     Type = "bool"
	TypeString   Type = "string"
	TypeEnum     Type = "enum"
	TypeDuration Type = "duration"
	TypeList     Type = "list"
	TypeRange    Type = "range"
	TypeSchedule Type = "schedule"
)

var parameterTypes = []Type{TypeInt, TypeNumber, TypeBool, TypeString, TypeEnum, TypeDuration, TypeList, TypeRange, TypeSchedule}

// Parameter is something about a scenario that a user may set.
type Parameter struct {
	Name string
	Type Type
	// Items is the type and the bounds of one item of a list or range.
	Items *Parameter
	// Values of an enum.
	Values []string
	// Min and Max are bounds of the parameter's own type (int64, float64, time.Duration); nil for none.
	Min, Max any
	// MinItems and MaxItems bound the length of a list; MaxItems 0 is no bound.
	MinItems, MaxItems int
	// Default is the value if nothing is set. It is nil for a parameter that may be unset, and for a computed one.
	Default any
	// Computed is the CEL text of a default that depends on other parameters; empty for none.
	Computed string
	Unit     string
	Doc      string

	File string
	Line int

	nullable bool
	// computed is the template of the default.
	computed *node
}

// Nullable says whether the parameter may be unset, which is written null.
func (p Parameter) Nullable() bool { return p.nullable }

// DefaultText is the default as --set takes it, or ${CEL} for a computed one.
func (p Parameter) DefaultText() string {
	if p.Computed != "" {
		return p.Computed
	}
	return FormatValue(p.Default)
}

// Allowed says which values are right, as in "a whole number from 1 to 500".
func (p Parameter) Allowed() string {
	s := p.allowed(false)
	if example := p.example(); example != "" {
		s += ", such as " + example
	}
	if p.nullable {
		s += ", or null to leave it unset"
	}
	return s
}

func (p Parameter) allowed(plural bool) string {
	say := func(one, many string) string {
		if plural {
			return many
		}
		return one
	}
	switch p.Type {
	case TypeInt:
		return say("a whole number", "whole numbers") + p.bounds()
	case TypeNumber:
		return say("a number", "numbers") + p.bounds()
	case TypeBool:
		return "true or false"
	case TypeEnum:
		return say(oneOf(p.Values), "values out of "+strings.Join(p.Values, ", "))
	case TypeDuration:
		return say("a duration", "durations") + p.bounds()
	case TypeList:
		switch {
		case p.MaxItems == 1 && p.MinItems == 1:
			return "a list of one item, " + p.Items.allowed(false)
		case p.MaxItems > 0 && p.MinItems == p.MaxItems:
			return fmt.Sprintf("a list of %d %s", p.MinItems, p.Items.allowed(true))
		case p.MaxItems > 0:
			return fmt.Sprintf("a list of %d to %d %s", p.MinItems, p.MaxItems, p.Items.allowed(true))
		case p.MinItems > 0:
			return fmt.Sprintf("a list of at least %d %s", p.MinItems, p.Items.allowed(true))
		}
		return "a list of " + p.Items.allowed(true)
	case TypeRange:
		return "min,max: two " + p.Items.allowed(true) + ", the smaller first"
	case TypeSchedule:
		return noSteps + ", or number:count@seconds for each step, divided by commas, no number twice at one time"
	default:
		return say("text", "texts")
	}
}

func (p Parameter) bounds() string {
	switch {
	case p.Min != nil && p.Max != nil:
		return " from " + FormatValue(p.Min) + " to " + FormatValue(p.Max)
	case p.Min != nil:
		return " of at least " + FormatValue(p.Min)
	case p.Max != nil:
		return " of at most " + FormatValue(p.Max)
	}
	return ""
}

// example shows how a value is written, for the types whose writing is not plain.
func (p Parameter) example() string {
	if p.Default != nil && (p.Type == TypeList || p.Type == TypeRange || p.Type == TypeDuration && p.Default != time.Duration(0)) {
		return FormatValue(p.Default)
	}
	switch p.Type {
	case TypeDuration:
		return "500ms"
	case TypeSchedule:
		return "1:6@120,2:0@300"
	}
	return ""
}

// errNotAllowed is found out about a value; the message is Allowed's.
var errNotAllowed = errors.New("not allowed")

// Parse reads a value as --set and --over give it: 1,2,2 for a list, 500ms for a duration, null or nothing for unset.
func (p Parameter) Parse(text string) (any, error) {
	v, err := p.fromText(text)
	if err != nil {
		return nil, errors.New(p.must(quoteEmpty(text)))
	}
	return v, nil
}

func quoteEmpty(text string) string {
	if strings.TrimSpace(text) == "" {
		return strconv.Quote(text)
	}
	return shorten(text)
}

// must says what is right for the parameter, and what it was given.
func (p Parameter) must(given string) string {
	hint := ""
	if p.Type == TypeEnum {
		hint = didYouMean(given, p.Values)
	}
	return fmt.Sprintf("%s must be %s; it was given %s%s", p.Name, p.Allowed(), given, hint)
}

func (p Parameter) fromText(text string) (any, error) {
	if p.nullable && (text == "null" || text == "") {
		return nil, nil
	}
	switch p.Type {
	case TypeInt:
		v, err := strconv.ParseInt(text, 10, 64)
		return p.bounded(v, err)
	case TypeNumber:
		v, err := strconv.ParseFloat(text, 64)
		return p.bounded(v, err)
	case TypeBool:
		if text != "true" && text != "false" {
			return nil, errNotAllowed
		}
		return text == "true", nil
	case TypeDuration:
		v, err := parseDuration(text)
		return p.bounded(v, err)
	case TypeSchedule:
		return parseSchedule(text)
	case TypeList, TypeRange:
		var items []any
		if text != "" {
			for part := range strings.SplitSeq(text, ",") {
				v, err := p.Items.fromText(strings.TrimSpace(part))
				if err != nil {
					return nil, err
				}
				items = append(items, v)
			}
		}
		return p.listed(items)
	default:
		return p.bounded(text, nil)
	}
}

// fromNode reads a value as YAML has it.
func (p Parameter) fromNode(n *node) (any, error) {
	switch {
	case n.kind == nullNode:
		if p.nullable {
			return nil, nil
		}
	case p.Type == TypeInt && n.kind == intNode:
		return p.bounded(n.integer, nil)
	case p.Type == TypeNumber && n.kind == intNode:
		return p.bounded(float64(n.integer), nil)
	case p.Type == TypeNumber && n.kind == floatNode:
		return p.bounded(n.float, nil)
	case p.Type == TypeBool && n.kind == boolNode:
		return n.boolean, nil
	case p.Type == TypeEnum && n.scalar(): // 250 is as good as "250": no other value can be meant
		return p.bounded(n.text, nil)
	case p.Type == TypeString && n.kind == textNode:
		return p.bounded(n.text, nil)
	case p.Type == TypeDuration && (n.kind == textNode || n.kind == intNode):
		v, err := parseDuration(n.text)
		return p.bounded(v, err)
	case p.Type == TypeSchedule:
		return scheduleNode(n)
	case (p.Type == TypeList || p.Type == TypeRange) && n.kind == listNode:
		var items []any
		for _, item := range n.items {
			v, err := p.Items.fromNode(item)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		return p.listed(items)
	case !slices.Contains(parameterTypes, p.Type):
		return nil, nil // the type itself has been reported
	}
	return nil, errNotAllowed
}

// bounded holds a value of the parameter's own type against its bounds.
func (p Parameter) bounded(value any, err error) (any, error) {
	if err != nil {
		return nil, errNotAllowed
	}
	ok := true
	switch v := value.(type) {
	case int64:
		ok = (p.Min == nil || v >= p.Min.(int64)) && (p.Max == nil || v <= p.Max.(int64))
	case float64:
		ok = (p.Min == nil || v >= p.Min.(float64)) && (p.Max == nil || v <= p.Max.(float64)) && !math.IsInf(v, 0) && !math.IsNaN(v)
	case time.Duration:
		ok = (p.Min == nil || v >= p.Min.(time.Duration)) && (p.Max == nil || v <= p.Max.(time.Duration))
	case string:
		ok = p.Type != TypeEnum || slices.Contains(p.Values, v)
	}
	if !ok {
		return nil, errNotAllowed
	}
	return value, nil
}

func (p Parameter) listed(items []any) (any, error) {
	if len(items) < p.MinItems || p.MaxItems > 0 && len(items) > p.MaxItems {
		return nil, errNotAllowed
	}
	if p.Type == TypeRange && above(items[0], items[1]) {
		return nil, errNotAllowed
	}
	if items == nil {
		items = []any{}
	}
	return items, nil
}

func above(a, b any) bool {
	switch a := a.(type) {
	case int64:
		return a > b.(int64)
	case float64:
		return a > b.(float64)
	case time.Duration:
		return a > b.(time.Duration)
	}
	return false
}

// given is a node as a message about a value shows it.
func given(n *node) string {
	switch {
	case n.kind == nullNode:
		return "null"
	case n.scalar() && !n.quoted:
		return quoteEmpty(n.text)
	case n.scalar():
		return strconv.Quote(shorten(n.text))
	default:
		return shorten(string(n.json()))
	}
}
