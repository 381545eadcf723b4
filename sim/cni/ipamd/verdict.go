package ipamd

import (
	"fmt"

	"github.com/ekslab/ekslab/sim/trace"
)

// Verdicts on the pool, as the trace has them.
const (
	TooLow  = "IP pool is too low"
	TooHigh = "IP pool is too high"
	Enough  = "IP pool is enough"
	// Paused: the subnet had nothing left, and no more is asked for until a while has passed.
	Paused = "IP pool waits"
	// Freeing: an interface may go.
	Freeing = "ENI is freed"
)

// verdict is what was last said of the pool.
type verdict struct {
	what, text string
	record     trace.ID
	// st and paused are what it was about.
	st     Stats
	paused bool
	said   bool
}

// judges says what the numbers come to, where that is new, and makes it the cause of what is done about it.
func (a *run) judges(st Stats) {
	if a.verdict.said && a.verdict.st == st && a.verdict.paused == a.pausing() {
		a.engine.SetCause(a.verdict.record)
		return
	}
	what, text := judgement(&a.version, &a.set, a.limits, st)
	if what == TooLow && a.pausing() {
		what, text = Paused, text+fmt.Sprintf("; asks for nothing for %v after it was told that the subnet has no more", insufficientCIDRErrorCooldown)
	}
	if what != a.verdict.what || text != a.verdict.text {
		a.verdict.what, a.verdict.text = what, text
		a.verdict.record = a.log.Emit(trace.Record{Kind: trace.Config, Actor: a.label, What: a.log.Name(what), Text: text})
	}
	a.verdict.st, a.verdict.paused, a.verdict.said = st, a.pausing(), true
	a.engine.SetCause(a.verdict.record)
}

// judgement is what updatePool decides by, in words.
func judgement(v *Version, set *Settings, l poolLimits, st Stats) (what, text string) {
	what = Enough
	switch {
	case tooLow(v, set, l, st):
		what = TooLow
	case tooHigh(set, st):
		what = TooHigh
	}
	text = fmt.Sprintf("total %d, assigned %d, available %d", st.Total, st.Assigned, st.Available())
	unit := ""
	if set.PrefixDelegation {
		unit = " prefixes"
		text += fmt.Sprintf(", prefixes %d, unused %d", st.Prefixes, st.FreePrefixes)
	}
	short, over, defined := target(set, st)
	switch {
	case defined:
		text += fmt.Sprintf("; WARM_IP_TARGET %d, MINIMUM_IP_TARGET %d: short of %d%s, over by %d", set.WarmIPTarget, set.MinimumIPTarget, short, unit, over)
	case set.PrefixDelegation:
		text += fmt.Sprintf("; WARM_PREFIX_TARGET %d wants %d available", set.WarmPrefixTarget, set.WarmPrefixTarget*prefixSize)
	default:
		text += fmt.Sprintf("; WARM_ENI_TARGET %d wants %d available", set.WarmENITarget, set.WarmENITarget*l.perENI)
	}
	if v.CapsAtMaxPods && st.Total >= l.maxPods {
		text += fmt.Sprintf("; no more than the node takes pods, %d", l.maxPods)
	}
	return what, text
}

// frees says which interface goes, and makes that the cause of the calls.
func (a *run) frees(e *ENI, st Stats) {
	text := fmt.Sprintf("%s holds %d and no pod has one of them; total %d, assigned %d, available %d", e.ID, e.cidrs.n, st.Total, st.Assigned, st.Available())
	a.log.Emit(trace.Record{Kind: trace.Config, Actor: a.label, What: a.log.Name(Freeing), Text: text})
}
