package elb

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// State of a target, in the words of TargetHealthStateEnum, as one node sees it.
type healthState uint8

const (
	initialState healthState = iota
	healthyState
	unhealthyState
)

var healthNames = [...]string{"initial", "healthy", "unhealthy"}

// view is one node's opinion of one target. It is also the timer of the next probe.
type view struct {
	node   *Node
	group  *TargetGroup
	target *Target
	state  healthState
	gone   bool // deregistered, as far as this node knows
	passed int
	failed int
	reason string
	timer  engine.Timer
}

// targetsChanged tells the nodes of the load balancers that use a group about its targets, after a while.
func (s *Service) targetsChanged(tg *TargetGroup) {
	for _, lb := range s.lbs {
		for _, l := range lb.Listeners {
			if l.TargetGroup == tg {
				for _, n := range lb.Nodes {
					s.introduce(n, tg)
				}
				break
			}
		}
	}
}

// listenersChanged is called when a load balancer got or lost a listener, or a listener another group.
func (s *Service) listenersChanged(lb *LoadBalancer) {
	for _, n := range lb.Nodes {
		n.changed()
		for _, l := range lb.Listeners {
			s.introduce(n, l.TargetGroup)
		}
	}
}

// attributesChanged is called when an attribute of a load balancer or a target group changed.
func (s *Service) attributesChanged() {
	for _, lb := range s.lbs {
		s.listenersChanged(lb)
	}
}

// introduce makes a node know the targets of a group that it reaches, and forget the others.
func (s *Service) introduce(n *Node, tg *TargetGroup) {
	for _, t := range tg.Targets {
		v := t.views[n]
		switch {
		case t.Draining && v != nil && !v.gone:
			s.engine.After(s.opts.DeregistrationTime, "elb: deregistration", engine.Func(func() {
				if t.Draining && !v.gone {
					v.gone = true
					s.engine.Stop(v.timer)
					n.changed()
				}
			}))
		case !t.Draining && n.reaches(tg, t) && (v == nil || v.gone):
			if t.views == nil {
				t.views = map[*Node]*view{}
			}
			v = &view{node: n, group: tg, target: t, reason: "Elb.RegistrationInProgress"}
			t.views[n] = v
			// The first probe comes at a random moment of the interval: checkers are not in step.
			first := time.Duration(s.engine.Rand("elb: health checks").Int64N(int64(v.every())))
			v.timer = s.engine.After(s.opts.RegistrationTime+first, "elb: health check", v)
		case v != nil && !v.gone && !n.reaches(tg, t):
			v.gone = true
			s.engine.Stop(v.timer)
		}
	}
	n.changed()
}

// every is the time between two probes of a node at a target.
func (v *view) every() time.Duration {
	return v.group.HealthCheck.Interval / time.Duration(v.node.service.opts.Checkers)
}

// Fire makes a probe: a connection from the node's address. Health follows from what comes back.
func (v *view) Fire() {
	s, hc := v.node.service, v.group.HealthCheck
	if v.gone {
		return
	}
	v.timer = s.engine.After(v.every(), "elb: health check", v)
	if v.reason == "Elb.RegistrationInProgress" {
		v.reason = "Elb.InitialHealthChecking"
	}
	port := v.target.Port
	if hc.Port != "traffic-port" {
		n, err := strconv.ParseUint(hc.Port, 10, 16)
		if err != nil {
			s.engine.Fail(fmt.Errorf("elb: health check port %q", hc.Port))
			return
		}
		port = uint16(n)
	}
	c, err := v.node.device.Namespace().Dial(netip.AddrPortFrom(v.target.Addr, port))
	if err != nil {
		v.result(false, "Target.FailedHealthChecks")
		return
	}
	done := false
	var limit engine.Timer
	finish := func(ok bool, reason string) {
		if done {
			return
		}
		done = true
		s.engine.Stop(limit)
		c.Close()
		v.result(ok, reason)
	}
	limit = s.engine.After(hc.Timeout, "elb: health check timeout", engine.Func(func() { finish(false, "Target.FailedHealthChecks") }))
	c.OnConnect = func(err error) {
		switch {
		case err != nil:
			finish(false, "Target.FailedHealthChecks")
		case hc.Protocol == "TCP":
			finish(true, "")
		default:
			v.request(c, finish)
		}
	}
}

// request makes the HTTP request of a health check over an open connection.
func (v *view) request(c *linux.Conn, finish func(bool, string)) {
	c.OnError = func(error) { finish(false, "Target.FailedHealthChecks") }
	c.OnData = func(b []byte) {
		// NLB takes 200 to 399. Source: Network Load Balancers user guide, "Health checks: success codes".
		var status int
		if line, _, _ := bytes.Cut(b, []byte("\r\n")); len(line) >= 12 {
			status, _ = strconv.Atoi(string(line[9:12]))
		}
		finish(status >= 200 && status < 400, "Target.FailedHealthChecks")
	}
	c.Write(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n", v.group.HealthCheck.Path, v.node.Addr))
}

// result counts a probe that passed or failed.
func (v *view) result(ok bool, reason string) {
	if v.gone {
		return
	}
	hc := v.group.HealthCheck
	next := v.state
	if ok {
		v.passed, v.failed = v.passed+1, 0
		// A new target is in service after one passed check. Source: Network Load Balancers user guide, troubleshooting.
		if v.state == initialState || v.passed >= hc.HealthyThreshold {
			next, v.reason = healthyState, ""
		}
	} else {
		v.passed, v.failed = 0, v.failed+1
		if v.failed >= hc.UnhealthyThreshold {
			next, v.reason = unhealthyState, reason
		}
	}
	if next == v.state {
		return
	}
	log := v.node.service.log
	log.Emit(trace.Record{Kind: trace.Health, Actor: v.node.label, What: log.Name(fmt.Sprintf("%s:%d", v.target.ID, v.target.Port)), Text: healthNames[v.state] + " to " + healthNames[next], Reason: log.Name(v.reason)})
	v.state = next
	v.node.changed()
}

// Health is a target's state, reason and description as DescribeTargetHealth has them: what most of the nodes that check it say.
func (s *Service) Health(tg *TargetGroup, t *Target) (state, reason, description string) {
	if t.Draining {
		return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
	}
	var counts [3]int
	used := false
	reason = "Elb.RegistrationInProgress"
	for _, lb := range s.lbs {
		for _, l := range lb.Listeners {
			if l.TargetGroup != tg {
				continue
			}
			used = true
			for _, n := range lb.Nodes {
				if v := t.views[n]; v != nil && !v.gone {
					counts[v.state]++
					if v.state == initialState {
						reason = v.reason
					}
				}
			}
		}
	}
	switch {
	case !used:
		return "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
	case counts[healthyState] > counts[unhealthyState] && counts[healthyState] > 0:
		return "healthy", "", ""
	case counts[unhealthyState] > 0:
		return "unhealthy", "Target.FailedHealthChecks", "Health checks failed"
	case counts[initialState] == 0:
		return "unused", "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"
	}
	description = "Target registration is in progress"
	if reason == "Elb.InitialHealthChecking" {
		description = "Initial health checks in progress"
	}
	return "initial", reason, description
}
