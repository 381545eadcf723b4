package packet

import "encoding/binary"

// AppendWire appends p as an IPv4 packet with correct lengths and checksums.
func (p *Packet) AppendWire(b []byte) []byte {
	start := len(b)
	total := p.Len()
	src, dst := p.Src.As4(), p.Dst.As4()
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(total))
	b = binary.BigEndian.AppendUint16(b, p.ID)
	b = append(b, 0x40, 0, p.TTL, byte(p.Proto), 0, 0) // don't fragment
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum(0, b[start:])))

	l4 := len(b)
	at := -1 // of the checksum
	switch p.Proto {
	case TCP:
		words := byte(tcpHeaderBytes / 4)
		if p.MSS != 0 {
			words++
		}
		b = p.appendPorts(b)
		b = binary.BigEndian.AppendUint32(b, p.Seq)
		b = binary.BigEndian.AppendUint32(b, p.Ack)
		b = append(b, words<<4, byte(p.Flags))
		b = binary.BigEndian.AppendUint16(b, p.Window)
		at = len(b)
		b = append(b, 0, 0, 0, 0)
		if p.MSS != 0 {
			b = append(b, 2, 4)
			b = binary.BigEndian.AppendUint16(b, p.MSS)
		}
	case UDP:
		b = p.appendPorts(b)
		b = binary.BigEndian.AppendUint16(b, uint16(total-ipHeaderBytes))
		at = len(b)
		b = append(b, 0, 0)
	case ICMP:
		at = len(b) + 2
		if e := p.Error; e != nil {
			b = append(b, e.Type, e.Code, 0, 0, 0, 0)
			b = binary.BigEndian.AppendUint16(b, e.MTUBytes)
			quoted := Packet{Src: e.Quoted.Src, Dst: e.Quoted.Dst, SrcPort: e.Quoted.SrcPort, DstPort: e.Quoted.DstPort, Proto: e.Quoted.Proto, TTL: 1}
			b = append(b, quoted.AppendWire(nil)[:icmpQuotedBytes]...)
		} else {
			b = append(b, 8, 0, 0, 0, 0, 0, 0, 0)
		}
	}
	if p.Payload != nil {
		b = p.Payload.AppendWire(b)
	}
	if at >= 0 {
		var s uint32
		if p.Proto != ICMP {
			s = sum(s, src[:])
			s = sum(s, dst[:])
			s += uint32(p.Proto) + uint32(len(b)-l4)
		}
		c := ^fold(sum(s, b[l4:]))
		if c == 0 && p.Proto == UDP {
			c = 0xffff // zero would mean that there is no checksum
		}
		binary.BigEndian.PutUint16(b[at:], c)
	}
	return b
}

func (p *Packet) appendPorts(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.SrcPort)
	return binary.BigEndian.AppendUint16(b, p.DstPort)
}

// sum adds to an Internet checksum (RFC 1071).
func sum(s uint32, b []byte) uint32 {
	for len(b) >= 2 {
		s += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
