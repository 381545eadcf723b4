package sim

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// One thread, one clock, seeded chance: under sim/ nothing starts a goroutine, locks, reads the wall clock or draws from global randomness.
// The paced driver alone knows a clock.
func TestSourceKeepsClocksGoroutinesLocksAndGlobalChanceOut(t *testing.T) {
	refusedImports := map[string]string{"sync": "locks", "sync/atomic": "locks", "math/rand": "global chance", "crypto/rand": "chance that no seed repeats", "os": "the environment", "net": "the network"}
	refusedCalls := map[string]bool{"time.Now": true, "time.Sleep": true, "time.After": true, "time.Tick": true, "time.NewTimer": true, "time.NewTicker": true, "time.Since": true, "time.Until": true, "time.AfterFunc": true}
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		paced := filepath.ToSlash(path) == "engine/paced.go"
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		if f.Name.Name == "main" { // a generator is no part of a world
			return nil
		}
		for _, i := range f.Imports {
			name, _ := strconv.Unquote(i.Path.Value)
			if why := refusedImports[name]; why != "" {
				t.Errorf("%s imports %s: %s", set.Position(i.Pos()), name, why)
			}
			if strings.Contains(name, "ekslab/harness") || strings.Contains(name, "ekslab/scenarios") {
				t.Errorf("%s imports %s: the simulator knows no harness and no scenario", set.Position(i.Pos()), name)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", set.Position(n.Pos()))
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if !ok || pkg.Obj != nil { // a variable, not a package
					return true
				}
				call := pkg.Name + "." + n.Sel.Name
				if refusedCalls[call] && !paced {
					t.Errorf("%s uses %s", set.Position(n.Pos()), call)
				}
				if pkg.Name == "rand" && !map[string]bool{"Rand": true, "New": true, "NewPCG": true}[n.Sel.Name] {
					t.Errorf("%s uses %s: draw from a named stream of the engine", set.Position(n.Pos()), call)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 40 {
		t.Errorf("%d files were looked at", files)
	}
}

// No code of the simulator names a scenario or an article.
func TestSourceKnowsNoScenario(t *testing.T) {
	slugs, err := filepath.Glob("../scenarios/*/*/scenario.yaml")
	if err != nil || len(slugs) == 0 {
		t.Fatal("no scenarios", err)
	}
	var words []string
	for _, s := range slugs {
		words = append(words, filepath.Base(filepath.Dir(s)))
	}
	filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				for _, w := range words {
					if strings.Contains(lit.Value, w) {
						t.Errorf("%s names the scenario %s", set.Position(n.Pos()), w)
					}
				}
			}
			return true
		})
		return nil
	})
}
