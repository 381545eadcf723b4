package scenario

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// fileName is the name of a scenario's own file in its folder.
const fileName = "scenario.yaml"

// Load reads the scenario in a folder of fsys: scenario.yaml and the files that it names. It checks form: fields, types,
// bounds and names of parameters. Validate does the rest. The error is *Problems.
func Load(fsys fs.FS, dir string) (*Scenario, error) {
	dir = path.Clean(dir)
	return load(folder{fsys: fsys, dir: dir, shown: func(name string) string { return path.Join(dir, name) }}, fileName)
}

// LoadPath reads a scenario from disk: a folder with a scenario.yaml, or such a file under any name. Problems name files
// as given does.
func LoadPath(given string) (*Scenario, error) {
	info, err := os.Stat(given)
	if err != nil {
		reason := "cannot be read: " + cause(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			reason = "no such file or folder"
		}
		return nil, &Problems{{File: given, Message: reason}}
	}
	dir, file := given, fileName
	if !info.IsDir() {
		dir, file = filepath.Dir(given), filepath.Base(given)
	}
	return load(folder{fsys: os.DirFS(dir), dir: ".", shown: func(name string) string {
		return filepath.Join(dir, filepath.FromSlash(name))
	}}, file)
}

func load(from folder, file string) (*Scenario, error) {
	found := &findings{}
	s := &Scenario{folder: from, File: from.shown(file)}
	data, ok := from.read(file, place{}, found)
	if !ok {
		return nil, found.err()
	}
	documents := parseYAML(s.File, data, found)
	switch {
	case len(documents) == 0 && !found.any():
		found.add(place{file: s.File, line: 1, column: 1}, "the file is empty; a scenario begins with apiVersion: %s", apiVersion)
	case len(documents) > 1:
		found.add(documents[1].at, "a second document begins here; %s holds one", path.Base(filepath.ToSlash(s.File)))
	}
	if len(documents) == 0 {
		return nil, found.err()
	}
	root := documents[0]
	if root.kind != objectNode {
		found.add(root.at, "want a mapping that begins with apiVersion: %s, have %s", apiVersion, root.describe())
		return nil, found.err()
	}
	s.splitWorld(root, found)
	d := decoder{found: found, tag: "yaml"}
	d.decode(root.with("world", s.world), reflect.ValueOf(&s.doc).Elem(), "")
	s.read(found)
	if err := found.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// splitWorld sets s.world to the world of the file, or of the file that it names.
func (s *Scenario) splitWorld(root *node, found *findings) {
	s.world = root.get("world")
	if s.world == nil || s.world.kind != textNode || hasTemplate(s.world.text) {
		return
	}
	name := s.world
	// Stands for a world that cannot be read, so that the rest is looked at all the same.
	s.world = &node{at: name.at, kind: textNode, text: "${world}"}
	data, ok := s.folder.read(name.text, name.at, found)
	if !ok {
		return
	}
	before := len(found.list)
	file := s.folder.shown(name.text)
	documents := parseYAML(file, data, found)
	switch {
	case len(documents) == 1:
		s.world = documents[0]
	case len(found.list) == before:
		found.add(place{file: file, line: 1, column: 1}, "want one YAML document with a world, have %d", len(documents))
	}
}

// with returns n with the value of a field replaced, where there is one.
func (n *node) with(key string, value *node) *node {
	out := *n
	out.fields = slices.Clone(n.fields)
	for i := range out.fields {
		if out.fields[i].key == key && value != nil {
			out.fields[i].value = value
		}
	}
	return &out
}

// read fills the scenario from its document.
func (s *Scenario) read(found *findings) {
	doc := &s.doc
	s.Area, s.Name, s.Title = doc.Metadata.Area.text, doc.Metadata.Name.text, doc.Metadata.Title
	for _, l := range []label{doc.Metadata.Area, doc.Metadata.Name} {
		if l.text != "" && !slugPart.MatchString(l.text) {
			found.add(l.at, "%q must be small letters, digits and single hyphens, as in nlb-hairpin", shorten(l.text))
		}
	}
	s.Articles, s.Pages, s.Symptoms = doc.Source.Articles, doc.Source.Pages, doc.Symptoms
	for _, p := range doc.Parameters {
		s.Parameters = append(s.Parameters, p.value.parameter(p.name, p.at, found))
	}
	for _, l := range doc.Let {
		checkIdentifier("a let", l.name, l.at, found)
	}
	s.readVariants(found)
	s.readObservations(found)
	s.readExpectations(found)
	s.readGolden(found)
	listed := map[string]bool{}
	for _, m := range doc.Manifests {
		if listed[m.text] {
			found.add(m.at, "%s is listed twice", shorten(m.text))
			continue
		}
		listed[m.text] = true
		if data, ok := s.folder.read(m.text, m.at, found); ok {
			for _, o := range readManifests(s.folder.shown(m.text), data, found) {
				o.when, o.after = m.when.node, m.after
				s.manifests = append(s.manifests, o)
			}
		}
	}
}

func (s *Scenario) readVariants(found *findings) {
	variants := s.doc.Variants
	for _, v := range variants {
		if !slugPart.MatchString(v.name) {
			found.add(v.at, "%q must be small letters, digits and single hyphens, as in fixed-local", shorten(v.name))
		}
		variant := Variant{Name: v.name, Doc: v.value.Doc, File: v.at.file, Line: v.at.line, doc: v.value}
		if set := v.value.Set.node; set != nil && set.kind != nullNode {
			if set.kind != objectNode {
				found.add(set.at, "variants.%s.set: want a mapping of parameters to values, have %s", v.name, set.describe())
			}
			variant.Set = settings(s.Parameters, set.fields, "variants."+v.name, found)
		}
		s.Variants = append(s.Variants, variant)
	}
	if len(variants) > 0 && variants[0].name != "broken" {
		found.add(variants[0].at, "the first variant must be broken, not %q", shorten(variants[0].name))
	}
}

func (s *Scenario) readObservations(found *findings) {
	s.Observations, s.Headline = texts(s.doc.Observations), texts(s.doc.Headline)
	for i, o := range s.doc.Observations {
		if slices.Contains(s.Observations[:i], o.text) {
			found.add(o.at, "observation %q is listed twice", shorten(o.text))
		}
	}
	for i, h := range s.doc.Headline {
		if !slices.Contains(s.Observations, h.text) {
			found.add(h.at, "headline: %q is not one of the scenario's observations%s", shorten(h.text), didYouMean(h.text, s.Observations))
		}
		if slices.Contains(s.Headline[:i], h.text) {
			found.add(h.at, "headline: %q is listed twice", shorten(h.text))
		}
	}
}

func (s *Scenario) readExpectations(found *findings) {
	variants := s.VariantNames()
	names := map[string]map[string]place{} // by variant, then by name
	for _, group := range s.doc.Expect {
		var about []string
		for _, v := range variants {
			if ok, err := path.Match(group.name, v); err == nil && ok {
				about = append(about, v)
			}
		}
		if len(about) == 0 {
			found.add(group.at, `expect: there is no variant %q%s`, shorten(group.name), didYouMean(group.name, append(variants, "*")))
		}
		for _, e := range group.value {
			for _, v := range about {
				if names[v] == nil {
					names[v] = map[string]place{}
				}
				if first, twice := names[v][e.Name.text]; twice && e.Name.text != "" {
					found.add(e.Name.at, "variant %s has two expectations %q, the first on line %d", v, shorten(e.Name.text), first.line)
					break
				}
				names[v][e.Name.text] = e.Name.at
			}
			expectation := Expectation{Variant: group.name, Name: e.Name.text, Meaning: e.Meaning, File: e.at.file, Line: e.at.line}
			if e.When.node != nil {
				expectation.When = strings.TrimSpace(e.When.text)
			}
			if e.That.node != nil {
				expectation.That = strings.TrimSpace(e.That.text)
			}
			s.Expect = append(s.Expect, expectation)
		}
	}
}

func (s *Scenario) readGolden(found *findings) {
	n := s.doc.Golden.node
	if n == nil || n.kind == nullNode {
		return
	}
	if n.kind != objectNode {
		found.add(n.at, "golden: want a mapping of parameters to values, have %s", n.describe())
		return
	}
	g := &Golden{File: n.at.file, Line: n.at.line}
	variants := s.VariantNames()
	if len(variants) > 0 {
		g.Variant = variants[0]
	}
	if v := n.get("variant"); v != nil {
		g.Variant = v.text
		if !slices.Contains(variants, v.text) {
			found.add(v.at, "golden: there is no variant %q%s", shorten(v.text), didYouMean(v.text, variants))
		}
	}
	g.Set = settings(s.Parameters, n.without("variant").fields, "golden", found)
	s.Golden = g
}
