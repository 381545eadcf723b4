package elb

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Requests go round among the targets that the node knows, whatever comes and goes.
func TestRoundRobin(t *testing.T) {
	r := newALBRig(t, Options{}, "a", "b", "c", "d")
	r.register("a", "b", "c", "d")
	r.run(30 * time.Second)
	count := func(n int) string {
		for _, h := range r.hosts {
			h.seen = nil
		}
		for range n {
			r.call(0, get)
			r.run(100 * time.Millisecond)
		}
		var out []string
		for _, name := range []string{"a", "b", "c", "d"} {
			out = append(out, fmt.Sprint(len(r.hosts[name].seen)))
		}
		return strings.Join(out, " ")
	}
	if got := count(12); got != "3 3 3 3" {
		t.Errorf("twelve requests: %s", got)
	}
	r.deregister("b")
	r.run(9 * time.Second)
	if got := count(12); got != "4 0 4 4" {
		t.Errorf("without b: %s", got)
	}
	r.register("b")
	r.run(9 * time.Second)
	if got := count(12); got != "3 3 3 3" {
		t.Errorf("with b again: %s", got)
	}
}

// Each node has its own view: it learns of a deregistration after its own delay.
func TestEachNodeLearnsForItself(t *testing.T) {
	r := newALBRig(t, Options{ALBPropagationByNode: []time.Duration{2 * time.Second, 20 * time.Second}}, "a", "b")
	r.register("a", "b")
	r.run(30 * time.Second)
	r.hosts["b"].listener.Close()
	for _, c := range r.hosts["b"].conns {
		c.Abort()
	}
	r.deregister("b")
	for _, c := range []struct {
		at     time.Duration
		errors [2]int // of 10 requests to either node
	}{{time.Second, [2]int{5, 5}}, {3 * time.Second, [2]int{0, 5}}, {21 * time.Second, [2]int{0, 0}}} {
		r.run(c.at - (r.e.Now() - r.tg.Targets[1].DeregisteredAt))
		var got [2]int
		var calls [2][]*call
		for node := range 2 {
			for range 10 {
				calls[node] = append(calls[node], r.call(node, get))
			}
		}
		r.run(100 * time.Millisecond)
		for node := range 2 {
			for _, k := range calls[node] {
				if k.status() == "502" {
					got[node]++
				}
			}
		}
		if got != c.errors {
			t.Errorf("%v after it was deregistered: %v errors, want %v", c.at, got, c.errors)
		}
	}
	for _, a := range r.lb.AccessLog {
		if a.ELBStatusCode == 502 && a.Time > r.tg.Targets[1].DeregisteredAt+20*time.Second {
			t.Errorf("an error later than the last node may make: %+v", a)
		}
	}
}

// The life of a target as DescribeTargetHealth tells it.
// Source: Application Load Balancers user guide, "Health checks: target health status"; "Deregistration delay".
func TestTargetStates(t *testing.T) {
	r := newALBRig(t, Options{}, "one", "two")
	step := func(want string) {
		t.Helper()
		if got := r.states("one"); got != want {
			t.Errorf("+%v: %s, want %s", r.e.Now(), got, want)
		}
	}
	const (
		registering = "initial Elb.RegistrationInProgress (Target registration is in progress)"
		checking    = "initial Elb.InitialHealthChecking (Initial health checks in progress)"
		draining    = "draining Target.DeregistrationInProgress (Target deregistration is in progress)"
		gone        = "unused Target.NotRegistered (Target is not registered to the target group)"
	)
	h := r.hosts["one"]
	device := h.ns.Device("eth0")
	step(gone)
	device.Up = false
	r.register("one")
	step(registering)
	r.run(7 * time.Second)
	step(registering)
	r.run(1500 * time.Millisecond) // the nodes know, and check; nothing comes back
	step(checking)
	r.run(4 * time.Second)
	device.Up = true // the second check of either node passes: one is enough
	r.run(11 * time.Second)
	step("healthy")
	h.status = "503 No"
	r.run(16 * time.Second) // one failure is not enough
	step("healthy")
	r.run(15 * time.Second)
	step("unhealthy Target.ResponseCodeMismatch (Health checks failed with these codes: [503])")
	h.status = "200 OK"
	r.run(15 * time.Second) // it was unhealthy: two in a row are needed
	step("unhealthy Target.ResponseCodeMismatch (Health checks failed with these codes: [503])")
	r.run(15 * time.Second)
	step("healthy")
	device.Up = false
	r.run(36 * time.Second)
	step("unhealthy Target.Timeout (Request timed out)")
	device.Up = true
	h.listener.Close()
	r.run(30 * time.Second)
	step("unhealthy Target.FailedHealthChecks (Health checks failed)") // the state stays, with the reason of the last failure
	r.deregister("one")
	step(draining)
	r.run(299 * time.Second) // nothing is under way, but the state is shown until the delay is over
	step(draining)
	r.run(2 * time.Second)
	step(gone)

	// A refused connection has another reason; a target that is registered again while it drains begins anew.
	r.register("two")
	r.run(30 * time.Second)
	r.hosts["two"].listener.Close()
	r.run(40 * time.Second)
	if got := r.states("two"); got != "unhealthy Target.FailedHealthChecks (Health checks failed)" {
		t.Errorf("refused: %s", got)
	}
	r.deregister("two")
	r.register("two")
	if got := r.states("two"); got != registering {
		t.Errorf("registered again: %s", got)
	}
	r.run(301 * time.Second)
	if got := r.states("two"); strings.HasPrefix(got, "unused") {
		t.Errorf("registered again, it must not go when the old delay is over: %s", got)
	}
}

// A node without a healthy target stays in the load balancer's name for a while; one with a healthy target is there at once. With none anywhere all are.
func TestNodesInTheName(t *testing.T) {
	r := newALBRig(t, Options{ALBPropagationByNode: []time.Duration{0, 100 * time.Second}}, "one")
	r.lb.State = "active"
	count := func() int {
		addrs, _, _ := r.elb.Resolve(r.lb.DNSName, "a")
		return len(addrs)
	}
	if n := count(); n != 2 {
		t.Errorf("without a target anywhere: %d addresses", n)
	}
	r.register("one")
	r.run(30 * time.Second)
	r.deregister("one") // the first node knows at once, the other does not
	r.run(29 * time.Second)
	if n := count(); n != 2 {
		t.Errorf("after 29 s: %d addresses", n)
	}
	r.run(2 * time.Second)
	if n := count(); n != 1 {
		t.Errorf("after 31 s: %d addresses", n)
	}
	r.register("one")
	r.run(9 * time.Second)
	if n := count(); n != 2 {
		t.Errorf("with a target again: %d addresses", n)
	}
}
