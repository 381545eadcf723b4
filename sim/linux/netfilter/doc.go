// Package netfilter is the packet filter of a network namespace: tables and chains of rules as iptables has them, connection tracking with
// TCP's states, and network address translation that is decided by the first packet of a connection and applied to all of it.
//
// Models: the five hooks with tables mangle, nat and filter; matches on protocol, addresses, ports, devices, marks, connection
// state, address type and chance; targets ACCEPT, DROP, REJECT, RETURN, jumps, DNAT, SNAT, MASQUERADE, MARK, CONNMARK and TCPMSS; conntrack entries with
// TCP states, timeouts, reopening of closed connections, and the choice of a free port.
// Does not model: raw and security tables, helpers, zones, logging, expectations, TCP window tracking, ipsets.
// Sources: Linux net/netfilter/nf_conntrack_core.c, nf_conntrack_proto_tcp.c, nf_nat_core.c; iptables-extensions(8).
package netfilter
