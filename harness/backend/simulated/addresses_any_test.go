package simulated

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What the scenario expects holds for settings that nobody chose: of instance type, nodes, pods, targets, versions and subnets; under any seed, and with
// simultaneous events in another order.
func TestAddressesWithAnySettings(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 24))
	one := func(values ...string) string { return values[r.IntN(len(values))] }
	maybe := func(chance float64, name string, values ...string) string {
		if r.Float64() >= chance {
			return ""
		}
		return " " + name + "=" + one(values...)
	}
	for seed := uint64(1); seed <= 40; seed++ {
		set := "nodesPerZone=" + one("1", "1,1", "1,2,2", "2", "3,0,1", "0,2") + " podsPerNode=" + one("0", "1", "2", "5", "9", "10", "12", "17", "27") +
			" instanceType=" + one("m5.large", "m5.large", "t3.small", "t3.medium", "m5.xlarge", "c5.4xlarge") + " cniVersion=" + one("1.10", "1.12", "1.13", "1.16.0", "1.16.4", "1.23") +
			maybe(.4, "warmENITarget", "0", "2", "3") + maybe(.4, "warmIPTarget", "1", "2", "3", "5", "10") + maybe(.3, "minimumIPTarget", "1", "5", "12", "20", "40") +
			maybe(.3, "prefixDelegation", "true") + maybe(.2, "warmPrefixTarget", "2", "3") + maybe(.2, "maxENI", "1", "2") + maybe(.2, "customNetworking", "true") +
			maybe(.3, "subnetPrefixLength", "16", "17", "24", "26", "28") + maybe(.2, "maxPods", "5", "10", "110") + maybe(.2, "podsLater", "1:0@30", "1:5@30", "1:12@200") + maybe(.2, "podInterval", "7s")
		variant := one("broken", "broken", "fixed-min5", "fixed-warm2-min5", "fixed-prefix", "exhausted")
		t.Run(fmt.Sprintf("%s %s", variant, set), func(t *testing.T) {
			t.Parallel()
			runAddresses(t, &Backend{ShuffleTies: seed%2 == 0}, addressPlan(t, variant, set), seed)
		})
	}
}
