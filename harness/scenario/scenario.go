package scenario

import (
	"io/fs"
	"path"
	"sync"
	"time"
)

// Scenario is a scenario folder that has been read. It does not change and may be used by several goroutines.
type Scenario struct {
	// Area and Name make its slug; Name alone is unique among the embedded scenarios.
	Area, Name, Title string
	// Articles of the series and other Pages that it reproduces.
	Articles []int
	Pages    []string
	// Symptoms are what a person sees or reads in a log.
	Symptoms []string
	// Parameters in the order of the file.
	Parameters []Parameter
	// Variants in the order of the file; the first is broken.
	Variants []Variant
	// Observations by name, and those of them that a summary shows.
	Observations, Headline []string
	// Expect holds the expectations of all variants in the order of the file. Those of a Plan can be evaluated.
	Expect []Expectation
	// Golden is the small run whose trace is kept beside the scenario; nil for none.
	Golden *Golden
	// File is the scenario.yaml as the user named it.
	File string

	folder    folder
	doc       document
	world     *node // of doc, or of the file that it names
	manifests []manifest
	own       *own // nil unless the user's own manifests are used

	once     sync.Once
	code     *code
	codeErr  error
	expectMu sync.Mutex
	expect   []Expectation // compiled
}

// Variant is one way to run a scenario: broken, or with a remedy.
type Variant struct {
	Name, Doc string
	// Set holds values of parameters.
	Set []ParamValue

	File string
	Line int

	doc variantDoc
}

// Golden says which run is recorded in full beside the scenario.
type Golden struct {
	Variant string
	// Set holds values of parameters, so that the run is small.
	Set []ParamValue

	File string
	Line int
}

// Settings are the values as Resolve takes them.
func (g *Golden) Settings() map[string]string {
	set := map[string]string{}
	for _, v := range g.Set {
		set[v.Name] = v.String()
	}
	return set
}

// Slug is area/name.
func (s *Scenario) Slug() string { return s.Area + "/" + s.Name }

// Parameter returns a parameter by name.
func (s *Scenario) Parameter(name string) (Parameter, bool) { return findParameter(s.Parameters, name) }

// Variant returns a variant by name.
func (s *Scenario) Variant(name string) (Variant, bool) {
	for _, v := range s.Variants {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// VariantNames lists the variants in the order of the file.
func (s *Scenario) VariantNames() []string {
	names := make([]string, len(s.Variants))
	for i, v := range s.Variants {
		names[i] = v.Name
	}
	return names
}

// Folder is the scenario's folder with all of its files.
func (s *Scenario) Folder() (fs.FS, error) { return fs.Sub(s.folder.fsys, path.Clean(s.folder.dir)) }

// Plan is a scenario with every value settled: what a backend runs and a judge holds the recording against.
type Plan struct {
	Scenario *Scenario
	Variant  string
	// Params are the values of all parameters, in the order of the file.
	Params ParamValues
	World  World
	// Objects of the manifests, patched, in the order of the files.
	Objects []Object
	// Settle is how long the world comes up before the timeline and the load begin; without load, also how long it goes on after the timeline's end.
	Settle   time.Duration
	Timeline []Action
	Load     []Client
	// Expect are the expectations about this variant, in the order of the file.
	Expect []Expectation
	Golden *Golden
	// Own is the folder of the user's own manifests, empty if the scenario's are used; Notes say what was done with them.
	Own   string
	Notes []string

	vars map[string]any
}
