package dns

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
)

// Config is what /etc/resolv.conf says.
type Config struct {
	Nameserver netip.Addr
	Search     []string
	NDots      int
}

// Timeouts of musl's stub resolver, the one of Alpine images: two tries in five seconds.
// Source: musl src/network/res_msend.c, resolvconf.c.
const (
	stubTimeout  = 5 * time.Second
	stubAttempts = 2
)

// Errors of a look-up, in getaddrinfo's terms.
var (
	ErrNoName   = errors.New("name does not resolve")      // EAI_NONAME
	ErrNoData   = errors.New("name has no usable address") // EAI_NODATA
	ErrTryAgain = errors.New("try again")                  // EAI_AGAIN
)

// Lookup resolves a name as a process in the namespace does: A and AAAA at once from one socket, along the search list. Addresses come
// in the order of the answer.
func Lookup(p *engine.Process, ns *linux.Namespace, c Config, name string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	absolute := strings.HasSuffix(name, ".")
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	var names []string
	if !absolute && strings.Count(name, ".") < c.NDots {
		for _, s := range c.Search {
			names = append(names, name+"."+s+".")
		}
	}
	names = append(names, name+".")
	for _, n := range names {
		addrs, err := query(p, ns, c, n)
		if err != ErrNoName { // only a name that does not exist goes on to the next
			return addrs, err
		}
	}
	return nil, ErrNoName
}

// query asks for one name, both types, and waits for both answers.
func query(p *engine.Process, ns *linux.Namespace, c Config, name string) ([]netip.Addr, error) {
	s, err := ns.DialUDP(netip.AddrPortFrom(c.Nameserver, Port))
	if err != nil {
		return nil, ErrTryAgain
	}
	defer s.Close()
	r := ns.Engine().Rand("dns: ids of questions")
	var questions [2]*Message
	for i, t := range []Type{A, AAAA} {
		questions[i] = &Message{ID: uint16(r.Uint32()), Name: name, Type: t}
	}
	var answers [2]*Message
	s.OnPacket = func(pk *packet.Packet) {
		m, ok := pk.Payload.(*Message)
		if !ok || !m.Response {
			return
		}
		for i, q := range questions {
			if m.ID == q.ID && m.Type == q.Type && m.Name == q.Name && answers[i] == nil && m.RCode != ServFail {
				answers[i] = m
				p.Wake()
			}
		}
	}
	for range stubAttempts {
		for i, q := range questions {
			if answers[i] == nil {
				s.Send(q)
			}
		}
		until := p.Engine().Now() + stubTimeout/stubAttempts
		for answers[0] == nil || answers[1] == nil {
			left := until - p.Engine().Now()
			if left <= 0 || !p.Wait(left) {
				break
			}
		}
		if answers[0] != nil && answers[1] != nil {
			var addrs []netip.Addr
			for _, m := range answers {
				addrs = append(addrs, m.Addrs...)
			}
			switch {
			case len(addrs) > 0:
				return addrs, nil
			case answers[0].RCode == NXDomain || answers[1].RCode == NXDomain:
				return nil, ErrNoName
			}
			return nil, ErrNoData
		}
	}
	return nil, ErrTryAgain
}
