package scenarios_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/cli"
)

var update = flag.Bool("update", false, "rewrite the outputs in READMEs")

// A console block begins with a command; what follows is what the command prints. A line of … stands for any lines.
var block = regexp.MustCompile("(?s)```console\n\\$ ekslab ([^\n]*)\n(.*?)```")

const ellipsis = "…"

// The outputs shown in READMEs are what the commands print.
func TestREADME(t *testing.T) {
	files, err := filepath.Glob("*/*/README*.md")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, filepath.Join("..", "README.md"))
	blocks := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := block.ReplaceAllStringFunc(string(text), func(b string) string {
			blocks++
			m := block.FindStringSubmatch(b)
			var out, errs bytes.Buffer
			cli.Main(context.Background(), split(m[1]), &out, &errs, func(string) string { return "" })
			got := out.String()
			if matches(m[2], got) {
				return b
			}
			if *update && !strings.Contains(m[2], ellipsis) {
				return "```console\n$ ekslab " + m[1] + "\n" + strings.TrimRight(got, "\n") + "\n```"
			}
			t.Errorf("%s: ekslab %s prints\n%s%s\nthe file shows\n%s", file, m[1], got, errs.String(), m[2])
			return b
		})
		if *update && changed != string(text) {
			if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if blocks == 0 {
		t.Error("no README shows a command's output")
	}
}

// split splits a command line at spaces; single quotes hold a word together.
func split(line string) (words []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// matches compares line by line; a line of … in want stands for any number of lines.
func matches(want, got string) bool {
	w, g := strings.Split(strings.TrimRight(want, "\n"), "\n"), strings.Split(strings.TrimRight(got, "\n"), "\n")
	for i, part := range pieces(w) {
		at := -1
		for j := 0; j+len(part) <= len(g); j++ {
			if equal(part, g[j:j+len(part)]) {
				at = j
				break
			}
			if i == 0 {
				break // the first piece begins the output
			}
		}
		if at < 0 {
			return false
		}
		g = g[at+len(part):]
	}
	return len(g) == 0 || strings.TrimSpace(w[len(w)-1]) == ellipsis
}

func pieces(lines []string) (out [][]string) {
	out = [][]string{nil}
	for _, l := range lines {
		if strings.TrimSpace(l) == ellipsis {
			out = append(out, nil)
			continue
		}
		out[len(out)-1] = append(out[len(out)-1], l)
	}
	return out
}

func equal(a, b []string) bool {
	for i := range a {
		if strings.TrimRight(a[i], " ") != strings.TrimRight(b[i], " ") {
			return false
		}
	}
	return true
}
