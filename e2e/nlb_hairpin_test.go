package e2e

import (
	"os"
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/backend/live"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/scenario"
)

// The variants that a router of one's own in front of a real cluster can show.
func TestNLBHairpinOnKind(t *testing.T) {
	if os.Getenv("EKSLAB_E2E") == "" {
		t.Skip("needs a real cluster: make e2e")
	}
	kind := live.New(live.Options{Getenv: os.Getenv})
	catalog, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := catalog.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	for _, variant := range []string{"broken", "fixed-preserve-off"} {
		t.Run(variant, func(t *testing.T) {
			plan, err := s.Resolve(variant, map[string]string{"connections": "300"})
			if err != nil {
				t.Fatal(err)
			}
			if err := kind.Check(t.Context(), plan); err != nil {
				t.Skipf("the kind backend cannot run here: %v", err)
			}
			rec, err := kind.Run(t.Context(), plan, backend.Options{Seed: 1, Record: true})
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := expect.Judge(plan, rec); v.Status != expect.Holds {
				t.Errorf("%v: %s", v.Status, v.Reason)
			}
		})
	}
}
