package elb

import (
	"net/netip"
	"strings"
	"time"
)

// nameTTL is the TTL of a load balancer's name. Source: Network Load Balancers user guide, "DNS name".
const nameTTL = 60 * time.Second

// partialAffinity is the share of queries, of 100, that partial_availability_zone_affinity answers with the client's own zone.
// Source: Network Load Balancers user guide, "Availability Zone DNS affinity".
const partialAffinity = 85

// Resolve answers a query for a load balancer's name by a client in a zone: one address for each zone that has a healthy target, all
// when no zone has. Known is false for names that are no load balancer's.
// Source: Network Load Balancers user guide, "Availability Zones", "Target group health".
func (s *Service) Resolve(name, zone string) (addrs []netip.Addr, ttl time.Duration, known bool) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, lb := range s.lbs {
		if strings.ToLower(lb.DNSName) != name {
			continue
		}
		if lb.State != "active" {
			return nil, nameTTL, true
		}
		hosts := make([]*host, 0, len(lb.hosts()))
		for _, h := range lb.hosts() {
			if h.servesAll() {
				hosts = append(hosts, h)
			}
		}
		if len(hosts) == 0 {
			hosts = lb.hosts()
		}
		own := false
		switch lb.Attributes[AttrRoutingPolicy] {
		case "availability_zone_affinity":
			own = true
		case "partial_availability_zone_affinity":
			own = s.engine.Rand("elb: dns").IntN(100) < partialAffinity
		}
		for _, h := range hosts {
			if own && h.Zone == zone {
				return []netip.Addr{h.answerAddr()}, nameTTL, true
			}
			addrs = append(addrs, h.answerAddr())
		}
		return addrs, nameTTL, true
	}
	return nil, 0, false
}

// servesAll says whether every target group of the load balancer has a healthy target for this node.
func (h *host) servesAll() bool {
	groups := h.LB.groups()
	for _, tg := range groups {
		found := false
		for _, v := range h.views[tg] {
			if v.state == healthyState {
				found = true
				break
			}
		}
		if !found {
			return false
		}
	}
	return len(groups) > 0
}
