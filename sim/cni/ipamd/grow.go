package ipamd

import (
	"errors"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"

	simec2 "github.com/ekslab/ekslab/sim/ec2"
)

// insufficient says whether an error means that the subnet has nothing left.
func (a *run) insufficient(err error) bool {
	if a.version.PausesWithoutFreeAddresses && isCode(err, "InsufficientFreeAddressesInSubnet") {
		return true
	}
	return isCode(err, "InsufficientCidrBlocks")
}

func (a *run) acts() { a.acted, a.lastAction = true, a.engine.Now() }

// increase gets more: for an interface that is there, else by a new one. Source: pkg/ipamd/ipamd.go, increaseDatastorePool.
func (a *run) increase() error {
	if a.terminating || a.cordoned() || a.pausing() {
		return nil
	}
	st := a.store.Stats()
	if short, _, defined := target(&a.set, st); defined && short == 0 {
		return nil
	} else if short, prefixes := prefixTarget(&a.set, st); !defined && prefixes && short == 0 && !a.version.CapsAtMaxPods {
		return nil
	}
	increased, err := a.tryAssign()
	if err != nil {
		if a.insufficient(err) {
			a.empty, a.lastEmpty = true, a.engine.Now()
			return nil
		}
		if a.version.FailsWithoutInterface {
			return err
		}
	}
	switch {
	case increased:
		a.acts()
	case a.room():
		if a.tryAllocateENI() == nil {
			a.acts()
		}
	}
	return nil
}

// room says whether the node may have another interface.
func (a *Agent) room() bool {
	excluded := 0
	for _, e := range a.store.enis.list() {
		if e != nil && e.Excluded {
			excluded++
		}
	}
	return a.store.ENIs()-excluded < a.limits.enis-excluded
}

// tryAssign gets more addresses, or prefixes, for an interface that is there. Source: pkg/ipamd/ipamd.go, tryAssignCidrs, tryAssignIPs, tryAssignPrefixes.
func (a *run) tryAssign() (increased bool, err error) {
	st := a.store.Stats()
	wanted := a.limits.slots
	if short, _, defined := target(&a.set, st); defined {
		if short == 0 {
			return false, nil
		}
		wanted = short
	} else if short, prefixes := prefixTarget(&a.set, st); prefixes && short == 0 && !a.version.CapsAtMaxPods {
		return false, nil
	}
	if a.set.PrefixDelegation {
		wanted = prefixesNeeded(&a.set, st)
	}
	enis := a.store.NeedENI(a.limits.slots, a.set.CustomNetworking)
	if !a.version.TriesAllInterfaces {
		enis = enis[:min(len(enis), 1)]
	}
	for _, e := range enis {
		full := false
		out, err := a.allocAddresses(e.ID, min(a.limits.slots-e.cidrs.n, wanted))
		if err != nil && !isCode(err, "PrivateIpAddressLimitExceeded") {
			out, err = a.allocAddresses(e.ID, 1) // one is better than none
		}
		if isCode(err, "PrivateIpAddressLimitExceeded") {
			full = true // the store is behind: EC2 knows
		} else if err != nil {
			a.metrics.err("increaseIPPoolAllocIPAddressesFailed")
			if a.version.TriesAllInterfaces && a.set.SubnetDiscovery && a.insufficient(err) {
				continue
			}
			return false, err
		}
		var addrs []netip.Addr
		var prefixes []netip.Prefix
		if full || !a.version.TrustsAnswer {
			if addrs, prefixes, err = a.addressesFromEC2(e.ID); err != nil {
				a.metrics.err("increaseIPPoolGetENIaddressesFailed")
				return true, err
			}
			if a.set.PrefixDelegation {
				addrs = nil
			} else {
				prefixes = nil
			}
		} else if out == nil {
			return true, errors.New("failed to get ENI IP addresses during IP allocation")
		} else {
			for _, x := range out.AssignedPrivateIpAddresses {
				addrs = append(addrs, netip.MustParseAddr(aws.ToString(x.PrivateIpAddress)))
			}
			for _, x := range out.AssignedIpv4Prefixes {
				prefixes = append(prefixes, netip.MustParsePrefix(aws.ToString(x.Ipv4Prefix)))
			}
		}
		a.addAll(e, addrs, prefixes)
		return true, nil
	}
	return false, nil
}

// addAll adds addresses and prefixes to an interface of the store; what is there already stays.
func (a *run) addAll(e *ENI, addrs []netip.Addr, prefixes []netip.Prefix) {
	for _, x := range addrs {
		_ = a.store.Add(e.ID, netip.PrefixFrom(x, 32), false)
	}
	for _, x := range prefixes {
		_ = a.store.Add(e.ID, x, true)
	}
	a.changed()
}

// tryAllocateENI gets a new interface. Source: pkg/ipamd/ipamd.go, tryAllocateENI.
func (a *run) tryAllocateENI() error {
	var config *ENIConfig
	if a.set.CustomNetworking {
		c, ok := a.myENIConfig()
		if !ok {
			return errENIConfigAbsent
		}
		config = &c
	}
	n := forNewENI(&a.version, &a.set, a.limits, a.store.Stats())
	if a.version.CreatesWithAddresses && n <= 0 {
		return nil
	}
	id, err := a.allocENI(n, config)
	if err != nil {
		a.metrics.err("increaseIPPoolAllocENI")
		if a.version.CreatesWithAddresses && a.insufficient(err) {
			a.metrics.err("increaseIPPoolAllocIPAddressesFailed")
			a.empty, a.lastEmpty = true, a.engine.Now()
		}
		return err
	}
	if !a.version.CreatesWithAddresses {
		n = forNewENI(&a.version, &a.set, a.limits, a.store.Stats())
		if _, err := a.allocAddresses(id, n); err != nil && !(isCode(err, "PrivateIpAddressLimitExceeded") && !a.version.TrustsAnswer) {
			a.metrics.err("increaseIPPoolAllocIPAddressesFailed")
			if a.insufficient(err) {
				a.empty, a.lastEmpty = true, a.engine.Now()
				return err
			}
		}
	}
	m, err := a.waitForENI(id, n)
	if err != nil {
		a.metrics.err("increaseIPPoolwaitENIAttachedFailed")
		return err
	}
	if err := a.setupENI(m); err != nil {
		a.metrics.err("increaseIPPoolsetupENIFailed")
		return err
	}
	return nil
}

// myENIConfig is the ENIConfig that the node names, by annotation or label, else the one called default.
func (a *run) myENIConfig() (ENIConfig, bool) {
	n, err := a.opts.Node()
	if err != nil {
		return ENIConfig{}, false
	}
	name, ok := n.Annotations[a.set.ENIConfigNote]
	if !ok {
		if name, ok = n.Labels[a.set.ENIConfigLabel]; !ok {
			name = "default"
		}
	}
	return a.opts.ENIConfig(name)
}

// setupENI adds an interface to the store, sets the host up for it, and adds its addresses. Source: pkg/ipamd/ipamd.go, setupENI.
func (a *run) setupENI(m simec2.InterfaceMetadata) error {
	primary := a.opts.Metadata().Interfaces[0].ID
	if err := a.store.AddENI(m.ID, m.DeviceNumber, m.ID == primary, m.SubnetID); err != nil && err != errDuplicatedENI {
		return err
	}
	if a.version.ChecksSubnet && a.set.SubnetDiscovery {
		if no, err := a.excluded(m.SubnetID); err == nil && no {
			a.store.SetExcluded(m.ID, true)
		}
	}
	if m.ID != primary {
		if err := a.opts.Network.SetupENI(m); err != nil {
			_ = a.store.RemoveENI(m.ID, true)
			return err
		}
	}
	if e := a.store.eni(m.ID); e != nil {
		a.addAll(e, m.LocalIPv4s[1:], m.IPv4Prefixes)
	}
	return nil
}
