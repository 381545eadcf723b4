package scenario

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestComparisons: what stands on either side of a comparison is told with its value, whatever it is made of.
func TestComparisons(t *testing.T) {
	text, err := os.ReadFile("../cli/testdata/catalog/elb/slow-calls/scenario.yaml")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile("../cli/testdata/catalog/elb/slow-calls/web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		that string
		want []string // left operator right = observed expected holds
	}{
		{"obs.hungConnections == 0.0", []string{"hungConnections ==  = 400 0 false"}},
		{"near(obs.hungRatio, 1.0 / double(let.nodes), obs.connections)", []string{"hungRatio near 1.0 / double(let.nodes) = 0.2 0.2 true"}},
		{"obs.hungTargetNodes == [obs.clientNodeName]", []string{"hungTargetNodes == [obs.clientNodeName] = [node-1] [node-1] true"}},
		{"obs.hungRatio > 0.1 && obs.hungRatio <= 0.15", []string{"hungRatio >  = 0.2 0.1 true", "hungRatio <=  = 0.2 0.15 false"}},
		{"0.1 < obs.hungRatio", []string{"hungRatio >  = 0.2 0.1 true"}}, // the observation comes first
		{"obs.hungRatio < 0.1 && obs.connections == double(params.connections)", []string{ // the second is told though the first decides
			"hungRatio <  = 0.2 0.1 false", "connections == double(params.connections) = 2000 2000 true"}},
		{"size(obs.hungTargetNodes) == 1", []string{"size(obs.hungTargetNodes) ==  = 1 1 true"}},
		{"obs.hungRatioByAddress == {'a': 0.5}", []string{`hungRatioByAddress == {"a": 0.5} = map[a:0.5] map[a:0.5] true`}},
		{"obs.hungRatio < 0.1 || obs.hungRatio > 0.9", nil}, // no comparison that has to hold
		{"obs.hungTargetNodes.all(n, n == obs.clientNodeName)", nil},
	} {
		file := strings.Replace(string(text), "that: obs.hungConnections == 0", "that: "+fmt.Sprintf("%q", test.that), 1)
		s, err := Load(fstest.MapFS{"elb/slow-calls/scenario.yaml": {Data: []byte(file)}, "elb/slow-calls/web.yaml": {Data: manifest}}, "elb/slow-calls")
		if err != nil {
			t.Fatal(err)
		}
		plan, err := s.Resolve("fixed-clusterip", nil)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, c := range plan.Expect[0].Comparisons(plan.Vars(map[string]any{
			"connections": 2000.0, "hungConnections": 400.0, "hungRatio": 0.2, "hungTargetNodes": []any{"node-1"}, "clientNodeName": "node-1",
			"hungRatioByAddress": map[string]any{"a": 0.5},
		})) {
			have = append(have, fmt.Sprintf("%s %s %s = %v %v %v", c.Left, c.Operator, c.Right, c.Observed, c.Expected, c.Holds))
			if want := 4 * math.Sqrt(0.2*0.8/2000); (c.Operator == "near") != (math.Abs(c.Margin-want) < 1e-9) {
				t.Errorf("margin %v", c.Margin)
			}
		}
		if strings.Join(have, "\n") != strings.Join(test.want, "\n") {
			t.Errorf("%s:\n%s\nwant:\n%s", test.that, strings.Join(have, "\n"), strings.Join(test.want, "\n"))
		}
	}
}
