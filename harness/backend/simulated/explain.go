package simulated

import (
	"context"
	"fmt"

	"github.com/ekslab/ekslab/harness/explain"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// explainers find a chain of whys in a run, by the family of observations that show what is to be explained.
var explainers = map[observe.Family]func(*Backend, context.Context, *scenario.Plan, uint64) (*explain.Document, error){
	observe.OfFlows:     (*Backend).explainFlows,
	observe.OfAddresses: (*Backend).explainAddresses,
	observe.OfRollouts:  (*Backend).explainRollout,
}

// Explain runs a plan and finds the chain of whys of what went wrong in it. What explains it is decided by the first observation of the
// scenario whose family has an explainer.
func (b *Backend) Explain(ctx context.Context, plan *scenario.Plan, seed uint64) (*explain.Document, error) {
	for _, f := range observe.All().Families(plan.Scenario.Observations) {
		if explainer := explainers[f]; explainer != nil {
			d, err := explainer(b, ctx, plan, seed)
			if err != nil {
				return nil, err
			}
			d.Scenario, d.Variant, d.Backend, d.Seed = plan.Scenario.Area+"/"+plan.Scenario.Name, plan.Variant, b.Name(), seed
			return d, nil
		}
	}
	return nil, fmt.Errorf("nothing explains the observations of %s", plan.Scenario.Name)
}
