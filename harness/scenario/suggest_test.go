package scenario

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"nodesPerZone", "clientZone", "clientNode", "replicas", "via", "crossZone"}
	rows := []struct{ name, want string }{
		{"nodePerZone", "nodesPerZone"},
		{"nodesperzone", "nodesPerZone"}, // case
		{"clientZoen", "clientZone"},     // letters swapped
		{"replica", "replicas"},
		{"nodes", "nodesPerZone"}, // half a name
		{"replicasCount", "replicas"},
		{"vai", "via"},
		{"x", ""},
		{"", ""},
		{"somethingElse", ""},
		{strings.Repeat("replicas", 100), ""},
	}
	for _, row := range rows {
		if got := nearest(row.name, names); got != row.want {
			t.Errorf("%q: %q, want %q", row.name, got, row.want)
		}
	}
}
