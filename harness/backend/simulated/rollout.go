package simulated

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/controllers"
	"github.com/ekslab/ekslab/sim/trace"
)

// rolloutWatcher follows a Deployment, its pods and the targets of its load balancer, as kubectl get --watch, CloudTrail and DescribeTargetHealth show
// them.
type rolloutWatcher struct {
	w       *sim.World
	load    *sim.LoadRun // nil for none
	reader  *kube.Client
	x       observe.Rollout
	key     kube.Key // of the Deployment
	service kube.Key
	last    time.Duration // the last change of the timeline

	started  bool // the update has
	pods     map[types.UID]*watchedPod
	byAddr   map[string][]*watchedPod         // in order of their creation
	deleted  map[kube.Key]int                 // index in x.Deletions
	flows    map[netip.AddrPort][]observe.Use // targets of an NLB's flows, by the client's end, which may serve again
	dirty    bool                             // targets may have changed
	dirtyAt  time.Duration
	kinds    map[trace.Name]string
	before   map[string]int // Events at the update
	selector labels.Selector
	evidence *rolloutEvidence
	// done is told what was gathered; it may be nil.
	done func(*observe.Rollout)
}

// watchedPod is what is known of a pod of the Deployment.
type watchedPod struct {
	key         kube.Key
	created     time.Duration
	addr        string
	terminating bool
	gone        bool
	gates       int
	new         bool
}

// rollouts are the actions of a timeline that change what runs.
func rollouts(plan *scenario.Plan) (first, last time.Duration, deployment string, crash bool) {
	first = -1
	for _, a := range plan.Timeline {
		name := ""
		switch {
		case a.SetImage != nil:
			name = a.SetImage.Deployment
		case a.RolloutRestart != nil:
			name = a.RolloutRestart.Deployment
		case a.Patch != nil && strings.HasPrefix(a.Patch.Target, "Deployment/"):
			name = strings.TrimPrefix(a.Patch.Target, "Deployment/")
		case a.CrashNode != nil:
			name, crash = a.CrashNode.Deployment, true
		default:
			continue
		}
		at := plan.Settle + a.At
		if first < 0 || at < first {
			first, deployment = at, name
		}
		last = max(last, at)
	}
	return first, last, deployment, crash
}

// watchRollout watches the Deployment that the timeline updates, or else the first one.
func watchRollout(w *sim.World, plan *scenario.Plan, record bool) watcher {
	o := &rolloutWatcher{w: w, reader: w.Kube.As(kube.Caller{User: "observer"}), pods: map[types.UID]*watchedPod{}, byAddr: map[string][]*watchedPod{}, deleted: map[kube.Key]int{},
		flows: map[netip.AddrPort][]observe.Use{}, kinds: map[trace.Name]string{}}
	o.x = observe.Rollout{Began: plan.Settle, Complete: -1, Stalled: -1}
	var name string
	o.x.Update, o.last, name, o.x.Crash = rollouts(plan)
	for _, p := range plan.Objects {
		if d, ok := p.Value.(*appsv1.Deployment); ok && (name == "" || name == d.Namespace+"/"+d.Name) {
			o.key = kube.KeyOf(d)
			o.selector, _ = metav1.LabelSelectorAsSelector(d.Spec.Selector)
			break
		}
	}
	if o.selector == nil {
		o.selector = labels.Nothing()
	}
	if len(w.Loads) > 0 {
		o.load = w.Loads[0]
		o.x.Began = o.load.At
		o.service = serviceOf(plan, o.load)
	}
	if record {
		o.evidence = &rolloutEvidence{log: w.Log}
	}
	w.Log.Attach(trace.All, o.record)
	return o
}

// serviceOf is the Service behind what a load calls.
func serviceOf(plan *scenario.Plan, l *sim.LoadRun) kube.Key {
	name := l.Service
	if l.Ingress != "" {
		namespace, ingress, _ := strings.Cut(l.Ingress, "/")
		for _, o := range plan.Objects {
			if ing, ok := o.Value.(*networkingv1.Ingress); ok && ing.Namespace == namespace && ing.Name == ingress {
				name = namespace + "/" + scenario.BackendOf(ing, l.Path)
			}
		}
	}
	namespace, service, _ := strings.Cut(name, "/")
	return kube.Key{Namespace: namespace, Name: service}
}

// pending is whether something of a rollout is still under way: a Deployment that is neither complete nor past its deadline, or a pod that is ending.
func (o *rolloutWatcher) pending() bool {
	now := o.w.Engine.Now()
	if o.last == 0 || o.x.Crash || now > o.last+longestRollout {
		return false
	}
	if now < o.last+time.Second {
		return true
	}
	for _, p := range o.pods {
		if p.terminating && !p.gone {
			return true
		}
	}
	d, err := kube.Get[*appsv1.Deployment](o.reader, o.key)
	if err != nil {
		return false
	}
	_, done, err := controllers.RolloutStatus(d)
	return !done && err == nil
}

// longestRollout bounds how long a run waits for the end of a rollout.
const longestRollout = 2 * time.Hour

// record takes what happened.
func (o *rolloutWatcher) record(r *trace.Record) {
	if o.dirty && r.Time > o.dirtyAt {
		o.dirty = false
		o.countTargets(o.dirtyAt)
	}
	switch r.Kind {
	case trace.Kube:
		o.kube(r)
	case trace.Health, trace.AWS:
		o.dirty, o.dirtyAt = true, r.Time
	case trace.Balance:
		o.balance(r)
	}
	if o.evidence != nil {
		o.evidence.record(r)
	}
}

// balance notes the choice of a target.
func (o *rolloutWatcher) balance(r *trace.Record) {
	target := o.w.Log.String(r.What)
	if r.Time >= o.x.Began {
		o.x.Uses = append(o.x.Uses, observe.Use{At: r.Time, Target: target})
	}
	if p := r.Packet; p != nil {
		from := netip.AddrPortFrom(p.Src, p.SrcPort)
		o.flows[from] = append(o.flows[from], observe.Use{At: r.Time, Target: target})
	}
}

// kindOf is the kind of object that a call was about; calls are named as in "update status of Pod".
func (o *rolloutWatcher) kindOf(n trace.Name) string {
	k, ok := o.kinds[n]
	if !ok {
		k = o.w.Log.String(n)
		k = k[strings.LastIndexByte(k, ' ')+1:]
		o.kinds[n] = k
	}
	return k
}

// from is when things begin to be counted.
func (o *rolloutWatcher) from() time.Duration {
	if o.x.Update >= 0 {
		return o.x.Update
	}
	return o.x.Began
}

// begin takes stock when things begin to be counted.
func (o *rolloutWatcher) begin() {
	o.started = true
	o.x.GatesBefore = o.gates()
	o.before = o.events()
	o.count(o.from(), true)
	if d, err := kube.Get[*appsv1.Deployment](o.reader, o.key); err == nil {
		o.x.Counts[len(o.x.Counts)-1].HasAvailable, o.x.Counts[len(o.x.Counts)-1].Available = true, int(d.Status.AvailableReplicas)
	}
}

func (o *rolloutWatcher) kube(r *trace.Record) {
	if !o.started && r.Time >= o.from() {
		o.begin()
	}
	switch o.kindOf(r.What) {
	case "Pod":
		namespace, name, _ := strings.Cut(r.Text, "/")
		o.pod(kube.Key{Namespace: namespace, Name: name}, r.Time)
	case "ReplicaSet":
		o.replicas(r.Time)
	case "EndpointSlice":
		o.count(r.Time, true)
	case "Deployment":
		o.deployment(r.Time)
	case "signal":
		o.signal(r)
	}
}

// pod looks at a pod that may have changed.
func (o *rolloutWatcher) pod(key kube.Key, now time.Duration) {
	if key.Namespace != o.key.Namespace {
		return
	}
	p, err := kube.Get[*corev1.Pod](o.reader, key)
	if err != nil {
		for _, w := range o.pods {
			if w.key == key && !w.gone {
				w.gone = true
				o.count(now, false)
			}
		}
		return
	}
	w := o.pods[p.UID]
	if w == nil {
		if !o.selector.Matches(labels.Set(p.Labels)) {
			return
		}
		w = &watchedPod{key: key, created: now, new: o.x.Update >= 0 && now >= o.x.Update}
		o.pods[p.UID] = w
		o.count(now, false)
	}
	w.gates = len(p.Spec.ReadinessGates)
	if w.addr == "" && p.Status.PodIP != "" {
		w.addr = p.Status.PodIP
		o.byAddr[w.addr] = append(o.byAddr[w.addr], w)
	}
	if p.DeletionTimestamp != nil && !w.terminating {
		w.terminating = true
		if o.started {
			o.deleted[key] = len(o.x.Deletions)
			o.x.Deletions = append(o.x.Deletions, observe.PodDeletion{At: now, Addr: w.addr})
		}
		o.count(now, false)
	}
}

// signal notes what a container was sent; the record's text is "NAMESPACE/POD CONTAINER: SIGNAL".
func (o *rolloutWatcher) signal(r *trace.Record) {
	pod, rest, _ := strings.Cut(r.Text, " ")
	namespace, name, _ := strings.Cut(pod, "/")
	i, ok := o.deleted[kube.Key{Namespace: namespace, Name: name}]
	if !ok {
		return
	}
	d := &o.x.Deletions[i]
	if strings.HasSuffix(rest, ": SIGKILL") {
		d.Kill = r.Time
	} else if d.Signal == 0 {
		d.Signal = r.Time
	}
}

// count notes numbers of pods, and of endpoints.
func (o *rolloutWatcher) count(now time.Duration, endpoints bool) {
	if !o.started {
		return
	}
	c := observe.Counts{At: now}
	for _, p := range o.pods {
		if !p.gone {
			c.Pods++
			if p.terminating {
				c.Terminating++
			}
		}
	}
	if endpoints {
		c.HasEndpoints, c.ReadyEndpoints = true, o.readyEndpoints()
	}
	o.x.Counts = append(o.x.Counts, c)
}

// readyEndpoints are the ready addresses of the Service.
func (o *rolloutWatcher) readyEndpoints() (n int) {
	for _, es := range kube.List[*discoveryv1.EndpointSlice](o.reader) {
		if es.Namespace != o.service.Namespace || es.Labels[discoveryv1.LabelServiceName] != o.service.Name {
			continue
		}
		for _, e := range es.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				n++
			}
		}
	}
	return n
}

// revision is what tells the newest ReplicaSet of a Deployment. Source: kubernetes/kubernetes pkg/controller/deployment/util (RevisionAnnotation).
const revision = "deployment.kubernetes.io/revision"

// replicas notes the sizes of the Deployment's ReplicaSets.
func (o *rolloutWatcher) replicas(now time.Duration) {
	if !o.started {
		return
	}
	newest, step := -1, [2]int{}
	for _, rs := range kube.List[*appsv1.ReplicaSet](o.reader) {
		owner := metav1.GetControllerOf(rs)
		if rs.Namespace != o.key.Namespace || owner == nil || owner.Kind != "Deployment" || owner.Name != o.key.Name {
			continue
		}
		n, _ := strconv.Atoi(rs.Annotations[revision])
		size := 0
		if rs.Spec.Replicas != nil {
			size = int(*rs.Spec.Replicas)
		}
		if n > newest {
			newest = n
			step = [2]int{size, step[0] + step[1]}
		} else {
			step[1] += size
		}
	}
	if d, err := kube.Get[*appsv1.Deployment](o.reader, o.key); err != nil || strconv.Itoa(newest) == d.Annotations[revision] && len(o.x.Steps) == 0 && step[1] == 0 {
		return // not changed yet
	}
	if n := len(o.x.Steps); n == 0 || o.x.Steps[n-1] != step {
		o.x.Steps = append(o.x.Steps, step)
	}
}

// statusDelay is how long after the update a person has started kubectl rollout status.
const statusDelay = time.Second

// deployment looks at the Deployment's status.
func (o *rolloutWatcher) deployment(now time.Duration) {
	d, err := kube.Get[*appsv1.Deployment](o.reader, o.key)
	if err != nil {
		return
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing {
			o.x.Progressing = c.Reason
		}
	}
	if !o.started {
		return
	}
	o.x.Counts = append(o.x.Counts, observe.Counts{At: now, Pods: 0, HasAvailable: true, Available: int(d.Status.AvailableReplicas)})
	message, done, err := controllers.RolloutStatus(d)
	o.x.Ended = done && err == nil
	switch {
	case err != nil:
		message = err.Error()
		if o.x.Stalled < 0 {
			o.x.Stalled = now
		}
	case done && o.x.Complete < 0 && len(o.x.Steps) > 0:
		o.x.Complete = now
	case done && len(o.x.Steps) == 0:
		o.x.Ended = false
		return // the update is not seen yet
	}
	if now < o.x.Update+statusDelay {
		return
	}
	_, rest, ok := strings.Cut(message, "rollout to finish: ")
	if !ok {
		rest = strings.TrimPrefix(message, `deployment "`+d.Name+`" `)
	}
	if !slices.Contains(o.x.Status, rest) {
		o.x.Status = append(o.x.Status, rest)
	}
}

// gates counts pods with a readiness gate.
func (o *rolloutWatcher) gates() (n int) {
	for _, p := range o.pods {
		if p.gates > 0 && !p.gone {
			n++
		}
	}
	return n
}

// gateConditions are the conditions that readiness gates look at.
func (o *rolloutWatcher) gateConditions() (out []string) {
	for _, p := range kube.List[*corev1.Pod](o.reader) {
		if p.Namespace != o.key.Namespace || !o.selector.Matches(labels.Set(p.Labels)) || p.DeletionTimestamp != nil {
			continue
		}
		for _, g := range p.Spec.ReadinessGates {
			text := "none"
			for _, c := range p.Status.Conditions {
				if c.Type == g.ConditionType {
					text = strings.TrimSpace(string(c.Status) + " " + c.Reason)
				}
			}
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return out
}

// events counts the Events of the Deployment's namespace.
func (o *rolloutWatcher) events() map[string]int {
	n := map[string]int{}
	for _, e := range kube.Events(o.reader) {
		if e.Namespace == o.key.Namespace {
			n[e.Reason] += int(max(e.Count, 1))
		}
	}
	return n
}

// countTargets notes what DescribeTargetHealth would say.
func (o *rolloutWatcher) countTargets(at time.Duration) {
	c := observe.TargetCounts{At: at}
	for _, tg := range o.w.ELB.TargetGroups() {
		for _, t := range tg.Targets {
			switch state, _, _ := o.w.ELB.Health(tg, t); state {
			case "initial":
				c.Initial++
			case "healthy":
				c.Healthy++
			case "draining":
				c.Draining++
			case "unhealthy":
				c.Unhealthy++
			default:
				c.Unused++
			}
		}
	}
	if n := len(o.x.Targets); n > 0 {
		same := o.x.Targets[n-1]
		same.At = at
		if same == c {
			return
		}
	}
	o.x.Targets = append(o.x.Targets, c)
}

// calls are those that change targets.
func (o *rolloutWatcher) calls() (out []observe.TargetsCall) {
	for _, e := range o.w.Trail.Events() {
		if e.ErrorCode != "" || e.Time < o.x.Began {
			continue
		}
		c := observe.TargetsCall{At: e.Time}
		switch in := e.Request.(type) {
		case *elbv2.RegisterTargetsInput:
			for _, t := range in.Targets {
				c.Targets = append(c.Targets, aws.ToString(t.Id)+":"+strconv.Itoa(int(aws.ToInt32(t.Port))))
			}
		case *elbv2.DeregisterTargetsInput:
			c.Deregister = true
			for _, t := range in.Targets {
				c.Targets = append(c.Targets, aws.ToString(t.Id)+":"+strconv.Itoa(int(aws.ToInt32(t.Port))))
			}
		default:
			continue
		}
		out = append(out, c)
	}
	return out
}

// observed adds what was seen so far.
func (o *rolloutWatcher) observed(rec *observe.Recording) {
	x := o.x
	x.End = o.w.Engine.Now()
	o.countTargets(x.End)
	x.Targets = o.x.Targets
	if !o.started {
		o.begin() // nothing happened, or it was interrupted before
	}
	x.Counts = o.x.Counts
	x.GatesAt = o.gates()
	x.GatesBefore = o.x.GatesBefore
	if x.Update < 0 {
		x.GatesBefore = x.GatesAt
	}
	x.GateConditions = o.gateConditions()
	x.Events = o.events()
	for reason, n := range o.before {
		if x.Events[reason] -= n; x.Events[reason] <= 0 {
			delete(x.Events, reason)
		}
	}
	x.Calls = o.calls()
	x.Requests = o.requests()
	rec.Add(x.Summarize())
	rec.Setup = append(rec.Setup, o.setup()...)
	if o.evidence != nil {
		rec.AddEvidence(o.evidence.byObservation())
	}
	if o.done != nil {
		o.done(&x)
	}
}
