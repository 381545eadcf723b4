package controllers

import (
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

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
	// written is each Service's slices as they were last written. The real controller reads its cache, and waits while that is behind its own writes.
	written map[kube.Key][]*discoveryv1.EndpointSlice
}

// NewEndpointSlices starts the endpointslice controller.
func NewEndpointSlices(c *kube.Cluster, services *kube.Informer[*corev1.Service], pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *EndpointSlices {
	s := &EndpointSlices{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:endpointslice-controller"}), services: services, pods: pods, nodes: nodes, written: map[kube.Key][]*discoveryv1.EndpointSlice{}}
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
			delete(s.written, kube.KeyOf(old)) // the garbage collector removes them
			return
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

func (s *EndpointSlices) reconcile(_ *engine.Process, k kube.Key) error {
	svc, ok := s.services.Get(k)
	if !ok || len(svc.Spec.Selector) == 0 {
		return nil
	}
	pods := s.selected(svc)
	var ports []discoveryv1.EndpointPort
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		number, ok := targetPort(p, pods)
		if !ok {
			continue
		}
		ports = append(ports, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &number})
	}
	var want []discoveryv1.Endpoint
	for _, p := range pods {
		if p.Status.PodIP == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		want = append(want, s.endpoint(p))
	}
	return s.write(k, svc, ports, want)
}

// write brings a Service's slices in line with few writes: endpoints stay in their slice; new ones go where something changes anyway, then where there is
// room, then into new slices.
// Source: kubernetes/kubernetes staging/src/k8s.io/endpointslice/reconciler.go, reconcileByPortMapping.
func (s *EndpointSlices) write(k kube.Key, svc *corev1.Service, ports []discoveryv1.EndpointPort, want []discoveryv1.Endpoint) error {
	missing := make(map[string]int, len(want)) // by address, the place in want
	for i := range want {
		missing[want[i].Addresses[0]] = i
	}
	type plan struct {
		slice   *discoveryv1.EndpointSlice
		ends    []discoveryv1.Endpoint
		changed bool
	}
	var plans []*plan
	for _, old := range s.written[k] {
		p := &plan{slice: old}
		if !reflect.DeepEqual(old.Ports, ports) {
			p.changed = true
		} else {
			for i := range old.Endpoints {
				j, ok := missing[old.Endpoints[i].Addresses[0]]
				if !ok {
					p.changed = true
					continue
				}
				delete(missing, old.Endpoints[i].Addresses[0])
				p.changed = p.changed || !reflect.DeepEqual(old.Endpoints[i], want[j])
				p.ends = append(p.ends, want[j])
			}
		}
		plans = append(plans, p)
	}
	var rest []discoveryv1.Endpoint
	for i := range want {
		if j, ok := missing[want[i].Addresses[0]]; ok && j == i {
			rest = append(rest, want[i])
		}
	}
	fill := func(p *plan) {
		n := min(len(rest), maxEndpoints-len(p.ends))
		if n > 0 {
			p.ends, rest, p.changed = append(p.ends, rest[:n]...), rest[n:], true
		}
	}
	for _, p := range plans {
		if p.changed && reflect.DeepEqual(p.slice.Ports, ports) {
			fill(p)
		}
	}
	if len(rest) > 0 && len(rest) < maxEndpoints { // the fullest that has room for all
		var best *plan
		for _, p := range plans {
			if !p.changed && len(p.ends)+len(rest) <= maxEndpoints && (best == nil || len(p.ends) > len(best.ends)) {
				best = p
			}
		}
		if best != nil {
			fill(best)
		}
	}
	for len(rest) > 0 || len(plans) == 0 { // a Service without endpoints has an empty slice
		p := &plan{}
		plans = append(plans, p)
		fill(p)
		if len(rest) == 0 {
			p.changed = true
			break
		}
	}
	var kept []*discoveryv1.EndpointSlice
	left := 0 // slices that stay
	for _, p := range plans {
		if len(p.ends) > 0 {
			left++
		}
	}
	for i, p := range plans {
		placeholder := left == 0 && i == len(plans)-1
		switch {
		case !p.changed:
			kept = append(kept, p.slice)
		case p.slice != nil && (len(p.ends) == 0 && !placeholder):
			if err := kube.Delete[*discoveryv1.EndpointSlice](s.client, kube.KeyOf(p.slice)); err != nil && !apierrors.IsNotFound(err) {
				return err
			}
		case p.slice == nil:
			o, err := s.client.Create(newSlice(svc, ports, p.ends))
			if err != nil {
				return err
			}
			kept = append(kept, o.(*discoveryv1.EndpointSlice))
		default:
			now := p.slice.DeepCopy()
			now.Endpoints, now.Ports = p.ends, ports
			o, err := s.client.Update(now)
			if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // somebody else's doing: look again
				s.reread(k)
			}
			if err != nil {
				return err
			}
			kept = append(kept, o.(*discoveryv1.EndpointSlice))
		}
	}
	s.written[k] = kept
	return nil
}

// reread takes a Service's slices as they are.
func (s *EndpointSlices) reread(k kube.Key) {
	var out []*discoveryv1.EndpointSlice
	for _, old := range s.written[k] {
		if now, err := kube.Get[*discoveryv1.EndpointSlice](s.client, kube.KeyOf(old)); err == nil {
			out = append(out, now)
		}
	}
	s.written[k] = out
}

func newSlice(svc *corev1.Service, ports []discoveryv1.EndpointPort, ends []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, GenerateName: svc.Name + "-", Labels: map[string]string{discoveryv1.LabelServiceName: svc.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, corev1.SchemeGroupVersion.WithKind("Service"))}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: ends,
	}
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

// targetPort is the number of a Service's target port, which may be the name of a container's port.
func targetPort(p *corev1.ServicePort, pods []*corev1.Pod) (int32, bool) {
	if p.TargetPort.Type == intstr.Int {
		return p.TargetPort.IntVal, true
	}
	for _, pod := range pods {
		for _, c := range pod.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.Name == p.TargetPort.StrVal {
					return cp.ContainerPort, true
				}
			}
		}
	}
	return 0, false
}
