package vpc

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Whatever interfaces, addresses and prefixes come and go, each address is in one place. Census stops the world otherwise.
func TestPlacesOfAddresses(t *testing.T) {
	for _, cidr := range []string{"10.0.16.0/28", "10.0.16.0/27", "10.0.16.0/26", "10.0.16.0/24", "10.0.16.0/20"} {
		l := newLab(t)
		s, err := l.v.AddSubnet("s", "a", netip.MustParsePrefix(cidr), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := l.e.Rand("test")
		var enis []*Interface
		failedAddr, failedBlock := 0, 0
		for step := range 4000 {
			if len(enis) == 0 {
				eni, err := s.AddInterface("one", netip.Addr{})
				if err != nil {
					t.Fatal(err)
				}
				enis = append(enis, eni)
			}
			eni := enis[r.IntN(len(enis))]
			switch n := r.IntN(20); {
			case n < 8:
				if a, err := eni.Assign(netip.Addr{}); err != nil {
					failedAddr++
					if s.Available() != 0 {
						t.Fatalf("%s: %v with %d free addresses", cidr, err, s.Available())
					}
				} else if s.Free(a) {
					t.Fatalf("%v was assigned and is free", a)
				}
			case n < 12:
				before := s.Available()
				if p, err := eni.AssignPrefix(); err != nil {
					failedBlock++
				} else if p.Bits() != 28 || p != p.Masked() || s.Available() != before-16 {
					t.Fatalf("prefix %v, %d free of %d", p, s.Available(), before)
				}
			case n < 16 && len(eni.Addrs) > 1:
				eni.Unassign(eni.Addrs[1+r.IntN(len(eni.Addrs)-1)])
			case n < 18 && len(eni.Prefixes) > 0:
				eni.UnassignPrefix(eni.Prefixes[r.IntN(len(eni.Prefixes))])
			case n == 18:
				if other, err := s.AddInterface("another", netip.Addr{}); err == nil {
					enis = append(enis, other)
				}
			case n == 19:
				eni.Delete()
				enis = slices.DeleteFunc(enis, func(o *Interface) bool { return o == eni })
			}
			if step%20 == 0 || s.Size() < 100 {
				c := l.v.Census(s)
				if c.Reserved != 5 || c.Reserved+c.Free+c.Primary+c.Secondary+c.Prefix != s.Size() || c.Primary != len(enis) {
					t.Fatalf("%s: %+v of %d addresses, %d interfaces", cidr, c, s.Size(), len(enis))
				}
			}
		}
		if s.Size() <= 64 && (failedAddr == 0 || failedBlock == 0) {
			t.Errorf("%s never ran out: the test is too gentle", cidr)
		}
	}
}

// A prefix needs a block of which nothing is used; it is found though it is the only one.
func TestTheLastBlock(t *testing.T) {
	l := newLab(t)
	s, err := l.v.AddSubnet("s", "a", netip.MustParsePrefix("10.0.16.0/24"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for b := range 16 {
		if b == 0 || b == 9 || b == 15 {
			continue
		}
		if _, err := s.Take(netip.AddrFrom4([4]byte{10, 0, 16, byte(16*b + 3)})); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.TakePrefix(); err != nil || p.String() != "10.0.16.144/28" {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := s.TakePrefix(); err != errNoCIDRBlocks {
		t.Errorf("a second one: %v", err)
	}
	s.Give(netip.MustParseAddr("10.0.16.35"))
	if p, err := s.TakePrefix(); err != nil || p.String() != "10.0.16.32/28" {
		t.Errorf("after an address came back: %v, %v", p, err)
	}
}

// Addresses do not come in order, and not in the same one with another seed of the world; every one of them comes.
func TestAddressesComeFromAllOver(t *testing.T) {
	l := newLab(t)
	s, err := l.v.AddSubnet("s", "a", netip.MustParsePrefix("10.0.16.0/20"), false, nil)
	if err != nil {
		t.Fatal(err)
	}
	quarters := [4]int{}
	ascending := 0
	last := netip.Addr{}
	for range 200 {
		a, err := s.Take(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		quarters[(number(a)-s.base)*4/s.size]++
		if last.Less(a) {
			ascending++
		}
		last = a
	}
	for i, n := range quarters {
		if n < 25 || n > 80 {
			t.Errorf("%d of 200 addresses are in quarter %d", n, i)
		}
	}
	if ascending < 60 || ascending > 140 {
		t.Errorf("%d of 200 addresses are higher than the one before", ascending)
	}
	for range s.Available() {
		if _, err := s.Take(netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Take(netip.Addr{}); err != errNoFreeAddresses {
		t.Errorf("one more than all: %v", err)
	}
}

func TestCIDRBlocks(t *testing.T) {
	l := newLab(t) // has 10.0.0.0/16
	for _, c := range []struct{ cidr, want string }{
		{"100.64.0.0/16", ""},
		{"100.64.128.0/17", "overlaps"},
		{"10.0.3.0/24", "overlaps"},
		{"100.65.0.0/15", "from /16 to /28"},
		{"100.66.0.0/29", "from /16 to /28"},
		{"100.66.0.0/28", ""},
		{"100.67.0.0/20", ""},
		{"100.68.0.0/20", ""},
		{"100.69.0.0/20", "at most 5"},
	} {
		err := l.v.AddCIDR(netip.MustParsePrefix(c.cidr))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.cidr, err, c.want)
		}
	}
	for _, c := range []struct{ cidr, want string }{
		{"100.64.0.0/18", ""},
		{"100.64.32.0/19", "overlaps"},
		{"100.65.0.0/24", "not inside"},
		{"100.66.0.0/24", "not inside"}, // the block is smaller
		{"10.0.200.0/30", "from /16 to /28"},
	} {
		_, err := l.v.AddSubnet("x", "a", netip.MustParsePrefix(c.cidr), false, nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.cidr, err, c.want)
		}
	}
}

func BenchmarkTake(b *testing.B) {
	l := newLab(b)
	if err := l.v.AddCIDR(netip.MustParsePrefix("10.1.0.0/16")); err != nil {
		b.Fatal(err)
	}
	s, err := l.v.AddSubnet("s", "a", netip.MustParsePrefix("10.1.0.0/16"), false, nil)
	if err != nil {
		b.Fatal(err)
	}
	for range s.Available() - 1000 {
		if _, err := s.Take(netip.Addr{}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		a, err := s.Take(netip.Addr{})
		if err != nil {
			b.Fatal(err)
		}
		s.Give(a)
	}
}
