package scenario

import (
	"reflect"
	"time"
)

const (
	apiVersion = "ekslab/v1alpha1"
	kindName   = "Scenario"
)

// document is scenario.yaml as it is written. Its comments and tags are also what scenario.schema.json is made of.
type document struct {
	// Version of the format.
	APIVersion string `yaml:"apiVersion" enum:"ekslab/v1alpha1"`
	// Always Scenario.
	Kind string `yaml:"kind" enum:"Scenario"`
	// What the scenario is called.
	Metadata metadataDoc `yaml:"metadata"`
	// What the scenario reproduces.
	Source sourceDoc `yaml:"source,omitempty"`
	// What a person sees, pastes into a search box, or reads in a log.
	Symptoms []string `yaml:"symptoms,omitempty"`
	// What a user may set. A default may be ${CEL} over the parameters above it.
	Parameters ordered[parameterDoc] `yaml:"parameters,omitempty"`
	// What must hold between parameters.
	Rules []ruleDoc `yaml:"rules,omitempty"`
	// Names for what other parts share: CEL over params and over the names above each.
	Let ordered[expression] `yaml:"let,omitempty"`
	// What exists before anything happens; or the name of a file that holds it.
	World template[World] `yaml:"world"`
	// Files of ordinary Kubernetes manifests, applied in this order; or each with a "when", outside of which it is left out.
	Manifests []manifestFile `yaml:"manifests,omitempty"`
	// Changes to the manifests before they are applied.
	Patches []patchDoc `yaml:"patches,omitempty"`
	// How long the world comes up and settles before the timeline and the load begin.
	Settle template[time.Duration] `yaml:"settle,omitempty"`
	// Verbs of the vendor's API, and when they are used.
	Timeline template[[]Action] `yaml:"timeline,omitempty"`
	// Clients that call something at a rate.
	Load template[[]Client] `yaml:"load,omitempty"`
	// broken first, then one for each remedy.
	Variants ordered[variantDoc] `yaml:"variants"`
	// Names of what is observed.
	Observations []label `yaml:"observations"`
	// Observations that a summary shows.
	Headline []label `yaml:"headline,omitempty"`
	// Values of parameters for the golden trace, and the variant that it is of (the first unless given).
	Golden raw `yaml:"golden,omitempty"`
	// What should be seen, by variant; "*" stands for every variant and fixed-* for those with that beginning.
	Expect ordered[[]expectationDoc] `yaml:"expect"`
}

type metadataDoc struct {
	// Folder of scenarios that it belongs to.
	Area label `yaml:"area"`
	// Name on the command line; unique over all areas.
	Name label `yaml:"name"`
	// What happens, in one line.
	Title string `yaml:"title"`
}

type sourceDoc struct {
	// Numbers of the articles of the series.
	Articles []int `yaml:"articles,omitempty"`
	// Addresses of pages.
	Pages []string `yaml:"pages,omitempty"`
}

type parameterDoc struct {
	// Type of the value.
	Type label `yaml:"type" enum:"int,number,bool,string,enum,duration,list,range"`
	// Type and bounds of the items of a list or range.
	Items *parameterItems `yaml:"items,omitempty"`
	// Values of an enum.
	Values []label `yaml:"values,omitempty"`
	// Value if nothing is set; null leaves the parameter unset.
	Default raw `yaml:"default"`
	// Least value.
	Min raw `yaml:"min,omitempty"`
	// Greatest value.
	Max raw `yaml:"max,omitempty"`
	// Least length of a list.
	MinItems *int `yaml:"minItems,omitempty" min:"0"`
	// Greatest length of a list.
	MaxItems *int `yaml:"maxItems,omitempty" min:"1"`
	// Unit of the value, where its type does not say it.
	Unit string `yaml:"unit,omitempty"`
	// What the parameter means, in one sentence.
	Doc string `yaml:"doc"`

	at place
}

type parameterItems struct {
	// Type of an item.
	Type label `yaml:"type" enum:"int,number,bool,string,enum,duration"`
	// Values of an enum.
	Values []label `yaml:"values,omitempty"`
	// Least value.
	Min raw `yaml:"min,omitempty"`
	// Greatest value.
	Max raw `yaml:"max,omitempty"`
}

type ruleDoc struct {
	// CEL over params that must be true.
	That expression `yaml:"that"`
	// What to tell the user if it is not.
	Otherwise string `yaml:"otherwise"`
}

type patchDoc struct {
	// Object of the manifests, as Kind/namespace/name, or Kind/name where the kind has no namespace.
	Target label `yaml:"target"`
	// CEL over params and let; the patch is left out when it is false.
	When expression `yaml:"when,omitempty"`
	// JSON merge patch: null removes a field, a list replaces the whole list.
	Patch raw `yaml:"patch"`
}

type variantDoc struct {
	// What is different, in one sentence.
	Doc string `yaml:"doc,omitempty"`
	// Values of parameters.
	Set raw `yaml:"set,omitempty"`
	// Patches after the scenario's own.
	Patches []patchDoc `yaml:"patches,omitempty"`
	// Actions besides the scenario's own.
	Timeline template[[]Action] `yaml:"timeline,omitempty"`

	at place
}

type expectationDoc struct {
	// Name of the expectation in reports; unique in its variant.
	Name label `yaml:"name"`
	// What it says about the world, in one sentence.
	Meaning string `yaml:"meaning"`
	// CEL over params and let; where it is false the expectation does not apply.
	When expression `yaml:"when,omitempty"`
	// CEL over params, let and obs that should be true.
	That expression `yaml:"that"`

	at place
}

func (p *parameterDoc) setPlace(at place)   { p.at = at }
func (v *variantDoc) setPlace(at place)     { v.at = at }
func (e *expectationDoc) setPlace(at place) { e.at = at }

// label is text that knows its place.
type label struct {
	text string
	at   place
}

func (l *label) decodeTree(d *decoder, n *node, path string) {
	if n.kind != textNode {
		d.want(n, path, "text"+quoteHint(n))
	}
	l.text, l.at = n.text, n.at
}

func texts(labels []label) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = l.text
	}
	return out
}

// raw is a value that is looked at later.
type raw struct{ *node }

func (r *raw) decodeTree(_ *decoder, n *node, _ string) { r.node = n }

// expression is CEL as a file has it; nil when left out. A scalar such as true or 3 is CEL, too.
type expression struct{ *node }

func (e *expression) decodeTree(d *decoder, n *node, path string) {
	if !n.scalar() || n.kind == nullNode {
		d.want(n, path, "a CEL expression")
		return
	}
	e.node = n
}

// ordered is a mapping that keeps the order of the file.
type ordered[T any] []entry[T]

type entry[T any] struct {
	name  string
	at    place
	value T
}

func (o *ordered[T]) decodeTree(d *decoder, n *node, path string) {
	if n.kind == nullNode {
		return
	}
	if n.kind != objectNode {
		d.want(n, path, "a mapping")
		return
	}
	for _, f := range n.fields {
		e := entry[T]{name: f.key, at: f.at}
		value := f.value
		if value.kind == nullNode {
			value = &node{at: f.at, kind: nullNode}
		}
		d.decode(value, reflect.ValueOf(&e.value).Elem(), join(path, f.key))
		*o = append(*o, e)
	}
}

func (o ordered[T]) names() []string {
	names := make([]string, len(o))
	for i, e := range o {
		names[i] = e.name
	}
	return names
}

// template is a part of the scenario in which scalars may hold ${CEL} and items of lists a `when`. Its form is checked
// when the scenario is read; what it comes to is decoded for each run.
type template[T any] struct{ *node }

func (t *template[T]) decodeTree(d *decoder, n *node, path string) {
	t.node = n
	var thrownAway T
	form := *d
	form.form = true
	form.decode(n, reflect.ValueOf(&thrownAway).Elem(), path)
}
