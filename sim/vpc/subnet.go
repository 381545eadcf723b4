package vpc

import (
	"fmt"
	"math/bits"
	"net/netip"
)

// Subnet is a range of addresses in one zone.
type Subnet struct {
	ID     SubnetID
	Name   string
	Zone   string
	CIDR   netip.Prefix
	Public bool
	Tags   map[string]string
	ACL    *NetworkACL

	vpc  *VPC
	base uint32
	size uint32
	free int
	// used has a bit for each address that is not free, those that AWS keeps among them.
	used []uint64
	// full counts the used addresses of each aligned /28.
	full []uint8
	// blocks is how many aligned /28 have no used address.
	blocks int
	random string
}

// prefixBits is the length of what prefix delegation gives a network interface, prefixSize the number of its addresses.
// Source: Amazon EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces".
const (
	prefixBits = 28
	prefixSize = 1 << (32 - prefixBits)
)

// reservedAddresses is how many addresses of a subnet AWS keeps: the first four and the last.
// Source: Amazon VPC User Guide, "Subnet CIDR blocks".
const reservedAddresses = 5

// AddSubnet makes a subnet within one of the VPC's CIDR blocks.
func (v *VPC) AddSubnet(name, zone string, cidr netip.Prefix, public bool, tags map[string]string) (*Subnet, error) {
	cidr = cidr.Masked()
	if cidr.Bits() < 16 || cidr.Bits() > 28 {
		return nil, fmt.Errorf("subnet %s: %v: a subnet is from /16 to /28", name, cidr)
	}
	inside := false
	for _, c := range v.CIDRs {
		inside = inside || c.Contains(cidr.Addr()) && c.Bits() <= cidr.Bits()
	}
	if !inside {
		return nil, fmt.Errorf("subnet %s: %v is not inside a CIDR block of the VPC, %v", name, cidr, v.CIDRs)
	}
	for _, s := range v.subnets {
		if s.CIDR.Overlaps(cidr) {
			return nil, fmt.Errorf("subnet %s: %v overlaps %s, %v", name, cidr, s.Name, s.CIDR)
		}
	}
	s := &Subnet{ID: SubnetID(v.NewID("subnet")), Name: name, Zone: zone, CIDR: cidr, Public: public, Tags: tags, vpc: v, base: number(cidr.Addr()), size: 1 << (32 - cidr.Bits())}
	s.random = "vpc: addresses of " + string(s.ID)
	s.used = make([]uint64, (s.size+63)/64)
	s.full = make([]uint8, s.size/prefixSize)
	s.free, s.blocks = int(s.size), len(s.full)
	for i := range uint32(reservedAddresses - 1) {
		s.take(i)
	}
	s.take(s.size - 1)
	v.subnets = append(v.subnets, s)
	v.byID[s.ID] = s
	return s, nil
}

// Available is the subnet's AvailableIpAddressCount.
func (s *Subnet) Available() int { return s.free }

// Reserved is how many addresses of the subnet AWS keeps.
func (s *Subnet) Reserved() int { return reservedAddresses }

// Size is how many addresses the subnet's range has, those that AWS keeps among them.
func (s *Subnet) Size() int { return int(s.size) }

// reserved says whether AWS keeps an address.
func (s *Subnet) reserved(a netip.Addr) bool {
	i := number(a) - s.base
	return i < reservedAddresses-1 || i == s.size-1
}

// Free says whether an address of the subnet is in use by no one.
func (s *Subnet) Free(a netip.Addr) bool { return s.CIDR.Contains(a) && !s.isUsed(number(a)-s.base) }

func (s *Subnet) isUsed(i uint32) bool { return s.used[i/64]&(1<<(i%64)) != 0 }

func (s *Subnet) take(i uint32) {
	s.used[i/64] |= 1 << (i % 64)
	s.free--
	b := &s.full[i/prefixSize]
	if *b == 0 {
		s.blocks--
	}
	*b++
}

// Take takes one address out of the subnet's free ones: the one asked for, or if that is the zero Addr, any.
//
// AWS hands out addresses from all over the range: a draw says from where the next free one is looked for. An address that was given back is free at
// once, and as likely to be drawn as any; AWS documents no quarantine.
func (s *Subnet) Take(want netip.Addr) (netip.Addr, error) {
	if want.IsValid() {
		if !s.CIDR.Contains(want) || s.reserved(want) {
			return netip.Addr{}, fmt.Errorf("%v is not a usable address of subnet %s, %v", want, s.Name, s.CIDR)
		}
		i := number(want) - s.base
		if s.isUsed(i) {
			return netip.Addr{}, fmt.Errorf("%v is in use", want)
		}
		s.take(i)
		return want, nil
	}
	if s.free == 0 {
		return netip.Addr{}, errNoFreeAddresses
	}
	i := s.next(s.vpc.engine.Rand(s.random).Uint32N(s.size))
	s.take(i)
	return address(s.base + i), nil
}

// next is the first free address from start on, around the end of the range. There must be one.
func (s *Subnet) next(start uint32) uint32 {
	word := start / 64
	free := ^s.used[word] &^ (1<<(start%64) - 1)
	for {
		if s.size < 64 {
			free &= 1<<s.size - 1
		}
		if free != 0 {
			return word*64 + uint32(bits.TrailingZeros64(free))
		}
		word = (word + 1) % uint32(len(s.used))
		free = ^s.used[word]
	}
}

// TakePrefix takes an aligned block of 16 addresses, none of which is in use, out of the subnet's free ones. As with single addresses, a draw says
// from where it is looked for.
func (s *Subnet) TakePrefix() (netip.Prefix, error) {
	if s.blocks == 0 {
		return netip.Prefix{}, errNoCIDRBlocks
	}
	n := uint32(len(s.full))
	b := s.vpc.engine.Rand(s.random).Uint32N(n)
	for s.full[b] != 0 {
		b = (b + 1) % n
	}
	for i := range uint32(prefixSize) {
		s.take(b*prefixSize + i)
	}
	return netip.PrefixFrom(address(s.base+b*prefixSize), prefixBits), nil
}

// Give returns an address to the subnet's free ones.
func (s *Subnet) Give(a netip.Addr) {
	i := number(a) - s.base
	if !s.CIDR.Contains(a) || s.reserved(a) || !s.isUsed(i) {
		s.vpc.engine.Broken("address %v given back to subnet %s, which had not handed it out", a, s.Name)
	}
	s.used[i/64] &^= 1 << (i % 64)
	s.free++
	b := &s.full[i/prefixSize]
	*b--
	if *b == 0 {
		s.blocks++
	}
}

// GivePrefix returns a block of addresses to the subnet's free ones.
func (s *Subnet) GivePrefix(p netip.Prefix) {
	base := number(p.Addr())
	for i := range uint32(prefixSize) {
		s.Give(address(base + i))
	}
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func address(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// maxCIDRBlocks is how many IPv4 CIDR blocks a VPC may have unless the quota is raised. Source: Amazon VPC User Guide, "Amazon VPC quotas".
const maxCIDRBlocks = 5

// AddCIDR associates a further CIDR block with the VPC.
func (v *VPC) AddCIDR(cidr netip.Prefix) error {
	cidr = cidr.Masked()
	if cidr.Bits() < 16 || cidr.Bits() > 28 {
		return fmt.Errorf("VPC CIDR block %v: it is from /16 to /28", cidr)
	}
	if len(v.CIDRs) == maxCIDRBlocks {
		return fmt.Errorf("VPC CIDR block %v: a VPC has at most %d", cidr, maxCIDRBlocks)
	}
	for _, c := range v.CIDRs {
		if c.Overlaps(cidr) {
			return fmt.Errorf("VPC CIDR block %v overlaps %v", cidr, c)
		}
	}
	v.CIDRs = append(v.CIDRs, cidr)
	return nil
}

// Contains says whether an address is in one of the VPC's CIDR blocks.
func (v *VPC) Contains(a netip.Addr) bool {
	for _, c := range v.CIDRs {
		if c.Contains(a) {
			return true
		}
	}
	return false
}

// Census is where the addresses of a subnet are. Each is in exactly one of these.
type Census struct {
	Reserved, Free, Primary, Secondary, Prefix int
}

// Census counts a subnet's addresses by walking over it and over the interfaces in it; it panics when one is in no place, or in two.
func (v *VPC) Census(s *Subnet) Census {
	const (
		reserved = iota + 1
		primary
		secondary
		delegated
	)
	place := make([]uint8, s.size)
	put := func(a netip.Addr, what uint8) {
		i := number(a) - s.base
		if i >= s.size || place[i] != 0 {
			v.engine.Broken("address %v of subnet %s is in two places, or in none of it", a, s.Name)
		}
		place[i] = what
	}
	for i := range uint32(reservedAddresses - 1) {
		put(address(s.base+i), reserved)
	}
	put(address(s.base+s.size-1), reserved)
	for _, eni := range v.enis { // the order is of no effect
		if eni.Subnet != s {
			continue
		}
		for i, a := range eni.Addrs {
			if i == 0 {
				put(a, primary)
			} else {
				put(a, secondary)
			}
		}
		for _, p := range eni.Prefixes {
			base := number(p.Addr())
			for i := range uint32(prefixSize) {
				put(address(base+i), delegated)
			}
		}
	}
	var c Census
	for i, what := range place {
		switch what {
		case 0:
			c.Free++
		case reserved:
			c.Reserved++
		case primary:
			c.Primary++
		case secondary:
			c.Secondary++
		case delegated:
			c.Prefix++
		}
		if s.isUsed(uint32(i)) != (what != 0) {
			v.engine.Broken("subnet %s disagrees with its interfaces about %v", s.Name, address(s.base+uint32(i)))
		}
	}
	if c.Free != s.free {
		v.engine.Broken("subnet %s counts %d free addresses, and has %d", s.Name, s.free, c.Free)
	}
	return c
}

// add is the address n after another.
func add(a netip.Addr, n uint32) netip.Addr { return address(number(a) + n) }
