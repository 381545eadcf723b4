// Package scheduler models the default kube-scheduler: one pod at a time, nodes that fit, the best of them.
//
// Models: node selectors, required node affinity (matchExpressions with In, NotIn, Exists, DoesNotExist; matchFields by name), required pod affinity and
// anti-affinity in both directions, taints and tolerations (as filters), topologySpreadConstraints (DoNotSchedule as a filter, ScheduleAnyway as a score),
// the number of pods a node takes; then the fewest pods, and a draw among equals. As the real one it looks at some of the nodes only where there are more
// than 100, and looks again at pods that fit nowhere only when something changes that may let them in.
// Does not model: preferred affinities, PreferNoSchedule, resource requests, volumes, preemption. A pod that asks for them ends the run with
// engine.ErrNotModelled.
// Source: kubernetes/kubernetes pkg/scheduler, pkg/scheduler/framework/plugins.
package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	snap    snapshot
	waiting waiting
	// next is where the search for nodes that fit begins.
	next int
}

// New starts the scheduler.
func New(c *kube.Cluster, pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *Scheduler {
	s := &Scheduler{cluster: c, client: c.As(kube.Caller{User: "system:kube-scheduler"}), pods: pods}
	s.waiting.init()
	s.snap.init()
	s.queue = kube.NewQueue(c.Engine(), "kube-scheduler", kube.Backoff{Base: time.Second, Max: 10 * time.Second}, s.schedule)
	nodes.Handle(func(old, now *corev1.Node) {
		s.snap.node(old, now)
		if now != nil && (old == nil || !sameForPods(old, now)) {
			s.retry(s.waiting.forNode(now))
		}
	})
	pods.Handle(func(old, now *corev1.Pod) {
		switch {
		case now == nil:
			s.waiting.remove(kube.KeyOf(old))
			s.snap.remove(kube.KeyOf(old))
			if n := s.snap.byName[old.Spec.NodeName]; n != nil {
				s.retry(append(s.waiting.forNode(n.node), s.waiting.sociable()...))
			}
		case now.Spec.NodeName != "":
			s.snap.place(now, now.Spec.NodeName)
			if old == nil || old.Spec.NodeName == "" {
				s.retry(s.waiting.sociable())
			}
		default:
			s.queue.Add(kube.KeyOf(now))
		}
	})
	return s
}

// sameForPods says whether a node takes the same pods as before.
// Source: kubernetes/kubernetes pkg/scheduler/eventhandlers.go, nodeSchedulingPropertiesChange.
func sameForPods(a, b *corev1.Node) bool {
	x, y := a.Status.Allocatable[corev1.ResourcePods], b.Status.Allocatable[corev1.ResourcePods]
	return a.Spec.Unschedulable == b.Spec.Unschedulable && x.Equal(y) && maps.Equal(a.Labels, b.Labels) &&
		slices.EqualFunc(a.Spec.Taints, b.Spec.Taints, func(p, q corev1.Taint) bool { return p.Key == q.Key && p.Value == q.Value && p.Effect == q.Effect })
}

// retry looks again at pods that fitted nowhere.
func (s *Scheduler) retry(keys []kube.Key) {
	slices.SortFunc(keys, kube.Key.Compare)
	for _, k := range slices.Compact(keys) {
		s.waiting.remove(k)
		s.queue.Add(k)
	}
}

func (s *Scheduler) schedule(p *engine.Process, k kube.Key) error {
	pod, ok := s.pods.Get(k)
	if !ok || pod.Spec.NodeName != "" || s.snap.placed(k) || pod.DeletionTimestamp != nil {
		return nil
	}
	if err := refuse(pod); err != nil {
		s.cluster.Engine().Fail(err)
		return nil
	}
	p.Sleep(bindTime)
	q := s.snap.ask(pod)
	candidates := s.snap.candidates(pod)
	enough := enoughNodes(len(candidates))
	var fit []*info
	reasons := map[string]int{}
	from := 0
	if enough < len(candidates) {
		from = s.next % len(candidates)
	}
	for i := range candidates {
		n := candidates[(from+i)%len(candidates)]
		if why := q.filter(n); why != "" {
			reasons[why]++
			continue
		}
		if fit = append(fit, n); len(fit) == enough {
			s.next = from + i + 1
			break
		}
	}
	if len(fit) == 0 {
		s.waiting.add(pod)
		return s.unschedulable(pod, s.snap.others(q, candidates, reasons))
	}
	best := s.best(q, fit)
	now := *pod // what it points to stays as it is
	now.Spec.NodeName = best.node.Name
	now.Status.Conditions = nil
	if _, err := s.client.Update(&now); err != nil {
		return err
	}
	s.snap.place(pod, best.node.Name) // the cache does not show it yet
	return nil
}

// enoughNodes is how many nodes that fit end the search. Source: kubernetes/kubernetes pkg/scheduler/schedule_one.go, numFeasibleNodesToFind.
func enoughNodes(all int) int {
	const least = 100
	if all < least {
		return all
	}
	percent := max(50-all/125, 5)
	return max(all*percent/100, least)
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

// best is the node with the fewest pods that spread constraints count, then the fewest pods, then by a draw.
func (s *Scheduler) best(q *question, fit []*info) *info {
	var best []*info
	var bestA, bestB int
	for _, n := range fit {
		a, b := q.crowded(n), len(n.pods)
		switch {
		case len(best) == 0 || a < bestA || a == bestA && b < bestB:
			best, bestA, bestB = append(best[:0], n), a, b
		case a == bestA && b == bestB:
			best = append(best, n)
		}
	}
	return best[s.cluster.Engine().Rand("kube-scheduler").IntN(len(best))]
}

// unschedulable writes the condition that kubectl describe shows.
func (s *Scheduler) unschedulable(pod *corev1.Pod, reasons map[string]int) error {
	var words []string
	for why, n := range reasons {
		words = append(words, fmt.Sprintf("%d %s", n, why))
	}
	slices.Sort(words)
	msg := fmt.Sprintf("0/%d nodes are available", len(s.snap.order))
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
	now := *pod
	now.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: msg, LastTransitionTime: s.cluster.Now()}}
	_, err := s.client.UpdateStatus(&now)
	return err
}

// nameField is the one field that a node affinity may name.
const nameField = metav1.ObjectNameField
