package scenario

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// OwnVariant is the variant of a scenario that runs with the user's own manifests: they are taken as they are.
const OwnVariant = "manifests"

// ownDoc says what of a scenario a user's own manifests may stand in for.
type ownDoc struct {
	// Objects of the manifests that others may be put in place of, as Kind/namespace/name; one of each kind.
	Replaces []label `yaml:"replaces"`
	// Parameters that the others settle: CEL over own, which holds what they say.
	Set ordered[expression] `yaml:"set,omitempty"`
}

// own is a user's manifests in place of a scenario's.
type own struct {
	// dir as the user named it.
	dir       string
	manifests []manifest
	// now are the user's objects by the scenario's keys; a key that nothing stands in for is missing.
	now map[string]manifest
	// facts are what the objects say, and values what follows for parameters.
	facts  map[string]any
	values map[string]any
	// notes say what was done with the objects, for the report.
	notes []string
}

// WithManifests returns the scenario with the objects of a folder in place of those that it lets be replaced. Its first variant, manifests, takes them
// as they are; in any other, what that variant sets is put over them, and so is what --set gives. The error is *Problems.
func (s *Scenario) WithManifests(dir string) (*Scenario, error) {
	found := &findings{}
	if _, err := os.Stat(dir); err != nil {
		found.add(place{}, "--manifests %s: there is no such folder", dir)
		return nil, found.err()
	}
	if s.doc.Own == nil {
		found.add(place{}, "--manifests is not supported by scenario %s; \"ekslab copy\" gives a copy whose manifests can be edited", s.Name)
		return nil, found.err()
	}
	o := &own{dir: dir, now: map[string]manifest{}}
	o.read(found)
	if !found.any() {
		o.match(s, found)
	}
	if !found.any() {
		o.check(found)
	}
	if err := found.err(); err != nil {
		return nil, err
	}
	out := &Scenario{Area: s.Area, Name: s.Name, Title: s.Title, Articles: s.Articles, Pages: s.Pages, Symptoms: s.Symptoms, Parameters: s.Parameters, Observations: s.Observations,
		Headline: s.Headline, Expect: s.Expect, File: s.File, folder: s.folder, doc: s.doc, world: s.world, own: o}
	out.Variants = append([]Variant{{Name: OwnVariant, Doc: "Your own manifests, from " + dir + ", as they are.", File: s.File, Line: 1}}, s.Variants...)
	for _, m := range s.manifests {
		if mine, ok := o.now[m.key]; ok {
			mine.when, mine.after = nil, m.after
			out.manifests = append(out.manifests, mine)
			continue
		}
		if m.kind.kind == "Namespace" {
			continue // of what is replaced; o brings its own
		}
		if s.replaceable(m.key) {
			continue // the user has none of that kind
		}
		out.manifests = append(out.manifests, m)
	}
	// What else the user brings comes first, since the rest may need it.
	out.manifests = append(slices.Clone(o.manifests), out.manifests...)
	if err := out.settleOwn(found); err != nil {
		return nil, err
	}
	return out, found.err()
}

func (s *Scenario) replaceable(key string) bool {
	return s.doc.Own != nil && slices.Contains(texts(s.doc.Own.Replaces), key)
}

// read reads the folder's manifests.
func (o *own) read(found *findings) {
	if info, err := os.Stat(o.dir); err == nil && !info.IsDir() {
		found.add(place{}, "--manifests %s: this is a file; name the folder that it is in", o.dir)
		return
	}
	from := folder{fsys: os.DirFS(o.dir), dir: ".", shown: func(name string) string { return filepath.Join(o.dir, filepath.FromSlash(name)) }}
	entries, err := fs.ReadDir(from.fsys, ".")
	if err != nil {
		found.add(place{}, "--manifests %s: %v", o.dir, cause(err))
		return
	}
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); e.IsDir() || ext != ".yaml" && ext != ".yml" && ext != ".json" {
			continue
		}
		if data, ok := from.read(e.Name(), place{}, found); ok {
			for _, tree := range parseYAML(from.shown(e.Name()), data, found) {
				o.add(tree, found)
			}
		}
	}
	if len(o.manifests) == 0 && !found.any() {
		found.add(place{}, "--manifests %s: the folder has no manifest: no file that ends in .yaml, .yml or .json", o.dir)
	}
}

// add takes an object, or the items of a List.
func (o *own) add(tree *node, found *findings) {
	if v := tree.get("apiVersion"); tree.kind == nullNode || v != nil && v.text == apiVersion {
		return // a document without anything in it, or the scenario beside its manifests
	}
	if items := tree.get("items"); items != nil && tree.get("kind") != nil && strings.HasSuffix(tree.get("kind").text, "List") {
		for _, item := range items.items {
			o.add(item, found)
		}
		return
	}
	refuseOldBooleans(tree, found)
	m, ok := newManifest(withoutRuntime(tree), found)
	if !ok {
		return
	}
	if _, ok := m.decode(found); !ok {
		return
	}
	if without := withoutResources(m.tree); without != m.tree {
		m.tree = without
		o.notes = append(o.notes, "resource requests and limits of "+m.key+" are left out: nodes here have room for any")
	}
	o.manifests = append(o.manifests, m)
}

// withoutResources is a Deployment or Pod whose containers ask for no resources.
func withoutResources(tree *node) *node {
	pod := tree.get("spec")
	if t := pod.get("template"); t != nil {
		spec := t.get("spec")
		if spec == nil {
			return tree
		}
		if now := withoutContainerResources(spec); now != spec {
			return tree.with("spec", pod.with("template", t.with("spec", now)))
		}
		return tree
	}
	if pod == nil {
		return tree
	}
	if now := withoutContainerResources(pod); now != pod {
		return tree.with("spec", now)
	}
	return tree
}

func withoutContainerResources(spec *node) *node {
	list := spec.get("containers")
	if list == nil || !slices.ContainsFunc(list.items, func(c *node) bool { return c.get("resources") != nil }) {
		return spec
	}
	out := *list
	out.items = nil
	for _, c := range list.items {
		out.items = append(out.items, c.without("resources"))
	}
	return spec.with("containers", &out)
}

// runtimeFields are what the API server writes into an object, so that manifests read back from a cluster can be used.
var runtimeFields = []string{"uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields", "ownerReferences"}

func withoutRuntime(tree *node) *node {
	exported := tree.get("status") != nil || tree.get("metadata").get("uid") != nil
	tree = tree.without("status")
	metadata := tree.get("metadata")
	if metadata == nil || metadata.kind != objectNode {
		return tree
	}
	for _, f := range runtimeFields {
		metadata = metadata.without(f)
	}
	tree = tree.with("metadata", metadata)
	if spec := tree.get("spec"); exported && spec != nil && tree.get("kind") != nil && tree.get("kind").text == "Service" {
		for _, f := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort"} {
			if v := spec.get(f); v != nil && v.text != "None" {
				spec = spec.without(f)
			}
		}
		tree = tree.with("spec", spec)
	}
	return tree
}

// match finds which of the user's objects stands in for which of the scenario's: the one of the same kind.
func (o *own) match(s *Scenario, found *findings) {
	for _, r := range s.doc.Own.Replaces {
		kind, _, _ := strings.Cut(r.text, "/")
		var same []manifest
		for _, m := range o.manifests {
			if m.kind.kind == kind {
				same = append(same, m)
			}
		}
		if len(same) > 1 {
			var list []string
			for _, m := range same {
				list = append(list, fmt.Sprintf("%s (%s:%d)", strings.TrimPrefix(m.key, kind+"/"), m.tree.at.file, m.tree.at.line))
			}
			found.add(same[1].tree.at, "--manifests %s has %d objects of kind %s, and %s puts one in place of its own: %s; leave the others out", o.dir, len(same), kind, s.Name, strings.Join(list, ", "))
			continue
		}
		if len(same) == 1 {
			o.now[r.text] = same[0]
		}
	}
	if _, ok := o.of("Deployment"); !ok && s.replacesKind("Deployment") && !found.any() {
		found.add(place{}, "--manifests %s has no Deployment; %s takes the Deployment that is to be updated, the Service in front of it, and an Ingress", o.dir, s.Name)
	}
	if found.any() {
		return
	}
	o.manifests = slices.DeleteFunc(o.manifests, func(m manifest) bool {
		for _, used := range o.now {
			if used.tree == m.tree {
				return true
			}
		}
		return false
	})
	o.addNamespaces(s)
}

func (s *Scenario) replacesKind(kind string) bool {
	return slices.ContainsFunc(s.doc.Own.Replaces, func(l label) bool { return strings.HasPrefix(l.text, kind+"/") })
}

// of is the user's object of a kind.
func (o *own) of(kind string) (manifest, bool) {
	for _, key := range slices.Sorted(maps.Keys(o.now)) {
		if m := o.now[key]; m.kind.kind == kind {
			return m, true
		}
	}
	return manifest{}, false
}

// addNamespaces makes the namespaces that the user's objects are in, where the folder does not: the scenario's own Namespace under that name, so that
// what is said of it holds of the user's.
func (o *own) addNamespaces(s *Scenario) {
	var spaces []string
	for _, m := range append(slices.Clone(o.manifests), slices.Collect(maps.Values(o.now))...) {
		if m.kind.namespaced {
			if name := namespaceOf(m.tree.get("metadata")); !slices.Contains(spaces, name) {
				spaces = append(spaces, name)
			}
		}
	}
	slices.Sort(spaces)
	var missing []manifest
	for _, name := range spaces {
		if name == "kube-system" || slices.ContainsFunc(o.manifests, func(m manifest) bool { return m.key == "Namespace/"+name }) {
			continue
		}
		at := place{file: o.dir, line: 1}
		text := func(t string) *node { return &node{at: at, kind: textNode, text: t, quoted: true} }
		object := func(fields ...field) *node { return &node{at: at, kind: objectNode, fields: fields} }
		tree := object(field{key: "apiVersion", at: at, value: text("v1")}, field{key: "kind", at: at, value: text("Namespace")},
			field{key: "metadata", at: at, value: object(field{key: "name", at: at, value: text(name)})})
		if m, ok := newManifest(tree, &findings{}); ok {
			missing = append(missing, m)
		}
	}
	o.manifests = append(missing, o.manifests...)
}

// settleOwn evaluates what the user's objects settle of the parameters.
func (s *Scenario) settleOwn(found *findings) error {
	env, err := ownEnv()
	if err != nil {
		return err
	}
	s.own.values = map[string]any{}
	scope := scope{where: "own.set", env: env, compiled: map[string]*program{}}
	for _, e := range s.doc.Own.Set {
		p, ok := findParameter(s.Parameters, e.name)
		if !ok {
			continue // reported when the scenario was read
		}
		program := scope.compile(e.value.node, 0, len(e.value.text), found)
		if program == nil {
			continue
		}
		v, err := program.eval(map[string]any{"own": s.own.facts})
		if err != nil {
			found.add(e.value.at, "own.set.%s: %v", e.name, err)
			continue
		}
		n, err := fromCEL(v, e.value.at, 0)
		if err != nil {
			found.add(e.value.at, "own.set.%s: %v", e.name, err)
			continue
		}
		value, err := p.fromNode(n)
		if err != nil {
			found.add(place{}, "--manifests %s: %s", s.own.dir, p.must(given(n)))
			continue
		}
		s.own.values[e.name] = value
	}
	return found.err()
}

// retarget makes what refers to one of the scenario's objects refer to the one in its place.
func (o *own) retarget(v reflect.Value, parent string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			o.retarget(v.Elem(), parent)
		}
	case reflect.Slice:
		for i := range v.Len() {
			o.retarget(v.Index(i), parent)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				name := f.Name
				if name == "Name" {
					name = v.Type().Name()
				}
				o.retarget(v.Field(i), name)
			}
		}
	case reflect.String:
		for key, m := range o.now {
			kind, name, _ := strings.Cut(key, "/")
			namespace, _, _ := strings.Cut(name, "/")
			mine := strings.TrimPrefix(m.key, kind+"/")
			switch {
			case parent == kind && v.String() == name:
				v.SetString(mine)
				return
			case parent == "Target" && v.String() == key:
				v.SetString(m.key)
				return
			case parent == "LabelNamespace" && v.String() == namespace:
				namespace, _, _ = strings.Cut(mine, "/")
				v.SetString(namespace)
				return
			}
		}
	}
}
