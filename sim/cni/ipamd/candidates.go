package ipamd

import (
	"net/netip"
	"slices"
)

// Candidates lists the addresses of which Assign would give a new sandbox one now, in no particular order of preference: which of them is chance.
func (s *Store) Candidates() (out []netip.Addr) {
	for _, e := range s.enis.list() {
		if e == nil || e.Excluded {
			continue
		}
		for _, c := range e.cidrs.list() {
			if c != nil && s.counts(c) {
				out = append(out, s.candidates(c)...)
			}
		}
	}
	return out
}

// candidates are the addresses that one CIDR may give: those that have cooled down, else the lowest that was never used.
func (s *Store) candidates(c *CIDR) (out []netip.Addr) {
	for _, a := range c.used {
		if a.Key == "" && !s.cooling(a) {
			out = append(out, a.Addr)
		}
	}
	if len(out) > 0 {
		return out
	}
	for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
		if !slices.ContainsFunc(c.used, func(u *Address) bool { return u.Addr == a }) {
			return []netip.Addr{a}
		}
	}
	return nil
}

// AssignAddress gives a sandbox one of the Candidates; it says false for any other address. With it a store can follow the choices of another one.
func (s *Store) AssignAddress(k Key, addr netip.Addr) bool {
	for _, e := range s.enis.list() {
		if e == nil || e.Excluded {
			continue
		}
		for _, c := range e.cidrs.list() {
			if c == nil || !s.counts(c) || !c.Prefix.Contains(addr) || !slices.Contains(s.candidates(c), addr) {
				continue
			}
			s.forgetCooled(c)
			a := &Address{Addr: addr, cidr: c}
			c.used = append(c.used, a)
			s.assign(a, k)
			return true
		}
	}
	return false
}

// forgetCooled forgets the addresses of a CIDR that have cooled down, as the daemon does when it looks for one that is free.
func (s *Store) forgetCooled(c *CIDR) {
	c.used = slices.DeleteFunc(c.used, func(a *Address) bool { return a.Key == "" && !s.cooling(a) })
}
