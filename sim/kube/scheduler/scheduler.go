// Package scheduler models the default kube-scheduler: one pod at a time, nodes that fit, the best of them.
//
// Models: node selectors, required node affinity (matchExpressions with In, NotIn, Exists, DoesNotExist), required pod affinity and anti-affinity
// in both directions, taints and tolerations (as filters), topologySpreadConstraints (DoNotSchedule as a filter, ScheduleAnyway as a score), the number of pods a node takes; then the fewest
// pods, and a draw among equals.
// Does not model: preferred affinities, PreferNoSchedule, resource requests, volumes, preemption. A pod that asks for them ends the run with engine.ErrNotModelled.
// Source: kubernetes/kubernetes pkg/scheduler/framework/plugins.
package scheduler

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// bindTime is what placing a pod takes; an order of magnitude.
const bindTime = 2 * time.Millisecond

// Scheduler places pods. Use New.
type Scheduler struct {
	cluster *kube.Cluster
	client  *kube.Client
	queue   *kube.Queue
	pods    *kube.Informer[*corev1.Pod]
	nodes   *kube.Informer[*corev1.Node]
	// assumed is where pods were placed that the cache does not show there yet.
	assumed map[kube.Key]string
	waiting map[kube.Key]bool // that fit nowhere
}

// New starts the scheduler. It indexes pods by node, under "node".
func New(c *kube.Cluster, pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *Scheduler {
	s := &Scheduler{cluster: c, client: c.As(kube.Caller{User: "system:kube-scheduler"}), pods: pods, nodes: nodes, assumed: map[kube.Key]string{}, waiting: map[kube.Key]bool{}}
	pods.Index("node", func(p *corev1.Pod) []string { return []string{p.Spec.NodeName} })
	s.queue = kube.NewQueue(c.Engine(), "kube-scheduler", kube.Backoff{Base: time.Second, Max: 10 * time.Second}, s.schedule)
	nodes.Handle(func(_, _ *corev1.Node) { s.retry() })
	pods.Handle(func(old, now *corev1.Pod) {
		switch {
		case now == nil:
			delete(s.assumed, kube.KeyOf(old))
			s.retry()
		case now.Spec.NodeName != "":
			delete(s.assumed, kube.KeyOf(now))
			if old == nil || old.Spec.NodeName == "" {
				s.retry()
			}
		default:
			s.queue.Add(kube.KeyOf(now))
		}
	})
	return s
}

// retry looks again at the pods that fitted nowhere, since something has changed.
func (s *Scheduler) retry() {
	keys := make([]kube.Key, 0, len(s.waiting))
	for k := range s.waiting {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b kube.Key) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	clear(s.waiting)
	for _, k := range keys {
		s.queue.Add(k)
	}
}

// placed is a node and the pods on it, as far as is known.
type placed struct {
	node *corev1.Node
	pods []*corev1.Pod
}

func (s *Scheduler) schedule(p *engine.Process, k kube.Key) error {
	pod, ok := s.pods.Get(k)
	if !ok || pod.Spec.NodeName != "" || s.assumed[k] != "" || pod.DeletionTimestamp != nil {
		return nil
	}
	if err := refuse(pod); err != nil {
		s.cluster.Engine().Fail(err)
		return nil
	}
	p.Sleep(bindTime)
	all := s.snapshot()
	var fit []placed
	reasons := map[string]int{}
	for _, n := range all {
		if why := s.filter(pod, n, all); why != "" {
			reasons[why]++
			continue
		}
		fit = append(fit, n)
	}
	if len(fit) == 0 {
		s.waiting[k] = true
		return s.unschedulable(pod, len(all), reasons)
	}
	best := s.best(pod, fit, all)
	now := pod.DeepCopy()
	now.Spec.NodeName = best.node.Name
	now.Status.Conditions = nil
	if _, err := s.client.Update(now); err != nil {
		return err
	}
	s.assumed[k] = best.node.Name
	return nil
}

// refuse names what a pod asks for that is not modelled.
func refuse(pod *corev1.Pod) error {
	what := ""
	if a := pod.Spec.Affinity; a != nil {
		switch {
		case a.NodeAffinity != nil && len(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0:
			what = "preferred node affinity"
		case a.PodAffinity != nil && len(a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0:
			what = "preferred pod affinity"
		case a.PodAntiAffinity != nil && len(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution) > 0:
			what = "preferred pod anti-affinity"
		}
	}
	for _, c := range pod.Spec.Containers {
		if len(c.Resources.Requests) > 0 {
			what = "resource requests"
		}
	}
	if what == "" {
		return nil
	}
	return engine.NotModelled("Pod %v: %s", kube.KeyOf(pod), what)
}

func (s *Scheduler) snapshot() []placed {
	nodes := s.nodes.List()
	out := make([]placed, len(nodes))
	at := map[string]int{}
	for i, n := range nodes {
		out[i] = placed{node: n, pods: s.pods.By("node", n.Name)}
		at[n.Name] = i
	}
	keys := make([]kube.Key, 0, len(s.assumed))
	for k := range s.assumed {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b kube.Key) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	for _, k := range keys {
		if p, ok := s.pods.Get(k); ok {
			if i, ok := at[s.assumed[k]]; ok {
				out[i].pods = append(out[i].pods, p)
			}
		}
	}
	return out
}

// filter says why a pod may not go to a node, in the words of FailedScheduling; empty if it may.
func (s *Scheduler) filter(pod *corev1.Pod, n placed, all []placed) string {
	if n.node.Spec.Unschedulable && !tolerates(pod, &corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return "node(s) were unschedulable"
	}
	for i := range n.node.Spec.Taints {
		if t := &n.node.Spec.Taints[i]; t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, t) {
			return fmt.Sprintf("node(s) had taint {%s: %s}, that the pod didn't tolerate", t.Key, t.Value)
		}
	}
	if limit := n.node.Status.Allocatable[corev1.ResourcePods]; int64(len(n.pods)) >= limit.Value() {
		return "Too many pods"
	}
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(n.node.Labels)) || !nodeAffinity(pod, n.node) {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	a := pod.Spec.Affinity
	if a != nil && a.PodAffinity != nil {
		for i := range a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if !s.near(pod, &a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i], n, all) {
				return "node(s) didn't match pod affinity rules"
			}
		}
	}
	if a != nil && a.PodAntiAffinity != nil {
		for i := range a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
			if s.near(pod, &a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i], n, all) {
				return "node(s) didn't match pod anti-affinity rules"
			}
		}
	}
	for _, other := range all { // the anti-affinity of those that run already
		for _, p := range other.pods {
			if pa := p.Spec.Affinity; pa != nil && pa.PodAntiAffinity != nil {
				for i := range pa.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
					t := &pa.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i]
					if same(other.node, n.node, t.TopologyKey) && term(p, t, pod) {
						return "node(s) didn't satisfy existing pods anti-affinity rules"
					}
				}
			}
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		c := &pod.Spec.TopologySpreadConstraints[i]
		if c.WhenUnsatisfiable == corev1.DoNotSchedule {
			own, least := spread(pod, c, n, all)
			if own+1-least > int(c.MaxSkew) {
				return "node(s) didn't match pod topology spread constraints"
			}
		}
	}
	return ""
}

// tolerates says whether a pod tolerates a taint.
func tolerates(pod *corev1.Pod, t *corev1.Taint) bool {
	for i := range pod.Spec.Tolerations {
		o := &pod.Spec.Tolerations[i]
		if (o.Effect == "" || o.Effect == t.Effect) && (o.Key == t.Key || o.Key == "" && o.Operator == corev1.TolerationOpExists) && (o.Operator == corev1.TolerationOpExists || o.Value == t.Value) {
			return true
		}
	}
	return false
}

func nodeAffinity(pod *corev1.Pod, node *corev1.Node) bool {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return true
	}
	for _, t := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		ok := len(t.MatchExpressions)+len(t.MatchFields) > 0
		for _, f := range t.MatchFields { // the one field there is
			ok = ok && f.Key == metav1.ObjectNameField && f.Operator == corev1.NodeSelectorOpIn && slices.Contains(f.Values, node.Name)
		}
		for _, e := range t.MatchExpressions {
			v, has := node.Labels[e.Key]
			switch e.Operator {
			case corev1.NodeSelectorOpIn:
				ok = ok && has && slices.Contains(e.Values, v)
			case corev1.NodeSelectorOpNotIn:
				ok = ok && !(has && slices.Contains(e.Values, v))
			case corev1.NodeSelectorOpExists:
				ok = ok && has
			case corev1.NodeSelectorOpDoesNotExist:
				ok = ok && !has
			default:
				ok = false
			}
		}
		if ok {
			return true
		}
	}
	return false
}

// near says whether a pod that a term selects runs in the same domain as n.
func (s *Scheduler) near(pod *corev1.Pod, t *corev1.PodAffinityTerm, n placed, all []placed) bool {
	for _, other := range all {
		if !same(other.node, n.node, t.TopologyKey) {
			continue
		}
		for _, p := range other.pods {
			if term(pod, t, p) {
				return true
			}
		}
	}
	return false
}

// term says whether a term of owner's affinity selects a pod.
func term(owner *corev1.Pod, t *corev1.PodAffinityTerm, p *corev1.Pod) bool {
	spaces := t.Namespaces
	if len(spaces) == 0 && t.NamespaceSelector == nil {
		spaces = []string{owner.Namespace}
	}
	if t.NamespaceSelector == nil && !slices.Contains(spaces, p.Namespace) {
		return false
	}
	sel, err := metav1.LabelSelectorAsSelector(t.LabelSelector)
	return err == nil && sel.Matches(labels.Set(p.Labels))
}

func same(a, b *corev1.Node, key string) bool {
	x, ok := a.Labels[key]
	y, also := b.Labels[key]
	return ok && also && x == y
}

// spread counts the pods that a constraint selects: in n's domain, and in the domain that has the fewest.
func spread(pod *corev1.Pod, c *corev1.TopologySpreadConstraint, n placed, all []placed) (own, least int) {
	sel, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
	if err != nil {
		return 0, 0
	}
	counts := map[string]int{}
	for _, o := range all {
		d, ok := o.node.Labels[c.TopologyKey]
		if !ok || !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(o.node.Labels)) {
			continue
		}
		counts[d] += 0
		for _, p := range o.pods {
			if p.Namespace == pod.Namespace && p.DeletionTimestamp == nil && sel.Matches(labels.Set(p.Labels)) {
				counts[d]++
			}
		}
	}
	least = -1
	for _, k := range counts {
		if least < 0 || k < least {
			least = k
		}
	}
	return counts[n.node.Labels[c.TopologyKey]], max(least, 0)
}

// best is the node with the fewest pods that spread constraints count, then the fewest pods, then by a draw.
func (s *Scheduler) best(pod *corev1.Pod, fit, all []placed) placed {
	score := func(n placed) (a, b int) {
		for i := range pod.Spec.TopologySpreadConstraints {
			if c := &pod.Spec.TopologySpreadConstraints[i]; c.WhenUnsatisfiable == corev1.ScheduleAnyway {
				own, _ := spread(pod, c, n, all)
				a += own
			}
		}
		return a, len(n.pods)
	}
	var best []placed
	var bestA, bestB int
	for _, n := range fit {
		a, b := score(n)
		switch {
		case len(best) == 0 || a < bestA || a == bestA && b < bestB:
			best, bestA, bestB = []placed{n}, a, b
		case a == bestA && b == bestB:
			best = append(best, n)
		}
	}
	return best[s.cluster.Engine().Rand("kube-scheduler").IntN(len(best))]
}

// unschedulable writes the condition that kubectl describe shows.
func (s *Scheduler) unschedulable(pod *corev1.Pod, nodes int, reasons map[string]int) error {
	var words []string
	for why, n := range reasons {
		words = append(words, fmt.Sprintf("%d %s", n, why))
	}
	slices.Sort(words)
	msg := fmt.Sprintf("0/%d nodes are available", nodes)
	for i, w := range words {
		sep := ": "
		if i > 0 {
			sep = ", "
		}
		msg += sep + w
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Message == msg {
			return nil
		}
	}
	now := pod.DeepCopy()
	now.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: msg, LastTransitionTime: s.cluster.Now()}}
	_, err := s.client.UpdateStatus(now)
	return err
}
