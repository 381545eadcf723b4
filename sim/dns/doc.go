// Package dns is names: messages, the resolver of a VPC, and the stub resolver of a container.
//
// Models: A and AAAA questions over UDP; answers, NXDOMAIN and empty answers with the zone's SOA; the VPC resolver with sources that may answer
// differently by zone; search lists with ndots, retries.
// Does not model: other record types, TCP, EDNS, DNSSEC, the VPC resolver's own cache (its sources answer each question).
// Sources: RFC 1035, RFC 2308; Amazon VPC User Guide, "DNS attributes for your VPC"; musl src/network.
package dns
