// Package packet is what travels: IPv4 packets with TCP, UDP and ICMP, their flows, and their bytes on the wire.
//
// Models: the header fields that decide what happens to a packet or that a person looks for in a capture: addresses, ports, TTL,
// identification, TCP flags, sequence numbers, window, MSS option, ICMP errors with the header they quote; lengths in bytes.
// Does not model: IPv6, IP options, fragments, TCP options other than MSS (they add no bytes here either), Ethernet beyond what a capture needs.
package packet
