package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/scenario"
)

func (a *app) list() *cobra.Command {
	var symptom, format string
	command := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the scenarios, or find one by what you saw",
		Long: `List the scenarios that are built in.

--symptom finds scenarios by what a person sees: words, an error code, or a whole line of a log. Letters'
case does not matter; a scenario is found when all words occur in its symptoms, title or name, or when
one of its symptoms occurs in the text. The best match comes first.

-o json documents each scenario: its parameters with unit and bounds, its variants, its symptoms and
articles, and its observations with unit, meaning and the backends that can show them.`,
		Example: `  ekslab list
  ekslab list --symptom "connection timed out"
  ekslab list -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := oneOf("-o "+format, format, "table", "json"); err != nil {
				return err
			}
			return a.listScenarios(symptom, format)
		},
	}
	command.Flags().StringVar(&symptom, "symptom", "", "only scenarios that show this `TEXT`: a message, an error code, a line of a log")
	command.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	a.complete(command, "output", func([]string) []string { return []string{"table", "json"} })
	return command
}

func noArguments(command *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is one word too many: %s takes flags only", args[0], command.CommandPath())
	}
	return nil
}

func (a *app) listScenarios(symptom, format string) error {
	catalog, err := a.Catalog()
	if err != nil {
		return err
	}
	all, err := catalog.All()
	if err != nil {
		return err
	}
	found := search(all, symptom)
	if format == "json" {
		doc := listDocument{Schema: "ekslab.list/v1", Scenarios: []scenarioDocument{}}
		vocabulary := observe.All()
		for _, f := range found {
			doc.Scenarios = append(doc.Scenarios, newScenarioDocument(f, vocabulary, a.backendNames()))
		}
		return report.Encode(a.stdout, doc)
	}
	if len(found) == 0 {
		a.complain("ekslab: no scenario shows %q; fewer words find more, and \"ekslab list\" shows all", symptom)
		return nil
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SCENARIO\tARTICLES\tTITLE")
	for _, f := range found {
		articles := make([]string, len(f.scenario.Articles))
		for i, n := range f.scenario.Articles {
			articles[i] = strconv.Itoa(n)
		}
		_, _ = fmt.Fprintf(w, "%s/%s\t%s\t%s\n", f.scenario.Area, f.scenario.Name, strings.Join(articles, ", "), f.scenario.Title)
		for _, m := range f.matched {
			_, _ = fmt.Fprintf(w, "\t\t- %s\n", m)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if symptom != "" {
		fmt.Fprintf(&b, "\nSee it happen, and why:\n  ekslab run %s\n  ekslab explain %[1]s\n", found[0].scenario.Name)
	}
	_, err = a.stdout.Write([]byte(b.String()))
	return err
}

// match is a scenario that a search found, and the symptoms it was found by.
type match struct {
	scenario *scenario.Scenario
	matched  []string
	score    int
}

// search finds scenarios by what a person saw, the best first; no text finds all, in their order.
func search(all []*scenario.Scenario, text string) []match {
	var found []match
	wanted := words(text)
	for _, s := range all {
		if len(wanted) == 0 {
			found = append(found, match{scenario: s})
		} else if m := matchSymptom(s, wanted); m.score > 0 {
			found = append(found, m)
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return cmp.Compare(b.score, a.score) })
	return found
}

// The ways of matching, from the surest to the weakest.
const (
	matchExact      = 1000 // a symptom is the text
	matchPhrase     = 500  // a symptom has the text in it
	matchLine       = 400  // the text has a symptom in it: a line of a log was pasted
	matchAllWords   = 300  // a symptom has all words, in another order
	matchScattered  = 100  // all words occur, but in several symptoms, the title or the name
	leastDistinct   = 6    // letters that a symptom of one word must have to be looked for in a pasted line
	matchedAtMost   = 3    // symptoms that a match shows
	bonusPerSymptom = 1
)

func matchSymptom(s *scenario.Scenario, wanted []string) match {
	m := match{scenario: s}
	phrase := " " + strings.Join(wanted, " ")
	type hit struct {
		text  string
		score int
	}
	var hits []hit
	var everything []string
	for i, text := range append([]string{s.Title, s.Area + " " + s.Name}, s.Symptoms...) {
		has := words(text)
		everything = append(everything, has...)
		joined := " " + strings.Join(has, " ")
		score := 0
		switch {
		case len(has) == 0:
		case joined == phrase:
			score = matchExact
		case strings.Contains(joined, phrase):
			score = matchPhrase
		case strings.Contains(phrase+" ", joined+" ") && (len(has) > 1 || len(has[0]) >= leastDistinct):
			score = matchLine + 10*len(has)
		case allIn(wanted, has):
			score = matchAllWords
		}
		if score > 0 {
			m.score = max(m.score, score) + bonusPerSymptom
			if i >= 2 { // the title is shown anyway
				hits = append(hits, hit{text, score})
			}
		}
	}
	if m.score == 0 && allIn(wanted, everything) {
		m.score = matchScattered
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	for _, h := range hits[:min(len(hits), matchedAtMost)] {
		m.matched = append(m.matched, h.text)
	}
	return m
}

// allIn is whether each word begins one of the others, so that "time" finds "timeout".
func allIn(wanted, has []string) bool {
	for _, w := range wanted {
		if !slices.ContainsFunc(has, func(h string) bool { return strings.HasPrefix(h, w) }) {
			return false
		}
	}
	return true
}

// words splits text into lower-case words; dots, dashes and underscores stay inside them, as in preserve_client_ip.enabled.
func words(text string) []string {
	inside := func(r rune) bool { return strings.ContainsRune("._-/", r) }
	list := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !inside(r)
	})
	for i, w := range list {
		list[i] = strings.TrimFunc(w, inside)
	}
	return slices.DeleteFunc(list, func(w string) bool { return w == "" })
}

type listDocument struct {
	Schema    string             `json:"schema"`
	Scenarios []scenarioDocument `json:"scenarios"`
}

type scenarioDocument struct {
	Scenario     string              `json:"scenario"`
	Area         string              `json:"area"`
	Title        string              `json:"title"`
	Articles     []int               `json:"articles"`
	Pages        []string            `json:"pages"`
	Symptoms     []string            `json:"symptoms"`
	Matched      []string            `json:"matched,omitempty"`
	Parameters   []parameterDocument `json:"parameters"`
	Variants     []variantDocument   `json:"variants"`
	Observations []observe.Doc       `json:"observations"`
	Headline     []string            `json:"headline"`
	// Backends has, for each backend, the observations that it can show.
	Backends map[string][]string `json:"backends"`
}

type parameterDocument struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Items    string   `json:"items,omitempty"`
	Default  any      `json:"default"`
	Computed string   `json:"computed,omitempty"` // CEL of a default that depends on other parameters
	Nullable bool     `json:"nullable,omitempty"`
	Values   []string `json:"values,omitempty"`
	Min      any      `json:"min,omitempty"` // of a list's items, for a list
	Max      any      `json:"max,omitempty"`
	MinItems int      `json:"minItems,omitempty"`
	MaxItems int      `json:"maxItems,omitempty"`
	Unit     string   `json:"unit,omitempty"`
	Allowed  string   `json:"allowed"`
	Doc      string   `json:"doc"`
}

type variantDocument struct {
	Name string         `json:"name"`
	Doc  string         `json:"doc"`
	Set  report.Ordered `json:"set"`
}

func newScenarioDocument(m match, vocabulary observe.Vocabulary, backends []string) scenarioDocument {
	s := m.scenario
	d := scenarioDocument{
		Scenario: s.Name, Area: s.Area, Title: s.Title,
		Articles: append([]int{}, s.Articles...), Pages: append([]string{}, s.Pages...), Symptoms: append([]string{}, s.Symptoms...),
		Matched:    m.matched,
		Parameters: []parameterDocument{}, Variants: []variantDocument{}, Observations: []observe.Doc{},
		Headline: append([]string{}, s.Headline...),
		Backends: map[string][]string{},
	}
	for _, p := range s.Parameters {
		bounds := p
		doc := parameterDocument{
			Name: p.Name, Type: string(p.Type), Default: scenario.JSONValue(p.Default), Computed: p.Computed, Nullable: p.Nullable(),
			MinItems: p.MinItems, MaxItems: p.MaxItems, Unit: p.Unit, Allowed: p.Allowed(), Doc: p.Doc,
		}
		if p.Items != nil {
			doc.Items, bounds = string(p.Items.Type), *p.Items
		}
		doc.Values, doc.Min, doc.Max = bounds.Values, scenario.JSONValue(bounds.Min), scenario.JSONValue(bounds.Max)
		d.Parameters = append(d.Parameters, doc)
	}
	for _, v := range s.Variants {
		doc := variantDocument{Name: v.Name, Doc: v.Doc, Set: report.Ordered{}}
		for _, set := range v.Set {
			doc.Set = append(doc.Set, report.Entry{Name: set.Name, Value: scenario.JSONValue(set.Value)})
		}
		d.Variants = append(d.Variants, doc)
	}
	for _, b := range backends {
		d.Backends[b] = []string{}
	}
	for _, name := range s.Observations {
		doc, ok := vocabulary[name]
		if !ok {
			doc = observe.Doc{Name: name}
		}
		d.Observations = append(d.Observations, doc)
		for _, b := range doc.Backends {
			d.Backends[b] = append(d.Backends[b], name)
		}
	}
	return d
}
