package scenario

import (
	"fmt"
	"strings"
	"testing"
)

// worldWith is the minimal scenario with other subnets and a node group in the first.
func worldWith(t *testing.T, vpc string) string {
	t.Helper()
	text := replaced(t, minimal, "    cidr: 192.168.0.0/16\n    subnets: [{name: a, zone: eu-west-1a, cidr: 192.168.0.0/19}]\n", vpc)
	return text
}

// Subnets with a prefixLength get the first free range of the VPC, or a CIDR block of their own.
func TestSubnetsAreCut(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths []string // of subnets, or the cidr of one
		want    string   // ranges, then the VPC's further blocks
		err     string
	}{
		{name: "three of the article's", lengths: []string{"19", "19", "19"}, want: "192.168.0.0/19 192.168.32.0/19 192.168.64.0/19"},
		{name: "the smallest", lengths: []string{"28", "28"}, want: "192.168.0.0/28 192.168.0.16/28"},
		{name: "aligned, around one of another length", lengths: []string{"28", "24", "28"}, want: "192.168.0.0/28 192.168.1.0/24 192.168.0.16/28"},
		{name: "around one that is given", lengths: []string{"192.168.0.64/26", "24", "26"}, want: "192.168.0.64/26 192.168.1.0/24 192.168.0.0/26"},
		{name: "one that is given after it", lengths: []string{"24", "192.168.0.0/20"}, want: "192.168.16.0/24 192.168.0.0/20"},
		{name: "three /16: two blocks of their own", lengths: []string{"16", "16", "16"}, want: "192.168.0.0/16 100.64.0.0/16 100.65.0.0/16 + 100.64.0.0/16 100.65.0.0/16"},
		{name: "three /17: the third does not fit", lengths: []string{"17", "17", "17"}, want: "192.168.0.0/17 192.168.128.0/17 100.64.0.0/17 + 100.64.0.0/16"},
		{name: "a small one after those", lengths: []string{"17", "17", "28"}, want: "192.168.0.0/17 192.168.128.0/17 100.64.0.0/28 + 100.64.0.0/16"},
		{name: "five blocks are the most", lengths: []string{"16", "16", "16", "16", "16"}, want: "192.168.0.0/16 100.64.0.0/16 100.65.0.0/16 100.66.0.0/16 100.67.0.0/16 + 100.64.0.0/16 100.65.0.0/16 100.66.0.0/16 100.67.0.0/16"},
		{name: "six", lengths: []string{"16", "16", "16", "16", "16", "16"}, err: "scenario.yaml:9: the VPC would need 6 CIDR blocks, and 5 are the most: its subnets are too large or too many for 192.168.0.0/16"},
		{name: "too long", lengths: []string{"29"}, err: "scenario.yaml:9: subnet s0: prefixLength 29; from 16 to 28 are possible"},
		{name: "too short", lengths: []string{"15"}, err: "scenario.yaml:9: world.vpc.subnets[0].prefixLength: want a whole number of at least 16, have the number 15"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var items []string
			for i, l := range c.lengths {
				field := "prefixLength: " + l
				if strings.Contains(l, "/") {
					field = "cidr: " + l
				}
				items = append(items, fmt.Sprintf("{name: s%d, zone: eu-west-1a, %s}", i, field))
			}
			text := worldWith(t, "    cidr: 192.168.0.0/16\n    subnets: ["+strings.Join(items, ", ")+"]\n")
			s, err := loadText(replaced(t, text, "subnet: a,", "subnet: s0,"), web)
			if err == nil {
				err = s.Validate(vocab)
			}
			if c.err != "" {
				wantErr(t, err, c.err)
				return
			}
			wantErr(t, err)
			plan, err := s.Resolve("broken", nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, sn := range plan.World.VPC.Subnets {
				got = append(got, sn.CIDR)
			}
			if more := plan.World.VPC.SecondaryCIDRs; len(more) > 0 {
				got = append(append(got, "+"), more...)
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}
