package report

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Text writes outcomes for a person to read, each as it comes and a summary at the end.
type Text struct {
	// W receives the text; one outcome is one Write.
	W io.Writer
	// Color adds terminal colours.
	Color bool
	// Vocabulary has the units of observations.
	Vocabulary observe.Vocabulary
	// Several is whether more than one outcome will come: each is then told more briefly, and what to try next stands once, at the end.
	Several bool
	// Repeat is the command that runs all of it again; it ends a report of several outcomes.
	Repeat string

	outcomes []run.Outcome
	written  int
}

// wrapAt is the column at which prose is wrapped. It doesn't follow the terminal, so that a report is the same everywhere.
const wrapAt = 100

// Outcome writes one outcome.
func (t *Text) Outcome(o run.Outcome) error {
	p := t.page()
	var last *run.Outcome // the one written before, of the same scenario
	if n := len(t.outcomes); n > 0 && t.outcomes[n-1].Job.Plan.Scenario == o.Job.Plan.Scenario {
		last = &t.outcomes[n-1]
	}
	t.outcomes = append(t.outcomes, o)
	if t.Several && o.Verdict.Status == expect.Skipped {
		return nil // the summary says it, once for all that are skipped for one reason
	}
	if t.written++; t.written > 1 {
		p.line("")
	}
	p.heading(o, last == nil)
	if o.Verdict.Status == expect.Skipped {
		p.line("")
		p.verdict(o)
	} else {
		p.setUp(o, last)
		p.seen(o, t.Vocabulary, t.Several)
		p.expected(o)
		p.line("")
		p.verdict(o)
	}
	if t.Several {
		p.line("  " + p.dim("$ "+Command("run", o.Job, o.Backend)))
	} else {
		p.next([]run.Outcome{o})
		p.section("Reproduce", "")
		p.line("  " + Command("run", o.Job, o.Backend))
	}
	return p.flush(t.W)
}

// Close ends a report of several outcomes with a summary; a report of one has ended already.
func (t *Text) Close() error {
	if !t.Several {
		return nil
	}
	p := t.page()
	if t.written > 0 {
		p.line("")
	}
	p.summary(t.outcomes)
	p.next(t.outcomes)
	if t.Repeat != "" {
		p.section("Reproduce", "")
		p.line("  " + t.Repeat)
	}
	return p.flush(t.W)
}

// page collects the lines of one piece of the report.
type page struct {
	strings.Builder
	color bool
}

func (t *Text) page() *page { return &page{color: t.Color} }

func (p *page) flush(w io.Writer) error {
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) line(s string) {
	p.WriteString(strings.TrimRight(s, " "))
	p.WriteByte('\n')
}

// prose writes text wrapped, each line after an indent.
func (p *page) prose(indent int, text string) {
	for _, l := range wrap(text, wrapAt-indent) {
		p.line(strings.Repeat(" ", indent) + l)
	}
}

func (p *page) section(title, note string) {
	p.line("")
	if note != "" {
		note = "  " + p.dim(note)
	}
	p.line(p.bold(title) + note)
}

func (p *page) heading(o run.Outcome, title bool) {
	s := o.Job.Plan.Scenario
	p.line(p.bold(s.Slug()+" · "+o.Job.Plan.Variant) + p.dim(fmt.Sprintf("  on %s, seed %d", o.Backend, o.Job.Seed)))
	if title {
		p.prose(0, s.Title)
	}
	if v, ok := s.Variant(o.Job.Plan.Variant); ok && v.Doc != "" {
		p.prose(0, v.Doc)
	}
}

// setUp says what was set up, unless it is what the last outcome has said.
func (p *page) setUp(o run.Outcome, last *run.Outcome) {
	var lines [][2]string
	for _, param := range o.Job.Plan.Params {
		_, given := o.Job.Set[param.Name]
		if !given {
			continue
		}
		lines = append(lines, [2]string{param.Name, param.String() + p.dim("  (--set)")})
	}
	var setup []string
	if o.Recording != nil {
		setup = o.Recording.Setup
	}
	if last != nil && last.Recording != nil && slices.Equal(setup, last.Recording.Setup) {
		return
	}
	if len(lines) == 0 && len(setup) == 0 {
		return
	}
	p.section("Set up", "")
	for _, l := range setup {
		p.prose(2, l)
	}
	width := widest(lines)
	for _, l := range lines {
		p.line("  " + pad(l[0], width) + "  " + l[1])
	}
}

func (p *page) seen(o run.Outcome, vocabulary observe.Vocabulary, brief bool) {
	rec := o.Recording
	if rec == nil {
		return
	}
	s := o.Job.Plan.Scenario
	p.section("Seen", seenNote(rec))
	names, others := slices.Clone(s.Headline), 0
	if brief {
		for _, r := range o.Results {
			if r.Status != expect.Fails && r.Status != expect.Inconclusive {
				continue
			}
			for _, name := range r.Expectation.Reads {
				if slices.Contains(s.Observations, name) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
		others = len(s.Observations) - len(names)
	} else {
		for _, name := range s.Observations {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	width := 0
	for _, name := range names {
		width = max(width, utf8.RuneCountInString(name))
	}
	first := len(s.Headline)
	for i, name := range names {
		if i == first && !brief && first > 0 {
			p.line("")
		}
		values := observation(rec, name, vocabulary[name])
		for j, v := range values {
			label := ""
			if j == 0 {
				label = name
			}
			if rec.Observations[name] == nil {
				v = p.dim(v)
			} else if i < first {
				v = p.bold(v)
			}
			p.line("  " + pad(label, width) + "  " + v)
		}
	}
	if others > 0 {
		p.line("  " + p.dim(fmt.Sprintf("and %d more, which a run of this variant alone shows", others)))
	}
}

func seenNote(rec *observe.Recording) string {
	var parts []string
	if rec.VirtualSeconds > 0 {
		parts = append(parts, seconds(rec.VirtualSeconds)+" of virtual time")
	}
	if rec.Events > 0 {
		parts = append(parts, fmt.Sprintf("%d events", rec.Events))
	}
	if algorithm, hash, ok := strings.Cut(rec.TraceHash, ":"); ok {
		parts = append(parts, "trace "+algorithm+":"+hash[:min(12, len(hash))])
	}
	if rec.Interrupted {
		parts = append(parts, "interrupted")
	}
	return strings.Join(parts, ", ")
}

// seconds writes a long time in the two units that matter.
func seconds(s float64) string {
	total := int64(s + 0.5)
	h, m, sec := total/3600, total/60%60, total%60
	switch {
	case total < 60:
		return Number(s) + " s"
	case h == 0:
		return fmt.Sprintf("%d min %d s", m, sec)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}

// maxItems is how many items of a list or map the text shows.
const maxItems = 8

// observation writes an observation with its unit, in several lines if it is a map.
func observation(rec *observe.Recording, name string, doc observe.Doc) []string {
	switch v := rec.Observations[name].(type) {
	case nil:
		if why := rec.Missing[name]; why != "" {
			return []string{"no sample: " + why}
		}
		return []string{"no sample"}
	case float64:
		return []string{quantity(v, doc.Unit)}
	case map[string]any:
		es := entries(v)
		width := 0
		for _, e := range es {
			width = max(width, utf8.RuneCountInString(e.Name))
		}
		var lines []string
		for i, e := range es {
			if i == maxItems && len(es) > maxItems+1 {
				return append(lines, fmt.Sprintf("and %d more", len(es)-i))
			}
			text := Value(e.Value)
			if f, ok := e.Value.(float64); ok {
				text = quantity(f, doc.Unit)
			}
			lines = append(lines, pad(e.Name, width)+"  "+text)
		}
		if len(lines) == 0 {
			return []string{"none"}
		}
		return lines
	case []any:
		if len(v) == 0 {
			return []string{"none"}
		}
		if rows := table(v); rows != nil {
			return rows
		}
		rest := ""
		if len(v) > maxItems+1 {
			rest = fmt.Sprintf(" and %d more", len(v)-maxItems)
			v = v[:maxItems]
		}
		if doc.Unit != "" && doc.Unit != "1" {
			rest += " " + doc.Unit
		}
		return []string{Value(v) + rest}
	default:
		return []string{Value(v)}
	}
}

// table writes a list of maps that have the same keys, one in a line; nil for any other list. What is called seconds comes first.
func table(list []any) []string {
	var keys []string
	for i, item := range list {
		m, ok := item.(map[string]any)
		if !ok {
			return nil
		}
		var names []string
		for _, e := range entries(m) {
			if e.Name == "seconds" {
				names = slices.Insert(names, 0, e.Name)
			} else {
				names = append(names, e.Name)
			}
		}
		if i > 0 && !slices.Equal(names, keys) {
			return nil
		}
		keys = names
	}
	shown := list
	if len(list) > maxItems+1 {
		shown = list[:maxItems]
	}
	rows := [][]string{keys}
	for _, item := range shown {
		var row []string
		for _, k := range keys {
			row = append(row, Value(item.(map[string]any)[k]))
		}
		rows = append(rows, row)
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		for i := range row {
			width := 0
			for _, other := range rows {
				width = max(width, utf8.RuneCountInString(other[i]))
			}
			b.WriteString(pad(row[i], width) + "  ")
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	if len(shown) < len(list) {
		lines = append(lines, fmt.Sprintf("and %d more", len(list)-len(shown)))
	}
	return lines
}

// quantity writes a number with its unit; a share also in percent.
func quantity(v float64, unit string) string {
	switch unit {
	case "":
		return Number(v)
	case "1":
		if v == 0 || v == 1 {
			return Number(v)
		}
		return fmt.Sprintf("%s (%s %%)", Number(v), Number(float64(int64(v*10000+0.5))/100))
	}
	if v == 1 {
		unit = singular(unit)
	}
	return Number(v) + " " + unit
}

// singular is the unit of one; seconds are s either way.
func singular(unit string) string {
	if len(unit) < 2 {
		return unit
	}
	for _, end := range []string{"sses", "xes"} { // addresses, prefixes
		if strings.HasSuffix(unit, end) {
			return strings.TrimSuffix(unit, "es")
		}
	}
	return strings.TrimSuffix(unit, "s")
}

func (p *page) expected(o run.Outcome) {
	if len(o.Results) == 0 {
		return
	}
	p.section("Expected", "")
	width := 0
	for _, r := range o.Results {
		width = max(width, utf8.RuneCountInString(r.Expectation.Name))
	}
	for _, r := range o.Results {
		head := "  " + p.symbol(r.Status) + " " + pad(r.Expectation.Name, width)
		indent := 2 + 2 + width + 2
		lines := wrap(r.Expectation.Meaning, max(wrapAt-indent, 40))
		for i, l := range lines {
			if i == 0 {
				p.line(head + "  " + p.quiet(r.Status, l))
			} else {
				p.line(strings.Repeat(" ", indent) + p.quiet(r.Status, l))
			}
		}
		if len(lines) == 0 {
			p.line(head)
		}
		in := strings.Repeat(" ", indent)
		switch r.Status {
		case expect.NotApplicable:
			p.line(in + p.dim("does not apply with these values: "+r.Expectation.When))
		case expect.Holds:
			for _, c := range r.Compared {
				for _, l := range wrap(Compared(c), max(wrapAt-indent, 40)) {
					p.line(in + p.dim(l))
				}
			}
		case expect.Inconclusive:
			for _, l := range wrap(r.Reason, max(wrapAt-indent, 40)) {
				p.line(in + p.yellow(l))
			}
			p.stated(in, r)
		case expect.Fails:
			told := false
			for _, c := range r.Compared {
				if !c.Holds {
					told = true
					for _, l := range wrap(Compared(c), max(wrapAt-indent, 40)) {
						p.line(in + p.red(l))
					}
				}
			}
			for i, name := range r.Expectation.Reads {
				if !told {
					p.line(in + first(i, "observed") + "  " + name + " = " + Value(r.Observed[name]))
				}
			}
			p.evidence(in, r)
		}
	}
}

// evidence shows records of the run, and where the expectation is stated.
func (p *page) evidence(in string, r expect.Result) {
	for i, e := range r.Evidence[:min(len(r.Evidence), maxItems)] {
		p.line(in + first(i, "evidence") + "  " + p.dim(evidenceLine(e)))
	}
	p.stated(in, r)
}

// stated says what the expectation is, and where.
func (p *page) stated(in string, r expect.Result) {
	for _, l := range wrap("stated at "+where(r.Expectation)+": "+r.Expectation.That, max(wrapAt-len(in), 40)) {
		p.line(in + p.dim(l))
	}
}

// Compared writes a comparison: "hungRatio is 0.1665, expected near 0.166667 ± 0.0333".
func Compared(c scenario.Comparison) string {
	observed, expected := compared(c.Observed, c.Expected)
	s := c.Left + " is " + observed + ", expected "
	switch c.Operator {
	case "==":
	case "!=":
		s += "other than "
	default:
		s += c.Operator + " "
	}
	s += expected
	if c.Margin > 0 {
		s += " ± " + strconv.FormatFloat(c.Margin, 'g', 2, 64)
	}
	return s
}

// compared writes two values; of long lists of one length a few items, from the first on that differs.
func compared(a, b any) (string, string) {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if a == nil || b == nil || x.Kind() != reflect.Slice || y.Kind() != reflect.Slice || x.Len() != y.Len() || x.Len() <= maxItems+1 {
		return Value(a), Value(b)
	}
	from := 0
	for from < x.Len()-maxItems && Value(x.Index(from).Interface()) == Value(y.Index(from).Interface()) {
		from++
	}
	if from == x.Len()-maxItems && Value(a) == Value(b) {
		from = 0
	}
	some := func(v reflect.Value) string {
		text := Value(v.Slice(from, from+maxItems).Interface())
		if from > 0 {
			text = fmt.Sprintf("%s from number %d on", text, from+1)
		}
		return fmt.Sprintf("%s, of %d", text, v.Len())
	}
	return some(x), some(y)
}

// first is a label on the first of several lines.
func first(i int, label string) string {
	if i > 0 {
		return strings.Repeat(" ", len(label))
	}
	return label
}

func evidenceLine(e observe.Evidence) string {
	return fmt.Sprintf("%.6f s  #%d %s %s", e.Seconds, e.ID, e.Actor, e.Text)
}

func where(e scenario.Expectation) string { return fmt.Sprintf("%s:%d", e.File, e.Line) }

func (p *page) verdict(o run.Outcome) {
	reason := o.Verdict.Reason
	if reason == "" {
		reason = tally(o.Results)
	}
	word := verb(o.Verdict.Status)
	for i, l := range wrap(word+": "+reason, wrapAt-2) {
		if i == 0 {
			p.line(p.symbol(o.Verdict.Status) + " " + p.paint(o.Verdict.Status, word) + strings.TrimPrefix(l, word))
		} else {
			p.line("  " + l)
		}
	}
}

// tally counts results: "3 expectations hold, 1 does not apply".
func tally(results []expect.Result) string {
	count := map[expect.Status]int{}
	for _, r := range results {
		count[r.Status]++
	}
	s := fmt.Sprintf("%d expectations hold", count[expect.Holds])
	if count[expect.Holds] == 1 {
		s = "1 expectation holds"
	}
	switch n := count[expect.NotApplicable]; n {
	case 0:
	case 1:
		s += ", 1 does not apply"
	default:
		s += fmt.Sprintf(", %d do not apply", n)
	}
	return s
}

func (p *page) summary(outcomes []run.Outcome) {
	p.line(p.bold("Summary"))
	rows := [][2]string{}
	for _, o := range outcomes {
		rows = append(rows, [2]string{o.Job.Plan.Scenario.Slug(), o.Job.Plan.Variant})
	}
	names, variants := len("scenario"), len("variant")
	for _, r := range rows {
		names, variants = max(names, len(r[0])), max(variants, len(r[1]))
	}
	p.line("  " + p.dim(pad("scenario", names)+"  "+pad("variant", variants)+"  verdict"))
	for i, o := range outcomes {
		name := rows[i][0]
		if i > 0 && rows[i-1][0] == name {
			name = ""
		}
		text := p.symbol(o.Verdict.Status) + " " + p.paint(o.Verdict.Status, verb(o.Verdict.Status))
		if o.Verdict.Reason != "" && o.Verdict.Status != expect.Skipped {
			text += p.dim("  " + shorten(o.Verdict.Reason, 80))
		}
		p.line("  " + pad(name, names) + "  " + pad(rows[i][1], variants) + "  " + text)
	}
	p.line("")
	p.line("  " + Tally(outcomes))
	var said []string
	for _, o := range outcomes {
		if o.Verdict.Status == expect.Skipped && !slices.Contains(said, o.Verdict.Reason) {
			said = append(said, o.Verdict.Reason)
			p.prose(2, "skipped: "+o.Verdict.Reason)
		}
	}
}

// Tally counts verdicts: "4 hold, 1 fails".
func Tally(outcomes []run.Outcome) string {
	count := map[expect.Status]int{}
	for _, o := range outcomes {
		count[o.Verdict.Status]++
	}
	var parts []string
	for _, s := range []expect.Status{expect.Holds, expect.Fails, expect.Inconclusive, expect.Skipped} {
		if n := count[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, plural(s, n)))
		}
	}
	return strings.Join(parts, ", ")
}

// next says what to try. For a scenario of which several variants ran it speaks of all of them at once.
func (p *page) next(outcomes []run.Outcome) {
	var lines []string
	say := func(text, command string) { lines = append(lines, "  "+text, "    "+p.cyan(command)) }
	doctor := false
	for i, o := range outcomes {
		s := o.Job.Plan.Scenario
		first := slices.IndexFunc(outcomes, func(other run.Outcome) bool { return other.Job.Plan.Scenario == s }) == i
		broken := len(s.Variants) > 0 && s.Variants[0].Name == o.Job.Plan.Variant
		switch {
		case o.Verdict.Status == expect.Skipped:
			doctor = doctor || o.Err != nil && o.Err != run.ErrInterrupted
			continue
		case o.Recording == nil || o.Recording.Interrupted:
			continue
		case broken || o.Verdict.Status == expect.Fails:
			say("See why, link by link:", Command("explain", o.Job, o.Backend))
		}
		if !first {
			continue
		}
		remedies := remedies(o, outcomes)
		if !broken {
			remedies = slices.DeleteFunc(remedies, func(r remedy) bool { return r.name != s.Variants[0].Name })
		}
		list := func(title string, remedies []remedy) {
			if len(remedies) > 0 {
				lines = append(lines, title)
			}
			for _, r := range remedies {
				lines = append(lines, "    "+p.bold(r.name)+"  "+r.doc, "      "+p.cyan(r.command))
			}
		}
		if !broken {
			list("  See the failure that it is a remedy for:", remedies)
			continue
		}
		isRemedy := func(r remedy) bool { return strings.HasPrefix(r.name, "fixed-") }
		list("  Apply a remedy and see it gone:", slices.DeleteFunc(slices.Clone(remedies), func(r remedy) bool { return !isRemedy(r) }))
		list("  See it in another form:", slices.DeleteFunc(remedies, isRemedy))
	}
	if doctor {
		say("See what this machine lacks and how to get it:", "ekslab doctor")
	}
	if len(lines) == 0 {
		return
	}
	p.section("Next", "")
	for _, l := range lines {
		p.line(l)
	}
}

type remedy struct{ name, doc, command string }

// remedies lists the variants of an outcome's scenario that did not run, with the same values as far as they can be had together.
func remedies(o run.Outcome, outcomes []run.Outcome) []remedy {
	s := o.Job.Plan.Scenario
	var rs []remedy
	for _, v := range s.Variants {
		ran := slices.ContainsFunc(outcomes, func(other run.Outcome) bool {
			return other.Job.Plan.Scenario == s && other.Job.Plan.Variant == v.Name
		})
		if ran {
			continue
		}
		plan, err := s.Resolve(v.Name, o.Job.Set)
		if err != nil {
			continue // these values and this remedy exclude one another
		}
		job := o.Job
		job.Plan = plan
		rs = append(rs, remedy{v.Name, v.Doc, Command("run", job, o.Backend)})
	}
	return rs
}

// Command is the command line that does something with a job again: what differs from the defaults, and the seed.
func Command(verb string, job run.Job, backend string) string {
	words := []string{"ekslab", verb, job.Ref}
	if job.Manifests != "" {
		words = append(words, "--manifests", job.Manifests)
	}
	if job.Manifests == "" || job.Plan.Variant != scenario.OwnVariant {
		words = append(words, "--variant", job.Plan.Variant)
	}
	for _, p := range job.Plan.Params {
		if text, ok := job.Set[p.Name]; ok {
			words = append(words, "--set", p.Name+"="+text)
		}
	}
	if backend != "sim" {
		words = append(words, "--backend", backend)
	}
	return Quote(append(words, "--seed", fmt.Sprint(job.Seed)))
}

// Quote joins words into a command line, quoting for a POSIX shell what needs it.
func Quote(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%"

func verb(s expect.Status) string {
	if s == expect.NotApplicable {
		return "does not apply"
	}
	return string(s)
}

func plural(s expect.Status, n int) string {
	switch {
	case s == expect.Holds && n != 1:
		return "hold"
	case s == expect.Fails && n != 1:
		return "fail"
	}
	return verb(s)
}

func widest(rows [][2]string) int {
	w := 0
	for _, r := range rows {
		w = max(w, utf8.RuneCountInString(r[0]))
	}
	return w
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0))
}

func shorten(s string, limit int) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return s
}

// wrap breaks text at spaces into lines of at most width characters where it can, and at its own line ends.
func wrap(text string, width int) []string {
	var lines []string
	for paragraph := range strings.Lines(text) {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			switch {
			case line == "":
				line = word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				lines = append(lines, line)
				line = word
			default:
				line += " " + word
			}
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
