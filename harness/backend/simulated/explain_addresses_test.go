package simulated

import (
	"bytes"
	"strings"
	"testing"
)

// From a stuck pod, or from what a node holds, each explanation has the links that its case has; each link stands on records of the run.
func TestExplainAddresses(t *testing.T) {
	const (
		held     = "Why "
		another  = "Why did it take another network interface"
		more     = "Why did it ask for"
		unit     = "at a time?"
		who      = "Who set"
		stuck    = "stuck in ContainerCreating?"
		none     = "have no address for it?"
		noMore   = "Why does ipamd not get more?"
		empty    = "Why has subnet"
		others   = "take so many?"
		pending  = "Pending?"
		manifest = "by the manifest of the add-on, applied by eks:addon-manager"
	)
	for _, c := range []struct {
		name, variant, set string
		questions          []string
		says               []string // somewhere in the answers or their evidence
		silent             []string // nowhere
	}{
		{"the default", "broken", "", []string{held, another, unit, who},
			[]string{"2 network interfaces: 1 + 9, 1 + 9", "available 8; WARM_ENI_TARGET 1 wants 9 available", "AssignPrivateIpAddresses", `CreateNetworkInterface {`, "had got an address a moment before", manifest}, nil},
		{"a node without pods", "broken", one + "podsPerNode=0", []string{held, more, unit, who}, []string{"holds 10 addresses", "no pod has one of them", "1 network interface: 1 + 9"}, nil},
		{"by address", "fixed-warm2-min5", "", []string{held, more, who}, []string{"WARM_IP_TARGET 2, MINIMUM_IP_TARGET 5: short of 5", "Who set WARM_IP_TARGET 2 and MINIMUM_IP_TARGET 5?"}, nil},
		{"prefixes", "fixed-prefix", "", []string{held, more, unit, who}, []string{"16 addresses in a row", `"Ipv4PrefixCount":1`, "WARM_PREFIX_TARGET 1"}, nil},
		{"custom networking", "fixed-secondary-cidr", one + "podsPerNode=1", []string{held, another, unit, who}, []string{"3 network interfaces: 1 + 0, 1 + 9, 1 + 9", "100.64.0.0/18"}, nil},
		{"an empty subnet", "exhausted", "", []string{stuck, none, noMore, empty, others, who},
			[]string{"failed to assign an IP address to container", "InsufficientFreeAddressesInSubnet", "waits for two minutes", "It has 11 addresses to give", "Whoever comes first", manifest}, nil},
		{"an empty subnet, v1.10, on the node that wants more", "exhausted", "cniVersion=1.10 " + one + "podsPerNode=12", []string{stuck, none, noMore, empty, who}, []string{"every 5 s it tries again"}, []string{"waits for two minutes"}},
		{"the trap", "fixed-min5", "", []string{stuck, none, noMore, who},
			[]string{"By its settings it has enough: total 5, assigned 5, available 0", "that no address is free is no shortage", "Who set MINIMUM_IP_TARGET 5?", "kubectl set env, by kubernetes-admin"}, []string{"Insufficient"}},
		{"all interfaces are full", "broken", one + "maxENI=1 podsPerNode=10", []string{stuck, none, noMore, who}, []string{"1 network interface, as many as it may have", "WARM_ENI_TARGET 1"}, []string{"Insufficient"}},
		{"no room on the node", "broken", one + "maxPods=5 podsPerNode=9", []string{pending}, []string{"Too many pods", "--max-pods"}, []string{"ContainerCreating"}},
		{"no range for a prefix", "fixed-prefix", "nodesPerZone=2 podsPerNode=1 subnetPrefixLength=27", []string{stuck, none, noMore, empty, who}, []string{"InsufficientCidrBlocks", "a prefix needs 16 in a row"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := (&Backend{}).Explain(t.Context(), addressPlan(t, c.variant, c.set), 1)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := d.Text(&b, false); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(strings.Fields(b.String()), " ")
			if len(d.Whys) != len(c.questions) || !d.Failed {
				t.Fatalf("%d links, want %d:\n%s", len(d.Whys), len(c.questions), &b)
			}
			for i, w := range d.Whys {
				if !strings.Contains(w.Question, c.questions[i]) {
					t.Errorf("link %d asks %q", i+1, w.Question)
				}
				if len(w.Evidence) == 0 {
					t.Errorf("%q stands on nothing", w.Question)
				}
			}
			for _, s := range c.says {
				if !strings.Contains(text, s) {
					t.Errorf("it does not say %q:\n%s", s, &b)
				}
			}
			for _, s := range c.silent {
				if strings.Contains(text, s) {
					t.Errorf("it says %q:\n%s", s, &b)
				}
			}
		})
	}
}
