package scheduler

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const noMatch = "node(s) didn't match Pod's node affinity/selector"

// question is a pod to be placed, and what of it is worked out once for all nodes.
type question struct {
	pod  *corev1.Pod
	snap *snapshot
	// near are the domains with a pod that a term of its pod affinity selects, and far those of its anti-affinity.
	near, far []domains
	// kept are the domains that pods in place keep this one away from.
	kept []domains
	// spread counts, for each topology spread constraint, the pods that it selects by domain.
	spread []spread
}

// domains are values of a topology key.
type domains struct {
	key string
	in  map[string]bool
}

func (d *domains) has(n *corev1.Node) bool { v, ok := n.Labels[d.key]; return ok && d.in[v] }

type spread struct {
	c      *corev1.TopologySpreadConstraint
	counts map[string]int
	least  int
}

// ask works out what a pod asks for.
func (s *snapshot) ask(pod *corev1.Pod) *question {
	q := &question{pod: pod, snap: s}
	if a := pod.Spec.Affinity; a != nil {
		if a.PodAffinity != nil {
			q.near = s.reach(pod, a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		}
		if a.PodAntiAffinity != nil {
			q.far = s.reach(pod, a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution)
		}
	}
	for k, n := range s.hermits { // only whether there is one counts
		for _, p := range n.pods {
			if p.Name != k.Name || p.Namespace != k.Namespace {
				continue
			}
			for i := range p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution {
				t := &p.Spec.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution[i]
				if v, ok := n.node.Labels[t.TopologyKey]; ok && term(p, t, pod) {
					q.kept = append(q.kept, domains{t.TopologyKey, map[string]bool{v: true}})
				}
			}
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		q.spread = append(q.spread, s.count(pod, &pod.Spec.TopologySpreadConstraints[i]))
	}
	return q
}

// reach is, for each term, the domains in which a pod runs that it selects.
func (s *snapshot) reach(pod *corev1.Pod, terms []corev1.PodAffinityTerm) []domains {
	out := make([]domains, len(terms))
	for i := range terms {
		t := &terms[i]
		out[i] = domains{t.TopologyKey, map[string]bool{}}
		for _, n := range s.order {
			v, ok := n.node.Labels[t.TopologyKey]
			if !ok || out[i].in[v] {
				continue
			}
			out[i].in[v] = slices.ContainsFunc(n.pods, func(p *corev1.Pod) bool { return term(pod, t, p) })
		}
	}
	return out
}

// count counts the pods that a constraint selects, by domain, in the domains of nodes that the pod's node selector leaves.
func (s *snapshot) count(pod *corev1.Pod, c *corev1.TopologySpreadConstraint) spread {
	out := spread{c: c, counts: map[string]int{}, least: -1}
	sel, err := metav1.LabelSelectorAsSelector(c.LabelSelector)
	if err != nil {
		return out
	}
	for _, n := range s.order {
		d, ok := n.node.Labels[c.TopologyKey]
		if !ok || !selected(pod, n.node) {
			continue
		}
		out.counts[d] += 0
		for _, p := range n.pods {
			if p.Namespace == pod.Namespace && p.DeletionTimestamp == nil && sel.Matches(labels.Set(p.Labels)) {
				out.counts[d]++
			}
		}
	}
	for _, k := range out.counts {
		if out.least < 0 || k < out.least {
			out.least = k
		}
	}
	out.least = max(out.least, 0)
	return out
}

// crowded is how many pods the constraints that only weigh count in a node's domains.
func (q *question) crowded(n *info) (sum int) {
	for i := range q.spread {
		if c := &q.spread[i]; c.c.WhenUnsatisfiable == corev1.ScheduleAnyway {
			sum += c.counts[n.node.Labels[c.c.TopologyKey]]
		}
	}
	return sum
}

// turnedAway says why a node takes no pods like this one, whatever the pod asks for.
func turnedAway(pod *corev1.Pod, node *corev1.Node) string {
	if node.Spec.Unschedulable && !tolerates(pod, &corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return "node(s) were unschedulable"
	}
	for i := range node.Spec.Taints {
		if t := &node.Spec.Taints[i]; t.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, t) {
			return fmt.Sprintf("node(s) had taint {%s: %s}, that the pod didn't tolerate", t.Key, t.Value)
		}
	}
	return ""
}

// filter says why the pod may not go to a node, in the words of FailedScheduling; empty if it may. The order is that of the default plugins.
func (q *question) filter(n *info) string {
	pod := q.pod
	if why := turnedAway(pod, n.node); why != "" {
		return why
	}
	if !selected(pod, n.node) || !nodeAffinity(pod, n.node) {
		return noMatch
	}
	if len(n.pods) >= n.limit {
		return "Too many pods"
	}
	for i := range q.spread {
		if c := &q.spread[i]; c.c.WhenUnsatisfiable == corev1.DoNotSchedule && c.counts[n.node.Labels[c.c.TopologyKey]]+1-c.least > int(c.c.MaxSkew) {
			return "node(s) didn't match pod topology spread constraints"
		}
	}
	for i := range q.near {
		if !q.near[i].has(n.node) {
			return "node(s) didn't match pod affinity rules"
		}
	}
	for i := range q.far {
		if q.far[i].has(n.node) {
			return "node(s) didn't match pod anti-affinity rules"
		}
	}
	for i := range q.kept {
		if q.kept[i].has(n.node) {
			return "node(s) didn't satisfy existing pods anti-affinity rules"
		}
	}
	return ""
}

// selected says whether a pod's node selector selects a node.
func selected(pod *corev1.Pod, node *corev1.Node) bool {
	for k, v := range pod.Spec.NodeSelector {
		if have, ok := node.Labels[k]; !ok || have != v {
			return false
		}
	}
	return true
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
		for _, f := range t.MatchFields {
			ok = ok && f.Key == nameField && f.Operator == corev1.NodeSelectorOpIn && slices.Contains(f.Values, node.Name)
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
