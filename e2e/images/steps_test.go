package images_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// build runs a recipe with the step functions, as make-images does, and returns what it said and whether it came to its end.
func build(t *testing.T, cache, recipe string) (said string, ok bool) {
	t.Helper()
	c := exec.Command("bash", "-c", "set -euo pipefail\n. ./steps.sh\n"+recipe+"\necho came to its end\n")
	c.Env = append(os.Environ(), "cache="+cache)
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

func TestSteps(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	const recipe = `
make_bread() { echo baking; date +%N >bread; }
step bread make_bread rye`
	cache := t.TempDir()
	bread := func() string {
		text, err := os.ReadFile(filepath.Join(cache, "bread", "bread"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if said, ok := build(t, cache, recipe); !ok || strings.Contains(said, "baking") {
		t.Fatalf("first: %s", said)
	}
	first := bread()
	if said, ok := build(t, cache, recipe); !ok || !strings.Contains(said, "cached") || bread() != first {
		t.Errorf("made again from the same inputs: %s", said)
	}
	if said, ok := build(t, cache, strings.Replace(recipe, "rye", "wheat", 1)); !ok || bread() == first {
		t.Errorf("another input gave the same: %s", said)
	}
	second := bread()
	if said, ok := build(t, cache, strings.Replace(recipe, "baking", "slowly", 1)); !ok || bread() == second {
		t.Errorf("another recipe gave the same: %s", said)
	}

	// A step fails at the first command that does, wherever it stands; says why; and counts as not done, whatever it had made by then.
	const burnt = `
make_bread() { echo flour >bread; echo the oven is out >&2; false; echo done >bread; }
step bread make_bread rye`
	said, ok := build(t, cache, burnt)
	if ok || strings.Contains(said, "came to its end") || !strings.Contains(said, "the oven is out") || !strings.Contains(said, "the step bread failed") {
		t.Errorf("a failing step: %s", said)
	}
	if said, ok := build(t, cache, burnt); ok || strings.Contains(said, "cached") {
		t.Errorf("a failed step counts as done: %s", said)
	}
	// Nor does one that was killed.
	if said, ok := build(t, cache, "make_bread() { echo flour >bread; kill -KILL $$; sleep 10; }\nstep bread make_bread rye"); ok {
		t.Errorf("killed: %s", said)
	}
	if said, ok := build(t, cache, recipe); !ok || strings.Contains(said, "cached") || strings.Contains(bread(), "flour") {
		t.Errorf("after it was killed: %s", said)
	}
}

// Each command says how it is used, and takes nothing it does not know.
func TestUsage(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	for _, command := range []string{"./make-images", "../docker-engine"} {
		out, err := exec.Command("bash", command, "nonsense").CombinedOutput()
		if err == nil || !strings.Contains(string(out), filepath.Base(command)+" ") {
			t.Errorf("%s nonsense: %v\n%s", command, err, out)
		}
	}
}
