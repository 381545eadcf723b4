package dns

import (
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Len must be what the library makes of the message, since packets' lengths are counted without making their bytes.
func TestLenIsTheLengthOnTheWire(t *testing.T) {
	lb := "a0123456789abcdef-0123456789abcdef.elb.eu-west-1.amazonaws.com."
	for _, m := range []*Message{
		{ID: 1, Name: lb, Type: A},
		{ID: 1, Name: lb, Type: A, Response: true, TTL: 30 * time.Second, Addrs: []netip.Addr{netip.MustParseAddr("192.168.97.177"), netip.MustParseAddr("192.168.155.87"), netip.MustParseAddr("192.168.168.0")}},
		{ID: 2, Name: lb, Type: AAAA, Response: true, TTL: 30 * time.Second, Zone: "elb.eu-west-1.amazonaws.com."},
		{ID: 3, Name: lb + "default.svc.cluster.local.", Type: A, Response: true, RCode: NXDomain, TTL: 5 * time.Second, Zone: "cluster.local."},
	} {
		wire := m.AppendWire(nil)
		if len(wire) != m.Len() {
			t.Errorf("%v: %d bytes on the wire, Len says %d", m, len(wire), m.Len())
		}
		var back dns.Msg
		if err := back.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		if len(back.Answer) != len(m.Addrs) || back.Rcode != int(m.RCode) || back.Id != m.ID {
			t.Errorf("%v: read back as %v", m, &back)
		}
	}
}
