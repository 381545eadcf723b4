package scenario

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/ekslab/ekslab/scenarios"
)

// Catalog is a tree of scenario folders, area/name. A scenario is read when it is first asked for.
type Catalog struct {
	fsys  fs.FS
	slugs []string // area/name, sorted

	mu   sync.Mutex
	read map[string]*Scenario
}

// Embedded is the catalog of the scenarios that the program carries.
func Embedded() (*Catalog, error) { return NewCatalog(scenarios.FS) }

// NewCatalog finds the scenarios of a tree. Two of the same name, in whatever areas, are an error.
func NewCatalog(fsys fs.FS) (*Catalog, error) {
	files, err := fs.Glob(fsys, "*/*/"+fileName)
	if err != nil {
		return nil, err
	}
	c := &Catalog{fsys: fsys, read: map[string]*Scenario{}}
	found := &findings{}
	first := map[string]string{}
	for _, file := range files {
		slug := path.Dir(file)
		name := path.Base(slug)
		if other, twice := first[name]; twice {
			found.add(place{file: file, line: 1, column: 1}, "%s has this name, too: names are unique over all areas", other)
			continue
		}
		first[name] = slug
		c.slugs = append(c.slugs, slug)
	}
	slices.Sort(c.slugs)
	return c, found.err()
}

// Slugs lists the scenarios as area/name, sorted.
func (c *Catalog) Slugs() []string { return slices.Clone(c.slugs) }

// All reads every scenario, sorted by area and name. It stops at the first one that cannot be read.
func (c *Catalog) All() ([]*Scenario, error) {
	all := make([]*Scenario, 0, len(c.slugs))
	for _, slug := range c.slugs {
		s, err := c.load(slug)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// Find reads the scenario named nlb-hairpin or elb/nlb-hairpin.
func (c *Catalog) Find(slug string) (*Scenario, error) {
	var names []string
	for _, s := range c.slugs {
		if s == slug || path.Base(s) == slug {
			return c.load(s)
		}
		names = append(names, path.Base(s))
	}
	candidates := names
	if strings.Contains(slug, "/") {
		candidates = c.slugs
	}
	hint := didYouMean(slug, candidates)
	if hint == "" {
		hint = didYouMean(path.Base(slug), names)
	}
	if hint == "" && len(names) > 0 {
		hint = "; there are " + strings.Join(names, ", ")
	}
	return nil, &Problems{{Message: fmt.Sprintf("unknown scenario %q%s", shorten(slug), hint)}}
}

func (c *Catalog) load(slug string) (*Scenario, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.read[slug]; s != nil {
		return s, nil
	}
	s, err := Load(c.fsys, slug)
	if err != nil {
		return nil, err
	}
	found := &findings{}
	if s.Slug() != slug {
		found.add(s.doc.Metadata.Name.at, "the scenario calls itself %s, but its folder is %s", s.Slug(), slug)
		return nil, found.err()
	}
	c.read[slug] = s
	return s, nil
}
