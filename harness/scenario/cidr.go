package scenario

import (
	"encoding/binary"
	"net/netip"
)

const (
	// Prefix lengths of a subnet. Source: Amazon VPC user guide, "Subnet CIDR blocks".
	shortestSubnet = 16
	longestSubnet  = 28
	// mostCIDRBlocks is how many IPv4 CIDR blocks a VPC may have, the primary one among them; a quota that AWS can raise.
	// Source: Amazon VPC user guide, "Amazon VPC quotas", IPv4 CIDR blocks per VPC.
	mostCIDRBlocks = 5
)

// sharedSpace is where further CIDR blocks of a VPC in 192.168.0.0/16 may come from.
// Source: Amazon VPC user guide, "VPC CIDR blocks", IPv4 CIDR block association restrictions.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// cut gives every subnet with a prefixLength its range, and the VPC the blocks that are needed for it. Ranges that cannot be read are left
// alone; they are reported elsewhere.
func (c *worldChecker) cut(items *node) {
	v := &c.world.VPC
	primary, err := netip.ParsePrefix(v.CIDR)
	if err != nil {
		return
	}
	taken := []netip.Prefix{} // by subnets
	blocks := []netip.Prefix{primary}
	for _, text := range v.SecondaryCIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			blocks = append(blocks, p)
		}
	}
	for _, s := range v.Subnets {
		if p, err := netip.ParsePrefix(s.CIDR); err == nil {
			taken = append(taken, p)
		}
	}
	// What is cut from the primary block has one length mostly: the search goes on where the last of a length was found.
	next := map[int]netip.Prefix{}
	for i := range v.Subnets {
		s := &v.Subnets[i]
		n := itemNamed(items, s.Name)
		switch {
		case s.CIDR == "" && s.PrefixLength == 0:
			c.report(n, "name", "subnet %s has no range: cidr or prefixLength is needed", s.Name)
			continue
		case s.PrefixLength == 0:
			continue
		case s.CIDR != "":
			c.report(n, "prefixLength", "subnet %s has cidr and prefixLength; one is needed", s.Name)
			continue
		case s.PrefixLength > longestSubnet:
			c.report(n, "prefixLength", "subnet %s: prefixLength %d; from %d to %d are possible", s.Name, s.PrefixLength, shortestSubnet, longestSubnet)
			continue
		}
		p, ok := freeRange(primary, s.PrefixLength, next[s.PrefixLength], taken)
		if ok {
			next[s.PrefixLength] = p
		} else {
			block, free := freeRange(sharedSpace, shortestSubnet, netip.Prefix{}, blocks)
			if !free {
				c.report(n, "prefixLength", "subnet %s: no CIDR block is free in %s", s.Name, sharedSpace)
				continue
			}
			blocks = append(blocks, block)
			v.SecondaryCIDRs = append(v.SecondaryCIDRs, block.String())
			p = netip.PrefixFrom(block.Addr(), s.PrefixLength)
		}
		taken = append(taken, p)
		s.CIDR = p.String()
	}
}

// freeRange is the first range of a length in a block that overlaps none of those that are taken, from another one on.
func freeRange(block netip.Prefix, bits int, from netip.Prefix, taken []netip.Prefix) (netip.Prefix, bool) {
	if !block.Addr().Is4() || bits < block.Bits() {
		return netip.Prefix{}, false
	}
	at := block.Masked().Addr()
	if from.IsValid() {
		at = from.Addr()
	}
	for block.Contains(at) {
		p := netip.PrefixFrom(at, bits)
		over := -1
		for i, q := range taken {
			if p.Overlaps(q) {
				over = i
				break
			}
		}
		if over < 0 {
			return p, true
		}
		// Behind what is in the way, whichever is longer.
		after, ok := behind(netip.PrefixFrom(at, min(bits, taken[over].Bits())).Masked())
		if !ok {
			break
		}
		at = after
	}
	return netip.Prefix{}, false
}

// behind is the address after the last one of a range.
func behind(p netip.Prefix) (netip.Addr, bool) {
	a := p.Addr().As4()
	n := uint64(binary.BigEndian.Uint32(a[:])) + 1<<(32-p.Bits())
	if n > 1<<32-1 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), true
}
