package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/gopacket/gopacket"

	"github.com/ekslab/ekslab/sim/packet"
)

// Packet is one packet as a capture on one interface shows it.
type Packet struct {
	At time.Time
	// Namespace is what the capture was taken in, Interface the device.
	Namespace, Interface string
	// Out is whether it left by the interface.
	Out bool
	// Raw is the packet from its IP header on.
	Raw []byte
	// Headers are what the observations need of it.
	Headers packet.Packet
}

// Length of an SLL2 header and the offsets of its fields. Source: tcpdump.org, LINKTYPE_LINUX_SLL2.
const (
	sllBytes      = 20
	sllProtocol   = 0
	sllInterface  = 4
	sllPacketType = 10
)

// Read reads the capture of one namespace. Interfaces are the namespace's devices by their index.
func Read(r io.Reader, namespace string, interfaces map[int]string) ([]Packet, error) {
	in, err := pcapgo.NewReader(r)
	if errors.Is(err, io.EOF) {
		return nil, nil // it was ended before it wrote its header: nothing came
	}
	if err != nil {
		return nil, fmt.Errorf("capture of %s: %w", namespace, err)
	}
	if in.LinkType() != layers.LinkTypeLinuxSLL2 {
		return nil, fmt.Errorf("capture of %s has link type %v, not that of tcpdump -i any", namespace, in.LinkType())
	}
	var out []Packet
	for {
		data, info, err := in.ReadPacketData()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the last packet may be cut
			return out, nil
		case err != nil:
			return nil, fmt.Errorf("capture of %s: %w", namespace, err)
		}
		if len(data) < sllBytes || binary.BigEndian.Uint16(data[sllProtocol:]) != uint16(layers.EthernetTypeIPv4) {
			continue
		}
		headers, ok := decode(data[sllBytes:])
		if !ok {
			continue
		}
		index := int(binary.BigEndian.Uint32(data[sllInterface:]))
		name := interfaces[index]
		if name == "" {
			name = fmt.Sprintf("if%d", index)
		}
		out = append(out, Packet{At: info.Timestamp, Namespace: namespace, Interface: name, Raw: data[sllBytes:], Headers: headers,
			Out: layers.LinuxSLL2PacketType(data[sllPacketType]) == layers.LinuxSLL2PacketTypeOutgoing})
	}
}

// decode reads the headers of an IPv4 packet.
func decode(raw []byte) (p packet.Packet, ok bool) {
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(raw, gopacket.NilDecodeFeedback); err != nil {
		return p, false
	}
	src, _ := netip.AddrFromSlice(ip.SrcIP.To4())
	dst, _ := netip.AddrFromSlice(ip.DstIP.To4())
	p = packet.Packet{Src: src, Dst: dst, Proto: packet.Proto(ip.Protocol), TTL: ip.TTL, ID: ip.Id}
	if ip.Protocol != layers.IPProtocolTCP || ip.FragOffset != 0 {
		return p, true
	}
	var tcp layers.TCP
	if err := tcp.DecodeFromBytes(ip.Payload, gopacket.NilDecodeFeedback); err != nil {
		return p, false
	}
	p.SrcPort, p.DstPort, p.Seq, p.Ack, p.Window = uint16(tcp.SrcPort), uint16(tcp.DstPort), tcp.Seq, tcp.Ack, tcp.Window
	for flag, set := range map[packet.Flags]bool{packet.FIN: tcp.FIN, packet.SYN: tcp.SYN, packet.RST: tcp.RST, packet.PSH: tcp.PSH, packet.ACK: tcp.ACK} {
		if set {
			p.Flags |= flag
		}
	}
	return p, true
}

// Merge puts captures into one, in the order of time.
func Merge(captures ...[]Packet) []Packet {
	all := slices.Concat(captures...)
	slices.SortStableFunc(all, func(a, b Packet) int { return a.At.Compare(b.At) })
	return all
}
