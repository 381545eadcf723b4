package packet

import (
	"net/netip"
	"testing"

	gp "github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var a, b = netip.MustParseAddr("192.168.41.36"), netip.MustParseAddr("192.168.155.87")

// The bytes are read back by an independent decoder, which also checks every checksum.
func TestWireIsReadByAnIndependentDecoder(t *testing.T) {
	for _, p := range []Packet{
		{Src: a, Dst: b, SrcPort: 52618, DstPort: 80, Proto: TCP, TTL: 255, ID: 25193, Flags: SYN, Seq: 3857268289, Window: 62727, MSS: 8961},
		{Src: b, Dst: a, SrcPort: 80, DstPort: 52618, Proto: TCP, TTL: 253, Flags: PSH | ACK, Seq: 1, Ack: 77, Payload: Bytes("HTTP/1.1 200 OK\r\n")},
		{Src: a, Dst: b, SrcPort: 5355, DstPort: 5354, Proto: UDP, TTL: 64, Payload: Bytes("odd")},
		{Src: b, Dst: a, Proto: ICMP, TTL: 64, Error: &ICMPError{Type: ICMPTimeExceeded, Quoted: Tuple{a, b, 9, 80, TCP}}},
	} {
		wire := p.AppendWire(nil)
		if len(wire) != p.Len() {
			t.Errorf("%v: %d bytes, Len says %d", &p, len(wire), p.Len())
		}
		dec := gp.NewPacket(wire, layers.LayerTypeIPv4, gp.Default)
		if e := dec.ErrorLayer(); e != nil {
			t.Fatalf("%v: %v", &p, e.Error())
		}
		if l, ok := dec.TransportLayer().(interface{ SetNetworkLayerForChecksum(gp.NetworkLayer) error }); ok {
			l.SetNetworkLayerForChecksum(dec.NetworkLayer())
		}
		if err, mismatches := dec.VerifyChecksums(); err != nil || len(mismatches) > 0 {
			t.Errorf("%v: checksum %v %v", &p, err, mismatches)
		}
		ip := dec.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if ip.SrcIP.String() != p.Src.String() || ip.TTL != p.TTL || ip.Id != p.ID || int(ip.Length) != p.Len() {
			t.Errorf("%v: decoded %+v", &p, ip)
		}
		if p.Proto == TCP {
			tcp := dec.Layer(layers.LayerTypeTCP).(*layers.TCP)
			if uint16(tcp.SrcPort) != p.SrcPort || tcp.Seq != p.Seq || tcp.Ack != p.Ack || tcp.SYN != p.Flags.Has(SYN) || tcp.ACK != p.Flags.Has(ACK) {
				t.Errorf("%v: decoded %+v", &p, tcp)
			}
			if p.MSS != 0 && (len(tcp.Options) != 1 || tcp.Options[0].OptionType != layers.TCPOptionKindMSS) {
				t.Errorf("%v: options %v", &p, tcp.Options)
			}
		}
	}
}

func TestFlagsReadAsInACapture(t *testing.T) {
	for fl, want := range map[Flags]string{SYN: "SYN", SYN | ACK: "SYN-ACK", RST: "RST", PSH | ACK: "PSH+ACK", FIN | ACK: "FIN+ACK"} {
		if got := fl.String(); got != want {
			t.Errorf("%d: %q, want %q", fl, got, want)
		}
	}
}
