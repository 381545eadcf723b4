package sweep

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/run"
	"github.com/ekslab/ekslab/harness/scenario"
)

// VariantAxis is the name under which an axis has variants for values.
const VariantAxis = "variant"

// maxRuns bounds what one sweep runs; a typing slip should not take days.
const maxRuns = 100_000

// Axis is one thing that is varied, with its values as --set takes them.
type Axis struct {
	Name   string
	Values []string
}

// ParseAxis reads key=v1,v2,... Values that have a comma of their own, as lists and ranges do, are separated by semicolons.
func ParseAxis(s *scenario.Scenario, text string) (Axis, error) {
	name, values, ok := strings.Cut(text, "=")
	if !ok || name == "" || values == "" {
		return Axis{}, fmt.Errorf("--over %s: say it as key=v1,v2,..., such as --over replicas=1,3,10", text)
	}
	separator := ","
	if p, known := s.Parameter(name); strings.Contains(values, ";") || known && (p.Type == scenario.TypeList || p.Type == scenario.TypeRange) {
		separator = ";"
	}
	a := Axis{Name: name, Values: strings.Split(values, separator)}
	for i, v := range a.Values {
		a.Values[i] = strings.TrimSpace(v)
		if slices.Contains(a.Values[:i], a.Values[i]) {
			return Axis{}, fmt.Errorf("--over %s: %q is given twice", text, a.Values[i])
		}
	}
	return a, nil
}

// Options say what is swept. Seeds below 1 mean 1.
type Options struct {
	// Variant of every point, unless an axis has variants; and values of parameters that no axis varies.
	Variant string
	Set     map[string]string
	Axes    []Axis
	// Seeds is how many seeds each point is run with, from Seed on.
	Seeds int
	Seed  uint64
	// Where is CEL over params, let and obs (the values of a row); rows for which it is false are left out.
	Where string
}

// Sweep is a sweep that can be run: every point of it is in bounds.
type Sweep struct {
	scenario *scenario.Scenario
	opts     Options
	points   []point
	where    *scenario.Condition
	// show are the observations of a row's columns, need also those that Where reads.
	show, need []string
	left       int // points that Where leaves out unrun
}

type point struct {
	values  []string // one for each axis
	variant string
	set     map[string]string
}

// New resolves every point. The error has all mistakes.
func New(s *scenario.Scenario, opts Options) (*Sweep, error) {
	opts.Seeds = max(opts.Seeds, 1)
	sw := &Sweep{scenario: s, opts: opts, show: summable(s.Headline)}
	if len(sw.show) == 0 {
		sw.show = s.Observations
	}
	sw.need = slices.Clone(sw.show)
	runs := opts.Seeds
	for i, a := range opts.Axes {
		if slices.ContainsFunc(opts.Axes[:i], func(other Axis) bool { return other.Name == a.Name }) {
			return nil, fmt.Errorf("--over %s is given twice", a.Name)
		}
		if _, both := opts.Set[a.Name]; both {
			return nil, fmt.Errorf("%s is given by --over and by --set", a.Name)
		}
		if runs *= len(a.Values); runs > maxRuns {
			return nil, fmt.Errorf("the sweep has more than %d runs, the most that one may have", maxRuns)
		}
	}
	vocabulary := observe.All()
	var err error
	if opts.Where != "" {
		if sw.where, err = s.Condition("--where", opts.Where, vocabulary); err != nil {
			return nil, err
		}
		for _, name := range sw.where.Reads {
			if !slices.Contains(sw.need, name) {
				sw.need = append(sw.need, name)
			}
		}
	}
	said := map[string]bool{}
	var errs []error
	for p := range points(opts) {
		plan, err := s.Resolve(p.variant, p.set)
		if err != nil {
			for _, e := range mistakes(err, opts.Axes) {
				if !said[e.Error()] {
					said[e.Error()] = true
					errs = append(errs, e)
				}
			}
			continue
		}
		if sw.where != nil && len(sw.where.Reads) == 0 { // over parameters alone: no need to run it
			keep, err := sw.where.Eval(plan.Vars(nil))
			if err != nil {
				return nil, fmt.Errorf("--where %q: %w", opts.Where, err)
			}
			if !keep {
				sw.left++
				continue
			}
		}
		sw.points = append(sw.points, p)
	}
	return sw, errors.Join(errs...)
}

// summable leaves out observations that are maps: a chart of one run, say, has no mean.
func summable(names []string) []string {
	vocabulary := observe.All()
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return vocabulary[n].Type == "map" })
}

// mistakes takes an error of Resolve apart, and says of a value that an axis gave that --over gave it.
func mistakes(err error, axes []Axis) []error {
	var problems *scenario.Problems
	if !errors.As(err, &problems) {
		return []error{err}
	}
	var errs []error
	for _, p := range *problems {
		for _, a := range axes {
			if rest, ok := strings.CutPrefix(p.Message, "--set "+a.Name+"="); ok {
				p.Message = "--over " + a.Name + "=" + rest
			}
		}
		errs = append(errs, p)
	}
	return errs
}

// points goes through the product of the axes.
func points(opts Options) func(yield func(point) bool) {
	return func(yield func(point) bool) {
		at := make([]int, len(opts.Axes))
		for {
			p := point{variant: opts.Variant, set: map[string]string{}}
			for k, v := range opts.Set {
				p.set[k] = v
			}
			for i, a := range opts.Axes {
				v := a.Values[at[i]]
				p.values = append(p.values, v)
				if a.Name == VariantAxis {
					p.variant = v
				} else {
					p.set[a.Name] = v
				}
			}
			if !yield(p) {
				return
			}
			i := len(at) - 1
			for ; i >= 0; i-- {
				if at[i]++; at[i] < len(opts.Axes[i].Values) {
					break
				}
				at[i] = 0
			}
			if i < 0 {
				return
			}
		}
	}
}

// Runs is how many runs the sweep has.
func (sw *Sweep) Runs() int { return len(sw.points) * sw.opts.Seeds }

// Check says why the backend cannot run the sweep here: the first point's reason, since points differ in what they ask for.
func (sw *Sweep) Check(ctx context.Context, b backend.Backend) error {
	for _, p := range sw.points {
		plan, err := sw.scenario.Resolve(p.variant, p.set)
		if err != nil {
			return err
		}
		if err := b.Check(ctx, plan); err != nil {
			return err
		}
	}
	return nil
}

// Run runs the sweep on a number of goroutines (0 means GOMAXPROCS). When ctx ends, the table has the rows that were finished. Progress is
// called after each run, one at a time.
func (sw *Sweep) Run(ctx context.Context, b backend.Backend, workers int, progress func(done, total int)) *Table {
	t := &Table{
		Scenario: sw.scenario, Options: sw.opts, Backend: b.Name(), Columns: sw.show, Left: sw.left,
	}
	seeds := sw.opts.Seeds
	row := collector{need: sw.need}
	run.Ordered(sw.Runs(), workers,
		func(i int) run.Outcome {
			p := sw.points[i/seeds]
			plan, err := sw.scenario.Resolve(p.variant, p.set)
			if err != nil { // it was resolved before
				return run.Outcome{Err: err}
			}
			return run.One(ctx, b, run.Job{Plan: plan, Seed: sw.opts.Seed + uint64(i%seeds), Set: p.set}, run.Options{})
		},
		func(i int, o run.Outcome) {
			row.add(o)
			if i%seeds == seeds-1 {
				sw.finish(t, &row, sw.points[i/seeds], o.Job.Plan)
				row = collector{need: sw.need}
			}
			if progress != nil {
				progress(i+1, sw.Runs())
			}
		})
	return t
}

// finish adds a point's row to the table, unless Where leaves it out or it was not finished.
func (sw *Sweep) finish(t *Table, c *collector, p point, plan *scenario.Plan) {
	if c.interrupted {
		t.Unfinished++
		return
	}
	r := Row{Variant: p.variant, Values: p.values, Observations: map[string]Summary{}, Problem: c.problem}
	if plan != nil {
		for i, a := range sw.opts.Axes {
			if a.Name != VariantAxis {
				r.Typed = append(r.Typed, plan.Params.Get(a.Name))
			} else {
				r.Typed = append(r.Typed, p.values[i])
			}
		}
	}
	middle := map[string]any{}
	for _, name := range sw.need {
		s := c.summary(name)
		r.Observations[name] = s
		middle[name] = s.value()
	}
	if sw.where != nil && r.Problem == "" {
		keep, err := sw.where.Eval(plan.Vars(middle))
		if err != nil {
			t.Undecided++ // an observation that it reads has no sample, say
			return
		}
		if !keep {
			t.Left++
			return
		}
	}
	t.Rows = append(t.Rows, r)
}

// collector gathers the recordings of one point.
type collector struct {
	need        []string
	values      map[string][]any
	interrupted bool
	problem     string
}

func (c *collector) add(o run.Outcome) {
	switch {
	case errors.Is(o.Err, run.ErrInterrupted):
		c.interrupted = true
	case o.Err != nil:
		c.problem = o.Err.Error()
	default:
		if c.values == nil {
			c.values = map[string][]any{}
		}
		for _, name := range c.need {
			c.values[name] = append(c.values[name], o.Recording.Observations[name])
		}
	}
}

// Summary is what a row has of one observation.
type Summary struct {
	// Samples is how many seeds had a sample.
	Samples int
	// Number is whether it is a number; then Mean, Min and Max are set, else Distinct has the values that occurred.
	Number         bool
	Mean, Min, Max float64
	Distinct       []any
}

func (c *collector) summary(name string) Summary {
	s := Summary{Number: true}
	sum := 0.0
	for _, v := range c.values[name] {
		if v == nil {
			continue
		}
		f, ok := v.(float64)
		s.Number = s.Number && ok
		if s.Samples == 0 || f < s.Min {
			s.Min = f
		}
		if s.Samples == 0 || f > s.Max {
			s.Max = f
		}
		s.Samples++
		sum += f
		if !slices.ContainsFunc(s.Distinct, func(other any) bool { return reflect.DeepEqual(v, other) }) {
			s.Distinct = append(s.Distinct, v)
		}
	}
	if s.Samples == 0 {
		return Summary{}
	}
	if !s.Number {
		return Summary{Samples: s.Samples, Distinct: s.Distinct}
	}
	s.Mean, s.Distinct = sum/float64(s.Samples), nil
	return s
}

// value is what Where sees: the mean of a number, the one value of anything else, else nothing.
func (s Summary) value() any {
	switch {
	case s.Samples == 0:
		return nil
	case s.Number:
		return s.Mean
	case len(s.Distinct) == 1:
		return s.Distinct[0]
	}
	return nil
}
