package ipamd

// decrease gives back what is over. Source: pkg/ipamd/ipamd.go, decreaseDatastorePool, tryUnassignCidrsFromAll.
func (a *run) decrease() {
	st := a.store.Stats()
	_, over, defined := target(&a.set, st)
	if !defined {
		over = max(st.FreePrefixes-a.set.WarmPrefixTarget, 0)
		if !a.set.PrefixDelegation {
			over = 0
		}
	}
	if over <= 0 {
		return
	}
	for _, e := range a.store.walkENIs() {
		free := a.store.freeable(e, nil)
		if len(free) == 0 {
			if a.version.CountsReleases {
				continue
			}
			return
		}
		free = free[:min(over, len(free))]
		var gone []*CIDR
		for _, c := range free {
			if err := a.store.Delete(e.ID, c.Prefix, false); err != nil {
				a.metrics.err("decreaseIPPool")
				continue
			}
			a.freed[c.Prefix] = a.engine.Now() + ipReconcileCooldown
			gone = append(gone, c)
		}
		a.changed()
		a.dealloc(e.ID, gone)
		if a.version.CountsReleases {
			if over -= len(gone); over <= 0 {
				return
			}
		}
	}
}

// tryFreeENI frees one interface, if one may go. Source: pkg/ipamd/ipamd.go, tryFreeENI.
func (a *run) tryFreeENI() {
	if a.terminating {
		return
	}
	e := a.store.Deletable(&a.set)
	if e == nil || a.cordoned() {
		return
	}
	a.frees(e, a.store.Stats())
	_ = a.store.RemoveENI(e.ID, false)
	a.changed()
	if err := a.freeENI(e.ID); err != nil {
		a.metrics.err("decreaseIPPoolFreeENIFailed")
		if err == errUnableToDetach || err == errAttachmentID {
			return
		}
	}
	a.opts.Network.RemoveENI(e.ID)
}
