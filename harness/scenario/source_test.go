package scenario

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hugeFS has a scenario.yaml of 10 MB, and fails the test when that is read.
type hugeFS struct{ t *testing.T }

func (h hugeFS) Open(string) (fs.File, error) { return hugeFile(h), nil }

type hugeFile struct{ t *testing.T }

func (h hugeFile) Stat() (fs.FileInfo, error) { return hugeInfo{}, nil }
func (h hugeFile) Read([]byte) (int, error) {
	h.t.Error("the file was read")
	return 0, errors.New("read")
}
func (h hugeFile) Close() error { return nil }

type hugeInfo struct{ fs.FileInfo }

func (hugeInfo) Size() int64 { return 10_000_000 }
func (hugeInfo) IsDir() bool { return false }

func TestHugeFileIsRefusedUnread(t *testing.T) {
	_, err := Load(hugeFS{t}, "elb/huge")
	wantErr(t, err, "elb/huge/scenario.yaml:1: the file has 10000000 bytes; 1048576 is the most that is read")
}

func TestUnreadableFiles(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"empty", "", "scenario.yaml:1: the file is empty"},
		{"blank", " \n\t\n", "scenario.yaml:1: the file is empty"},
		{"comments only", "# a\n# b\n", "scenario.yaml:1: the file is empty; a scenario begins with apiVersion: ekslab/v1alpha1"},
		{"null", "~\n", "scenario.yaml:1: the file is empty; a scenario begins with apiVersion: ekslab/v1alpha1"},
		{"text", "hello\n", `scenario.yaml:1: want a mapping that begins with apiVersion: ekslab/v1alpha1, have the text "hello"`},
		{"not UTF-8", "a: b\nc: \xff\n", "scenario.yaml:2: the file is not UTF-8 text: byte 0xff"},
		{"UTF-16", "\xff\xfea\x00", "scenario.yaml:1: the file is not UTF-8 text: byte 0xff"},
		{"control character", "a: b\n\nc: \x00\n", "scenario.yaml:3: the file holds a control character: U+0000"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := loadText(row.text, web)
			wantErr(t, err, row.want)
		})
	}
	if _, err := loadText("\ufeff"+full, web); err != nil {
		t.Errorf("a byte order mark is no mistake: %v", err)
	}
}

func TestUnreadableManifests(t *testing.T) {
	_, err := Load(folderOf(map[string]string{"scenario.yaml": full, "web.yaml": ""}), ".")
	wantErr(t, err, "web.yaml:1: the file is empty")
	_, err = Load(folderOf(map[string]string{"scenario.yaml": full, "web.yaml": "---\n---\n"}), ".")
	wantErr(t, err, "web.yaml:1: the file has no object")
	_, err = Load(folderOf(map[string]string{"scenario.yaml": full, "web.yaml/x": ""}), ".")
	wantErr(t, err, "web.yaml:1: is a folder, not a file")
	_, err = Load(folderOf(map[string]string{"scenario.yaml": full, "web.yaml": strings.Repeat("# text\n", maxFileBytes/6)}), ".")
	wantErr(t, err, "web.yaml:1: the file has 1223334 bytes; 1048576 is the most that is read")
}

// The YAML library's line is not always right; these hold ours to the line that a reader would look at.
func TestSyntaxErrorLines(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"colon in text", "a: 1\nb: x: y\n", "scenario.yaml:2: not valid YAML: mapping values are not allowed in this context (text that holds a colon and a space needs quotes)"},
		{"CEL with a colon", "a: 1\nlet:\n  n: a ? b : c\n", "scenario.yaml:3: not valid YAML: mapping values are not allowed in this context (text that holds a colon and a space needs quotes)"},
		{"tab", "a:\n\tb: 1\n", "scenario.yaml:2: not valid YAML: found character that cannot start any token (indent with spaces, not tabs; quote text that begins with one of @ ` % or a tab)"},
		{"quote left open", "a: 1\nb: 'x\nc: 2\n", "scenario.yaml:2: not valid YAML: found unexpected end of stream"},
		{"bracket left open", "a: 1\nb: [1, 2\nc: 3\n", "scenario.yaml:2: not valid YAML: did not find expected ',' or ']'"},
		{"indentation", "a: 1\nb:\n  c: 1\n d: 2\n", "scenario.yaml:4: not valid YAML: did not find expected key"},
		{"unknown alias", "a: 1\nb: *x\n", "scenario.yaml:2: not valid YAML: unknown anchor 'x' referenced"},
		{"first line", "[", "scenario.yaml:1: not valid YAML: did not find expected node content"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := loadText(row.text, web)
			wantErr(t, err, row.want)
		})
	}
}

func TestAliases(t *testing.T) {
	s := mustLoad(t, replaced(t, replaced(t, full, "  broken: {doc: As it is.}", "  broken: {doc: &d As it is.}"), "doc: Off.", "doc: *d"))
	if got := s.Variants[1].Doc; got != "As it is." {
		t.Errorf("the alias stands for %q", got)
	}
}

// Each of these is small and would be huge, endless or very deep if taken at its word. They take under half a second; the
// bound leaves room for the race detector on a busy machine.
func TestHostileInputIsRefusedQuickly(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, maxFileBytes/len(s)) }
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for last, i := "a", 0; i < 26; i++ {
		next := fmt.Sprintf("b%d", i)
		bomb += fmt.Sprintf("%s: &%s [%s]\n", next, next, strings.TrimSuffix(strings.Repeat("*"+last+",", 9), ","))
		last = next
	}
	var keys strings.Builder
	for i := 0; keys.Len() < maxFileBytes-20; i++ {
		fmt.Fprintf(&keys, "k%d: x\n", i)
	}
	deep := ""
	for i := range 1000 {
		deep += strings.Repeat(" ", i) + "a:\n"
	}
	nine := "[1,2,3,4,5,6,7,8,9].all("
	rows := []struct{ name, text, want string }{
		{"aliases of aliases", bomb, "scenario.yaml:4: the YAML aliases of this file stand for more than 1000 values; write them out"},
		{"an alias of itself", "a: &a [*a, *a]\n", "scenario.yaml:1: nested deeper than 64 levels"},
		{"deep lists", fill("["), "scenario.yaml:1: not valid YAML: exceeded max depth of 10000"},
		{"deep mappings", deep, "scenario.yaml:66: nested deeper than 64 levels"},
		{"many dashes", fill("- "), "scenario.yaml:1: not valid YAML: exceeded max depth of 10000"},
		{"many comments", fill("#\n"), "scenario.yaml:1: the file is empty; a scenario begins with apiVersion: ekslab/v1alpha1"},
		{"many documents", fill("---\n"), "scenario.yaml:1: the file is empty; a scenario begins with apiVersion: ekslab/v1alpha1"},
		{"many anchors", fill("- &a b\n"), "scenario.yaml:1: want a mapping that begins with apiVersion: ekslab/v1alpha1, have a list"},
		{"many unknown fields", keys.String(), ""},
		{"many duplicate keys", fill("a: 1\n"), ""},
		{"one endless key", fill("a") + ": 1", ""},
		{"deep parentheses", replaced(t, minimal, "obs.connections > 0", strings.Repeat("(", 4000)), "scenario.yaml:20: not valid CEL: expression recursion limit exceeded: 100"},
		{"long expression", replaced(t, minimal, "obs.connections > 0", strings.Repeat("1+", 4000)+"1"), "scenario.yaml:20: not valid CEL: expression code point size exceeds limit: size: 8001, limit 4096"},
		{"expression that never ends", replaced(t, full, "nodes: sum(params.sizes)", "nodes: '"+nine+"a,"+nine+"b,"+nine+"c,"+nine+"d,"+nine+"e,"+nine+"f,"+nine+"g, a+b+c+d+e+f+g > 0)))))))? 1 : 0'"),
			"scenario.yaml:25: let.nodes: operation cancelled: actual cost limit exceeded"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			start := time.Now()
			err := check(row.text, web)
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if err == nil {
				t.Fatal("no error")
			}
			if row.want != "" {
				wantErr(t, err, row.want)
			}
			if n := len(strings.Split(err.Error(), "\n")); n > maxProblems+1 {
				t.Errorf("%d lines of problems", n)
			}
		})
	}
}

func TestTooManyProblemsAreCounted(t *testing.T) {
	text := minimal
	for i := range 250 {
		text += fmt.Sprintf("field%d: x\n", i)
	}
	_, err := loadText(text, web)
	lines := strings.Split(err.Error(), "\n")
	if last := lines[len(lines)-1]; len(lines) != maxProblems+1 || last != "scenario.yaml:120: 150 more problems are not listed" {
		t.Errorf("%d lines, the last: %s", len(lines), last)
	}
}

func TestProblemsHaveLineAndColumn(t *testing.T) {
	rows := []struct {
		old, new     string
		line, column int
	}{
		{"count: 100", "count: ten", 61, 12},
		{"'${let.nodes}'", "'${let.node}'", 48, 33},
		{"that: obs.hungRatio == 0", "that: obs.hungRatioo == 0", 84, 13},
		{"that: obs.hungRatio == 0", "that: |\n        obs.connections > 0 &&\n        obs.hungRatioo == 0", 86, 1},
	}
	for _, row := range rows {
		err := check(replaced(t, full, row.old, row.new), web)
		var problems *Problems
		if !errors.As(err, &problems) || len(*problems) != 1 {
			t.Fatalf("%s: %v", row.new, err)
		}
		if p := (*problems)[0]; p.Line != row.line || p.Column != row.column {
			t.Errorf("%s: reported at %d:%d, want %d:%d", row.new, p.Line, p.Column, row.line, row.column)
		}
		var one Problem
		if !errors.As(err, &one) || one.Line != row.line {
			t.Errorf("errors.As finds no Problem in %v", err)
		}
	}
}

// A path in a message is the one that the user gave.
func TestLoadPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("my/copy/scenario.yaml", full)
	write("my/copy/web.yaml", web)
	write("my/copy/other.yaml", strings.Replace(full, "count: 100", "count: no", 1))
	write("my/bad/scenario.yaml", full)
	write("my/bad/web.yaml", strings.Replace(web, "replicas: 3", "replica: 3", 1))
	write("my/none/README.md", "")

	for _, path := range []string{"my/copy", "my/copy/", "my/copy/scenario.yaml", filepath.Join(dir, "my", "copy")} {
		s, err := LoadPath(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if err := s.Validate(vocab); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	s, err := LoadPath("my/bad")
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.Validate(vocab), filepath.Join("my", "bad", "web.yaml")+`:12: unknown field "replica" in spec; did you mean "replicas"?`)
	_, err = LoadPath("my/copy/other.yaml")
	wantErr(t, err, filepath.Join("my", "copy", "other.yaml")+`:61: load[0].count: want a whole number, have the text "no"`)
	_, err = LoadPath("my/none")
	wantErr(t, err, filepath.Join("my", "none", "scenario.yaml")+": no such file")
	_, err = LoadPath("my/nothing")
	wantErr(t, err, "my/nothing: no such file or folder")
}

func TestWorldFile(t *testing.T) {
	before, rest, _ := strings.Cut(minimal, "world:\n")
	world, after, _ := strings.Cut(rest, "variants:")
	files := map[string]string{"scenario.yaml": before + "world: lab.yaml\nvariants:" + after, "lab.yaml": world}
	s, err := Load(folderOf(files), ".")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.Resolve("broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	if plan.World.Region != "eu-west-1" {
		t.Errorf("the world is %+v", plan.World)
	}
	files["lab.yaml"] = strings.Replace(world, "serviceCIDR", "serviceCidr", 1)
	_, err = Load(folderOf(files), ".")
	wantErr(t, err, `lab.yaml:2: world.cluster: "serviceCIDR" is missing`,
		`lab.yaml:2: unknown field "serviceCidr" in world.cluster; did you mean "serviceCIDR"?`)
	delete(files, "lab.yaml")
	_, err = Load(folderOf(files), ".")
	wantErr(t, err, `scenario.yaml:4: lab.yaml: no such file`)
}
