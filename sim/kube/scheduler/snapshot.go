package scheduler

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// snapshot is the nodes and what is on them, kept as things change.
type snapshot struct {
	byName map[string]*info
	// order is the nodes by name.
	order []*info
	// byLabel is the nodes by name that have a label with a value, as "key=value".
	byLabel map[string][]*info
	// where pods are, as far as is known: those that were placed and are not seen there yet, too.
	where map[kube.Key]*info
	// hermits are the pods in place that have a required anti-affinity.
	hermits map[kube.Key]*info
	// classes counts the nodes that turn away the same pods.
	classes map[string]*class
}

// class is the nodes that are alike in their taints and in whether they are cordoned.
type class struct {
	like  *corev1.Node
	nodes int
}

// info is a node and the pods on it.
type info struct {
	node  *corev1.Node
	limit int
	pods  []*corev1.Pod
	class *class
}

func (s *snapshot) init() {
	s.classes, s.byName, s.byLabel, s.where, s.hermits = map[string]*class{}, map[string]*info{}, map[string][]*info{}, map[kube.Key]*info{}, map[kube.Key]*info{}
}

func byName(a *info, name string) int { return strings.Compare(a.node.Name, name) }

func insert(list []*info, n *info) []*info {
	i, _ := slices.BinarySearchFunc(list, n.node.Name, byName)
	return slices.Insert(list, i, n)
}

func without(list []*info, n *info) []*info {
	return slices.DeleteFunc(list, func(o *info) bool { return o == n })
}

// node follows a change of a node.
func (s *snapshot) node(old, now *corev1.Node) {
	name := ""
	if now != nil {
		name = now.Name
	} else {
		name = old.Name
	}
	n := s.byName[name]
	if n == nil {
		n = &info{}
		s.byName[name] = n
	}
	was := n.node
	if n.class != nil {
		n.class.nodes--
		n.class = nil
	}
	if was != nil && (now == nil || !maps.Equal(was.Labels, now.Labels)) {
		for k, v := range was.Labels {
			s.byLabel[k+"="+v] = without(s.byLabel[k+"="+v], n)
		}
	}
	if now == nil {
		s.order = without(s.order, n)
		n.node = nil
		delete(s.byName, name)
		return
	}
	n.node = now
	limit := now.Status.Allocatable[corev1.ResourcePods]
	n.limit = int(limit.Value())
	n.class = s.classOf(now)
	n.class.nodes++
	if was == nil {
		s.order = insert(s.order, n)
	}
	if was == nil || !maps.Equal(was.Labels, now.Labels) {
		for k, v := range now.Labels {
			s.byLabel[k+"="+v] = insert(s.byLabel[k+"="+v], n)
		}
	}
}

func (s *snapshot) placed(k kube.Key) bool { return s.where[k] != nil }

// place puts a pod on a node, in place of what was known of it.
func (s *snapshot) place(p *corev1.Pod, node string) {
	k := kube.KeyOf(p)
	n := s.where[k]
	if n == nil || n.node == nil || n.node.Name != node {
		s.remove(k)
		if n = s.byName[node]; n == nil {
			return
		}
		n.pods = append(n.pods, p)
		s.where[k] = n
	} else {
		i := slices.IndexFunc(n.pods, func(o *corev1.Pod) bool { return kube.KeyOf(o) == k })
		n.pods[i] = p
	}
	if a := p.Spec.Affinity; a != nil && a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
		s.hermits[k] = n
	}
}

func (s *snapshot) remove(k kube.Key) {
	if n := s.where[k]; n != nil {
		n.pods = slices.DeleteFunc(n.pods, func(o *corev1.Pod) bool { return kube.KeyOf(o) == k })
		delete(s.where, k)
		delete(s.hermits, k)
	}
}

// candidates are the nodes, by name, that a pod's node selector or the name in its node affinity leaves, as far as an index can tell: all others fail by these.
func (s *snapshot) candidates(pod *corev1.Pod) []*info {
	if name, ok := named(pod); ok {
		if n := s.byName[name]; n != nil {
			return []*info{n}
		}
		return nil
	}
	best, chosen := s.order, false
	for k, v := range pod.Spec.NodeSelector {
		if list := s.byLabel[k+"="+v]; !chosen || len(list) < len(best) {
			best, chosen = list, true
		}
	}
	return best
}

// named is the one node that a pod's node affinity names, if it names one.
func named(pod *corev1.Pod) (string, bool) {
	a := pod.Spec.Affinity
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return "", false
	}
	terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	if len(terms) != 1 {
		return "", false
	}
	for _, f := range terms[0].MatchFields {
		if f.Key == nameField && f.Operator == corev1.NodeSelectorOpIn && len(f.Values) == 1 {
			return f.Values[0], true
		}
	}
	return "", false
}

// classOf is the class of a node.
func (s *snapshot) classOf(node *corev1.Node) *class {
	key := ""
	if node.Spec.Unschedulable {
		key = "unschedulable"
	}
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		key += "\n" + t.Key + "=" + t.Value + ":" + string(t.Effect)
	}
	c := s.classes[key]
	if c == nil {
		c = &class{like: node}
		s.classes[key] = c
	}
	return c
}

// others adds to the reasons those of the nodes that were no candidates: what turns the pod away before its selector is looked at, or that.
func (s *snapshot) others(q *question, candidates []*info, reasons map[string]int) map[string]int {
	if len(candidates) == len(s.order) {
		return reasons
	}
	looked := map[*class]int{}
	for _, n := range candidates {
		looked[n.class]++
	}
	for _, c := range s.classes { // the sum is the same in any order
		n := c.nodes - looked[c]
		if n == 0 {
			continue
		}
		why := turnedAway(q.pod, c.like)
		if why == "" {
			why = noMatch
		}
		reasons[why] += n
	}
	return reasons
}
