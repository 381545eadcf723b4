package router

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func links() []Link {
	return []Link{
		{Interface: "eni0", Owned: []netip.Prefix{netip.MustParsePrefix("192.168.18.190/32"), netip.MustParsePrefix("192.168.0.128/25")}},
		{Interface: "eni1", Owned: []netip.Prefix{netip.MustParsePrefix("192.168.55.245/32"), netip.MustParsePrefix("192.168.32.128/25")}},
	}
}

func target(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }

// The rules as nft is given them. Each of these files was loaded by nft 1.0.6 (`nft -c -f`).
func TestRules(t *testing.T) {
	one := Frontend{Zone: "eu-west-1a", Address: netip.MustParseAddr("192.168.96.4"), Port: 80, Targets: []netip.AddrPort{target("192.168.18.190:30161")}}
	two := Frontend{Zone: "eu-west-1c", Address: netip.MustParseAddr("192.168.128.4"), Port: 80, Targets: []netip.AddrPort{target("192.168.55.245:30161"), target("192.168.61.79:30161")}}
	none := Frontend{Zone: "eu-west-1b", Address: netip.MustParseAddr("192.168.160.4"), Port: 80}
	for _, test := range []struct {
		name  string
		rules Ruleset
	}{
		{"preserved", Ruleset{Links: links(), Frontends: []Frontend{one, two, none}, PreserveClientIP: true, Seed: 7}},
		{"not-preserved", Ruleset{Links: links(), Frontends: []Frontend{one, two}, Seed: 7}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, path := test.rules.String(), filepath.Join("testdata", test.name+".nft")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// What decides the outcome of the scenario: the source of a packet is rewritten if and only if the client's address is not preserved.
func TestSourceIsRewrittenOnlyWithoutPreservation(t *testing.T) {
	f := []Frontend{{Zone: "a", Address: netip.MustParseAddr("10.0.0.4"), Port: 80, Targets: []netip.AddrPort{target("10.0.0.9:30000")}}}
	for preserve, want := range map[bool]bool{true: false, false: true} {
		if got := strings.Contains((Ruleset{Frontends: f, PreserveClientIP: preserve}).String(), "snat"); got != want {
			t.Errorf("preserve %v: source rewritten %v", preserve, got)
		}
	}
}

// A seed of zero would have nft choose one.
func TestSeedIsNeverZero(t *testing.T) {
	f := []Frontend{{Address: netip.MustParseAddr("10.0.0.4"), Port: 80, Targets: []netip.AddrPort{target("10.0.0.9:1"), target("10.0.0.8:1")}}}
	if s := (Ruleset{Frontends: f}).String(); !strings.Contains(s, "seed 0x1 ") {
		t.Error(s)
	}
}
