package controllers

import (
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// maxEndpoints is how many endpoints a slice holds. Source: kubernetes/kubernetes cmd/kube-controller-manager, --max-endpoints-per-slice.
const maxEndpoints = 100

// EndpointSlices keeps each Service's slices.
type EndpointSlices struct {
	client   *kube.Client
	queue    *kube.Queue
	services *kube.Informer[*corev1.Service]
	pods     *kube.Informer[*corev1.Pod]
	nodes    *kube.Informer[*corev1.Node]
	// made are the slices of each Service.
	made map[kube.Key][]kube.Key
}

// NewEndpointSlices starts the endpointslice controller.
func NewEndpointSlices(c *kube.Cluster, services *kube.Informer[*corev1.Service], pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *EndpointSlices {
	s := &EndpointSlices{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:endpointslice-controller"}), services: services, pods: pods, nodes: nodes, made: map[kube.Key][]kube.Key{}}
	s.queue = kube.NewQueue(c.Engine(), "endpointslice-controller", kube.ControllerBackoff, s.reconcile)
	services.Index("namespace", func(s *corev1.Service) []string { return []string{s.Namespace} })
	pods.Index("label", func(p *corev1.Pod) []string {
		keys := make([]string, 0, len(p.Labels))
		for k, v := range p.Labels {
			keys = append(keys, p.Namespace+"/"+k+"="+v)
		}
		return keys
	})
	services.Handle(func(old, now *corev1.Service) {
		if now == nil {
			now = old
		}
		s.queue.Add(kube.KeyOf(now))
	})
	pods.Handle(func(old, now *corev1.Pod) {
		if old != nil && now != nil && !endpointChanged(old, now) {
			return
		}
		seen := map[kube.Key]bool{}
		for _, p := range []*corev1.Pod{old, now} {
			if p == nil {
				continue
			}
			for _, svc := range services.By("namespace", p.Namespace) {
				if k := kube.KeyOf(svc); !seen[k] && len(svc.Spec.Selector) > 0 && labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(p.Labels)) {
					seen[k] = true
					s.queue.Add(k)
				}
			}
		}
	})
	return s
}

// endpointChanged says whether a change of a pod matters to the slices that it is in.
func endpointChanged(old, now *corev1.Pod) bool {
	return Ready(old) != Ready(now) || old.Status.PodIP != now.Status.PodIP || (old.DeletionTimestamp == nil) != (now.DeletionTimestamp == nil) ||
		old.Status.Phase != now.Status.Phase || !reflect.DeepEqual(old.Labels, now.Labels)
}

// reconcile is one sync of a Service: for each set of ports, since a named target port may be another number in other pods.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/reconciler.go, reconcile.
func (s *EndpointSlices) reconcile(_ *engine.Process, k kube.Key) error {
	svc, ok := s.services.Get(k)
	if !ok {
		delete(s.made, k) // the garbage collector removes them
		return nil
	}
	if len(svc.Spec.Selector) == 0 {
		return nil
	}
	var order []string
	groups := map[string]*portGroup{}
	for _, p := range s.selected(svc) {
		if p.Status.PodIP == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		ports, id := endpointPorts(svc, p)
		if groups[id] == nil {
			groups[id] = &portGroup{ports: ports, want: map[endpointKey]discoveryv1.Endpoint{}}
			order = append(order, id)
		}
		groups[id].add(s.endpoint(p))
	}
	var plan slicePlan
	have := map[string][]*discoveryv1.EndpointSlice{}
	stored := s.stored(k)
	for _, e := range stored {
		id := portsID(e.Ports)
		if groups[id] == nil {
			plan.drop = append(plan.drop, e)
		}
		have[id] = append(have[id], e)
	}
	for _, id := range order {
		fill(&plan, svc, groups[id], have[id])
	}
	plan.finish(svc, len(stored))
	return s.write(k, plan)
}

// write makes the slices as planned: creations first, deletions last, so that no endpoint is missing in between.
func (s *EndpointSlices) write(k kube.Key, p slicePlan) error {
	for _, e := range p.create {
		o, err := s.client.Create(e)
		if err != nil {
			return err
		}
		s.made[k] = append(s.made[k], kube.KeyOf(o))
	}
	for _, e := range p.update {
		if _, err := s.client.Update(e); err != nil {
			return err
		}
	}
	for _, e := range p.drop {
		if err := s.drop(k, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *EndpointSlices) drop(k kube.Key, e *discoveryv1.EndpointSlice) error {
	s.made[k] = slices.DeleteFunc(s.made[k], func(x kube.Key) bool { return x == kube.KeyOf(e) })
	if err := kube.Delete[*discoveryv1.EndpointSlice](s.client, kube.KeyOf(e)); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// stored are the slices that the controller has made for a Service.
func (s *EndpointSlices) stored(k kube.Key) (out []*discoveryv1.EndpointSlice) {
	for _, key := range s.made[k] {
		if e, err := kube.Get[*discoveryv1.EndpointSlice](s.client, key); err == nil {
			out = append(out, e)
		}
	}
	return out
}

// selected is the pods that a Service selects, found by one of its labels.
func (s *EndpointSlices) selected(svc *corev1.Service) []*corev1.Pod {
	keys := make([]string, 0, len(svc.Spec.Selector))
	for k, v := range svc.Spec.Selector {
		keys = append(keys, svc.Namespace+"/"+k+"="+v)
	}
	slices.Sort(keys)
	var out []*corev1.Pod
	sel := labels.SelectorFromSet(svc.Spec.Selector)
	for _, p := range s.pods.By("label", keys[0]) {
		if sel.Matches(labels.Set(p.Labels)) {
			out = append(out, p)
		}
	}
	return out
}

func (s *EndpointSlices) endpoint(p *corev1.Pod) discoveryv1.Endpoint {
	serving, terminating := Ready(p), p.DeletionTimestamp != nil
	ready := serving && !terminating
	node := p.Spec.NodeName
	ep := discoveryv1.Endpoint{
		Addresses:  []string{p.Status.PodIP},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &node,
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: p.Namespace, Name: p.Name, UID: p.UID},
	}
	if n, ok := s.nodes.Get(kube.Key{Name: node}); ok {
		zone := n.Labels[corev1.LabelTopologyZone]
		ep.Zone = &zone
	}
	return ep
}
