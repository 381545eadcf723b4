package scenario

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decoder fills Go values from trees. It is strict: what it does not know, it reports, each with its place.
type decoder struct {
	found *findings
	// tag is the struct tag that names fields: yaml for scenario files, json for the types of k8s.io/api.
	tag string
	// form is set when only the form of a template is checked: a scalar that holds ${CEL} stands for a value of any
	// type, an item of a list may have a `when`, and the decoded value is thrown away.
	form bool
}

// treeDecoder is implemented by types that decode themselves.
type treeDecoder interface {
	decodeTree(d *decoder, n *node, path string)
}

// placed is implemented by types that keep the place they were decoded from.
type placed interface{ setPlace(place) }

// complainer is implemented by types with rules beyond their fields; an empty complaint is none.
type complainer interface{ complaint() string }

// strictFields says whether fields are required unless marked omitempty, and listed in messages.
func (d *decoder) strictFields() bool { return d.tag == "yaml" }

// decode fills into from n. path names the value in messages, as in world.vpc.subnets[2].
func (d *decoder) decode(n *node, into reflect.Value, path string) {
	if d.form && n.scalar() && hasTemplate(n.text) {
		return
	}
	if t, ok := into.Addr().Interface().(treeDecoder); ok {
		t.decodeTree(d, n, path)
		return
	}
	if n.kind == nullNode && into.Kind() != reflect.Struct {
		return
	}
	if u, ok := into.Addr().Interface().(json.Unmarshaler); ok && d.tag == "json" {
		if err := u.UnmarshalJSON(n.json()); err != nil {
			d.found.add(n.at, "%s: %s does not fit: %v", path, n.describe(), err)
		}
		return
	}
	if into.Type() == reflect.TypeFor[time.Duration]() {
		v, err := parseDuration(n.text)
		if n.kind != textNode && n.kind != intNode || err != nil {
			d.want(n, path, "a duration, such as 500ms or 2m")
		}
		into.SetInt(int64(v))
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.decode(n, into.Elem(), path)
	case reflect.Struct:
		d.decodeStruct(n, into, path)
	case reflect.Map:
		d.decodeMap(n, into, path)
	case reflect.Slice:
		if into.Type().Elem().Kind() == reflect.Uint8 {
			d.decodeBytes(n, into, path)
			return
		}
		d.decodeList(n, into, path)
	case reflect.String:
		if n.kind != textNode {
			d.want(n, path, "text"+quoteHint(n))
			return
		}
		into.SetString(n.text)
	case reflect.Bool:
		if n.kind != boolNode {
			d.want(n, path, "true or false")
			return
		}
		into.SetBool(n.boolean)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n.kind != intNode {
			d.want(n, path, "a whole number")
			return
		}
		if into.OverflowInt(n.integer) {
			d.want(n, path, fmt.Sprintf("a whole number that fits in %d bits", into.Type().Bits()))
			return
		}
		into.SetInt(n.integer)
	case reflect.Float32, reflect.Float64:
		switch n.kind {
		case intNode:
			into.SetFloat(float64(n.integer))
		case floatNode:
			into.SetFloat(n.float)
		default:
			d.want(n, path, "a number")
		}
	default:
		d.found.add(n.at, "%s is not supported", path)
	}
}

func (d *decoder) want(n *node, path, what string) {
	d.found.add(n.at, "%s: want %s, have %s", path, what, n.describe())
}

// quoteHint says how a scalar that YAML takes for something else becomes text.
func quoteHint(n *node) string {
	if n.kind == boolNode || n.kind == intNode || n.kind == floatNode {
		return " (in quotes)"
	}
	return ""
}

// structField is a field of a struct, or of a struct embedded in it.
type structField struct {
	name     string
	required bool
	reflect.StructField
}

// fieldsOf lists the fields of t by their names in a file.
func fieldsOf(t reflect.Type, tag string) (list []structField) {
	for i := range t.NumField() {
		f := t.Field(i)
		name := fieldName(f, tag)
		switch {
		case name == "-", !f.IsExported():
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				continue // k8s.io/api embeds none
			}
			for _, g := range fieldsOf(inner, tag) {
				g.Index = append(slices.Clone(f.Index), g.Index...)
				list = append(list, g)
			}
		case name != "":
			_, options, _ := strings.Cut(f.Tag.Get(tag), ",")
			list = append(list, structField{name: name, required: !strings.Contains(options, "omitempty"), StructField: f})
		}
	}
	return list
}

func fieldName(f reflect.StructField, tag string) string {
	name, _, _ := strings.Cut(f.Tag.Get(tag), ",")
	return name
}

func (d *decoder) decodeStruct(n *node, into reflect.Value, path string) {
	fields := fieldsOf(into.Type(), d.tag)
	switch n.kind {
	case objectNode:
	case nullNode:
		if !d.strictFields() {
			return
		}
	default:
		d.want(n, path, "a mapping")
		return
	}
	given := map[string]bool{}
	for _, f := range n.fields {
		i := slices.IndexFunc(fields, func(s structField) bool { return s.name == f.key })
		if i < 0 {
			d.unknownField(f, fields, path)
			continue
		}
		if f.value.kind == nullNode && d.strictFields() && !keepsNull(fields[i].Type) {
			continue // as if it were not there
		}
		given[f.key] = true
		v, p := into.FieldByIndex(fields[i].Index), join(path, f.key)
		d.decode(f.value, v, p)
		d.checkTags(f.value, v, fields[i].Tag, p)
	}
	if d.strictFields() {
		for _, f := range fields {
			if f.required && !given[f.name] {
				d.found.add(n.at, "%s: %q is missing", orTop(path), f.name)
			}
		}
	}
	if p, ok := into.Addr().Interface().(placed); ok {
		p.setPlace(n.at)
	}
	if c, ok := into.Addr().Interface().(complainer); ok && n.kind == objectNode && !(d.form && n.holdsTemplate()) {
		if complaint := c.complaint(); complaint != "" {
			d.found.add(n.at, "%s %s", path, complaint)
		}
	}
}

// keepsNull says whether null is a value of its own for t: a struct without required fields, or a type that asks for it.
func keepsNull(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[treeDecoder]())
}

func (d *decoder) unknownField(f field, fields []structField, path string) {
	if d.found.full() {
		d.found.add(f.at, "unknown field %q", shorten(f.key)) // counted only
		return
	}
	names := make([]string, len(fields))
	for i, known := range fields {
		names[i] = known.name
	}
	hint := didYouMean(f.key, names)
	if hint == "" && d.strictFields() {
		hint = "; it has " + strings.Join(names, ", ")
		if len(names) == 0 {
			hint = "; it has none"
		}
	}
	d.found.add(f.at, "unknown field %q in %s%s", shorten(f.key), orTop(path), hint)
}

// checkTags holds a decoded value against the enum and min tags of its field.
func (d *decoder) checkTags(n *node, v reflect.Value, tag reflect.StructTag, path string) {
	if d.form && n.scalar() && hasTemplate(n.text) {
		return
	}
	if enum := tag.Get("enum"); enum != "" && n.kind == textNode {
		values := strings.Split(enum, ",")
		if !slices.Contains(values, n.text) {
			d.found.add(n.at, "%s: want %s, have %q%s", path, oneOf(values), shorten(n.text), didYouMean(n.text, values))
		}
	}
	if least := tag.Get("min"); least != "" && n.kind == intNode && v.CanInt() {
		if m, err := strconv.ParseInt(least, 10, 64); err == nil && v.Int() < m {
			d.want(n, path, "a whole number of at least "+least)
		}
	}
	if v.Type() == reflect.TypeFor[time.Duration]() && v.Int() < 0 {
		d.want(n, path, "a duration that is not negative")
	}
}

func oneOf(values []string) string {
	if len(values) == 1 {
		return strconv.Quote(values[0])
	}
	return "one of " + strings.Join(values, ", ")
}

func (d *decoder) decodeMap(n *node, into reflect.Value, path string) {
	if n.kind != objectNode {
		d.want(n, path, "a mapping")
		return
	}
	m := reflect.MakeMapWithSize(into.Type(), len(n.fields))
	for _, f := range n.fields {
		v := reflect.New(into.Type().Elem()).Elem()
		p := join(path, f.key)
		if f.value.kind == nullNode && d.strictFields() {
			d.found.add(f.at, "%s has no value", p)
		}
		d.decode(f.value, v, p)
		m.SetMapIndex(reflect.ValueOf(f.key).Convert(into.Type().Key()), v)
	}
	into.Set(m)
}

func (d *decoder) decodeList(n *node, into reflect.Value, path string) {
	if n.kind != listNode {
		d.want(n, path, "a list")
		return
	}
	list := reflect.MakeSlice(into.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		p := fmt.Sprintf("%s[%d]", path, i)
		if item.kind == nullNode && d.strictFields() {
			d.found.add(item.at, "%s has no value", p)
			continue
		}
		if d.form && d.strictFields() {
			item = item.without("when")
		}
		d.decode(item, list.Index(i), p)
	}
	into.Set(list)
}

func (d *decoder) decodeBytes(n *node, into reflect.Value, path string) {
	data, err := base64.StdEncoding.DecodeString(n.text)
	if n.kind != textNode || err != nil {
		d.want(n, path, "base64")
		return
	}
	into.SetBytes(data)
}

// holdsTemplate says whether a field of n is ${CEL}, so that its value is not known yet.
func (n *node) holdsTemplate() bool {
	return slices.ContainsFunc(n.fields, func(f field) bool { return f.value.scalar() && hasTemplate(f.value.text) })
}

// without returns n without a field.
func (n *node) without(key string) *node {
	if n.get(key) == nil {
		return n
	}
	out := *n
	out.fields = slices.DeleteFunc(slices.Clone(n.fields), func(f field) bool { return f.key == key })
	return &out
}

func join(path, key string) string {
	key = shorten(key)
	if path == "" {
		return key
	}
	if strings.ContainsAny(key, "./ ") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
