package simulated

import (
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/scenario"
)

func plan(t testing.TB, variant string, set map[string]string) *scenario.Plan {
	t.Helper()
	c, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkNLBHairpin is a whole run with 2000 connections, without reading the scenario.
func BenchmarkNLBHairpin(b *testing.B) {
	for _, variant := range []string{"broken", "fixed-preserve-off", "fixed-ip-targets", "fixed-clusterip", "fixed-local"} {
		p := plan(b, variant, nil)
		b.Run(variant, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				rec, err := (&Backend{}).Run(b.Context(), p, backend.Options{Seed: 1, Record: true})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(rec.Events), "events/run")
			}
		})
	}
}
