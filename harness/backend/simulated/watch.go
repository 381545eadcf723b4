package simulated

import (
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
)

// watcher looks at a world while it runs, as an engineer with captures, logs and read-only credentials would, and changes nothing.
type watcher interface {
	// observed adds to a recording what was seen so far.
	observed(rec *observe.Recording)
}

// watchers by the family of observations that they make. Each is given a world that has everything scheduled in it and has not run yet.
// Record is whether evidence is wanted, too.
var watchers = map[observe.Family]func(w *sim.World, plan *scenario.Plan, record bool) watcher{
	observe.OfFlows:    watchFlows,
	observe.OfRollouts: watchRollout,
}

// pending is whether one of the watchers waits for something to end.
func pending(all []watcher) bool {
	for _, o := range all {
		if p, ok := o.(interface{ pending() bool }); ok && p.pending() {
			return true
		}
	}
	return false
}

// watching attaches the watchers that a plan's observations need.
func watching(w *sim.World, plan *scenario.Plan, record bool) (all []watcher) {
	for _, f := range observe.All().Families(plan.Scenario.Observations) {
		all = append(all, watchers[f](w, plan, record))
	}
	return all
}
