package scenarios_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/ekslab/ekslab/harness/cli"
)

var update = flag.Bool("update", false, "rewrite the outputs in READMEs")

// In a README, a fenced block of the kind console holds one or more commands, each a line "$ ekslab …", and what each prints to standard
// output (and to standard error, for a command that ends with exit code 2). A line of … alone stands for any number of lines.
var console = regexp.MustCompile("(?ms)^```console\n(\\$ ekslab .*?)^```$")

const ellipsis = "…\n"

// The outputs shown in READMEs are what the commands print. With -update a block without an ellipsis is rewritten; in one with an ellipsis
// the lines that are found again but for their numbers and names are, and the rest is a matter for an editor.
func TestREADME(t *testing.T) {
	shown := 0
	for _, file := range readmes(t) {
		t.Run(name(file), func(t *testing.T) {
			old := read(t, file)
			t.Chdir(t.TempDir()) // what a command of the file writes, the next ones find
			changed := console.ReplaceAllStringFunc(old, func(block string) string {
				var b strings.Builder
				for _, c := range commands(console.FindStringSubmatch(block)[1]) {
					shown++
					want := c.output
					got := run(c.line)
					if new, ok := renew(want, got, same); ok && new == want {
						// as shown
					} else if new, ok := renew(want, got, alike); ok && *update {
						c.output = new
					} else if !strings.Contains(want, ellipsis) && *update {
						c.output = got
					} else {
						t.Errorf("%s prints\n%s\nthe file shows\n%s", c.line, got, want)
					}
					b.WriteString("$ " + c.line + "\n" + c.output)
				}
				return "```console\n" + b.String() + "```"
			})
			for _, line := range mentioned(old) {
				if code, _, errs := call(line + quick(line)); code == 2 {
					t.Errorf("%s: %s", line, errs)
				}
			}
			if *update && changed != old {
				if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if shown == 0 {
		t.Error("no README shows a command's output")
	}
}

// Tables whose heading names observations in backquotes say what a run shows: the last command before the table, with each row's settings.
// A cell is a share (1/6), a number to as many digits as it has, or – where there is no sample.
func TestREADMETables(t *testing.T) {
	var memo sync.Map // what a command observed; the translations of a README ask for the same
	for _, file := range readmes(t) {
		for _, r := range tableRows(t, read(t, file)) {
			t.Run(name(file)+"/"+r.line, func(t *testing.T) {
				t.Parallel()
				once, _ := memo.LoadOrStore(r.line, sync.OnceValues(func() (map[string]any, error) { return observations(r.line) }))
				obs, err := once.(func() (map[string]any, error))()
				if err != nil {
					t.Fatal(err)
				}
				for o, want := range r.cells {
					if err := cell(want, obs[o], obs["connections"]); err != nil {
						t.Errorf("%s: %v", o, err)
					}
				}
			})
		}
	}
}

// A translation has the same commands, outputs and tables.
func TestTranslations(t *testing.T) {
	for _, file := range readmes(t) {
		original := filepath.Join(filepath.Dir(file), "README.md")
		if file == original {
			continue
		}
		a, b := read(t, original), read(t, file)
		if !slices.Equal(console.FindAllString(a, -1), console.FindAllString(b, -1)) {
			t.Errorf("%s shows other commands or outputs than README.md beside it", name(file))
		}
		if x, y := fmt.Sprint(tableRows(t, a)), fmt.Sprint(tableRows(t, b)); x != y {
			t.Errorf("%s has other rows than README.md beside it:\n%s\n%s", name(file), y, x)
		}
	}
}

func readmes(t *testing.T) (files []string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if ok, _ := filepath.Match("README*.md", filepath.Base(path)); ok && err == nil {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// name is a file's path within the project.
func name(file string) string {
	if i := strings.LastIndex(file, string(filepath.Separator)+"scenarios"+string(filepath.Separator)); i >= 0 {
		return filepath.ToSlash(file[i+1:])
	}
	return filepath.Base(file)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// command is one command of a block, from "ekslab" on, and the output shown for it.
type command struct{ line, output string }

func commands(block string) (list []command) {
	for _, part := range strings.Split("\n"+block, "\n$ ")[1:] {
		line, output, _ := strings.Cut(part, "\n")
		if output != "" && !strings.HasSuffix(output, "\n") {
			output += "\n" // the separator was its end
		}
		list = append(list, command{line, output})
	}
	return list
}

// run is what a command line leaves on a terminal, but for progress.
func run(line string) string {
	code, out, errs := call(line)
	if code == 2 {
		return out + errs
	}
	return out
}

func call(line string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = cli.Main(context.Background(), words(line)[1:], &o, &e, func(string) string { return "" })
	return code, o.String(), e.String()
}

// words splits a command line at spaces; single quotes hold a word together.
func words(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

var (
	inline = regexp.MustCompile("`(ekslab [a-z][^`…]*)`")
	fenced = regexp.MustCompile("(?ms)^```(?:sh|yaml)\n(.*?)^```$")
	plain  = regexp.MustCompile(`(?m)^ *(?:- run: )?(ekslab [^…\n]*)$`)
)

// mentioned lists the commands that a text names in backquotes, or on lines of their own in what to type or to put into a file.
func mentioned(text string) (lines []string) {
	found := inline.FindAllStringSubmatch(text, -1)
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		found = append(found, plain.FindAllStringSubmatch(block[1], -1)...)
	}
	for _, m := range found {
		for _, line := range strings.Split(m[1], " && ") {
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// quick is what makes a mentioned command short: it is only to be understood.
func quick(line string) string {
	switch w := words(line); {
	case len(w) == 2 || w[1] == "run" && strings.HasPrefix(w[2], "-") || slices.Contains(w, "kind") || w[1] == "parity" || w[1] == "doctor":
		return " --help"
	case strings.Contains(line, "rolling-update-502") && w[1] == "sweep":
		return " --set requests=2 --seeds 1"
	case strings.Contains(line, "rolling-update-502") && (w[1] == "run" || w[1] == "explain"):
		return " --set requests=2"
	case strings.Contains(line, "hairpin") && (w[1] == "run" || w[1] == "explain" || w[1] == "sweep"):
		return " --set connections=2"
	}
	return ""
}

// renew finds the lines of want in got, where … may stand for any number of lines, and returns want with the lines as got has them.
func renew(want, got string, eq func(a, b string) bool) (string, bool) {
	w, g := lines(want), lines(got)
	var parts [][]string // between ellipses
	for {
		i := slices.Index(w, ellipsis)
		if i < 0 {
			parts = append(parts, w)
			break
		}
		parts, w = append(parts, w[:i]), w[i+1:]
	}
	if len(parts) == 1 {
		return got, slices.EqualFunc(w, g, eq)
	}
	// The first part begins the output and the last one ends it; the others come where they are first found.
	first, middle, last := parts[0], parts[1:len(parts)-1], parts[len(parts)-1]
	rest := len(g) - len(last)
	if rest < len(first) || !slices.EqualFunc(first, g[:len(first)], eq) || !slices.EqualFunc(last, g[rest:], eq) {
		return "", false
	}
	out, body := slices.Clone(g[:len(first)]), g[len(first):rest]
	for _, part := range middle {
		at := 0
		for at+len(part) <= len(body) && !slices.EqualFunc(part, body[at:at+len(part)], eq) {
			at++
		}
		if at+len(part) > len(body) {
			return "", false
		}
		out = append(append(out, ellipsis), body[at:at+len(part)]...)
		body = body[at+len(part):]
	}
	return strings.Join(append(append(out, ellipsis), g[rest:]...), ""), true
}

// lines are the lines of a text, each with its end.
func lines(text string) []string {
	list := strings.SplitAfter(text, "\n")
	return list[:len(list)-1]
}

func same(a, b string) bool { return a == b }

var numbers = regexp.MustCompile(`[\w.:]*\d[\w.:]*`)

// alike is whether lines are the same but for words with a digit in them, and for spaces.
func alike(a, b string) bool {
	blank := func(s string) string {
		return strings.Join(strings.Fields(numbers.ReplaceAllString(s, "#")), " ")
	}
	return blank(a) == blank(b)
}

// tableRow is a command line and what the table says of its observations.
type tableRow struct {
	line  string
	cells map[string]string
}

var (
	commandBefore = regexp.MustCompile("`(ekslab run [^`…]*)`")
	observation   = regexp.MustCompile("^`([a-z][A-Za-z0-9]*)`$")
	settings      = regexp.MustCompile("`(--[^`]*)`")
)

func tableRows(t *testing.T, text string) (rows []tableRow) {
	t.Helper()
	var line string
	var heads map[int]string // observations by column, within a table
	for _, l := range strings.Split(text, "\n") {
		if m := commandBefore.FindAllStringSubmatch(l, -1); m != nil && !strings.HasPrefix(l, "|") {
			line = m[len(m)-1][1]
		}
		if !strings.HasPrefix(l, "|") {
			heads = nil
			continue
		}
		columns := strings.Split(strings.TrimSuffix(strings.TrimPrefix(l, "|"), "|"), "|") // a cell may be empty, the first one too
		if heads == nil {
			heads = map[int]string{}
			for i, c := range columns {
				if m := observation.FindStringSubmatch(strings.TrimSpace(c)); m != nil {
					heads[i] = m[1]
				}
			}
			continue
		}
		if len(heads) == 0 || strings.HasPrefix(l, "|---") {
			continue
		}
		r := tableRow{line: line, cells: map[string]string{}}
		for i, c := range columns {
			if o, ok := heads[i]; ok {
				r.cells[o] = strings.TrimSpace(c)
			} else if m := settings.FindStringSubmatch(c); m != nil {
				r.line += " " + m[1]
			}
		}
		rows = append(rows, r)
	}
	return rows
}

func observations(line string) (map[string]any, error) {
	code, out, errs := call(line + " -o json")
	var doc struct {
		Runs []struct{ Observations map[string]any }
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || len(doc.Runs) != 1 {
		return nil, fmt.Errorf("exit code %d, %d runs, %v\n%s", code, len(doc.Runs), err, errs)
	}
	if code != 0 {
		return nil, fmt.Errorf("exit code %d", code)
	}
	return doc.Runs[0].Observations, nil
}

// cell compares a cell with what was observed in n calls. A share may be off by four standard deviations.
func cell(want string, got, n any) error {
	off := fmt.Errorf("the table says %s, the run shows %v", want, got)
	if want == "–" {
		if got != nil {
			return off
		}
		return nil
	}
	x, ok := got.(float64)
	if !ok {
		return off
	}
	if a, b, ok := strings.Cut(want, "/"); ok {
		p, err := strconv.ParseFloat(a, 64)
		q, err2 := strconv.ParseFloat(b, 64)
		if p /= q; err != nil || err2 != nil || math.Abs(x-p) > 4*math.Sqrt(p*(1-p)/n.(float64)) {
			return off
		}
		return nil
	}
	_, decimals, _ := strings.Cut(want, ".")
	if decimals != "" {
		x, _ = strconv.ParseFloat(strconv.FormatFloat(x, 'f', len(decimals), 64), 64)
	}
	if y, err := strconv.ParseFloat(want, 64); err != nil || x != y {
		return off
	}
	return nil
}

func TestRenew(t *testing.T) {
	for _, c := range []struct {
		name, want, got string
		eq              func(a, b string) bool
		new             string // "" is not found
	}{
		{"equal", "a\nb\n", "a\nb\n", same, "a\nb\n"},
		{"a line more", "a\nb\n", "a\nb\nc\n", same, ""},
		{"spaces at the end count", "a\n", "a \n", same, ""},
		{"nothing before the first line", "b\n…\n", "a\nb\n", same, ""},
		{"nothing after the last line", "…\nb\n", "a\nb\nc\n", same, ""},
		{"the last line, though it occurs before", "…\nb\n", "b\na\nb\n", same, "…\nb\n"},
		{"an ellipsis may stand for nothing", "…\na\n…\nb\n…\n", "a\nb\n", same, "…\na\n…\nb\n…\n"},
		{"in order", "…\nb\n…\na\n…\n", "a\nb\n", same, ""},
		{"no line twice", "a\n…\na\n", "a\n", same, ""},
		{"other numbers are found", "…\nhung 0.1  of n-7\n…\n", "x\nhung   0.25 of n-8ab\n", alike, "…\nhung   0.25 of n-8ab\n…\n"},
		{"other words are not", "…\nhung 0.1\n…\n", "hanged 0.1\n", alike, ""},
	} {
		if new, ok := renew(c.want, c.got, c.eq); ok != (c.new != "") || ok && new != c.new {
			t.Errorf("%s: %q, %v", c.name, new, ok)
		}
	}
}

func TestCell(t *testing.T) {
	for _, c := range []struct {
		want string
		got  any
		ok   bool
	}{
		{"1/6", 0.16, true}, {"1/6", 0.3, false}, {"1/6", nil, false},
		{"0", 0.0, true}, {"0", 0.001, false}, // a whole number is meant as it stands
		{"127.0", 127.004, true}, {"127.0", 127.2, false},
		{"–", nil, true}, {"–", 7.0, false},
	} {
		if err := cell(c.want, c.got, 400.0); (err == nil) != c.ok {
			t.Errorf("%s against %v: %v", c.want, c.got, err)
		}
	}
}
