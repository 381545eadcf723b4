package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDepth bounds how deep a file may nest; a Pod needs about 15.
	maxDepth = 64
	// maxAliasNodes bounds what YAML aliases may add to a file.
	maxAliasNodes = 1000
)

// kind is what a node of a YAML tree is, in JSON's terms.
type kind int

const (
	nullNode kind = iota
	boolNode
	intNode
	floatNode
	textNode
	listNode
	objectNode
)

// node is a YAML value that knows its place. Every tree is finite: aliases have been replaced by what they stand for.
// A node is not changed once it is made, so that trees may share parts.
type node struct {
	at      place
	kind    kind
	text    string // of a scalar, as the file has it, without quotes
	boolean bool
	integer int64
	float   float64
	literal bool // text of a | block, which begins on the line after the node's
	quoted  bool
	items   []*node
	fields  []field
}

// field is one entry of an object.
type field struct {
	key   string
	at    place
	value *node
}

// get returns the value of a field; nil if there is none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.key == key {
			return f.value
		}
	}
	return nil
}

func (n *node) scalar() bool { return n.kind != listNode && n.kind != objectNode }

// describe names the node in a message.
func (n *node) describe() string {
	switch n.kind {
	case nullNode:
		return "nothing"
	case boolNode:
		return n.text
	case intNode, floatNode:
		return "the number " + n.text
	case textNode:
		return fmt.Sprintf("the text %q", shorten(n.text))
	case listNode:
		return "a list"
	default:
		return "a mapping"
	}
}

func shorten(s string) string {
	const most = 80
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return s
}

// json is the node in JSON, for types that decode themselves.
func (n *node) json() []byte {
	var b bytes.Buffer
	n.writeJSON(&b)
	return b.Bytes()
}

func (n *node) writeJSON(b *bytes.Buffer) {
	write := func(v any) {
		data, err := json.Marshal(v)
		if err != nil {
			panic("scenario: a node holds what JSON cannot: " + err.Error())
		}
		b.Write(data)
	}
	switch n.kind {
	case nullNode:
		b.WriteString("null")
	case boolNode:
		write(n.boolean)
	case intNode:
		write(n.integer)
	case floatNode:
		if json.Valid([]byte(n.text)) {
			b.WriteString(n.text) // a quantity such as 0.10 keeps its digits
		} else {
			write(n.float)
		}
	case textNode:
		write(n.text)
	case listNode:
		b.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			item.writeJSON(b)
		}
		b.WriteByte(']')
	case objectNode:
		b.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			write(f.key)
			b.WriteByte(':')
			f.value.writeJSON(b)
		}
		b.WriteByte('}')
	}
}

// yaml is the node as YAML that every reader of YAML 1.1 and 1.2 understands alike.
func (n *node) yaml() *yaml.Node {
	out := &yaml.Node{}
	switch n.kind {
	case listNode:
		out.Kind, out.Tag = yaml.SequenceNode, "!!seq"
		for _, item := range n.items {
			out.Content = append(out.Content, item.yaml())
		}
	case objectNode:
		out.Kind, out.Tag = yaml.MappingNode, "!!map"
		for _, f := range n.fields {
			out.Content = append(out.Content, yamlText(f.key), f.value.yaml())
		}
	case textNode:
		return yamlText(n.text)
	default:
		out.Kind, out.Value = yaml.ScalarNode, string(n.json())
	}
	return out
}

func yamlText(text string) *yaml.Node {
	out := &yaml.Node{}
	// Encode quotes what needs it, save the sign of a merge key.
	if err := out.Encode(text); err != nil || text == "<<" {
		out.Kind, out.Style, out.Tag, out.Value = yaml.ScalarNode, yaml.DoubleQuotedStyle, "!!str", text
	}
	return out
}

// parseYAML reads the documents of a file. A document that holds nothing is left out.
func parseYAML(file string, data []byte, found *findings) (documents []*node) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	budget := maxAliasNodes
	for {
		document, err := nextDocument(decoder)
		if errors.Is(err, io.EOF) {
			return documents
		}
		if err != nil {
			line, message := syntaxError(err, string(data))
			found.add(place{file: file, line: line, column: 1}, "%s", message)
			return nil
		}
		r := treeReader{file: file, found: found, budget: &budget}
		root := r.read(document, 0, 0)
		if r.stopped {
			return nil
		}
		if root.kind != nullNode {
			documents = append(documents, root)
		}
	}
}

// nextDocument turns a panic of the YAML library into an error: input must never end the program.
func nextDocument(decoder *yaml.Decoder) (document *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	document = &yaml.Node{}
	return document, decoder.Decode(document)
}

var (
	yamlErrorLine = regexp.MustCompile(`^yaml: line (\d+): `)
	unknownAnchor = regexp.MustCompile(`unknown anchor '(.*)' referenced`)
)

// syntaxError words an error of the YAML library about a text. Its scanner counts lines from 1, its parser from 0, and
// an unknown alias has none.
func syntaxError(err error, text string) (line int, message string) {
	message = err.Error()
	line = 1
	if m := yamlErrorLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if strings.HasPrefix(message, "did not find expected") && !strings.Contains(message, "alphabetic") {
			line++
		}
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		before, _, _ := strings.Cut(text, "*"+m[1])
		line = 1 + strings.Count(before, "\n")
	}
	message = "not valid YAML: " + strings.TrimPrefix(message, "yaml: ")
	switch {
	case strings.Contains(message, "mapping values are not allowed"):
		message += " (text that holds a colon and a space needs quotes)"
	case strings.Contains(message, "cannot start any token"):
		message += " (indent with spaces, not tabs; quote text that begins with one of @ ` % or a tab)"
	}
	lines := 1 + strings.Count(strings.TrimRight(text, "\n"), "\n")
	return max(min(line, lines), 1), message
}

// treeReader turns the YAML library's nodes into ours.
type treeReader struct {
	file    string
	found   *findings
	budget  *int  // nodes that aliases may still add
	alias   place // of the outermost alias that is being replaced; what it stands for is reported there
	stopped bool  // the rest of the file is not worth reading
}

func (r *treeReader) stop(at place, format string, args ...any) *node {
	if !r.stopped {
		r.found.add(at, format, args...)
	}
	r.stopped = true
	return &node{at: at}
}

// read converts y, which is depth levels down and inside so many aliases.
func (r *treeReader) read(y *yaml.Node, depth, aliases int) *node {
	at := place{file: r.file, line: max(y.Line, 1), column: max(y.Column, 1)}
	if r.stopped {
		return &node{at: at}
	}
	if aliases > 0 {
		at = r.alias
	}
	if depth > maxDepth {
		return r.stop(at, "nested deeper than %d levels", maxDepth)
	}
	if aliases > 0 {
		if *r.budget--; *r.budget < 0 {
			return r.stop(at, "the YAML aliases of this file stand for more than %d values; write them out", maxAliasNodes)
		}
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return &node{at: at}
		}
		return r.read(y.Content[0], depth, aliases)
	case yaml.AliasNode:
		if aliases == 0 {
			r.alias = at
		}
		return r.read(y.Alias, depth+1, aliases+1)
	case yaml.SequenceNode:
		n := &node{at: at, kind: listNode}
		r.checkTag(y, at, "!!seq")
		for _, item := range y.Content {
			n.items = append(n.items, r.read(item, depth+1, aliases))
		}
		return n
	case yaml.MappingNode:
		r.checkTag(y, at, "!!map")
		return r.readObject(y, at, depth, aliases)
	default:
		return r.readScalar(y, at)
	}
}

func (r *treeReader) readObject(y *yaml.Node, at place, depth, aliases int) *node {
	n := &node{at: at, kind: objectNode}
	lines := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		keyAt := place{file: r.file, line: k.Line, column: k.Column}
		if aliases > 0 {
			keyAt = r.alias
		}
		for k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		switch {
		case k.Kind != yaml.ScalarNode:
			r.found.add(keyAt, "a key must be text, not a list or mapping")
			continue
		case k.ShortTag() == "!!merge":
			r.found.add(keyAt, `merge keys ("<<") are not supported; write the fields out`)
			continue
		case k.ShortTag() == "!!null":
			r.found.add(keyAt, "a key is missing")
			continue
		}
		if first, twice := lines[k.Value]; twice {
			r.found.add(keyAt, "duplicate key %q, first on line %d", shorten(k.Value), first)
			continue
		}
		lines[k.Value] = keyAt.line
		n.fields = append(n.fields, field{key: k.Value, at: keyAt, value: r.read(v, depth+1, aliases)})
	}
	return n
}

func (r *treeReader) readScalar(y *yaml.Node, at place) *node {
	n := &node{
		at: at, text: y.Value,
		literal: y.Style&yaml.LiteralStyle != 0,
		quoted:  y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0,
	}
	tag := y.ShortTag()
	switch tag {
	case "!!null":
		n.kind = nullNode
	case "!!bool":
		n.kind = boolNode
		if err := y.Decode(&n.boolean); err != nil {
			r.found.add(at, "%s is neither true nor false", shorten(y.Value))
		}
	case "!!int":
		n.kind = intNode
		if err := y.Decode(&n.integer); err != nil {
			r.found.add(at, "%s is no whole number, or too large for 64 bits", shorten(y.Value))
		}
	case "!!float":
		n.kind = floatNode
		if err := y.Decode(&n.float); err != nil || math.IsNaN(n.float) || math.IsInf(n.float, 0) {
			n.float, n.text = 0, "0"
			r.found.add(at, "%s is no finite number", shorten(y.Value))
		}
	case "!!str", "!!timestamp":
		n.kind = textNode
	default:
		n.kind = textNode
		r.found.add(at, "the YAML tag %s is not supported", tag)
	}
	return n
}

func (r *treeReader) checkTag(y *yaml.Node, at place, want string) {
	if tag := y.ShortTag(); tag != want {
		r.found.add(at, "the YAML tag %s is not supported", tag)
	}
}
