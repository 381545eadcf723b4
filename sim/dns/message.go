package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Type of a question.
type Type uint16

// Types that are modelled.
const (
	A    Type = Type(dns.TypeA)
	AAAA Type = Type(dns.TypeAAAA)
)

func (t Type) String() string { return dns.TypeToString[uint16(t)] }

// RCode of an answer.
type RCode uint8

// Codes that are modelled.
const (
	NoError  RCode = RCode(dns.RcodeSuccess)
	ServFail RCode = RCode(dns.RcodeServerFailure)
	NXDomain RCode = RCode(dns.RcodeNameError)
)

func (r RCode) String() string { return dns.RcodeToString[int(r)] }

// Message is a question about one name, or its answer. It is the payload of a packet and must not be changed once sent.
type Message struct {
	ID            uint16
	Response      bool
	Authoritative bool
	RCode         RCode
	// Name is fully qualified and in lower case, with its trailing dot.
	Name string
	Type Type
	// Addrs are the answer's addresses, in order; TTL is that of all its records.
	Addrs []netip.Addr
	TTL   time.Duration
	// Zone, when not empty, is the zone whose SOA a negative answer carries.
	Zone string
}

// Answer returns the skeleton of an answer to m.
func (m *Message) Answer() *Message {
	return &Message{ID: m.ID, Response: true, Name: m.Name, Type: m.Type}
}

// Parts of a SOA as CoreDNS and Route 53 fill it: a name server and a mailbox below the zone.
// Source: coredns/coredns plugin/backend_lookup.go, SOA.
const (
	soaServer  = "ns.dns."
	soaMailbox = "hostmaster."
)

// Len is the length on the wire, names compressed.
func (m *Message) Len() int {
	n := 12 + len(m.Name) + 1 + 4
	for _, a := range m.Addrs {
		n += 2 + 10 + a.BitLen()/8
	}
	if m.Zone != "" {
		n += 2 + 10 + len(soaServer) + 2 + len(soaMailbox) + 2 + 20
	}
	return n
}

// AppendWire appends the message as RFC 1035 has it.
func (m *Message) AppendWire(b []byte) []byte {
	w := new(dns.Msg)
	w.Id, w.Response, w.Authoritative, w.RecursionDesired, w.Rcode, w.Compress = m.ID, m.Response, m.Authoritative, true, int(m.RCode), true
	w.RecursionAvailable = m.Response
	w.Question = []dns.Question{{Name: m.Name, Qtype: uint16(m.Type), Qclass: dns.ClassINET}}
	ttl := uint32(m.TTL / time.Second)
	for _, a := range m.Addrs {
		h := dns.RR_Header{Name: m.Name, Rrtype: uint16(m.Type), Class: dns.ClassINET, Ttl: ttl}
		if a.Is4() {
			w.Answer = append(w.Answer, &dns.A{Hdr: h, A: a.AsSlice()})
		} else {
			w.Answer = append(w.Answer, &dns.AAAA{Hdr: h, AAAA: a.AsSlice()})
		}
	}
	if m.Zone != "" {
		w.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: m.Zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
			Ns: soaServer + m.Zone, Mbox: soaMailbox + m.Zone, Serial: 1, Refresh: 7200, Retry: 1800, Expire: 86400, Minttl: 5}}
	}
	wire, err := w.Pack()
	if err != nil {
		panic(fmt.Sprintf("dns: %v: %v", m, err))
	}
	return append(b, wire...)
}

func (m *Message) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", m.Type, m.Name)
	if m.Response {
		fmt.Fprintf(&b, " %v", m.RCode)
		for _, a := range m.Addrs {
			fmt.Fprintf(&b, " %v", a)
		}
		if len(m.Addrs) > 0 {
			fmt.Fprintf(&b, " ttl=%d", m.TTL/time.Second)
		}
	}
	return b.String()
}
