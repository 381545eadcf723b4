package scenario

import (
	"regexp"
	"slices"
)

var (
	identifier = regexp.MustCompile(`^[a-z][A-Za-z0-9]*$`)
	slugPart   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// reserved names cannot be selected in CEL, or mean something else where parameters are set.
var reserved = []string{"in", "true", "false", "null", "variant"}

func checkIdentifier(what, name string, at place, found *findings) {
	if !identifier.MatchString(name) || slices.Contains(reserved, name) {
		found.add(at, "%q cannot name %s: a name begins with a small letter, has letters and digits only, and is none of in, true, false, null, variant", shorten(name), what)
	}
}

// parameter makes a Parameter of its declaration.
func (d parameterDoc) parameter(name string, at place, found *findings) Parameter {
	checkIdentifier("a parameter", name, at, found)
	if d.at.file == "" {
		d.at = at
	}
	p := Parameter{Name: name, Type: Type(d.Type.text), Unit: d.Unit, Doc: d.Doc, File: at.file, Line: at.line}
	report := func(at place, format string, args ...any) {
		found.add(at, "parameters."+name+": "+format, args...)
	}
	if !slices.Contains(parameterTypes, p.Type) {
		return p // reported by the decoder
	}

	switch p.Type {
	case TypeList, TypeRange:
		if d.Items == nil {
			report(d.at, `a %s needs "items" with their type, as in items: {type: int, min: 0}`, p.Type)
			d.Items = &parameterItems{Type: label{text: string(TypeInt)}}
		}
		items := parameterDoc{Type: d.Items.Type, Values: d.Items.Values, Min: d.Items.Min, Max: d.Items.Max, at: d.at}
		item := Parameter{Name: name, Type: Type(items.Type.text)}
		items.values(&item, report)
		items.boundaries(&item, report)
		p.Items = &item
		if p.Type == TypeRange && item.Type != TypeInt && item.Type != TypeNumber && item.Type != TypeDuration {
			report(items.Type.at, "a range is of int, number or duration, not %s", item.Type)
		}
	default:
		if d.Items != nil {
			report(d.at, `"items" belongs to a list or range, not to %s`, p.Type)
		}
	}
	d.lengths(&p, report)
	d.values(&p, report)
	d.boundaries(&p, report)
	d.defaultValue(&p, report)
	return p
}

type reporter func(at place, format string, args ...any)

func (d parameterDoc) lengths(p *Parameter, report reporter) {
	if p.Type == TypeRange {
		p.MinItems, p.MaxItems = 2, 2
	}
	if d.MinItems == nil && d.MaxItems == nil {
		return
	}
	if p.Type != TypeList {
		report(d.at, `"minItems" and "maxItems" belong to a list, not to %s`, p.Type)
		return
	}
	if d.MinItems != nil {
		p.MinItems = *d.MinItems
	}
	if d.MaxItems != nil {
		p.MaxItems = *d.MaxItems
		if p.MaxItems < p.MinItems {
			report(d.at, "minItems %d is above maxItems %d", p.MinItems, p.MaxItems)
		}
	}
}

func (d parameterDoc) values(p *Parameter, report reporter) {
	p.Values = texts(d.Values)
	if p.Type != TypeEnum {
		if d.Values != nil {
			report(d.at, `"values" belongs to an enum, not to %s`, p.Type)
		}
		return
	}
	if len(d.Values) == 0 {
		report(d.at, `an enum needs "values", as in values: [none, one]`)
	}
	for i, v := range d.Values {
		if slices.Contains(p.Values[:i], v.text) {
			report(v.at, "the value %q is given twice", v.text)
		}
	}
}

func (d parameterDoc) boundaries(p *Parameter, report reporter) {
	read := func(which string, bound raw) any {
		if bound.node == nil {
			return nil
		}
		if p.Type != TypeInt && p.Type != TypeNumber && p.Type != TypeDuration {
			report(bound.at, "%q does not go with %s", which, p.Type)
			return nil
		}
		v, err := p.fromNode(bound.node)
		if err != nil {
			report(bound.at, "%s: want %s, have %s", which, Parameter{Type: p.Type}.allowed(false), given(bound.node))
			return nil
		}
		return v
	}
	least, greatest := read("min", d.Min), read("max", d.Max)
	if least != nil && greatest != nil && above(least, greatest) {
		report(d.Min.at, "min %s is above max %s", FormatValue(least), FormatValue(greatest))
		return
	}
	p.Min, p.Max = least, greatest
}

func (d parameterDoc) defaultValue(p *Parameter, report reporter) {
	n := d.Default.node
	if n == nil {
		return // reported as missing
	}
	if n.scalar() && hasTemplate(n.text) {
		p.Computed, p.computed = n.text, n
		return
	}
	p.nullable = n.kind == nullNode
	v, err := p.fromNode(n)
	if err != nil {
		report(n.at, "default: want %s, have %s", p.Allowed(), given(n))
		return
	}
	p.Default = v
}

// settings reads values of parameters: the set of a variant, or the golden run's.
func settings(parameters []Parameter, fields []field, what string, found *findings) (values []ParamValue) {
	for _, f := range fields {
		p, ok := findParameter(parameters, f.key)
		if !ok {
			found.add(f.at, "%s: unknown parameter %q%s", what, shorten(f.key), didYouMean(f.key, parameterNames(parameters)))
			continue
		}
		v, err := p.fromNode(f.value)
		if err != nil {
			found.add(f.value.at, "%s: %s", what, p.must(given(f.value)))
			continue
		}
		values = append(values, ParamValue{Name: f.key, Value: v, Origin: FromVariant})
	}
	return values
}

func findParameter(parameters []Parameter, name string) (Parameter, bool) {
	i := slices.IndexFunc(parameters, func(p Parameter) bool { return p.Name == name })
	if i < 0 {
		return Parameter{}, false
	}
	return parameters[i], true
}

func parameterNames(parameters []Parameter) []string {
	names := make([]string, len(parameters))
	for i, p := range parameters {
		names[i] = p.Name
	}
	return names
}
