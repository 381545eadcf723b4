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

// dnsFailover is how long a node of an Application Load Balancer has been without a healthy target when its address leaves the name. It is not documented;
// Route 53's own health checks need three failures, 10 s apart. Network Load Balancers are taken to be quicker than any client notices.
// Source: Amazon Route 53 Developer Guide, "How Route 53 determines whether a health check is healthy" (fast interval, default failure threshold).
const dnsFailover = 30 * time.Second

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
			if h.servesAll() || h.alb() && h.listed && s.engine.Now()-h.unserved < dnsFailover {
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

// note keeps track of since when the node is without a healthy target.
func (h *host) note() {
	if h.servesAll() {
		h.listed, h.unserved = true, -1
	} else if h.unserved < 0 {
		h.unserved = h.service.engine.Now()
	}
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
