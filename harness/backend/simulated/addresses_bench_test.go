package simulated

import (
	"testing"

	"github.com/ekslab/ekslab/harness/backend"
)

// BenchmarkIPExhaustion is whole runs of cni/ip-exhaustion, without reading the scenario: every variant with its defaults, and large clusters.
func BenchmarkIPExhaustion(b *testing.B) {
	for _, c := range []struct{ name, variant, set string }{
		{"broken", "broken", ""},
		{"exhausted", "exhausted", ""},
		{"fixed-min5", "fixed-min5", ""},
		{"fixed-warm2-min5", "fixed-warm2-min5", ""},
		{"fixed-prefix", "fixed-prefix", ""},
		{"fixed-secondary-cidr", "fixed-secondary-cidr", ""},
		{"50 nodes x 10 pods", "broken", "nodesPerZone=17,17,16 podsPerNode=10 subnetPrefixLength=17 ec2Throttle=off"},
		{"1000 nodes x 10 pods", "broken", "nodesPerZone=334,333,333 podsPerNode=10 subnetPrefixLength=17 ec2Throttle=off"},
		{"1000 nodes x 10 pods, throttled", "broken", "nodesPerZone=334,333,333 podsPerNode=10"},
		{"5000 c5.4xlarge x 30 pods", "broken", "instanceType=c5.4xlarge nodesPerZone=1667,1667,1666 podsPerNode=30 warmIPTarget=2 subnetPrefixLength=16 ec2Throttle=off settle=15m"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := addressPlan(b, c.variant, c.set)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				rec, err := (&Backend{}).Run(b.Context(), p, backend.Options{Seed: 1})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(rec.Events), "events/run")
			}
		})
	}
}
