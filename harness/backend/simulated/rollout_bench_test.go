package simulated

import (
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
)

// BenchmarkRollingUpdate502 is a whole run of each variant, without reading the scenario.
func BenchmarkRollingUpdate502(b *testing.B) {
	for _, variant := range []string{"broken", "fixed-prestop", "fixed-prestop-readinessgate", "gates-only", "max-unavailable-0", "prestop-too-short", "grace-shorter-than-prestop", "broken-nlb", "article-nlb", "fixed-nlb"} {
		p := rolloutPlan(b, variant, "")
		b.Run(variant, func(b *testing.B) {
			b.ReportAllocs()
			seed := uint64(0)
			began := cpuTime(b)
			for b.Loop() {
				seed++
				rec, err := (&Backend{}).Run(b.Context(), p, backend.Options{Seed: seed})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(rec.Events), "events/run")
			}
			b.ReportMetric(float64(cpuTime(b)-began)/float64(b.N)/1e6, "cpu-ms/run")
		})
	}
}
