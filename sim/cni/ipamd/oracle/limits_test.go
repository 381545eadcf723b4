package oracle

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/amazon-vpc-cni-k8s/pkg/vpc"

	"github.com/ekslab/ekslab/sim/ec2"
)

// The generated table has every type of the module's, with the same limits, and no other.
func TestLimitsOfInstanceTypes(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("..", "..", "..", "ec2", "limits_table.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^\t"([^"]+)":`).FindAllStringSubmatch(string(table), -1)
	if len(names) < 500 {
		t.Fatalf("%d types in the table", len(names))
	}
	for _, m := range names {
		name := m[1]
		l, err := ec2.LimitsOf(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		enis, err := vpc.GetENILimit(name)
		if err != nil {
			t.Errorf("%s: the module has no such type", name)
			continue
		}
		addresses, _ := vpc.GetIPv4Limit(name)
		hypervisor, _ := vpc.GetHypervisorType(name)
		metal, _ := vpc.GetIsBareMetal(name)
		cards, _ := vpc.GetNetworkCards(name)
		if l.Interfaces != enis || l.Addresses != addresses || l.Hypervisor != hypervisor || l.BareMetal != metal || l.NetworkCards != len(cards) {
			t.Errorf("%s: %+v; the module has %d, %d, %s, %v and %d cards", name, l, enis, addresses, hypervisor, metal, len(cards))
		}
	}
	// The other way round: the module's file names no type that the table lacks.
	source, err := os.ReadFile(filepath.Join(moduleDir(t), "pkg", "vpc", "vpc_ip_resource_limit.go"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := regexp.MustCompile(`(?m)^\t"([a-z0-9-]+\.[a-z0-9-]+)": *\{`).FindAllStringSubmatch(string(source), -1)
	if len(theirs) != len(names) {
		t.Errorf("the module has %d types, the table %d", len(theirs), len(names))
	}
	for _, m := range theirs {
		if !strings.Contains(string(table), `"`+m[1]+`":`) {
			t.Errorf("%s is missing", m[1])
		}
	}
}
