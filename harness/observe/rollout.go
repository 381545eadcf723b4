package observe

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rollout is what was gathered of a rolling update. Times are the world's.
type Rollout struct {
	// Began is when the client began, Update when the update did; a negative Update is none.
	Began, Update time.Duration
	// Crash is whether the update is no update, but a node that loses power.
	Crash bool
	// End is when the run ended.
	End      time.Duration
	Requests []Request

	// Deletions of the Deployment's pods from the update on.
	Deletions []PodDeletion
	Counts    []Counts
	Steps     [][2]int
	// Complete is when the first rollout was complete, Stalled when its deadline was exceeded; negative for never.
	Complete, Stalled time.Duration
	// Ended is whether the last rollout is complete.
	Ended       bool
	Status      []string
	Progressing string
	// Events by reason.
	Events               map[string]int
	GatesBefore, GatesAt int
	GateConditions       []string

	Calls []TargetsCall
	Uses  []Use
	// Targets are counts of targets by state, at each change.
	Targets []TargetCounts
}

// Request is one call of the client.
type Request struct {
	Sent, Ended time.Duration
	// Status is zero when there was no HTTP answer.
	Status int
	// FromBalancer is whether the load balancer made the answer; Reason is its own word for why.
	FromBalancer bool
	Reason       string
	Exit         int
	// Node is the load balancer's node that the client was connected to.
	Node string
	// Pod says which pods answered: old, new, or unknown.
	Pod Generation
}

// Generation is whether a pod was made before the update or by it.
type Generation uint8

// Generations.
const (
	Unknown Generation = iota
	Old
	New
)

// Failed is whether no pod answered.
func (r *Request) Failed() bool { return r.Status == 0 || r.Exit != 0 || r.FromBalancer }

// PodDeletion is the end of a pod.
type PodDeletion struct {
	At time.Duration
	// Addr is the pod's address, Signal and Kill when its container got the stop signal and SIGKILL; zero for never.
	Addr         string
	Signal, Kill time.Duration
}

// Counts are numbers of pods, endpoints and replicas from a time on.
type Counts struct {
	At                         time.Duration
	Pods, Terminating          int
	ReadyEndpoints, Available  int
	HasEndpoints, HasAvailable bool
}

// TargetsCall is a call of RegisterTargets or DeregisterTargets.
type TargetsCall struct {
	At         time.Duration
	Deregister bool
	Targets    []string
}

// Use is a load balancer's choice of a target.
type Use struct {
	At     time.Duration
	Target string
}

// TargetCounts are numbers of targets by state from a time on.
type TargetCounts struct {
	At                                            time.Duration
	Initial, Healthy, Draining, Unhealthy, Unused int
}

// Listed is the number of targets.
func (c TargetCounts) Listed() int {
	return c.Initial + c.Healthy + c.Draining + c.Unhealthy + c.Unused
}

// Zero is the moment that others count from.
func (r *Rollout) Zero() time.Duration {
	switch {
	case len(r.Deletions) > 0 && !r.Crash:
		return r.Deletions[0].At
	case r.Update >= 0:
		return r.Update
	}
	return r.Began
}

// from is the time from which things are counted.
func (r *Rollout) from() time.Duration {
	if r.Update >= 0 {
		return r.Update
	}
	return r.Began
}

// summary collects observations.
type summary struct {
	obs     map[string]any
	missing map[string]string
}

func (s *summary) none(why string, names ...string) {
	for _, n := range names {
		s.obs[n] = nil
		s.missing[n] = why
	}
}

// seconds notes a time; a negative one is none.
func (s *summary) seconds(name string, d time.Duration, ok bool, why string) {
	if !ok {
		s.none(why, name)
		return
	}
	s.obs[name] = round(d)
}

// round is a duration in seconds, to the microsecond.
func round(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }

// Summarize returns the observations, and why those that are nil are missing.
func (r *Rollout) Summarize() (map[string]any, map[string]string) {
	s := &summary{obs: map[string]any{}, missing: map[string]string{}}
	r.answers(s)
	r.pods(s)
	r.rollout(s)
	r.calls(s)
	r.targets(s)
	return s.obs, s.missing
}

// answers are the observations of what the client got.
func (r *Rollout) answers(s *summary) {
	zero := r.Zero()
	var requests, fromPods, errors, failed, grep int
	status := map[int]int{}
	byNode, byReason, exits := map[string]any{}, map[string]any{}, map[string]any{}
	times := []any{}
	var longest, lastOld, firstNew time.Duration = -1, -1, -1
	slow, early := 0, 0
	add := func(m map[string]any, key string) { n, _ := m[key].(float64); m[key] = n + 1 }
	for i := range r.Requests {
		q := &r.Requests[i]
		if q.Sent < r.from() {
			continue
		}
		requests++
		add(exits, strconv.Itoa(q.Exit))
		took := q.Ended - q.Sent
		if q.Status != 0 {
			longest = max(longest, took)
		}
		if q.Status == 502 || q.Status == 503 || q.Status == 504 {
			grep++
		}
		if !q.Failed() {
			fromPods++
			switch {
			case q.Pod == Old:
				lastOld = max(lastOld, q.Ended)
			case q.Pod == New && (firstNew < 0 || q.Ended < firstNew):
				firstNew = q.Ended
			}
			continue
		}
		errors++
		if q.Status == 0 {
			failed++
		}
		times = append(times, round(q.Sent-zero))
		node := q.Node
		if node == "" {
			node = "none"
		}
		add(byNode, node)
		if q.FromBalancer {
			status[q.Status]++
			add(byReason, fmt.Sprintf("%d %s", q.Status, q.Reason))
			switch {
			case q.Status == 502 && took >= time.Second:
				slow++
			case q.Status == 504 && took < 10*time.Second:
				early++
			}
		}
	}
	for name, n := range map[string]int{"requests": requests, "requestsInAll": len(r.Requests), "answersOfPods": fromPods, "errors": errors, "failedConnections": failed, "answers50x": grep,
		"slow502s": slow, "early504s": early, "errors502": status[502], "errors503": status[503], "errors504": status[504]} {
		s.obs[name] = float64(n)
	}
	s.obs["errorsByNode"], s.obs["errorsByReason"], s.obs["curlExitCodes"], s.obs["errorTimesSeconds"] = byNode, byReason, exits, times
	s.seconds("longestAnswerSeconds", longest, longest >= 0, "no request was answered")
	s.seconds("lastOldAnswerSeconds", lastOld-zero, lastOld >= 0, "no old pod answered from the update on")
	s.seconds("firstNewAnswerSeconds", firstNew-zero, firstNew >= 0, "no new pod answered")
	s.seconds("oldAndNewSeconds", max(0, lastOld-firstNew), lastOld >= 0 && firstNew >= 0, "not both old and new pods answered")
	s.obs["answersOverTime"] = r.chart()
	if requests == 0 {
		s.none("no request was sent from the update on", "errors", "errors502", "errors503", "errors504", "failedConnections", "answers50x", "answersOfPods", "errorTimesSeconds", "errorsByNode", "errorsByReason", "curlExitCodes")
	}
}

// pods are the observations of pods and endpoints.
func (r *Rollout) pods(s *summary) {
	var most, living, ending int
	least, greatest, available := -1, -1, -1
	lower := func(to *int, n int) {
		if *to < 0 || n < *to {
			*to = n
		}
	}
	for _, c := range r.Counts {
		most, living, ending = max(most, c.Pods), max(living, c.Pods-c.Terminating), max(ending, c.Terminating)
		if c.HasEndpoints {
			lower(&least, c.ReadyEndpoints)
			greatest = max(greatest, c.ReadyEndpoints)
		}
		if c.HasAvailable {
			lower(&available, c.Available)
		}
	}
	s.obs["maxPods"], s.obs["maxPodsNotTerminating"], s.obs["maxPodsTerminating"] = float64(most), float64(living), float64(ending)
	number := func(name string, n int) {
		if n < 0 {
			s.none("nothing was seen of it", name)
			return
		}
		s.obs[name] = float64(n)
	}
	number("minReadyEndpoints", least)
	number("maxReadyEndpoints", greatest)
	number("minAvailableReplicas", available)
	kills := 0
	var signal, kill time.Duration
	for _, d := range r.Deletions {
		if d.Signal > 0 {
			signal = max(signal, d.Signal-d.At)
		}
		if d.Kill > 0 {
			kills++
			kill = max(kill, d.Kill-d.At)
		}
	}
	s.obs["podsDeleted"], s.obs["sigkills"] = float64(len(r.Deletions)), float64(kills)
	s.seconds("stopSignalAfterSeconds", signal, signal > 0, "no container got a stop signal")
	s.seconds("sigkillAfterSeconds", kill, kill > 0, "no container got SIGKILL")
	events := map[string]any{}
	for reason, n := range r.Events {
		events[reason] = float64(n)
	}
	s.obs["events"] = events
	s.obs["podsWithGate"], s.obs["podsWithGateAtEnd"] = float64(r.GatesBefore), float64(r.GatesAt)
	s.obs["gateConditions"] = strings2(r.GateConditions)
}

func strings2(list []string) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// rollout are the observations of the Deployment.
func (r *Rollout) rollout(s *summary) {
	if r.Update < 0 || r.Crash || len(r.Steps) == 0 {
		s.none("there was no update of the Deployment", "rolloutSeconds", "rolloutComplete", "stalledAfterSeconds")
		s.obs["replicaSteps"], s.obs["rolloutStatus"] = []any{}, []any{}
	} else {
		s.seconds("rolloutSeconds", r.Complete-r.Update, r.Complete >= 0, "the rollout was not complete at the end")
		s.seconds("stalledAfterSeconds", r.Stalled-r.Update, r.Stalled >= 0, "the rollout did not exceed its deadline")
		s.obs["rolloutComplete"] = r.Ended
		steps := []any{}
		for _, p := range r.Steps {
			steps = append(steps, []any{float64(p[0]), float64(p[1])})
		}
		s.obs["replicaSteps"], s.obs["rolloutStatus"] = steps, strings2(r.Status)
	}
	if r.Progressing == "" {
		s.none("the Deployment has no such condition", "progressingReason")
	} else {
		s.obs["progressingReason"] = r.Progressing
	}
}

// calls are the observations of the controller's calls, and of what the load balancer did after them.
func (r *Rollout) calls(s *summary) {
	var n, targets [2]int
	most := 0
	var first, last, lag, used time.Duration = -1, -1, -1, -1
	deregistered := map[string]time.Duration{}
	deletions := map[string][]time.Duration{}
	for _, d := range r.Deletions {
		deletions[d.Addr] = append(deletions[d.Addr], d.At)
	}
	for _, c := range r.Calls {
		if c.At < r.from() {
			continue
		}
		k := 0
		if c.Deregister {
			k = 1
			if first < 0 {
				first = c.At
			}
			last = c.At
			for _, t := range c.Targets {
				deregistered[t] = c.At
				addr, _, _ := strings.Cut(t, ":")
				for _, at := range slices.Backward(deletions[addr]) {
					if at <= c.At {
						lag = max(lag, c.At-at)
						break
					}
				}
			}
		}
		n[k]++
		targets[k] += len(c.Targets)
		most = max(most, len(c.Targets))
	}
	for _, u := range r.Uses {
		if at, ok := deregistered[u.Target]; ok && u.At >= at && !r.registeredAgain(u.Target, at, u.At) {
			used = max(used, u.At-at)
		}
	}
	zero := r.Zero()
	s.obs["registerTargetsCalls"], s.obs["deregisterTargetsCalls"] = float64(n[0]), float64(n[1])
	s.obs["targetsRegistered"], s.obs["targetsDeregistered"] = float64(targets[0]), float64(targets[1])
	s.obs["mostTargetsPerCall"] = float64(most)
	why := "DeregisterTargets was not called"
	s.seconds("firstDeregisterSeconds", first-zero, first >= 0, why)
	s.seconds("lastDeregisterSeconds", last-zero, last >= 0, why)
	s.seconds("deregisterLagSeconds", lag, lag >= 0, "no pod that was deleted was deregistered")
	s.seconds("usedAfterDeregisterSeconds", max(used, 0), first >= 0, why)
}

// registeredAgain is whether a target was registered between two times.
func (r *Rollout) registeredAgain(target string, from, to time.Duration) bool {
	for _, c := range r.Calls {
		if !c.Deregister && c.At > from && c.At <= to && slices.Contains(c.Targets, target) {
			return true
		}
	}
	return false
}

// plateauLeast is how long targets have to stay as they are for a plateau.
const plateauLeast = 5 * time.Second

// targets are the observations of target health.
func (r *Rollout) targets(s *summary) {
	zero := r.Zero()
	states := []any{}
	healthy, listed, draining := -1, 0, 0
	unhealthy := time.Duration(-1)
	var plateau map[string]any
	covered := r.covered()
	for i, c := range covered {
		states = append(states, map[string]any{"seconds": round(c.At - zero), "initial": float64(c.Initial), "healthy": float64(c.Healthy), "draining": float64(c.Draining),
			"unhealthy": float64(c.Unhealthy), "unused": float64(c.Unused)})
		if healthy < 0 || c.Healthy < healthy {
			healthy = c.Healthy
		}
		listed, draining = max(listed, c.Listed()), max(draining, c.Draining)
		if unhealthy < 0 && c.Unhealthy > 0 {
			unhealthy = c.At
		}
		if plateau != nil || c.Initial == 0 || i > 0 && covered[i-1].Initial == c.Initial && covered[i-1].Healthy == c.Healthy {
			continue
		}
		until, most := r.End, c.Draining
		for _, next := range covered[i+1:] {
			if next.Initial != c.Initial || next.Healthy != c.Healthy {
				until = next.At
				break
			}
			most = max(most, next.Draining)
		}
		if until-c.At >= plateauLeast {
			plateau = map[string]any{"healthy": float64(c.Healthy), "initial": float64(c.Initial), "draining": float64(most), "seconds": round(until - c.At), "fromSeconds": round(c.At - zero)}
		}
	}
	s.obs["targetStates"] = states
	if healthy < 0 {
		s.none("there is no target group", "minHealthyTargets", "maxTargetsListed", "maxTargetsDraining")
	} else {
		s.obs["minHealthyTargets"], s.obs["maxTargetsListed"], s.obs["maxTargetsDraining"] = float64(healthy), float64(listed), float64(draining)
	}
	s.seconds("firstUnhealthySeconds", unhealthy-zero, unhealthy >= 0, "no target was unhealthy")
	if plateau == nil {
		s.none("targets did not stay initial for so long", "plateau")
	} else {
		s.obs["plateau"] = plateau
	}
}

// covered are the counts of targets from the update on, the last before it with its time moved there.
func (r *Rollout) covered() []TargetCounts {
	var out []TargetCounts
	for _, c := range r.Targets {
		if c.At <= r.from() {
			c.At = r.from()
			out = out[:0]
		}
		out = append(out, c)
	}
	return out
}
