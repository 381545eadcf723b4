package linux

import (
	"net/netip"

	"github.com/ekslab/ekslab/sim/packet"
)

// sockets is the sockets of a namespace, found as the kernel finds them: a connection by its four addresses, else a listener.
type sockets struct {
	conns     map[packet.Tuple]*Conn // by local > remote
	listeners map[netip.AddrPort]*Listener
	udp       map[netip.AddrPort]*UDPSocket
}

func (s *sockets) init() {
	s.conns, s.listeners, s.udp = map[packet.Tuple]*Conn{}, map[netip.AddrPort]*Listener{}, map[netip.AddrPort]*UDPSocket{}
}

// anyAddr is 0.0.0.0, the address of a socket that takes packets for every address of the namespace.
var anyAddr = netip.IPv4Unspecified()

// deliver hands a packet to the socket that it is for.
func (n *Namespace) deliver(d *Device, p *packet.Packet) {
	switch p.Proto {
	case packet.TCP:
		n.deliverTCP(d, p)
	case packet.UDP:
		s := n.udp[netip.AddrPortFrom(p.Dst, p.DstPort)]
		if s == nil {
			s = n.udp[netip.AddrPortFrom(anyAddr, p.DstPort)]
		}
		if s == nil || s.remote.IsValid() && s.remote != netip.AddrPortFrom(p.Src, p.SrcPort) {
			n.drop(d.label, p, DropNoSocket)
			n.sendError(p, packet.ICMPUnreachable, packet.CodePortUnreachable, 0)
			return
		}
		s.receive(p)
	case packet.ICMP:
		n.receiveError(p)
	}
}

// socketError reports an ICMP error to the socket that sent the packet it quotes.
func (n *Namespace) socketError(quoted packet.Tuple, err Errno) {
	switch quoted.Proto {
	case packet.TCP:
		// An established connection takes it as a hint only; one that is being opened fails.
		// Source: Linux net/ipv4/tcp_ipv4.c, tcp_v4_err.
		if c := n.conns[quoted]; c != nil && c.state == SynSent {
			c.fail(err)
		}
	case packet.UDP:
		if s := n.udp[netip.AddrPortFrom(quoted.Src, quoted.SrcPort)]; s != nil && s.OnError != nil {
			s.OnError(err)
		}
	}
}

// sourceFor is the address that the namespace uses towards dst; false if there is no route.
func (n *Namespace) sourceFor(dst netip.Addr) (netip.Addr, bool) {
	r := n.lookupOut(dst)
	if r == nil {
		return netip.Addr{}, false
	}
	if r.Src.IsValid() {
		return r.Src, true
	}
	if a := n.firstAddr(); a.IsValid() {
		return a, true
	}
	return netip.Addr{}, false
}

// firstAddr is the first address that is not loopback's, which a route without a preferred source falls back to.
func (n *Namespace) firstAddr() netip.Addr {
	for _, d := range n.devices[2:] {
		if d == nil {
			continue
		}
		if a := d.Addr(); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

// freePort draws an ephemeral port for which taken answers false; zero if there is none.
// Linux walks the range from a hashed, perturbed offset; what matters here is that ports are unpredictable and not reused while in use.
// Source: Linux net/ipv4/inet_hashtables.c, __inet_hash_connect.
func (n *Namespace) freePort(taken func(uint16) bool) uint16 {
	low, high := uint32(n.Sysctl.PortRangeLow), uint32(n.Sysctl.PortRangeHigh)
	size := high - low + 1
	start := n.kernel.random.Uint32N(size)
	for i := range size {
		if port := uint16(low + (start+i)%size); !taken(port) {
			return port
		}
	}
	return 0
}

// UDPSocket is a datagram socket.
type UDPSocket struct {
	ns     *Namespace
	local  netip.AddrPort
	remote netip.AddrPort
	// OnPacket is called with each datagram. The packet is the callee's.
	OnPacket func(*packet.Packet)
	// OnError is called with the error that an ICMP message brings.
	OnError func(error)
}

// ListenUDP binds a datagram socket to a port; the zero Addr takes packets for every address.
func (n *Namespace) ListenUDP(a netip.Addr, port uint16) (*UDPSocket, error) {
	if !a.IsValid() {
		a = anyAddr
	}
	local := netip.AddrPortFrom(a, port)
	if n.udp[local] != nil {
		return nil, EADDRINUSE
	}
	s := &UDPSocket{ns: n, local: local}
	n.udp[local] = s
	return s, nil
}

// DialUDP binds a datagram socket to an ephemeral port, connected to a remote address.
func (n *Namespace) DialUDP(remote netip.AddrPort) (*UDPSocket, error) {
	src, ok := n.sourceFor(remote.Addr())
	if !ok {
		return nil, ENETUNREACH
	}
	port := n.freePort(func(p uint16) bool {
		return n.udp[netip.AddrPortFrom(src, p)] != nil || n.udp[netip.AddrPortFrom(anyAddr, p)] != nil
	})
	if port == 0 {
		return nil, EADDRNOTAVAIL
	}
	s := &UDPSocket{ns: n, local: netip.AddrPortFrom(src, port), remote: remote}
	n.udp[s.local] = s
	return s, nil
}

// Local is the socket's own address.
func (s *UDPSocket) Local() netip.AddrPort { return s.local }

// Send sends a datagram to the remote address of a socket from DialUDP.
func (s *UDPSocket) Send(payload packet.Payload) { s.SendFrom(s.local.Addr(), s.remote, payload) }

// SendFrom sends a datagram from one of the namespace's addresses.
func (s *UDPSocket) SendFrom(src netip.Addr, to netip.AddrPort, payload packet.Payload) {
	s.ns.output(&packet.Packet{Src: src, SrcPort: s.local.Port(), Dst: to.Addr(), DstPort: to.Port(), Proto: packet.UDP, TTL: s.ns.Sysctl.IPDefaultTTL, ID: uint16(s.ns.kernel.random.Uint32()), Payload: payload})
}

// Close frees the port.
func (s *UDPSocket) Close() {
	if s.ns.udp[s.local] == s {
		delete(s.ns.udp, s.local)
	}
}

func (s *UDPSocket) receive(p *packet.Packet) {
	if s.OnPacket != nil {
		s.OnPacket(p)
	}
}
