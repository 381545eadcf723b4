package scenario

import (
	"errors"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/observe"
)

// Validate reports everything about the scenario that can be known without running it: names and types in its
// expressions, observations that the vocabulary lacks, fields of manifests and patches, and for every variant whether it
// resolves. The error is *Problems.
func (s *Scenario) Validate(vocabulary observe.Vocabulary) error {
	found := &findings{}
	var known []string
	for name := range vocabulary {
		known = append(known, name)
	}
	slices.Sort(known)
	for _, o := range s.doc.Observations {
		if _, ok := vocabulary[o.text]; !ok {
			found.add(o.at, "unknown observation %q%s", shorten(o.text), didYouMean(o.text, known))
		}
	}
	if _, err := s.compiled(); err != nil {
		found.appendError(err)
	} else {
		s.compileExpectations(vocabulary, found)
	}
	decodeManifests(s.manifests, found)
	checkPatches(s.allPatches(), s.manifests, found)
	if !found.any() {
		s.resolveAll(found)
	}
	return found.err()
}

// resolveAll resolves every variant and the golden run. What is wrong in some only is reported with their names.
func (s *Scenario) resolveAll(found *findings) {
	variants := map[Problem][]string{}
	var order []Problem
	note := func(name string, err error) {
		var problems *Problems
		if !errors.As(err, &problems) {
			return
		}
		for _, p := range *problems {
			if variants[p] == nil {
				order = append(order, p)
			}
			variants[p] = append(variants[p], name)
		}
	}
	for _, v := range s.Variants {
		_, err := s.Resolve(v.Name, nil)
		note(v.Name, err)
	}
	for _, p := range order {
		if in := variants[p]; len(in) < len(s.Variants) {
			p.Message += " (in " + strings.Join(in, ", ") + ")"
		}
		found.append(p)
	}
	if s.Golden == nil || found.any() {
		return
	}
	var problems *Problems
	if _, err := s.Resolve(s.Golden.Variant, s.Golden.Settings()); errors.As(err, &problems) {
		for _, p := range *problems {
			p.Message += " (in golden)"
			found.append(p)
		}
	}
}

// appendError adds the problems of an error.
func (f *findings) appendError(err error) {
	var problems *Problems
	if errors.As(err, &problems) {
		f.append(*problems...)
	}
}
