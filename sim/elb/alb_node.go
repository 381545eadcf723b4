package elb

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// ALBNode is one node of an Application Load Balancer: an HTTP proxy with a network stack, connections to targets and an opinion of the targets
// of its own.
type ALBNode struct {
	host
	// Metrics are the node's part of the load balancer's.
	Metrics map[string]int

	listening map[*Listener]*linux.Listener
	idle      map[*Target][]*back // connections without a request, the one used last at the end
	busy      []*back             // connections with a request, or being opened for one
	turn      map[*TargetGroup]int
	traceIDs  uint64
}

// connectTimeout is how long a node waits for a connection to a target.
// Source: Application Load Balancers user guide, "Troubleshoot: HTTP 504": the connection timeout expired (10 seconds).
const connectTimeout = 10 * time.Second

// newALBNode makes a node of an Application Load Balancer in a subnet, the nth one there.
func (s *Service) newALBNode(lb *LoadBalancer, subnet *vpc.Subnet, nth int, groups []*vpc.SecurityGroup) (*ALBNode, error) {
	h, err := s.plug(lb, subnet, s.nodeName("alb", subnet.Zone, nth), "ELB app/"+lb.Name, groups...)
	if err != nil {
		return nil, err
	}
	n := &ALBNode{host: h, Metrics: map[string]int{}, listening: map[*Listener]*linux.Listener{}, idle: map[*Target][]*back{}, turn: map[*TargetGroup]int{}}
	n.index = len(lb.ALBNodes)
	n.changed = n.note
	n.dropped = n.targetGone
	h.Interface.Attach(n.device)
	return n, nil
}

// listen opens the ports of listeners that are new, and closes those of listeners that are no more.
func (n *ALBNode) listen() error {
	for _, l := range n.LB.Listeners {
		if n.listening[l] != nil {
			continue
		}
		ln, err := n.namespace().Listen(netip.Addr{}, l.Port, func(c *linux.Conn) { n.accept(l, c) })
		if err != nil {
			return fmt.Errorf("elb: %s, port %d: %w", n.Name, l.Port, err)
		}
		n.listening[l] = ln
	}
	return nil
}

// count adds to a metric of the node and of its load balancer.
// Source: Application Load Balancers user guide, "CloudWatch metrics".
func (n *ALBNode) count(metrics ...string) {
	for _, m := range metrics {
		n.Metrics[m]++
		n.LB.Metrics[m]++
	}
}

// idleTimeout is the load balancer's, for connections of clients and of targets.
func (n *ALBNode) idleTimeout() time.Duration {
	s, err := strconv.Atoi(n.LB.Attributes[AttrIdleTimeout])
	if err != nil {
		s = 60
	}
	return time.Duration(s) * time.Second
}

// traceID makes an X-Amzn-Trace-Id.
func (n *ALBNode) traceID() string {
	n.traceIDs++
	return fmt.Sprintf("Root=1-%08x-%04x%020x", engine.Epoch.Add(n.service.engine.Now()).Unix(), n.index+1, n.traceIDs)
}

// choice is a target as it was chosen, with why.
type choice struct {
	view *view
	why  string
}

// choose picks the target of a request: in turn among the healthy ones of the node's view; among unhealthy ones when there is no other.
// Source: Application Load Balancers user guide, "Target group health: if a target group contains only unhealthy registered targets", "Routing algorithms:
// round robin".
func (n *ALBNode) choose(tg *TargetGroup) (choice, bool) {
	var by [3][]*view
	for _, v := range n.views[tg] {
		by[v.state] = append(by[v.state], v)
	}
	among, what := by[healthyState], "healthy"
	switch {
	case len(among) > 0:
	case len(by[unhealthyState]) > 0:
		among, what = by[unhealthyState], "unhealthy (fail open)"
	case n.service.opts.ALBServesInitial:
		among, what = by[initialState], "initial"
	}
	if len(among) == 0 {
		return choice{}, false
	}
	last, ok := n.turn[tg]
	var v *view
	if !ok { // nodes are not in step
		v = among[n.service.engine.Rand("elb: round robin").IntN(len(among))]
	} else {
		v = among[0]
		for _, next := range among {
			if next.target.number > last {
				v = next
				break
			}
		}
	}
	n.turn[tg] = v.target.number
	why := "the only " + what + " target that this node knows"
	if len(among) > 1 {
		why = "one of " + strconv.Itoa(len(among)) + " " + what + " targets that this node knows"
	}
	return choice{v, why}, true
}

// targetGone is called when the node has learned that a target was deregistered: connections without a request are closed at once, requests
// that are under way have until the end of the deregistration delay.
// Source: Application Load Balancers user guide, "Troubleshoot: HTTP 502": the deregistration delay period elapsed for a request.
func (n *ALBNode) targetGone(v *view) {
	for len(n.idle[v.target]) > 0 {
		n.idle[v.target][0].close()
	}
	e := n.service.engine
	left := v.target.DeregisteredAt + v.group.deregistrationDelay() - e.Now()
	for _, b := range n.busy {
		if b.view == v {
			e.After(left, "elb: deregistration delay", engine.Func(func() {
				if b.request != nil && b.open { // handled by the target; while it connects, the connect timeout counts
					b.fail(502, whyDelayOver)
				}
			}))
		}
	}
}

// Reasons of a node's own answers, as Access.Reason and the trace have them. AWS has no such words; its user guide describes each under the
// status ("Troubleshoot your Application Load Balancers: the load balancer generates an HTTP error").
const (
	whyRefused     = "ELB_TARGET_REFUSED_CONNECTION"
	whyUnreachable = "ELB_TARGET_UNREACHABLE"
	whyConnect     = "ELB_CONNECT_TIMEOUT"
	whyReset       = "ELB_TARGET_RESET_CONNECTION"
	whyClosed      = "ELB_TARGET_CLOSED_CONNECTION"
	whyMalformed   = "ELB_MALFORMED_RESPONSE"
	whyIdle        = "ELB_RESPONSE_TIMEOUT"
	whyDelayOver   = "ELB_DEREGISTRATION_DELAY_ELAPSED"
	whyNoTarget    = "ELB_NO_TARGET"
	whyBadRequest  = "ELB_BAD_REQUEST"
	whyRequestTime = "ELB_REQUEST_TIMEOUT"
	whyPorts       = "ELB_PORT_ALLOCATION_ERROR"
)

// Access is a line of the access log.
// Source: Application Load Balancers user guide, "Access logs: syntax"; the last four fields are the simulator's.
type Access struct {
	Time, Created time.Duration // time is when the answer was sent, request_creation_time when the request came in
	Client        netip.AddrPort
	Target        netip.AddrPort // zero where none was chosen
	// ELBStatusCode is what the client got; TargetStatusCode is zero ("-") where the target said nothing.
	ELBStatusCode, TargetStatusCode int
	Request                         string

	Node   string
	Reason string // of the load balancer's own answers
	// Chosen is the record of the choice of the target, Answered of the answer.
	Chosen, Answered trace.ID
}
