package packet

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Proto is an IP protocol number.
type Proto uint8

// Protocols that are modelled, by their IANA numbers.
const (
	ICMP Proto = 1
	TCP  Proto = 6
	UDP  Proto = 17
)

func (p Proto) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	}
	return fmt.Sprintf("proto-%d", uint8(p))
}

// Flags are the control bits of a TCP segment, as in its header.
type Flags uint8

// TCP control bits.
const (
	FIN Flags = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Has says whether all of f are set.
func (fl Flags) Has(f Flags) bool { return fl&f == f }

var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK"}

func (fl Flags) String() string {
	if fl == SYN|ACK {
		return "SYN-ACK"
	}
	var names []string
	for i, n := range flagNames {
		if fl&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, "+")
}

// Payload is what a packet carries. Its length is cheap to ask; its bytes are made only for a capture.
type Payload interface {
	// Len is the length in bytes on the wire.
	Len() int
	// AppendWire appends the bytes.
	AppendWire(b []byte) []byte
	// String is a short description for a trace.
	String() string
}

// Bytes is a payload that is just its bytes.
type Bytes []byte

// Len is the number of bytes.
func (b Bytes) Len() int { return len(b) }

// AppendWire appends the bytes.
func (b Bytes) AppendWire(to []byte) []byte { return append(to, b...) }

// String is the first line, shortened.
func (b Bytes) String() string {
	line, _, _ := strings.Cut(string(b[:min(len(b), 60)]), "\r\n")
	return line
}

// ICMPError is the body of an ICMP error message.
type ICMPError struct {
	Type, Code uint8
	// MTUBytes is the next hop's MTU of a "fragmentation needed".
	MTUBytes uint16
	// Quoted is the header of the packet that the error is about.
	Quoted Tuple
}

// ICMP error types and codes (RFC 792, RFC 1812).
const (
	ICMPUnreachable  = 3
	ICMPTimeExceeded = 11

	CodeTTLExceeded     = 0
	CodeNetUnreachable  = 0
	CodeHostUnreachable = 1
	CodePortUnreachable = 3
	CodeFragNeeded      = 4
)

// Lengths in bytes of headers without options, and of what an ICMP error quotes: an IP header and 8 bytes more.
const (
	ipHeaderBytes     = 20
	tcpHeaderBytes    = 20
	tcpOptionMSSBytes = 4
	udpHeaderBytes    = 8
	icmpHeaderBytes   = 8
	icmpQuotedBytes   = 28
)

// Packet is one packet. Whoever holds it owns it: forwarding changes it in place; a capture copies it.
type Packet struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Proto            Proto
	TTL              uint8
	// ID is the identification field of the IP header.
	ID    uint16
	Flags Flags
	// Seq, Ack and Window are the fields of a TCP header; Window is unscaled.
	Seq, Ack uint32
	Window   uint16
	// MSS is the value of the TCP option, in bytes; zero means the option is absent.
	MSS     uint16
	Payload Payload
	Error   *ICMPError

	// Mark is the kernel's mark of the packet. It does not travel: it is lost where the packet leaves the network namespace.
	Mark uint32
	// Serial follows the packet from its sender to its end through every rewriting. It is not on the wire.
	Serial uint64
}

// Tuple is what a flow is known by.
type Tuple struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16
	Proto            Proto
}

// Tuple returns the flow that p belongs to, in p's direction.
func (p *Packet) Tuple() Tuple {
	return Tuple{p.Src, p.Dst, p.SrcPort, p.DstPort, p.Proto}
}

// Reverse is the tuple of an answer.
func (t Tuple) Reverse() Tuple {
	return Tuple{t.Dst, t.Src, t.DstPort, t.SrcPort, t.Proto}
}

func (t Tuple) String() string {
	if t.Proto == ICMP {
		return t.Src.String() + " > " + t.Dst.String()
	}
	b := make([]byte, 0, 48)
	b = t.Src.AppendTo(b)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(t.SrcPort), 10)
	b = append(b, " > "...)
	b = t.Dst.AppendTo(b)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(t.DstPort), 10)
	return string(b)
}

// PayloadLen is the number of bytes above TCP, UDP or ICMP.
func (p *Packet) PayloadLen() int {
	if p.Payload == nil {
		return 0
	}
	return p.Payload.Len()
}

// Len is the total length of the IP packet in bytes.
func (p *Packet) Len() int {
	n := ipHeaderBytes + p.PayloadLen()
	switch p.Proto {
	case TCP:
		n += tcpHeaderBytes
		if p.MSS != 0 {
			n += tcpOptionMSSBytes
		}
	case UDP:
		n += udpHeaderBytes
	case ICMP:
		n += icmpHeaderBytes
		if p.Error != nil {
			n += icmpQuotedBytes
		}
	}
	return n
}

// SegmentLen is how far a TCP segment moves the sequence number.
func (p *Packet) SegmentLen() uint32 {
	n := uint32(p.PayloadLen())
	if p.Flags&SYN != 0 {
		n++
	}
	if p.Flags&FIN != 0 {
		n++
	}
	return n
}

// String is one line as a person reads a capture.
func (p *Packet) String() string {
	var b strings.Builder
	b.WriteString(p.Tuple().String())
	switch p.Proto {
	case TCP:
		fmt.Fprintf(&b, " %v", p.Flags)
		if p.Flags.Has(RST) || p.Flags.Has(SYN) {
			fmt.Fprintf(&b, " seq=%d", p.Seq)
		}
		if p.Flags.Has(ACK) && p.Flags&(SYN|RST) != 0 {
			fmt.Fprintf(&b, " ack=%d", p.Ack)
		}
		if p.MSS != 0 {
			fmt.Fprintf(&b, " mss=%d", p.MSS)
		}
	case UDP:
		b.WriteString(" udp")
	case ICMP:
		if p.Error != nil {
			fmt.Fprintf(&b, " icmp type %d code %d about %v", p.Error.Type, p.Error.Code, p.Error.Quoted)
		}
	}
	fmt.Fprintf(&b, " ttl=%d", p.TTL)
	if n := p.PayloadLen(); n > 0 {
		fmt.Fprintf(&b, " len=%d %q", n, p.Payload.String())
	}
	return b.String()
}
