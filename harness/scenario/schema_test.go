package scenario

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the published schema")

// schemaFile is published beside the scenarios, for editors.
var schemaFile = filepath.Join("..", "..", "scenarios", "scenario.schema.json")

// The published schema is made of the types that decode the file, with their comments and tags.
func TestSchemaIsThatOfTheTypes(t *testing.T) {
	s := schemas{docs: comments(t)}
	root := s.of(reflect.TypeFor[document](), false, "")
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "ekslab scenario"
	var got bytes.Buffer
	e := json.NewEncoder(&got)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs from the types; go test ./harness/scenario -run Schema -update rewrites it", schemaFile)
	}
}

// schemas turns types into JSON Schema.
type schemas struct{ docs map[string]string }

type object = map[string]any

// of is the schema of a type; within a template a scalar may also be ${CEL}.
func (s schemas) of(t reflect.Type, template bool, tag reflect.StructTag) object {
	scalar := func(o object) object {
		if !template {
			return o
		}
		return object{"anyOf": []any{o, object{"type": "string", "pattern": `\$\{`}}}
	}
	switch name := t.Name(); {
	case t == reflect.TypeFor[time.Duration]():
		return scalar(object{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`})
	case name == "raw":
		return object{}
	case name == "expression":
		return object{"type": []any{"string", "boolean", "number"}}
	case name == "manifestFile":
		return object{"anyOf": []any{object{"type": "string"}, s.of(reflect.TypeFor[conditionalFile](), false, "")}}
	case t == reflect.TypeFor[Fragment]():
		return object{"type": "object"}
	case t == reflect.TypeFor[Range]():
		one := object{"type": []any{"string", "number"}, "description": "A duration, or a number of seconds."}
		return scalar(object{"anyOf": []any{one, object{"type": "array", "items": one, "minItems": 2, "maxItems": 2}}})
	case name == "label":
		return enum(object{"type": "string"}, tag)
	case strings.HasPrefix(name, "ordered["):
		return object{"type": "object", "additionalProperties": s.of(t.Elem().Field(2).Type, template, "")}
	case strings.HasPrefix(name, "template["):
		for _, inner := range []reflect.Type{reflect.TypeFor[World](), reflect.TypeFor[time.Duration](), reflect.TypeFor[[]Action](), reflect.TypeFor[[]Client]()} {
			if strings.HasSuffix(strings.TrimSuffix(name, "]"), inner.String()[strings.LastIndexByte(inner.String(), '.'):]) {
				if inner == reflect.TypeFor[World]() {
					return object{"anyOf": []any{object{"type": "string"}, s.of(inner, true, "")}}
				}
				return s.of(inner, true, "")
			}
		}
		panic("schema: " + name)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), template, tag)
	case reflect.String:
		return scalar(enum(object{"type": "string"}, tag))
	case reflect.Int:
		o := object{"type": "integer"}
		if n, err := strconv.Atoi(tag.Get("min")); err == nil {
			o["minimum"] = n
		}
		return scalar(o)
	case reflect.Bool:
		return scalar(object{"type": "boolean"})
	case reflect.Slice:
		items := s.of(t.Elem(), template, "")
		if p, ok := items["properties"].(object); ok && template {
			p["when"] = object{"type": []any{"string", "boolean"}, "description": "CEL over params and let; the item is left out when it is false."}
		}
		return scalar(object{"type": "array", "items": items})
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), template, "")}
	case reflect.Struct:
		return s.structure(t, template)
	}
	panic("schema: " + t.String())
}

func (s schemas) structure(t reflect.Type, template bool) object {
	properties, required := object{}, []any{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, rest, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		o := s.of(f.Type, template, f.Tag)
		if doc := s.docs[t.Name()+"."+f.Name]; doc != "" {
			o["description"] = doc
		}
		properties[name] = o
		if rest != "omitempty" {
			required = append(required, name)
		}
	}
	o := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		o["required"] = required
	}
	return o
}

func enum(o object, tag reflect.StructTag) object {
	if values := tag.Get("enum"); values != "" {
		var list []any
		for _, v := range strings.Split(values, ",") {
			list = append(list, v)
		}
		o["enum"] = list
	}
	return o
}

// comments reads the doc comments of the package's struct fields, as Type.Field.
func comments(t *testing.T) map[string]string {
	docs := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range st.Fields.List {
				for _, id := range field.Names {
					docs[spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
			}
			return true
		})
	}
	return docs
}
