package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ekslab/ekslab/harness/observe"
)

// Whatever the file holds, reading it ends soon, never panics, and every complaint has a file and a line.
func FuzzLoad(f *testing.F) {
	dir := filepath.Join("..", "..", "scenarios", "elb", "nlb-hairpin")
	names := []string{"namespace.yaml", "client.yaml", "nginx.yaml"}
	files := fstest.MapFS{}
	for _, n := range append(names, "scenario.yaml") {
		b, err := os.ReadFile(filepath.Join(dir, n))
		if err != nil {
			f.Fatal(err)
		}
		if n == "scenario.yaml" {
			f.Add(b)
			continue
		}
		files["elb/fuzzed/"+n] = &fstest.MapFile{Data: b}
	}
	for _, s := range []string{"", "\x00", "a: &a [*a]", "a: &a [x]\nb: [*a, *a, *a]", "? {a: b}\n: c", "kind: Scenario\nkind: Scenario", "- 1", "world: ${", "let: {a: '${params.'}", "\xff\xfe", "a: !!binary x", "<<: {a: b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fsys := fstest.MapFS{"elb/fuzzed/scenario.yaml": &fstest.MapFile{Data: b}}
		for n, file := range files {
			fsys[n] = file
		}
		began := time.Now()
		s, err := Load(fsys, "elb/fuzzed")
		if err == nil {
			err = s.Validate(observe.All())
		}
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
		if err == nil {
			return
		}
		var problems *Problems
		if !errors.As(err, &problems) || len(*problems) == 0 {
			t.Fatalf("not a list of problems: %v", err)
		}
		for _, p := range *problems {
			if p.File == "" || p.Line < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}
