package tap

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ekslab/ekslab/sim/packet"
)

var epoch = time.Unix(1_700_000_000, 123_456_789)

// file is a capture as tcpdump -i any writes it, of packets on the interface with that index.
func file(t *testing.T, link layers.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: epoch.Add(time.Duration(i) * time.Microsecond), CaptureLength: len(f), Length: len(f)}, f); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func frame(index int, kind layers.LinuxSLL2PacketType, ethertype layers.EthernetType, raw []byte) []byte {
	f := make([]byte, sllBytes, sllBytes+len(raw))
	binary.BigEndian.PutUint16(f[sllProtocol:], uint16(ethertype))
	binary.BigEndian.PutUint32(f[sllInterface:], uint32(index))
	f[sllPacketType] = byte(kind)
	return append(f, raw...)
}

var syn = packet.Packet{Src: netip.MustParseAddr("192.168.41.36"), Dst: netip.MustParseAddr("192.168.155.87"), SrcPort: 52618, DstPort: 80, Proto: packet.TCP,
	TTL: 255, ID: 25193, Flags: packet.SYN, Seq: 3857268289, Window: 62727, MSS: 8961}

func TestRead(t *testing.T) {
	raw := syn.AppendWire(nil)
	data := file(t, layers.LinkTypeLinuxSLL2,
		frame(3, layers.LinuxSLL2PacketTypeHost, layers.EthernetTypeIPv4, raw),
		frame(2, layers.LinuxSLL2PacketTypeOutgoing, layers.EthernetTypeIPv4, raw),
		frame(2, layers.LinuxSLL2PacketTypeHost, layers.EthernetTypeARP, []byte("who has")),
		frame(2, layers.LinuxSLL2PacketTypeHost, layers.EthernetTypeIPv4, raw[:15]),
		frame(9, layers.LinuxSLL2PacketTypeHost, layers.EthernetTypeIPv4, raw),
	)
	got, err := Read(bytes.NewReader(data), "node", map[int]string{2: "eth1", 3: "veth0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("%d packets, want the 3 that are whole and IPv4", len(got))
	}
	for i, want := range []struct {
		name string
		out  bool
	}{{"veth0", false}, {"eth1", true}, {"if9", false}} {
		if g := got[i]; g.Interface != want.name || g.Out != want.out || g.Namespace != "node" {
			t.Errorf("packet %d: %s out=%v", i, g.Interface, g.Out)
		}
	}
	h := got[0].Headers
	h.MSS = syn.MSS // not read: no observation needs it
	if h != syn {
		t.Errorf("read %+v, want %+v", h, syn)
	}
	if !got[0].At.Equal(epoch) {
		t.Errorf("at %v, want %v: nanoseconds are kept", got[0].At, epoch)
	}
	// A capture that was cut in its last packet gives what was before.
	if got, err := Read(bytes.NewReader(data[:len(data)-7]), "node", nil); err != nil || len(got) != 2 {
		t.Errorf("cut short: %d packets, %v", len(got), err)
	}
	if got, err := Read(bytes.NewReader(nil), "node", nil); err != nil || len(got) != 0 {
		t.Errorf("empty: %d packets, %v", len(got), err)
	}
}

func TestReadRefusesOtherCaptures(t *testing.T) {
	for name, data := range map[string][]byte{"of one interface": file(t, layers.LinkTypeEthernet), "no capture": []byte("these are not the packets you look for")} {
		if _, err := Read(bytes.NewReader(data), "node", nil); err == nil || !strings.Contains(err.Error(), "capture of node") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergeAndWrite(t *testing.T) {
	raw := syn.AppendWire(nil)
	at := func(d time.Duration, namespace, device string) Packet {
		return Packet{At: epoch.Add(d), Namespace: namespace, Interface: device, Raw: raw, Headers: syn}
	}
	all := Merge([]Packet{at(0, "pod", "eth0"), at(30, "pod", "eth0")}, []Packet{at(10, "node", "veth0"), at(20, "node", "eth1")})
	var b bytes.Buffer
	if err := Write(&b, all); err != nil {
		t.Fatal(err)
	}
	r, err := pcapgo.NewNgReader(&b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			break
		}
		i, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, raw) {
			t.Errorf("wrote %x", data)
		}
		got = append(got, i.Name)
	}
	if want := "pod/eth0 node/veth0 node/eth1 pod/eth0"; strings.Join(got, " ") != want {
		t.Errorf("interfaces %v, want %s", got, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x4d\x3c\xb2\xa1\x02\x00\x04\x00"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = Read(bytes.NewReader(data), "node", nil)
	})
}
