package netfilter

import (
	"time"

	"github.com/ekslab/ekslab/sim/packet"
)

// TCPState is conntrack's view of a TCP connection, by the names of /proc/net/nf_conntrack.
type TCPState uint8

// TCP states, in the order of Linux's enum tcp_conntrack.
const (
	None TCPState = iota
	SynSent
	SynRecv
	EstablishedTCP
	FinWait
	CloseWait
	LastAck
	TimeWait
	Close
	SynSent2
	ignored
	invalid
)

var tcpStateNames = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2", "ignored", "invalid"}

func (s TCPState) String() string { return tcpStateNames[s] }

// Class of a segment by its flags, in the order of Linux's enum tcp_bit_set.
type class uint8

const (
	synSegment class = iota
	synAckSegment
	finSegment
	ackSegment
	rstSegment
	noneSegment
)

func classOf(f packet.Flags) class {
	switch {
	case f&packet.RST != 0:
		return rstSegment
	case f&packet.SYN != 0 && f&packet.ACK != 0:
		return synAckSegment
	case f&packet.SYN != 0:
		return synSegment
	case f&packet.FIN != 0:
		return finSegment
	case f&packet.ACK != 0:
		return ackSegment
	}
	return noneSegment
}

const (
	sNO = None
	sSS = SynSent
	sSR = SynRecv
	sES = EstablishedTCP
	sFW = FinWait
	sCW = CloseWait
	sLA = LastAck
	sTW = TimeWait
	sCL = Close
	sS2 = SynSent2
	sIG = ignored
	sIV = invalid
)

// transitions gives the next state by direction (original, reply), class of segment and state.
// Source: Linux net/netfilter/nf_conntrack_proto_tcp.c, tcp_conntracks.
var transitions = [2][6][10]TCPState{
	{ // NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2
		{sSS, sSS, sIG, sIG, sIG, sIG, sIG, sSS, sSS, sS2}, // SYN
		{sIV, sIV, sSR, sIV, sIV, sIV, sIV, sIV, sIV, sSR}, // SYN-ACK
		{sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV}, // FIN
		{sES, sIV, sES, sES, sCW, sCW, sTW, sTW, sCL, sIV}, // ACK
		{sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL}, // RST
		{sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}, // none of these
	},
	{
		{sIV, sS2, sIV, sIV, sIV, sIV, sIV, sSS, sIV, sS2}, // SYN
		{sIV, sSR, sIG, sIG, sIG, sIG, sIG, sIG, sIG, sSR}, // SYN-ACK
		{sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV}, // FIN
		{sIV, sIG, sSR, sES, sCW, sCW, sTW, sTW, sCL, sIG}, // ACK
		{sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL}, // RST
		{sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV, sIV}, // none of these
	},
}

// Timeouts of conntrack entries by TCP state, and of UDP.
// Source: Linux net/netfilter/nf_conntrack_proto_tcp.c tcp_timeouts, nf_conntrack_proto_udp.c udp_timeouts.
type Timeouts struct {
	TCP [10]time.Duration
	// UDPStream holds once a flow has been answered and is older than UDPStreamMinimum.
	UDP, UDPStream, UDPStreamMinimum time.Duration
}

// DefaultTimeouts are the kernel's.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		TCP: [10]time.Duration{
			SynSent: 120 * time.Second, SynRecv: 60 * time.Second, EstablishedTCP: 5 * 24 * time.Hour, FinWait: 120 * time.Second,
			CloseWait: 60 * time.Second, LastAck: 30 * time.Second, TimeWait: 120 * time.Second, Close: 10 * time.Second, SynSent2: 120 * time.Second,
		},
		UDP: 30 * time.Second, UDPStream: 120 * time.Second, UDPStreamMinimum: 2 * time.Second,
	}
}
