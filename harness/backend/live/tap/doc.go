// Package tap reads what tcpdump captured on all interfaces of a network namespace, and writes several captures as one.
//
// It takes pcap files of link type LINUX_SLL2, which `tcpdump -i any` writes: each packet says by which interface and in which direction. What is no
// IPv4 packet is left out.
package tap
