package route

import (
	"net/netip"
	"testing"
)

func TestLookup(t *testing.T) {
	d := New()
	pfx := netip.MustParsePrefix
	add := func(dst string, dev int, table Table, typ Type) {
		d.Replace(&Route{Dst: pfx(dst), Dev: dev, Table: table, Type: typ})
	}
	add("192.168.55.245/32", 1, Local, ToLocal)
	add("0.0.0.0/0", 2, Main, Unicast)
	add("192.168.32.0/19", 2, Main, Unicast)
	add("192.168.41.36/32", 7, Main, Unicast)
	add("0.0.0.0/0", 3, 2, Unicast)
	d.AddRule(Rule{Priority: 512, To: pfx("192.168.41.36/32"), Table: Main})
	d.AddRule(Rule{Priority: 1024, Mark: 0x80, Mask: 0x80, Table: Main})
	d.AddRule(Rule{Priority: 1536, From: pfx("192.168.50.0/32"), Table: 2})
	for _, c := range []struct {
		name     string
		src, dst string
		mark     uint32
		dev      int
	}{
		{"own address before everything", "10.0.0.1", "192.168.55.245", 0, 1},
		{"pod on this host by its /32", "10.0.0.1", "192.168.41.36", 0, 7},
		{"neighbour in the subnet", "10.0.0.1", "192.168.61.79", 0, 2},
		{"elsewhere", "10.0.0.1", "192.168.76.241", 0, 2},
		{"a pod of the second interface leaves by it", "192.168.50.0", "192.168.76.241", 0, 3},
		{"unless the connection came in by the first", "192.168.50.0", "192.168.76.241", 0x80, 2},
		{"to a local pod before from-pod rules", "192.168.50.0", "192.168.41.36", 0, 7},
	} {
		r := d.Lookup(Key{Src: netip.MustParseAddr(c.src), Dst: netip.MustParseAddr(c.dst), Mark: c.mark})
		if r == nil || r.Dev != c.dev {
			t.Errorf("%s: %v, want device %d", c.name, r, c.dev)
		}
	}
	if !d.Delete(Main, pfx("192.168.41.36/32")) || d.Delete(Main, pfx("192.168.41.36/32")) {
		t.Error("Delete must answer true once")
	}
	if r := d.Lookup(Key{Dst: netip.MustParseAddr("192.168.41.36")}); r.Dev != 2 {
		t.Errorf("after the delete: %v", r)
	}
	if New().Lookup(Key{Dst: netip.MustParseAddr("1.1.1.1")}) != nil {
		t.Error("a route out of nothing")
	}
}
