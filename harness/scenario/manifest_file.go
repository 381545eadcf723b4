package scenario

import (
	"reflect"
	"time"
)

// manifestFile is an item of manifests: the name of a file, or a mapping with a condition.
type manifestFile struct {
	label
	when  expression
	after time.Duration
}

// conditionalFile is a manifestFile that is a mapping.
type conditionalFile struct {
	// Name of the file.
	File label `yaml:"file"`
	// CEL over params and let; the file is left out when it is false.
	When expression `yaml:"when,omitempty"`
	// How long after the first manifests it is applied.
	After time.Duration `yaml:"after,omitempty"`
}

func (f *manifestFile) decodeTree(d *decoder, n *node, path string) {
	if n.kind != objectNode {
		f.label.decodeTree(d, n, path)
		return
	}
	var c conditionalFile
	d.decode(n, reflect.ValueOf(&c).Elem(), path)
	f.label, f.when, f.after = c.File, c.When, c.After
}

// used are the manifests of the files whose condition holds.
func (t *templates) used(manifests []manifest, vars map[string]any, found *findings) []manifest {
	out := make([]manifest, 0, len(manifests))
	for _, m := range manifests {
		if m.when == nil || t.holds(m.when, vars, found) {
			out = append(out, m)
		}
	}
	return out
}
