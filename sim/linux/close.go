package linux

import (
	"cmp"
	"slices"
)

// Close takes a namespace away, as the kernel does when its last process is gone and nothing holds it: its devices, its addresses and what its sockets
// still had to send. Nobody is told.
func (n *Namespace) Close() {
	for _, d := range n.devices[1:] {
		if d == nil {
			continue
		}
		if v, ok := d.Link.(*veth); ok { // the other end goes with it
			other := v.a
			if other == d {
				other = v.b
			}
			other.ns.RemoveDevice(other)
		}
		n.RemoveDevice(d)
	}
	conns := make([]*Conn, 0, len(n.conns))
	for _, c := range n.conns {
		conns = append(conns, c)
	}
	slices.SortFunc(conns, func(a, b *Conn) int {
		return cmp.Or(a.local.Compare(b.local), a.remote.Compare(b.remote))
	})
	for _, c := range conns {
		c.OnConnect, c.OnData, c.OnEOF, c.OnError = nil, nil, nil, nil
		c.forget("its network namespace is gone")
	}
	n.sockets.init()
}

// Peer is the other end of a veth pair, nil for any other device.
func (d *Device) Peer() *Device {
	v, ok := d.Link.(*veth)
	switch {
	case !ok:
		return nil
	case v.a == d:
		return v.b
	}
	return v.a
}
