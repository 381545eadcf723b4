package simulated

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
)

// rolloutSeeds is how many seeds a row is held over that is a distribution: 20, or what the environment says.
func rolloutSeeds() int {
	if n, err := strconv.Atoi(os.Getenv("EKSLAB_SEEDS")); err == nil && n > 0 {
		return n
	}
	return 20
}

// rolloutPlan is a variant of elb/rolling-update-502 with settings given as "name=value name=value".
func rolloutPlan(t testing.TB, variant, settings string) *scenario.Plan {
	t.Helper()
	c, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("rolling-update-502")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, word := range strings.Fields(settings) {
		k, v, _ := strings.Cut(word, "=")
		set[k] = v
	}
	p, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rolloutRun is what a run left behind.
type rolloutRun struct {
	*observe.Recording
	x *observe.Rollout
	w *sim.World
}

// runRollout runs a plan; judged says whether what the scenario expects of it is held, too.
func runRollout(t testing.TB, b *Backend, p *scenario.Plan, seed uint64, judged bool) *rolloutRun {
	t.Helper()
	r := &rolloutRun{}
	mine := *b
	mine.Prepare = func(w *sim.World) {
		r.w = w
		if b.Prepare != nil {
			b.Prepare(w)
		}
	}
	mine.watch = func(all []watcher) {
		for _, o := range all {
			if o, ok := o.(*rolloutWatcher); ok {
				o.done = func(x *observe.Rollout) { r.x = x }
			}
		}
	}
	rec, err := mine.Run(t.Context(), p, backend.Options{Seed: seed})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	r.Recording = rec
	if judged {
		if verdict, results := expect.Judge(p, rec); verdict.Status != expect.Holds {
			for _, e := range results {
				if e.Status == expect.Fails || e.Status == expect.Inconclusive {
					t.Errorf("seed %d: expectation %s: %s %v %s", seed, e.Expectation.Name, e.Status, e.Observed, e.Reason)
				}
			}
		}
	}
	return r
}

// n is an observation that is a number; one without a sample is NaN.
func (r *rolloutRun) n(name string) float64 {
	if v, ok := r.Observations[name].(float64); ok {
		return v
	}
	return math.NaN()
}

// in is an entry of an observation that is a map; what is not there is 0.
func (r *rolloutRun) in(name, key string) float64 {
	m, _ := r.Observations[name].(map[string]any)
	v, _ := m[key].(float64)
	return v
}

// list is an observation that is a list of numbers.
func (r *rolloutRun) list(name string) (out []float64) {
	l, _ := r.Observations[name].([]any)
	for _, v := range l {
		f, _ := v.(float64)
		out = append(out, f)
	}
	return out
}

// steps are the replica steps.
func (r *rolloutRun) steps() (out [][2]int) { return r.x.Steps }

// rolloutRow is a line of the tables of what must be seen. Check is called for each seed; mean, if it is set, for the mean of errors over all seeds.
type rolloutRow struct {
	name, variant, set string
	// seeds is how many seeds there are; 0 is one, -1 as many as a distribution has.
	seeds int
	// unjudged is for a row outside of what the scenario's expectations are about.
	unjudged bool
	check    func(t *testing.T, r *rolloutRun)
	mean     func(t *testing.T, errors float64)
}

func want(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Errorf(format, args...)
	}
}

// path is the way of the rolling update of ten pods: three more, two fewer, two more, and then any order within the bounds.
func path(t *testing.T, r *rolloutRun) {
	t.Helper()
	steps := r.steps()
	want(t, len(steps) > 3 && slices.Equal(steps[:3], [][2]int{{3, 10}, {3, 8}, {5, 8}}), "path %v", steps)
	for _, s := range steps {
		want(t, s[0]+s[1] <= 13 && s[0]+s[1] >= 8 && s[0] <= 10 && s[1] <= 10, "step %v of %v", s, steps)
	}
	want(t, len(steps) > 0 && steps[len(steps)-1] == [2]int{10, 0}, "path %v", steps)
}

// status are the messages of kubectl rollout status, in the order in which the recorded runs have them; not all of them need be seen.
func status(t *testing.T, r *rolloutRun) {
	t.Helper()
	order := []string{}
	for i := 5; i < 10; i++ {
		order = append(order, fmt.Sprintf("%d out of 10 new replicas have been updated...", i))
	}
	for i := 3; i > 0; i-- {
		order = append(order, fmt.Sprintf("%d old replicas are pending termination...", i))
	}
	order = append(order, "8 of 10 updated replicas are available...", "9 of 10 updated replicas are available...", "successfully rolled out")
	at := -1
	said := r.x.Status
	for _, m := range said {
		i := slices.Index(order, m)
		want(t, i > at, "rollout status says %q", said)
		at = i
	}
	want(t, len(said) > 4 && said[0] == order[0] && said[len(said)-1] == order[len(order)-1], "rollout status says %q", said)
}

var rolloutRows = []rolloutRow{
	// Sheet 26.
	{name: "broken: errors, codes, times, endpoints, path, duration", variant: "broken", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") >= 1 && r.n("errors") <= 9, "%v errors", r.n("errors"))
		want(t, r.n("errors502")+r.n("errors504") == r.n("errors"), "codes %v", r.Observations["errorsByReason"])
		want(t, r.n("slow502s") == 0 && r.n("early504s") == 0, "a slow 502 or an early 504")
		for _, at := range r.list("errorTimesSeconds") {
			want(t, at >= 0 && at <= r.n("lastDeregisterSeconds")+12.2, "an error at %v, the last DeregisterTargets at %v", at, r.n("lastDeregisterSeconds"))
		}
		want(t, r.n("minReadyEndpoints") >= 8 && r.n("maxReadyEndpoints") <= 13, "ready endpoints %v to %v", r.n("minReadyEndpoints"), r.n("maxReadyEndpoints"))
		want(t, r.n("maxPodsNotTerminating") == 13, "%v pods not terminating", r.n("maxPodsNotTerminating"))
		want(t, r.n("rolloutSeconds") >= 4.4 && r.n("rolloutSeconds") <= 8, "rollout took %v s", r.n("rolloutSeconds"))
		path(t, r)
		status(t, r)
		// Sheet 27.
		want(t, r.n("targetsRegistered") == 10 && r.n("targetsDeregistered") == 10, "targets %v, %v", r.n("targetsRegistered"), r.n("targetsDeregistered"))
		for _, calls := range []string{"registerTargetsCalls", "deregisterTargetsCalls"} {
			want(t, r.n(calls) >= 3 && r.n(calls) <= 10, "%s %v", calls, r.n(calls))
		}
		want(t, r.n("usedAfterDeregisterSeconds") <= 12.1, "used %v s after DeregisterTargets", r.n("usedAfterDeregisterSeconds"))
		want(t, r.n("lastDeregisterSeconds") < 8 && r.n("firstDeregisterSeconds") < 1.5 && r.n("deregisterLagSeconds") < 2, "DeregisterTargets from %v to %v, %v after a deletion", r.n("firstDeregisterSeconds"), r.n("lastDeregisterSeconds"), r.n("deregisterLagSeconds"))
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 1.5 && errors <= 5, "mean of errors %v", errors) }},
	{name: "the namespace is kept for 30 s: only 502, and more of them", variant: "broken", set: "netnsTeardownSeconds=30", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors502") == r.n("errors") && r.n("errors") >= 9, "codes %v", r.Observations["errorsByReason"])
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 14 && errors <= 26, "mean of errors %v", errors) }},
	{name: "a client at a rate: the serial one hides most of the damage", variant: "broken", set: "client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") >= 9, "%v errors", r.n("errors"))
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 14 && errors <= 26, "mean of errors %v", errors) }},
	{name: "one pod: the only old one dies as soon as the new one is ready", variant: "broken", set: "replicas=1", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") > 0 && r.n("maxPodsNotTerminating") == 2 && r.n("minReadyEndpoints") == 1, "%v errors, %v pods, %v endpoints", r.n("errors"), r.n("maxPodsNotTerminating"), r.n("minReadyEndpoints"))
	}},
	{name: "instance targets: no call, errors by kube-proxy's lag and kept connections only", variant: "broken", set: "targetType=instance client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("registerTargetsCalls") == 0 && r.n("deregisterTargetsCalls") == 0, "%v calls of RegisterTargets", r.n("registerTargetsCalls"))
		// A pod is refused for no longer than a change takes to reach kube-proxy; a kept connection fails once.
		for _, q := range r.x.Requests {
			near := func(d observe.PodDeletion) bool {
				return q.Sent >= d.At-100*time.Millisecond && q.Sent <= d.At+65*time.Second
			}
			want(t, !q.Failed() || q.Status == 502 && slices.ContainsFunc(r.x.Deletions, near), "an error %+v", q)
		}
	}, mean: func(t *testing.T, errors float64) { want(t, errors <= 4, "mean of errors %v", errors) }},
	{name: "no update", variant: "broken", set: "update=false", seeds: 3, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("requests") == 200, "%v errors of %v", r.n("errors"), r.n("requests"))
	}},
	{name: "a lag of 30 s: errors grow with it", variant: "broken", set: "albPropagationSeconds=24,36 client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") >= 16, "%v errors", r.n("errors"))
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 24 && errors <= 50, "mean of errors %v", errors) }},
	{name: "run A: only 502", variant: "broken", set: "netnsTeardownSeconds=30 albPropagationByNode=1,1,8 registrationSeconds=1,2", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors502") == r.n("errors"), "codes %v", r.Observations["errorsByReason"])
		for _, at := range r.list("errorTimesSeconds") {
			want(t, at <= 15, "an error at %v", at)
		}
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 2 && errors <= 8, "mean of errors %v", errors) }},
	{name: "run B: only 504, two of them", variant: "broken", set: "netnsTeardownSeconds=0 nodes=4 albNodes=2 albPropagationSeconds=13,15 registrationSeconds=10,14", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors504") == 2 && r.n("errors") == 2, "codes %v", r.Observations["errorsByReason"])
		want(t, r.n("oldAndNewSeconds") == 0 || r.Observations["lastOldAnswerSeconds"] == nil, "old and new side by side for %v s", r.n("oldAndNewSeconds"))
		want(t, r.n("firstNewAnswerSeconds") > 10, "the first new answer at %v", r.n("firstNewAnswerSeconds"))
	}},
	// Sheet 27.
	{name: "a deregistration delay of none: the same", variant: "broken", set: "deregistrationDelaySeconds=0 client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") >= 9, "%v errors", r.n("errors"))
	}, mean: func(t *testing.T, errors float64) { want(t, errors >= 14 && errors <= 26, "mean of errors %v", errors) }},
	{name: "502 while the namespace is there, 504 when it is gone, to the moment", variant: "broken", set: "client=openLoop", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		// The stop signal, the containers' end at once, and 1.3 s until the namespace is gone; the SYN comes within some milliseconds.
		for _, q := range r.x.Requests {
			if !q.Failed() {
				continue
			}
			agrees := slices.ContainsFunc(r.x.Deletions, func(d observe.PodDeletion) bool {
				gone := d.Signal + 1300*time.Millisecond
				return q.Status == 502 && q.Sent+10*time.Millisecond >= d.Signal && q.Sent <= gone || q.Status == 504 && q.Sent+10*time.Millisecond >= gone
			})
			want(t, agrees, "HTTP %d at %v", q.Status, q.Sent-r.x.Zero())
		}
	}},
	{name: "draining, initial and healthy at once", variant: "broken", seeds: 3, check: func(t *testing.T, r *rolloutRun) {
		// When the first new pods are ready, which is within 3.3 s.
		found := false
		for _, c := range r.x.Targets {
			found = found || c.At-r.x.Zero() <= 3800*time.Millisecond && c.Draining > 0 && c.Initial > 0 && c.Healthy > 0
		}
		want(t, found, "targets %+v", r.x.Targets)
	}},
	{name: "no lag: only what was sent between the listener's end and DeregisterTargets", variant: "broken", set: "albPropagationSeconds=0,0 registrationSeconds=0,0", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		for _, q := range r.x.Requests {
			near := func(d observe.PodDeletion) bool { return q.Sent >= d.At && q.Sent <= d.At+2*time.Second }
			want(t, !q.Failed() || slices.ContainsFunc(r.x.Deletions, near), "an error at %v", q.Sent-r.x.Zero())
		}
		want(t, r.n("errors") <= 5, "%v errors", r.n("errors"))
	}, mean: func(t *testing.T, errors float64) { want(t, errors <= 2, "mean of errors %v", errors) }},
	{name: "an app that ignores its signal: an accidental preStop of the grace period", variant: "broken", set: "ignoresStopSignal=true", seeds: 3, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("sigkills") == 10, "%v errors, %v killed", r.n("errors"), r.n("sigkills"))
		want(t, r.n("sigkillAfterSeconds") >= 30 && r.n("sigkillAfterSeconds") < 30.5, "killed after %v s", r.n("sigkillAfterSeconds"))
	}},
	{name: "connections that the target closes after 5 s: 502, without any rollout", variant: "broken", set: "client=keepAlive targetIdleSeconds=5 update=false", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") > 0 && r.n("errors502") == r.n("errors"), "%v errors, %v are 502", r.n("errors"), r.n("errors502"))
	}},
	{name: "the ALB closes first: none", variant: "broken", set: "client=keepAlive update=false", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0, "%v errors", r.n("errors"))
	}},
	{name: "a node crashes: 504 until two checks have failed", variant: "broken", set: "crashNode=true client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("firstUnhealthySeconds") >= 19.9 && r.n("firstUnhealthySeconds") <= 35.1, "unhealthy after %v s", r.n("firstUnhealthySeconds"))
		want(t, r.n("errors504") > 0 && r.n("errors504") == r.n("errors"), "codes %v", r.Observations["errorsByReason"])
	}},
	{name: "one node of the ALB learns in 2 s, one in 20: errors of the slow one", variant: "broken", set: "albNodes=2 albPropagationByNode=2,20 client=openLoop registrationSeconds=2,2", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		late := map[string]int{}
		for _, q := range r.x.Requests {
			if q.Failed() && q.Sent-r.x.Zero() > time.Duration((r.n("lastDeregisterSeconds")+2.1)*1e9) {
				late[q.Node]++
			}
		}
		want(t, len(late) == 1 && late["alb-eu-west-1b"] > 0, "errors by node %v", late)
	}},
	// Sheet 28.
	{name: "fixed-prestop", variant: "fixed-prestop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("maxPods") == 20, "%v errors, %v pods", r.n("errors"), r.n("maxPods"))
	}},
	{name: "a preStop of 15 s is enough for 8 to 12 s", variant: "broken", set: "preStopSeconds=15 client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) { want(t, r.n("errors") == 0, "%v errors", r.n("errors")) }},
	{name: "with gates, whatever a registration takes", variant: "fixed-prestop-readinessgate", set: "registrationSeconds=60,60 requests=400 client=openLoop", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("rolloutSeconds") > 120, "%v errors in %v s", r.n("errors"), r.n("rolloutSeconds"))
	}},
	{name: "without gates, and a registration of 60 s: 503, nothing is left to send to", variant: "fixed-prestop", set: "registrationSeconds=60,60 requests=400 client=openLoop", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors503") > 50 && r.n("errors503") == r.n("errors"), "codes %v", r.Observations["errorsByReason"])
	}},
	{name: "prestop-too-short", variant: "prestop-too-short", seeds: -1, check: func(t *testing.T, r *rolloutRun) { want(t, r.n("errors") >= 1, "%v errors", r.n("errors")) }},
	{name: "grace-shorter-than-prestop: the signal at G", variant: "grace-shorter-than-prestop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("stopSignalAfterSeconds") >= 30 && r.n("stopSignalAfterSeconds") < 30.5 && r.n("errors") >= 1, "the signal after %v s, %v errors", r.n("stopSignalAfterSeconds"), r.n("errors"))
	}},
	{name: "grace-shorter-than-prestop, and deaf: killed at G + 2", variant: "grace-shorter-than-prestop", set: "ignoresStopSignal=true", seeds: 3, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("sigkillAfterSeconds") >= 32 && r.n("sigkillAfterSeconds") < 32.5 && r.n("sigkills") == 10, "killed after %v s", r.n("sigkillAfterSeconds"))
	}},
	{name: "a hook without a shell", variant: "fixed-prestop", set: "preStopKind=missingShell", seeds: -1, unjudged: true, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.in("events", "FailedPreStopHook") == 10 && r.n("errors") >= 1, "%v events, %v errors", r.in("events", "FailedPreStopHook"), r.n("errors"))
	}, mean: func(t *testing.T, errors float64) {
		want(t, errors >= 1.5 && errors <= 5, "mean of errors %v, as broken has it", errors)
	}},
	{name: "the sleep action needs none", variant: "fixed-prestop", set: "preStopKind=sleep", seeds: 3, check: func(t *testing.T, r *rolloutRun) { want(t, r.n("errors") == 0, "%v errors", r.n("errors")) }},
	{name: "gates-only", variant: "gates-only", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") >= 1 && r.n("minAvailableReplicas") == 8, "%v errors, %v available", r.n("errors"), r.n("minAvailableReplicas"))
		want(t, r.n("rolloutSeconds") > 17 && r.n("rolloutSeconds") < 75, "rollout took %v s", r.n("rolloutSeconds"))
		want(t, r.n("maxPodsNotTerminating") == 13 && r.in("plateau", "initial") == 5 && r.in("plateau", "healthy") == 8, "%v pods, plateau %v", r.n("maxPodsNotTerminating"), r.Observations["plateau"])
		want(t, slices.Equal(r.x.GateConditions, []string{"True Elb.RegistrationInProgress"}) || slices.Contains(r.x.GateConditions, "True Elb.RegistrationInProgress"), "the stale reason of a gate's condition: %v", r.x.GateConditions)
	}, mean: func(t *testing.T, errors float64) { want(t, errors > 2, "mean of errors %v", errors) }},
	{name: "the label after the pods, no restart", variant: "gates-only", set: "gateLabelFirst=false update=false", check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("podsWithGate") == 0 && r.n("podsWithGateAtEnd") == 0, "%v pods with a gate", r.n("podsWithGate"))
	}},
	{name: "the label first", variant: "gates-only", set: "update=false", check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("podsWithGate") == 10, "%v pods with a gate", r.n("podsWithGate"))
	}},
	{name: "gates with instance targets: none", variant: "gates-only", set: "targetType=instance", check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("podsWithGate") == 0 && r.n("podsWithGateAtEnd") == 0, "%v pods with a gate", r.n("podsWithGate"))
	}},
	{name: "gates, and the health check answers 500: the rollout stalls", variant: "gates-only", set: "healthCheckStatus=500", check: func(t *testing.T, r *rolloutRun) {
		steps := r.steps()
		want(t, slices.Equal(steps, [][2]int{{3, 10}, {3, 8}, {5, 8}}), "path %v", steps)
		want(t, r.n("stalledAfterSeconds") >= 600 && r.n("stalledAfterSeconds") < 602 && r.Observations["rolloutComplete"] == false, "stalled after %v s", r.n("stalledAfterSeconds"))
		want(t, r.n("podsDeleted") == 2 && r.n("errors") <= 6, "%v pods deleted, %v errors", r.n("podsDeleted"), r.n("errors"))
		// Of the two that were deleted, until the last node knows.
		for _, at := range r.list("errorTimesSeconds") {
			want(t, at <= 13, "an error at %v", at)
		}
	}},
	{name: "gates and maxUnavailable 0, without a preStop", variant: "max-unavailable-0", set: "readinessGate=true client=openLoop", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") > 0 && r.n("minAvailableReplicas") == 10, "%v errors, %v available", r.n("errors"), r.n("minAvailableReplicas"))
	}},
	{name: "preStop 70: the old ones pile up, the rollout is not slower", variant: "broken", set: "preStopSeconds=70 terminationGracePeriodSeconds=90", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("maxPodsTerminating") == 10 && r.n("maxPods") == 20 && r.n("rolloutSeconds") <= 8 && r.n("errors") == 0, "%v terminating, %v pods, %v s, %v errors", r.n("maxPodsTerminating"), r.n("maxPods"), r.n("rolloutSeconds"), r.n("errors"))
	}},
	{name: "one pod with gates and preStop", variant: "fixed-prestop-readinessgate", set: "replicas=1", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("maxPodsNotTerminating") == 2, "%v errors, %v pods", r.n("errors"), r.n("maxPodsNotTerminating"))
	}},
	// Sheet 29.
	{name: "fixed-alb: none lost, old and new side by side", variant: "fixed-prestop-readinessgate", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("answers50x") == 0, "%v errors, %v of awselb", r.n("errors"), r.n("answers50x"))
		want(t, r.n("oldAndNewSeconds") >= 10, "side by side for %v s", r.n("oldAndNewSeconds"))
		want(t, r.in("plateau", "healthy") == 8 && r.in("plateau", "initial") == 5, "plateau %v", r.Observations["plateau"])
	}},
	{name: "fixed-nlb", variant: "fixed-nlb", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("answersOfPods") == r.n("requests"), "%v errors", r.n("errors"))
		want(t, r.in("plateau", "healthy") == 8 && r.in("plateau", "initial") == 5 && r.in("plateau", "draining") >= 2, "plateau %v", r.Observations["plateau"])
		// 90 s and three checks, ten seconds apart, the first within ten seconds; the five new pods start within 1.1 s.
		want(t, r.in("plateau", "seconds") >= 107.9 && r.in("plateau", "seconds") <= 122, "plateau of %v s", r.in("plateau", "seconds"))
	}},
	{name: "article-nlb: connections fail, and no HTTP 50x", variant: "article-nlb", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("failedConnections") > 0 && r.n("answers50x") == 0, "%v failed connections, %v answers 50x", r.n("failedConnections"), r.n("answers50x"))
		for code := range r.Observations["curlExitCodes"].(map[string]any) {
			want(t, slices.Contains([]string{"0", "7", "28", "52", "56"}, code), "curl's exit code %s", code)
		}
	}},
	{name: "article-nlb, were the users' 120 s wrong", variant: "article-nlb", set: "nlbPropagationSeconds=30", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("failedConnections") == 0, "%v failed connections", r.n("failedConnections"))
	}},
	{name: "article-nlb with curl's own patience: all answered, minutes late", variant: "article-nlb", set: "clientFallback=sequential clientMaxTime=0s", unjudged: true, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") == 0 && r.n("longestAnswerSeconds") > 60, "%v errors, an answer after %v s", r.n("errors"), r.n("longestAnswerSeconds"))
	}},
	{name: "broken-nlb: no healthy target for a while, many failed connections", variant: "broken-nlb", seeds: -1, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("minHealthyTargets") == 0 && r.n("failedConnections") >= 5 && r.n("answers50x") == 0, "%v healthy, %v failed connections", r.n("minHealthyTargets"), r.n("failedConnections"))
	}},
	{name: "broken-nlb, initial targets spared: more of them", variant: "broken-nlb", set: "nlbServesInitial=false client=openLoop", seeds: 3, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("failedConnections") > 60, "%v failed connections", r.n("failedConnections"))
	}},
	{name: "an app that needs 40 s after its signal: killed at 60 s, requests under way are lost", variant: "article-nlb", set: "shutdownSeconds=40 answerSeconds=25 client=openLoop clientMaxTime=100s requestInterval=100ms requests=3000", unjudged: true, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("sigkills") == 10 && r.n("sigkillAfterSeconds") >= 60 && r.n("sigkillAfterSeconds") < 60.5, "%v killed, after %v s", r.n("sigkills"), r.n("sigkillAfterSeconds"))
		lost := 0
		for _, q := range r.x.Requests {
			for _, d := range r.x.Deletions {
				if q.Failed() && q.Sent < d.At+40*time.Second && q.Ended >= d.Kill && q.Ended < d.Kill+time.Second {
					lost++
				}
			}
		}
		want(t, lost > 0, "no request under way was lost")
	}},
	{name: "two updates within five minutes: ten drain from the first", variant: "fixed-prestop-readinessgate", set: "updates=2 updateEverySeconds=100 requests=500", check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("maxTargetsListed") > 20 && r.n("maxTargetsDraining") >= 10, "%v targets listed, %v draining", r.n("maxTargetsListed"), r.n("maxTargetsDraining"))
		want(t, r.n("errors") == 0, "%v errors", r.n("errors"))
	}},
	{name: "P 60, preStop 40: too short", variant: "fixed-prestop", set: "albPropagationSeconds=48,72 requests=400 client=openLoop", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") > 0, "%v errors", r.n("errors"))
	}},
	{name: "P 60, preStop 70: about none", variant: "fixed-prestop", set: "albPropagationSeconds=48,72 preStopSeconds=70 terminationGracePeriodSeconds=90 requests=400 client=openLoop", seeds: 5, check: func(t *testing.T, r *rolloutRun) {
		want(t, r.n("errors") <= 3, "%v errors", r.n("errors"))
	}},
}

func TestRolloutRows(t *testing.T) {
	for i := range rolloutRows {
		row := &rolloutRows[i]
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			seeds := max(row.seeds, 1)
			if row.seeds < 0 {
				seeds = rolloutSeeds()
			}
			p := rolloutPlan(t, row.variant, row.set)
			sum := 0.0
			for seed := range seeds {
				r := runRollout(t, &Backend{ShuffleTies: seed%4 == 3}, p, uint64(seed+1), !row.unjudged)
				row.check(t, r)
				sum += r.n("errors")
				if t.Failed() {
					t.Fatalf("seed %d", seed+1)
				}
			}
			t.Logf("mean of errors %.2f over %d seeds", sum/float64(seeds), seeds)
			if row.mean != nil {
				row.mean(t, sum/float64(seeds))
			}
		})
	}
}
