package sweep

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Schema names the document that WriteJSON writes.
const Schema = "ekslab.sweep/v1"

// Table is what a sweep found.
type Table struct {
	Scenario *scenario.Scenario
	Options  Options
	Backend  string
	// Columns are the observations that are shown.
	Columns []string
	Rows    []Row
	// Left is how many points Where left out, Undecided how many it could not be told of, Unfinished how many an interrupt kept from
	// finishing.
	Left, Undecided, Unfinished int
}

// Row is one point.
type Row struct {
	Variant string
	// Values of the axes as given, and Typed as the scenario has them.
	Values []string
	Typed  []any
	// Observations by name.
	Observations map[string]Summary
	// Problem says why a point could not be run; empty if it could.
	Problem string
}

// Problems is how many rows could not be run.
func (t *Table) Problems() (n int) {
	for _, r := range t.Rows {
		if r.Problem != "" {
			n++
		}
	}
	return n
}

// Notes say what the rows do not: what was left out.
func (t *Table) Notes() (notes []string) {
	if t.Left > 0 {
		notes = append(notes, fmt.Sprintf("%d more left out by --where", t.Left))
	}
	if t.Undecided > 0 {
		notes = append(notes, fmt.Sprintf("%d more left out since --where could not be told for them: what it reads has no sample", t.Undecided))
	}
	if t.Unfinished > 0 {
		notes = append(notes, fmt.Sprintf("interrupted: %d more not finished", t.Unfinished))
	}
	return notes
}

func (t *Table) several() bool { return t.Options.Seeds > 1 }

// WriteCSV writes a header and a line for each row. With several seeds a number has three columns.
func (t *Table) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	numeric := t.numeric()
	var header []string
	for _, a := range t.Options.Axes {
		header = append(header, a.Name)
	}
	for _, name := range t.Columns {
		if t.several() && numeric[name] {
			header = append(header, name+"_mean", name+"_min", name+"_max")
		} else {
			header = append(header, name)
		}
	}
	if err := c.Write(header); err != nil {
		return err
	}
	exact := func(f float64) string { return strconv.FormatFloat(f, 'g', 12, 64) } // without the dust of a mean
	for _, r := range t.Rows {
		line := append([]string{}, r.Values...)
		for _, name := range t.Columns {
			s := r.Observations[name]
			switch {
			case s.Samples == 0 && t.several() && numeric[name]:
				line = append(line, "", "", "")
			case s.Samples == 0:
				line = append(line, "")
			case s.Number && t.several():
				line = append(line, exact(s.Mean), exact(s.Min), exact(s.Max))
			case s.Number:
				line = append(line, exact(s.Mean))
			default:
				line = append(line, distinct(s))
			}
		}
		if err := c.Write(line); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// numeric is which observations are numbers in every row that has one.
func (t *Table) numeric() map[string]bool {
	is := map[string]bool{}
	for _, name := range t.Columns {
		is[name] = true
		for _, r := range t.Rows {
			if s := r.Observations[name]; s.Samples > 0 && !s.Number {
				is[name] = false
			}
		}
	}
	return is
}

func distinct(s Summary) string {
	parts := make([]string, len(s.Distinct))
	for i, v := range s.Distinct {
		parts[i] = report.Value(v)
	}
	return strings.Join(parts, " | ")
}

type document struct {
	Schema   string        `json:"schema"`
	Scenario string        `json:"scenario"`
	Variant  string        `json:"variant"`
	Backend  string        `json:"backend"`
	Seed     uint64        `json:"seed"`
	Seeds    int           `json:"seeds"`
	Over     []string      `json:"over"`
	Where    string        `json:"where"`
	Rows     []rowDocument `json:"rows"`
	// How many points are not among the rows, and why.
	LeftOut    int `json:"leftOut"`
	Undecided  int `json:"undecided"`
	Unfinished int `json:"unfinished"`
}

type rowDocument struct {
	Variant      string         `json:"variant"`
	Parameters   report.Ordered `json:"parameters"`
	Observations report.Ordered `json:"observations"`
	Problem      string         `json:"problem,omitempty"`
}

// WriteJSON writes the table as one document.
func (t *Table) WriteJSON(w io.Writer) error {
	d := document{
		Schema: Schema, Scenario: t.Scenario.Name, Variant: t.Options.Variant, Backend: t.Backend, Seed: t.Options.Seed, Seeds: t.Options.Seeds,
		Over: []string{}, Where: t.Options.Where, Rows: []rowDocument{}, LeftOut: t.Left, Undecided: t.Undecided, Unfinished: t.Unfinished,
	}
	for _, a := range t.Options.Axes {
		d.Over = append(d.Over, a.Name)
	}
	for _, r := range t.Rows {
		row := rowDocument{Variant: r.Variant, Parameters: report.Ordered{}, Observations: report.Ordered{}, Problem: r.Problem}
		for i, a := range t.Options.Axes {
			if a.Name != VariantAxis && i < len(r.Typed) {
				row.Parameters = append(row.Parameters, report.Entry{Name: a.Name, Value: r.Typed[i]})
			}
		}
		for _, name := range t.Columns {
			s := r.Observations[name]
			var v report.Ordered
			switch {
			case s.Samples == 0:
				row.Observations = append(row.Observations, report.Entry{Name: name})
				continue
			case s.Number:
				v = report.Ordered{{Name: "mean", Value: s.Mean}, {Name: "min", Value: s.Min}, {Name: "max", Value: s.Max}, {Name: "samples", Value: s.Samples}}
			default:
				v = report.Ordered{{Name: "values", Value: s.Distinct}, {Name: "samples", Value: s.Samples}}
			}
			row.Observations = append(row.Observations, report.Entry{Name: name, Value: v})
		}
		d.Rows = append(d.Rows, row)
	}
	return report.Encode(w, d)
}

// cellWidth is the width at which the text cuts what is not a number.
const cellWidth = 40

// WriteText writes an aligned table for a person.
func (t *Table) WriteText(w io.Writer) error {
	var cells [][]string
	right := []bool{}
	var header []string
	for _, a := range t.Options.Axes {
		header, right = append(header, a.Name), append(right, false)
	}
	numeric := t.numeric()
	for _, name := range t.Columns {
		header, right = append(header, name), append(right, numeric[name] && !t.several())
	}
	cells = append(cells, header)
	for _, r := range t.Rows {
		line := append([]string{}, r.Values...)
		if r.Problem != "" {
			cells = append(cells, append(line, r.Problem))
			continue
		}
		for _, name := range t.Columns {
			s := r.Observations[name]
			cell := "-"
			switch {
			case s.Samples == 0:
			case s.Number && t.several() && s.Min != s.Max:
				cell = fmt.Sprintf("%s (%s to %s)", report.Number(s.Mean), report.Number(s.Min), report.Number(s.Max))
			case s.Number:
				cell = report.Number(s.Mean)
			default:
				cell = distinct(s)
				if n := []rune(cell); len(n) > cellWidth {
					cell = string(n[:cellWidth-1]) + "…"
				}
			}
			line = append(line, cell)
		}
		cells = append(cells, line)
	}
	width := make([]int, len(header))
	for _, line := range cells {
		for i, c := range line {
			if len(line) == len(header) { // a problem may be as long as it is
				width[i] = max(width[i], utf8.RuneCountInString(c))
			}
		}
	}
	var b strings.Builder
	for _, line := range cells {
		var out strings.Builder
		for i, c := range line {
			if i > 0 {
				out.WriteString("  ")
			}
			space := strings.Repeat(" ", max(width[i]-utf8.RuneCountInString(c), 0))
			if right[i] {
				out.WriteString(space + c)
			} else {
				out.WriteString(c + space)
			}
		}
		b.WriteString(strings.TrimRight(out.String(), " ") + "\n")
	}
	if t.several() {
		fmt.Fprintf(&b, "\n%d seeds each, from %d on: mean (least to greatest)\n", t.Options.Seeds, t.Options.Seed)
	}
	for i, n := range t.Notes() {
		if i == 0 {
			b.WriteByte('\n')
		}
		b.WriteString(n + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
