// Package linux models the network stack of a Linux host as far as a packet's fate depends on it: network namespaces with devices,
// addresses, policy routing, netfilter, and TCP and UDP sockets.
//
// A packet's way through a namespace, as in the kernel:
//
//	device ─ PREROUTING ─ routing decision ─┬─ INPUT ─ socket
//	         (conntrack,    (source         └─ TTL ─ FORWARD ─┐
//	          mangle, nat)   validation)                      ├─ POSTROUTING ─ device
//	socket ─ routing decision ─ OUTPUT ───────────────────────┘  (mangle, nat, confirm)
//
// Each device crossing is a record of the trace, and so is each drop, by the kernel's own name for its reason.
//
// Models: veth pairs, loopback, MTU, rp_filter, martian sources, IP forwarding with TTL, ICMP errors, TCP handshake and close with
// retransmission (SYN, SYN-ACK, data, FIN), resets, ephemeral ports, the kernel's timer wheel on request, per-device counters.
// Does not model: ARP (a neighbour always answers), fragmentation, congestion and flow control, delayed ACKs, SACK, IPv6, GRO, early demux.
// Sources: Linux net/ipv4, net/netfilter, kernel/time/timer.c; each constant names its own.
package linux
