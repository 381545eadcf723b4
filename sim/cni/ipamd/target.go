package ipamd

func divCeil(x, y int) int { return (x + y - 1) / y }

// limitsOf are what an interface takes: addresses or prefixes without the primary address, and how many pod addresses these are.
type poolLimits struct {
	// perENI is how many pod addresses an interface can have, slots how many addresses or prefixes. They differ with prefix delegation.
	perENI, slots int
	// enis is how many interfaces there may be.
	enis int
	// maxPods is how many pods the node takes.
	maxPods int
}

func limitsFor(set *Settings, interfaces, addresses, maxPods int) poolLimits {
	l := poolLimits{perENI: addresses - 1, slots: addresses - 1, enis: interfaces, maxPods: maxPods}
	if set.PrefixDelegation {
		l.perENI *= prefixSize
	}
	if set.MaxENI >= 1 {
		l.enis = min(l.enis, set.MaxENI)
	}
	return l
}

// target is how far the pool is from WARM_IP_TARGET and MINIMUM_IP_TARGET: in addresses, or with prefix delegation in prefixes.
// Source: pkg/ipamd/ipamd.go, datastoreTargetState.
func target(set *Settings, st Stats) (short, over int, defined bool) {
	if !set.warmIPDefined() {
		return 0, 0, false
	}
	short = max(set.WarmIPTarget-st.Available(), 0)
	short = max(short, set.MinimumIPTarget-st.Total)
	over = max(st.Available()-set.WarmIPTarget, 0)
	over = max(min(over, st.Total-set.MinimumIPTarget), 0)
	if set.PrefixDelegation {
		short = divCeil(short, prefixSize)
		over = max(min(st.FreePrefixes, st.Prefixes-divCeil(st.Assigned+set.WarmIPTarget, prefixSize)), 0)
		over = max(min(over, st.Prefixes-divCeil(set.MinimumIPTarget, prefixSize)), 0)
	}
	return short, over, true
}

// prefixTarget is how many prefixes without a pod are missing for WARM_PREFIX_TARGET.
func prefixTarget(set *Settings, st Stats) (short int, defined bool) {
	if !set.PrefixDelegation {
		return 0, false
	}
	return max(set.WarmPrefixTarget-st.FreePrefixes, 0), true
}

// tooLow says whether the pool needs more. Source: pkg/ipamd/ipamd.go, isDatastorePoolTooLow.
func tooLow(v *Version, set *Settings, l poolLimits, st Stats) bool {
	if v.CapsAtMaxPods && st.Total >= l.maxPods {
		return false
	}
	if short, _, defined := target(set, st); defined {
		return short > 0
	}
	warm, each := set.WarmENITarget, l.perENI
	if set.PrefixDelegation {
		warm, each = set.WarmPrefixTarget, prefixSize
	}
	return st.Available() < each*warm || warm == 0 && st.Available() == 0
}

// tooHigh says whether addresses or prefixes can be given back: never with WARM_ENI_TARGET alone. Source: pkg/ipamd/ipamd.go, isDatastorePoolTooHigh.
func tooHigh(set *Settings, st Stats) bool {
	if _, over, defined := target(set, st); defined {
		return over > 0
	}
	return set.PrefixDelegation && st.FreePrefixes > set.WarmPrefixTarget
}

// extraENI says whether it is worth to look for an interface to free. Source: pkg/ipamd/ipamd.go, shouldRemoveExtraENIs.
func extraENI(set *Settings, l poolLimits, st Stats, freeable func() bool) bool {
	if set.warmIPDefined() {
		return true
	}
	warm := set.WarmENITarget + 1
	if set.PrefixDelegation {
		warm = set.WarmPrefixTarget + 1
	}
	return st.Available() >= warm*l.perENI || set.PrefixDelegation && freeable()
}

// prefixesNeeded is how many prefixes to ask for, at least one. Source: pkg/ipamd/ipamd.go, getPrefixesNeeded.
func prefixesNeeded(set *Settings, st Stats) int {
	if short, _, defined := target(set, st); defined {
		return max(1, short)
	}
	short, _ := prefixTarget(set, st)
	return max(1, short)
}

// forNewENI is how many addresses or prefixes to ask for with a new interface. Source: pkg/ipamd/ipamd.go, GetENIResourcesToAllocate.
func forNewENI(v *Version, set *Settings, l poolLimits, st Stats) int {
	n := l.slots
	if set.PrefixDelegation {
		n = prefixesNeeded(set, st)
	} else if short, _, defined := target(set, st); defined {
		n = short
	}
	if v.CapsNewInterface {
		n = min(n, l.slots)
	}
	return n
}
