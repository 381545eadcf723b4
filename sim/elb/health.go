package elb

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
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
	node   *host
	group  *TargetGroup
	target *Target
	state  healthState
	// leaving is set while the news that the target was deregistered is on its way, gone when it has come.
	leaving, gone bool
	passed        int
	failed        int
	// reason is TargetHealth.Reason, detail what Description says besides.
	reason string
	detail string
	timer  engine.Timer
}

// drop is what happens when the node learns that the target was deregistered.
func (v *view) drop() {
	if v.gone {
		return
	}
	log := v.node.service.log
	since := v.node.service.engine.Now() - v.target.DeregisteredAt
	log.Emit(trace.Record{Kind: trace.Health, Actor: v.node.label, What: v.target.name(log), Ref: v.target.Deregistered, Text: healthNames[v.state] + " to gone, " + seconds(since) + " after it was deregistered"})
	v.forget()
	if v.node.dropped != nil {
		v.node.dropped(v)
	}
}

// forget ends the node's interest in the target.
func (v *view) forget() {
	v.gone = true
	v.node.service.engine.Stop(v.timer)
	h := v.node
	h.views[v.group] = slices.DeleteFunc(h.views[v.group], func(o *view) bool { return o == v })
	h.changed()
}

// seconds writes a duration for people, to the millisecond.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64) + " s"
}

// targetsChanged tells the nodes of the load balancers that use a group about its targets, after a while. Rest is how long the answer to the call
// is still under way.
func (s *Service) targetsChanged(tg *TargetGroup, rest time.Duration) {
	for _, lb := range s.lbs {
		if slices.Contains(lb.groups(), tg) {
			for _, h := range lb.hosts() {
				h.introduce(tg, rest)
			}
		}
	}
}

// listenersChanged is called when a load balancer got or lost a listener or a rule, or one of them another group.
func (s *Service) listenersChanged(lb *LoadBalancer) {
	groups := lb.groups()
	for _, h := range lb.hosts() {
		h.changed()
		for _, tg := range groups {
			h.introduce(tg, 0)
		}
	}
}

// attributesChanged is called when an attribute of a load balancer or a target group changed.
func (s *Service) attributesChanged() {
	for _, lb := range s.lbs {
		s.listenersChanged(lb)
	}
}

// every is the time between two probes of a node at a target.
func (v *view) every() time.Duration {
	if v.node.alb() {
		return v.group.HealthCheck.Interval
	}
	return v.group.HealthCheck.Interval / time.Duration(v.node.service.opts.Checkers)
}

// Fire makes a probe: a connection from the node's address. Health follows from what comes back.
func (v *view) Fire() {
	s, hc := v.node.service, &v.group.HealthCheck
	if v.gone {
		return
	}
	v.timer = s.engine.After(v.every(), "elb: health check", v)
	if v.reason == "Elb.RegistrationInProgress" {
		v.reason = "Elb.InitialHealthChecking"
		if v.node.alb() {
			s.log.Emit(trace.Record{Kind: trace.Health, Actor: v.node.label, What: v.target.name(s.log), Ref: v.target.Origin, Text: "known to this node", Reason: s.log.Name(v.reason)})
		}
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
	c, err := v.node.namespace().Dial(netip.AddrPortFrom(v.target.Addr, port))
	if err != nil {
		v.result(outcome{reason: failedHealthChecks})
		return
	}
	p := &probe{view: v, conn: c}
	p.limit = s.engine.After(hc.Timeout, "elb: health check timeout", p)
	c.OnConnect = func(err error) {
		switch {
		case err != nil:
			p.finish(outcome{reason: failedHealthChecks})
		case hc.Protocol == "TCP":
			p.finish(outcome{passed: true})
		default:
			p.request()
		}
	}
}

// Reasons of failed checks. Source: Application Load Balancers user guide, "Health checks: target health status reason codes"; a Network Load
// Balancer has only the last.
const (
	timedOut           = "Target.Timeout"
	codeMismatch       = "Target.ResponseCodeMismatch"
	failedHealthChecks = "Target.FailedHealthChecks"
)

// outcome is what came of a probe.
type outcome struct {
	passed bool
	reason string
	detail string
}

// probe is a health check under way. It is also the timer of its timeout.
type probe struct {
	view  *view
	conn  *linux.Conn
	limit engine.Timer
	done  bool
}

// Fire is the timeout.
func (p *probe) Fire() { p.finish(outcome{reason: timedOut}) }

func (p *probe) finish(o outcome) {
	if p.done {
		return
	}
	p.done = true
	p.view.node.service.engine.Stop(p.limit)
	p.conn.Close()
	p.view.result(o)
}

// request makes the HTTP request of a health check over the open connection.
func (p *probe) request() {
	v := p.view
	hc := &v.group.HealthCheck
	p.conn.OnError = func(error) { p.finish(outcome{reason: failedHealthChecks}) }
	p.conn.OnEOF = func() { p.finish(outcome{reason: failedHealthChecks}) }
	p.conn.OnData = func(b []byte) {
		var status int
		if line, _, _ := bytes.Cut(b, []byte("\r\n")); len(line) >= 12 {
			status, _ = strconv.Atoi(string(line[9:12]))
		}
		if hc.Matcher.matches(status) {
			p.finish(outcome{passed: true})
		} else {
			p.finish(outcome{reason: codeMismatch, detail: strconv.Itoa(status)})
		}
	}
	p.conn.Write(v.node.question(hc.Path))
}

// question is the request of a health check.
// Source: Application Load Balancers user guide, "Health checks": User-Agent ELB-HealthChecker/2.0.
func (h *host) question(path string) []byte {
	if h.asked == nil {
		h.asked = map[string][]byte{}
	}
	if h.asked[path] == nil {
		h.asked[path] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %v\r\nConnection: close\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n", path, h.Addr)
	}
	return h.asked[path]
}

// result counts a probe that passed or failed.
func (v *view) result(o outcome) {
	if v.gone {
		return
	}
	hc := &v.group.HealthCheck
	next := v.state
	if o.passed {
		v.passed, v.failed = v.passed+1, 0
		// A new target is in service after one passed check. Source: Application and Network Load Balancers user guides, troubleshooting.
		need := hc.HealthyThreshold
		if v.state == initialState {
			need = 1
			if !v.node.alb() {
				need = v.node.service.opts.NLBInitialChecks
			}
		}
		if v.passed >= need {
			next, v.reason, v.detail = healthyState, "", ""
		}
	} else {
		v.passed, v.failed = 0, v.failed+1
		if v.failed >= hc.UnhealthyThreshold {
			next, v.reason, v.detail = unhealthyState, o.reason, o.detail
			if !v.node.alb() {
				v.reason, v.detail = failedHealthChecks, ""
			}
		}
	}
	if next == v.state {
		return
	}
	log := v.node.service.log
	log.Emit(trace.Record{Kind: trace.Health, Actor: v.node.label, What: v.target.name(log), Text: healthNames[v.state] + " to " + healthNames[next], Reason: log.Name(v.reason)})
	v.state = next
	v.node.changed()
}

// Health is a target's state, reason and description as DescribeTargetHealth has them: what most of the nodes that check it say. AWS does not
// document how the opinions of nodes become one.
// Source of the words: Application Load Balancers user guide, "Target health status", "Health check reason codes".
func (s *Service) Health(tg *TargetGroup, t *Target) (state, reason, description string) {
	if t.Draining {
		return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
	}
	var counts [3]int
	used := false
	var ill *view
	reason = "Elb.RegistrationInProgress"
	for _, lb := range s.lbs {
		if !slices.Contains(lb.groups(), tg) {
			continue
		}
		used = true
		for _, h := range lb.hosts() {
			v := t.views[h]
			if v == nil || v.gone {
				continue
			}
			counts[v.state]++
			switch {
			case v.state == initialState:
				if v.reason != "Elb.RegistrationInProgress" {
					reason = v.reason
				}
			case v.state == unhealthyState && ill == nil:
				ill = v
			}
		}
	}
	switch {
	case !used:
		return "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
	case counts[healthyState] > 0 && counts[healthyState] > counts[unhealthyState] && counts[healthyState] > counts[initialState]:
		return "healthy", "", ""
	case counts[unhealthyState] > 0 && counts[unhealthyState] >= counts[initialState]:
		description = "Health checks failed"
		switch ill.reason {
		case timedOut:
			description = "Request timed out"
		case codeMismatch:
			description += " with these codes: [" + ill.detail + "]"
		}
		return "unhealthy", ill.reason, description
	case counts[initialState] == 0 && counts[healthyState] == 0:
		return "unused", "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"
	}
	description = "Target registration is in progress"
	if reason == "Elb.InitialHealthChecking" || counts[initialState] < counts[healthyState]+counts[unhealthyState] {
		reason, description = "Elb.InitialHealthChecking", "Initial health checks in progress"
	}
	return "initial", reason, description
}
