package ipamd

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/vpc"
)

// Errors of the data store. Source: pkg/ipamd/datastore/data_store.go.
var (
	errIPAlreadyInStore = errors.New("datastore: IP already in data store")
	errUnknownIP        = errors.New("datastore: unknown IP")
	errIPInUse          = errors.New("datastore: IP is used and can not be deleted")
	errDuplicatedENI    = errors.New("data store: duplicate ENI")
	errUnknownENI       = errors.New("datastore: unknown ENI")
	// ErrUnknownPod is the answer to a release of what is not assigned.
	ErrUnknownPod = errors.New("datastore: unknown pod")
	// ErrNoAvailableIP is the answer to a pod that can have no address.
	ErrNoAvailableIP = errors.New("AssignPodIPv4Address: no available IP/Prefix addresses")
)

// prefixSize is the number of addresses of a delegated prefix. Source: pkg/ipamd/datastore/data_store.go, GetPrefixDelegationDefaults.
const prefixSize = 16

// minENILifeTime is the shortest time before an interface is freed; it counts from when the daemon came to know the interface.
// Source: pkg/ipamd/datastore/data_store.go.
const minENILifeTime = time.Minute

// Key names a pod's sandbox: the container id, since network and interface are always the same.
type Key string

// Store is the data store: the network interfaces that the daemon knows, their addresses and prefixes, and who has them. Use NewStore.
type Store struct {
	now    func() time.Duration
	random *rand.Rand
	// prefixes says that addresses are given from prefixes, and those that are single are left alone; else the other way round.
	prefixes bool
	cooldown time.Duration

	enis slots[*ENI]
	pods map[Key]*Address
	// counts of the current mode, kept as things change.
	total, assigned int
	// allocatedPrefixes counts prefixes in either mode.
	allocatedPrefixes int
	forceRemovedENIs  int
	forceRemovedIPs   int
}

// NewStore returns an empty store. The stream decides the order in which maps are walked.
func NewStore(now func() time.Duration, random *rand.Rand, prefixes bool, cooldown time.Duration) *Store {
	return &Store{now: now, random: random, prefixes: prefixes, cooldown: cooldown, pods: map[Key]*Address{}}
}

// slots holds what the daemon holds in a Go map. Walking a map begins at a random place: up to eight entries lie in eight slots, in the order in which they
// came, and are walked from a random slot on, around the end; so with two entries the first comes first in seven of eight walks. More entries lie
// in an order that nobody knows, and any may be the first.
// Source: golang/go src/internal/runtime/maps/table.go, Iter.Next, for small maps; src/runtime/map.go before Go 1.24: the same for one bucket.
type slots[T comparable] struct {
	all []T
	n   int
}

const smallMap = 8

func (s *slots[T]) add(x T) {
	var none T
	if i := slices.Index(s.all, none); i >= 0 {
		s.all[i] = x
	} else {
		s.all = append(s.all, x)
	}
	s.n++
}

func (s *slots[T]) remove(x T) {
	var none T
	i := slices.Index(s.all, x)
	s.all[i] = none
	s.n--
	if s.n == 0 {
		s.all = s.all[:0]
	}
}

// walk calls f with the entries in the order of one walk, until f returns false.
func (s *slots[T]) walk(r *rand.Rand, f func(T) bool) {
	var none T
	if s.n == 0 {
		return
	}
	size := max(len(s.all), smallMap)
	for i, from := 0, r.IntN(size); i < size; i++ {
		if at := (from + i) % size; at < len(s.all) && s.all[at] != none && !f(s.all[at]) {
			return
		}
	}
}

// list is the entries as they came, to count them.
func (s *slots[T]) list() []T { return s.all }

// ENI is a network interface in the store.
type ENI struct {
	ID           vpc.InterfaceID
	IsPrimary    bool
	DeviceNumber int
	SubnetID     vpc.SubnetID
	// Excluded interfaces give pods no addresses: the tag of their subnet says so.
	Excluded bool

	created time.Duration
	cidrs   slots[*CIDR]
}

// CIDR is a secondary address, or a prefix.
type CIDR struct {
	Prefix   netip.Prefix
	IsPrefix bool
	ENI      *ENI
	// used are the addresses that pods have, or have had.
	used     []*Address
	assigned int
}

// Size is how many addresses it has.
func (c *CIDR) Size() int { return 1 << (32 - c.Prefix.Bits()) }

// Address is an address that a pod has, or has had.
type Address struct {
	Addr netip.Addr
	// Key is whose it is, empty if nobody's.
	Key  Key
	cidr *CIDR
	// unassigned is when the last pod gave it back, if one did.
	unassigned time.Duration
	released   bool
}

func (s *Store) cooling(a *Address) bool {
	return a.Key == "" && a.released && s.now()-a.unassigned <= s.cooldown
}

// counts says whether a CIDR is of the current mode.
func (s *Store) counts(c *CIDR) bool { return c.IsPrefix == s.prefixes }

func (s *Store) eni(id vpc.InterfaceID) *ENI {
	for _, e := range s.enis.list() {
		if e != nil && e.ID == id {
			return e
		}
	}
	return nil
}

// AddENI adds an interface.
func (s *Store) AddENI(id vpc.InterfaceID, device int, primary bool, subnet vpc.SubnetID) error {
	if s.eni(id) != nil {
		return errDuplicatedENI
	}
	s.enis.add(&ENI{ID: id, DeviceNumber: device, IsPrimary: primary, SubnetID: subnet, created: s.now()})
	return nil
}

func (e *ENI) cidr(p netip.Prefix) *CIDR {
	for _, c := range e.cidrs.list() {
		if c != nil && c.Prefix == p {
			return c
		}
	}
	return nil
}

// Add adds an address or a prefix to an interface.
func (s *Store) Add(id vpc.InterfaceID, p netip.Prefix, isPrefix bool) error {
	e := s.eni(id)
	if e == nil {
		return errUnknownENI
	}
	if e.cidr(p) != nil {
		return errIPAlreadyInStore
	}
	c := &CIDR{Prefix: p, IsPrefix: isPrefix, ENI: e}
	e.cidrs.add(c)
	if isPrefix {
		s.allocatedPrefixes++
	}
	if s.counts(c) && !e.Excluded {
		s.total += c.Size()
	}
	return nil
}

// Delete removes an address or a prefix; one that is in use only by force.
func (s *Store) Delete(id vpc.InterfaceID, p netip.Prefix, force bool) error {
	e := s.eni(id)
	if e == nil {
		return errUnknownENI
	}
	c := e.cidr(p)
	if c == nil {
		return errUnknownIP
	}
	if c.assigned > 0 && !force {
		return errIPInUse
	}
	s.drop(c)
	e.cidrs.remove(c)
	return nil
}

// drop takes a CIDR out of the counts, and its addresses from their pods.
func (s *Store) drop(c *CIDR) {
	for _, a := range c.used {
		if a.Key != "" {
			s.forceRemovedIPs++
			s.unassign(a)
		}
	}
	if c.IsPrefix {
		s.allocatedPrefixes--
	}
	if s.counts(c) && !c.ENI.Excluded {
		s.total -= c.Size()
	}
}

// RemoveENI removes an interface; one with pods only by force.
func (s *Store) RemoveENI(id vpc.InterfaceID, force bool) error {
	e := s.eni(id)
	if e == nil {
		return errUnknownENI
	}
	if e.pods() > 0 {
		if !force {
			return errors.New("datastore: ENI is used and can not be deleted")
		}
		s.forceRemovedENIs++
	}
	for _, c := range e.cidrs.list() {
		if c != nil {
			s.drop(c)
		}
	}
	s.enis.remove(e)
	return nil
}

// SetExcluded says whether an interface gives pods addresses.
func (s *Store) SetExcluded(id vpc.InterfaceID, excluded bool) {
	e := s.eni(id)
	if e == nil || e.Excluded == excluded {
		return
	}
	for _, c := range e.cidrs.list() {
		if c != nil && s.counts(c) {
			if excluded {
				s.total -= c.Size()
				s.assigned -= c.assigned
			} else {
				s.total += c.Size()
				s.assigned += c.assigned
			}
		}
	}
	e.Excluded = excluded
}

func (e *ENI) pods() int {
	n := 0
	for _, c := range e.cidrs.list() {
		if c != nil {
			n += c.assigned
		}
	}
	return n
}

func (s *Store) assign(a *Address, k Key) {
	a.Key = k
	a.cidr.assigned++
	s.pods[k] = a
	if s.counts(a.cidr) && !a.cidr.ENI.Excluded {
		s.assigned++
	}
}

func (s *Store) unassign(a *Address) {
	delete(s.pods, a.Key)
	a.Key = ""
	a.cidr.assigned--
	if s.counts(a.cidr) && !a.cidr.ENI.Excluded {
		s.assigned--
	}
}

// Assign gives a sandbox an address: the interfaces, and on each the addresses or prefixes, in the order of a walk; of a prefix, first an address that
// has cooled down, then the lowest that was never used. A sandbox that has one gets it again.
func (s *Store) Assign(k Key) (netip.Addr, *ENI, error) {
	if a := s.pods[k]; a != nil {
		return a.Addr, a.cidr.ENI, nil
	}
	var found *Address
	s.enis.walk(s.random, func(e *ENI) bool {
		if e.Excluded {
			return true
		}
		e.cidrs.walk(s.random, func(c *CIDR) bool {
			if s.counts(c) {
				found = s.unused(c)
			}
			return found == nil
		})
		return found == nil
	})
	if found == nil {
		return netip.Addr{}, nil, ErrNoAvailableIP
	}
	s.assign(found, k)
	return found.Addr, found.cidr.ENI, nil
}

// unused takes an address of a CIDR that is nobody's and does not cool down, or nil. Those that have cooled down are forgotten on the way.
func (s *Store) unused(c *CIDR) *Address {
	if c.assigned == c.Size() {
		return nil
	}
	var cooled []netip.Addr
	kept := c.used[:0]
	for _, a := range c.used {
		if a.Key == "" && !s.cooling(a) {
			cooled = append(cooled, a.Addr)
		} else {
			kept = append(kept, a)
		}
	}
	c.used = kept
	var addr netip.Addr
	if len(cooled) > 0 {
		addr = cooled[s.random.IntN(len(cooled))]
	} else {
		for addr = c.Prefix.Addr(); c.Prefix.Contains(addr); addr = addr.Next() {
			if !slices.ContainsFunc(c.used, func(a *Address) bool { return a.Addr == addr }) {
				break
			}
		}
		if !c.Prefix.Contains(addr) {
			return nil
		}
	}
	a := &Address{Addr: addr, cidr: c}
	c.used = append(c.used, a)
	return a
}

// Restore assigns an address as a checkpoint says. It returns false for an address that the store does not have.
func (s *Store) Restore(k Key, addr netip.Addr) bool {
	for _, e := range s.enis.list() {
		if e == nil {
			continue
		}
		for _, c := range e.cidrs.list() {
			if c != nil && c.Prefix.Contains(addr) {
				a := &Address{Addr: addr, cidr: c}
				c.used = append(c.used, a)
				s.assign(a, k)
				return true
			}
		}
	}
	return false
}

// Unassign takes an address from a sandbox. It cools down from now on.
func (s *Store) Unassign(k Key) (*Address, error) {
	a := s.pods[k]
	if a == nil {
		return nil, ErrUnknownPod
	}
	s.unassign(a)
	a.unassigned, a.released = s.now(), true
	return a, nil
}

// Stats are the numbers that the pool is judged by.
type Stats struct {
	// Total and Assigned count addresses of the current mode. Addresses that cool down count as available.
	Total, Assigned int
	// Prefixes counts prefixes, FreePrefixes those without a pod.
	Prefixes, FreePrefixes int
}

// Available is Total without Assigned.
func (s Stats) Available() int { return s.Total - s.Assigned }

// Stats counts.
func (s *Store) Stats() Stats {
	st := Stats{Total: s.total, Assigned: s.assigned, Prefixes: s.allocatedPrefixes}
	if s.allocatedPrefixes > 0 {
		for _, e := range s.enis.list() {
			if e == nil {
				continue
			}
			for _, c := range e.cidrs.list() {
				if c != nil && c.IsPrefix && c.assigned == 0 {
					st.FreePrefixes++
				}
			}
		}
	}
	return st
}

// Cooling counts the addresses that cool down.
func (s *Store) Cooling() int {
	n := 0
	for _, e := range s.enis.list() {
		if e == nil || e.Excluded {
			continue
		}
		for _, c := range e.cidrs.list() {
			if c == nil || !s.counts(c) {
				continue
			}
			for _, a := range c.used {
				if s.cooling(a) {
					n++
				}
			}
		}
	}
	return n
}

// ENIs is how many interfaces there are.
func (s *Store) ENIs() int { return s.enis.n }

// NeedENI is the interfaces that may have more addresses or prefixes, in the order of a walk. With custom networking the primary one gives pods none.
func (s *Store) NeedENI(limit int, skipPrimary bool) (out []*ENI) {
	s.enis.walk(s.random, func(e *ENI) bool {
		if !(skipPrimary && e.IsPrimary) && !e.Excluded && e.cidrs.n < limit {
			out = append(out, e)
		}
		return true
	})
	return out
}

// hasSlot says whether an interface may have more addresses or prefixes.
func (s *Store) hasSlot(limit int, skipPrimary bool) bool {
	for _, e := range s.enis.list() {
		if e != nil && !(skipPrimary && e.IsPrimary) && !e.Excluded && e.cidrs.n < limit {
			return true
		}
	}
	return false
}

// walkENIs lists the interfaces in the order of a walk.
func (s *Store) walkENIs() (out []*ENI) {
	s.enis.walk(s.random, func(e *ENI) bool { out = append(out, e); return true })
	return out
}

// freeable lists the addresses and prefixes of an interface that no pod uses, in the order of a walk.
func (s *Store) freeable(e *ENI, which func(*CIDR) bool) (out []*CIDR) {
	e.cidrs.walk(s.random, func(c *CIDR) bool {
		if c.assigned == 0 && (which == nil || which(c)) {
			out = append(out, c)
		}
		return true
	})
	return out
}

// Deletable is the first interface of a walk that may be freed, or nil: not the primary one, old enough, without pods and without addresses that cool
// down, and not needed for a target.
func (s *Store) Deletable(set *Settings) *ENI {
	if s.enis.n < 2 {
		return nil
	}
	var found *ENI
	s.enis.walk(s.random, func(e *ENI) bool {
		if s.deletable(e, set) {
			found = e
		}
		return found == nil
	})
	return found
}

// hasDeletable says whether Deletable would find an interface.
func (s *Store) hasDeletable(set *Settings) bool {
	for _, e := range s.enis.list() {
		if e != nil && s.deletable(e, set) {
			return true
		}
	}
	return false
}

func (s *Store) deletable(e *ENI, set *Settings) bool {
	switch {
	case e.IsPrimary || s.now()-e.created < minENILifeTime || e.pods() > 0 || s.hasCooling(e),
		set.WarmIPTarget != 0 && s.others(e, func(c *CIDR) int { return c.Size() - c.assigned }) < s.rounded(set.WarmIPTarget),
		set.MinimumIPTarget != 0 && s.others(e, (*CIDR).Size) < s.rounded(set.MinimumIPTarget),
		s.prefixes && set.WarmPrefixTarget != 0 && s.otherFreePrefixes(e) < set.WarmPrefixTarget:
		return false
	}
	return true
}

func (s *Store) hasCooling(e *ENI) bool {
	for _, c := range e.cidrs.list() {
		if c != nil && slices.ContainsFunc(c.used, s.cooling) {
			return true
		}
	}
	return false
}

// others adds up what f says of the addresses or prefixes on the other interfaces.
func (s *Store) others(e *ENI, f func(*CIDR) int) int {
	n := 0
	for _, o := range s.enis.list() {
		if o == nil || o == e || o.Excluded {
			continue
		}
		for _, c := range o.cidrs.list() {
			if c != nil && s.counts(c) {
				n += f(c)
			}
		}
	}
	return n
}

// otherFreePrefixes counts what is unused on the other interfaces: as the daemon does, single addresses too.
func (s *Store) otherFreePrefixes(e *ENI) int {
	n := 0
	for _, o := range s.enis.list() {
		if o == nil || o == e || o.Excluded {
			continue
		}
		for _, c := range o.cidrs.list() {
			if c != nil && c.assigned == 0 {
				n++
			}
		}
	}
	return n
}

// rounded is a number of addresses as whole prefixes, with prefix delegation.
func (s *Store) rounded(n int) int {
	if s.prefixes {
		return divCeil(n, prefixSize) * prefixSize
	}
	return n
}

// hasFreeableENI says whether an interface has no pods and is not the primary one.
func (s *Store) hasFreeableENI() bool {
	for _, e := range s.enis.list() {
		if e != nil && !e.IsPrimary && e.pods() == 0 {
			return true
		}
	}
	return false
}
