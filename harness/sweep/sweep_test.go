package sweep

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

func load(t *testing.T) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(os.DirFS("../cli/testdata/catalog"), "elb/slow-calls")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseAxis(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string // name and values; nil for an error
	}{
		{"connections=1,20,300", []string{"connections", "1", "20", "300"}},
		{"connections=1;20", []string{"connections", "1", "20"}},
		{"nodesPerZone=1,2,2;4,4,4", []string{"nodesPerZone", "1,2,2", "4,4,4"}},
		{"nodesPerZone=1,2,2", []string{"nodesPerZone", "1,2,2"}}, // one list, not three numbers
		{"nodesPerZone=1; 2", []string{"nodesPerZone", "1", "2"}},
		{"variant=broken,fixed-clusterip", []string{"variant", "broken", "fixed-clusterip"}},
		{"preserve=null,true", []string{"preserve", "null", "true"}},
		{"connections", nil},
		{"connections=", nil},
		{"=1", nil},
		{"connections=1,1", nil},
	} {
		a, err := ParseAxis(load(t), test.text)
		if (err != nil) != (test.want == nil) || err == nil && !slices.Equal(append([]string{a.Name}, a.Values...), test.want) {
			t.Errorf("%s: %v, %v", test.text, a, err)
		}
	}
}

// slow is a backend whose runs take a time of their own, so that they do not finish in order.
type slow struct{}

func (slow) Name() string                                { return "sim" }
func (slow) Check(context.Context, *scenario.Plan) error { return nil }
func (slow) Run(_ context.Context, plan *scenario.Plan, opts backend.Options) (*observe.Recording, error) {
	n := plan.Params.Get("connections").(int64)
	rng := rand.New(rand.NewPCG(opts.Seed, uint64(n)))
	time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
	rec := &observe.Recording{Observations: map[string]any{"hungRatio": rng.Float64(), "hungTargetNodes": []any{"a", "b"}[rng.IntN(2)]}}
	if rng.IntN(4) == 0 {
		rec.Observations["hungRatio"] = nil
	}
	return rec, nil
}

// TestSameOnAnyNumberOfCores: the table does not depend on what finishes first.
func TestSameOnAnyNumberOfCores(t *testing.T) {
	var first string
	for _, workers := range []int{1, 2, 7} {
		synctest.Test(t, func(t *testing.T) {
			sw, err := New(load(t), Options{Variant: "broken", Seeds: 5, Seed: 1, Axes: []Axis{{"connections", []string{"1", "2", "3", "4", "5"}}}})
			if err != nil {
				t.Fatal(err)
			}
			var progress []int
			table := sw.Run(context.Background(), slow{}, workers, func(done, total int) { progress = append(progress, done, total) })
			var b bytes.Buffer
			for _, write := range []func() error{func() error { return table.WriteText(&b) }, func() error { return table.WriteCSV(&b) }, func() error { return table.WriteJSON(&b) }} {
				if err := write(); err != nil {
					t.Fatal(err)
				}
			}
			if first == "" {
				first = b.String()
			} else if first != b.String() {
				t.Errorf("%d workers print another table:\n%s\nfirst:\n%s", workers, b.String(), first)
			}
			if len(progress) != 50 || progress[48] != 25 || progress[49] != 25 {
				t.Errorf("progress %v", progress)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []any
		want   Summary
		middle any // what a condition sees
	}{
		{"numbers", []any{1.0, 3.0, 2.0}, Summary{Samples: 3, Number: true, Mean: 2, Min: 1, Max: 3}, 2.0},
		{"negative", []any{-1.0, -3.0}, Summary{Samples: 2, Number: true, Mean: -2, Min: -3, Max: -1}, -2.0},
		{"one without a sample", []any{nil, 3.0}, Summary{Samples: 1, Number: true, Mean: 3, Min: 3, Max: 3}, 3.0},
		{"no sample", []any{nil, nil}, Summary{}, nil},
		{"the same text", []any{"a", "a"}, Summary{Samples: 2, Distinct: []any{"a"}}, "a"},
		{"different text", []any{"a", "b", "a"}, Summary{Samples: 3, Distinct: []any{"a", "b"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := collector{need: []string{"x"}}
			for _, v := range test.values {
				c.add(run.Outcome{Recording: &observe.Recording{Observations: map[string]any{"x": v}}})
			}
			s := c.summary("x")
			if s.Samples != test.want.Samples || s.Number != test.want.Number || s.Mean != test.want.Mean || s.Min != test.want.Min || s.Max != test.want.Max ||
				!slices.Equal(s.Distinct, test.want.Distinct) || s.value() != test.middle {
				t.Errorf("%+v, a condition sees %v", s, s.value())
			}
		})
	}
}

// TestEveryPointIsCheckedFirst: all that is out of bounds is said, and no more than that is done.
func TestEveryPointIsCheckedFirst(t *testing.T) {
	_, err := New(load(t), Options{Variant: "broken", Axes: []Axis{{"connections", []string{"5", "0"}}, {"interval", []string{"1s", "2h", "3h"}}}})
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 {
		t.Errorf("%d problems:\n%v", len(lines), err)
	}
	for _, l := range lines {
		if !strings.HasPrefix(l, "--over connections=0: ") && !strings.HasPrefix(l, "--over interval=") {
			t.Errorf("not of --over: %s", l)
		}
	}
}
