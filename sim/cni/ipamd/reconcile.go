package ipamd

import (
	"net/netip"
	"slices"

	simec2 "github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/vpc"
)

// reconcile compares the store with the instance metadata, when nothing was done for a minute. Source: pkg/ipamd/ipamd.go, nodeIPPoolReconcile.
func (a *run) reconcile() {
	began := a.engine.Now()
	if a.reconciled() {
		return
	}
	attached := a.attachedENIs()
	fresh := slices.ContainsFunc(attached, func(m simec2.InterfaceMetadata) bool { return a.store.eni(m.ID) == nil })
	var tags map[vpc.InterfaceID]map[string]string
	if fresh {
		var err error
		if attached, tags, err = a.describeAllENIs(); err != nil {
			return
		}
	}
	marked := map[vpc.InterfaceID]bool{}
	known := a.store.walkENIs()
	for _, m := range attached {
		if e := a.store.eni(m.ID); e != nil {
			a.reconcileAddresses(e, m)
			a.reconcilePrefixes(e, m)
			marked[e.ID] = true
			continue
		}
		if err := a.tagENI(m.ID, tags[m.ID]); err != nil {
			a.metrics.err("eniReconcileAdd")
			continue
		}
		if err := a.setupENI(m); err != nil {
			a.metrics.err("eniReconcileAdd")
			continue
		}
		a.metrics.reconciled("eniReconcileAdd")
	}
	for _, e := range known {
		if marked[e.ID] || a.store.eni(e.ID) != e {
			continue
		}
		_ = a.store.RemoveENI(e.ID, true)
		a.metrics.reconciled("eniReconcileDel")
		a.changed()
	}
	a.acted, a.lastAction = true, a.engine.Now()
	if !a.version.PausesWithoutFreeAddresses { // v1.10 counts from the beginning
		a.lastAction = began
	}
}

// reconciled says whether something was done within the last minute, so that there is nothing to compare.
func (a *Agent) reconciled() bool {
	return a.acted && a.engine.Now()-a.lastAction <= nodeIPPoolReconcileInterval
}

// reconcileAddresses makes the store have the single addresses that the metadata shows. If they disagree, EC2 is asked.
func (a *run) reconcileAddresses(e *ENI, m simec2.InterfaceMetadata) {
	var pool []netip.Prefix
	for _, c := range e.cidrs.list() {
		if c != nil && !c.IsPrefix {
			pool = append(pool, c.Prefix)
		}
	}
	seen := make([]netip.Prefix, 0, len(m.LocalIPv4s))
	for _, x := range m.LocalIPv4s[1:] {
		seen = append(seen, netip.PrefixFrom(x, 32))
	}
	a.reconcileCIDRs(e, pool, seen, false)
}

func (a *run) reconcilePrefixes(e *ENI, m simec2.InterfaceMetadata) {
	var pool []netip.Prefix
	for _, c := range e.cidrs.list() {
		if c != nil && c.IsPrefix {
			pool = append(pool, c.Prefix)
		}
	}
	if len(pool)+len(m.IPv4Prefixes) > 0 {
		a.reconcileCIDRs(e, pool, m.IPv4Prefixes, true)
	}
}

func (a *run) fromEC2(id vpc.InterfaceID, prefixes bool) (out []netip.Prefix, err error) {
	addrs, blocks, err := a.addressesFromEC2(id)
	if prefixes {
		return blocks, err
	}
	for _, x := range addrs {
		out = append(out, netip.PrefixFrom(x, 32))
	}
	return out, err
}

func (a *run) reconcileCIDRs(e *ENI, pool, seen []netip.Prefix, prefixes bool) {
	differ := len(pool) != len(seen)
	if a.version.ComparesAddresses && !prefixes {
		differ = !sameSet(pool, seen)
	}
	trusted := false
	if differ {
		var err error
		if seen, err = a.fromEC2(e.ID, prefixes); err != nil {
			return
		}
		trusted = true
	}
	verified := a.verifyAndAdd(e, seen, trusted, prefixes)
	for _, p := range pool {
		if !slices.Contains(verified, p) && a.store.Delete(e.ID, p, true) == nil {
			a.metrics.reconciled("eniIPPoolReconcileDel")
			a.changed()
		}
	}
}

// verifyAndAdd adds what the metadata, or EC2, shows. What was given back less than a minute ago is not believed; later it is, when EC2 says so.
// Source: pkg/ipamd/ipamd.go, verifyAndAddIPsToDatastore, verifyAndAddPrefixesToDatastore.
func (a *run) verifyAndAdd(e *ENI, seen []netip.Prefix, trusted, prefixes bool) (verified []netip.Prefix) {
	var fromEC2 []netip.Prefix
	asked := false
	for _, p := range seen {
		if until, ok := a.freed[p]; ok {
			if a.engine.Now() < until {
				continue
			}
			if !trusted {
				if !asked {
					var err error
					if fromEC2, err = a.fromEC2(e.ID, prefixes); err != nil {
						verified = append(verified, p) // kept until EC2 has said
						continue
					}
					asked = true
				}
				if !slices.Contains(fromEC2, p) {
					continue
				}
			}
			delete(a.freed, p)
		}
		if err := a.store.Add(e.ID, p, prefixes); err == nil {
			a.changed()
		} else if err != errIPAlreadyInStore {
			continue
		}
		verified = append(verified, p)
	}
	return verified
}

func sameSet(x, y []netip.Prefix) bool {
	if len(x) != len(y) {
		return false
	}
	for _, p := range x {
		if !slices.Contains(y, p) {
			return false
		}
	}
	return true
}
