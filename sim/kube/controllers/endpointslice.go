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

// EndpointSlices keeps each Service's slice.
type EndpointSlices struct {
	client   *kube.Client
	queue    *kube.Queue
	services *kube.Informer[*corev1.Service]
	pods     *kube.Informer[*corev1.Pod]
	nodes    *kube.Informer[*corev1.Node]
}

// NewEndpointSlices starts the endpointslice controller.
func NewEndpointSlices(c *kube.Cluster, services *kube.Informer[*corev1.Service], pods *kube.Informer[*corev1.Pod], nodes *kube.Informer[*corev1.Node]) *EndpointSlices {
	s := &EndpointSlices{client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:endpointslice-controller"}), services: services, pods: pods, nodes: nodes}
	s.queue = kube.NewQueue(c.Engine(), "endpointslice-controller", kube.ControllerBackoff, s.reconcile)
	services.Index("namespace", func(s *corev1.Service) []string { return []string{s.Namespace} })
	pods.Index("label", func(p *corev1.Pod) []string {
		keys := make([]string, 0, len(p.Labels))
		for k, v := range p.Labels {
			keys = append(keys, p.Namespace+"/"+k+"="+v)
		}
		return keys
	})
	services.Handle(func(_, now *corev1.Service) {
		if now != nil {
			s.queue.Add(kube.KeyOf(now))
		}
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
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name + "-slice", Labels: map[string]string{discoveryv1.LabelServiceName: k.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, corev1.SchemeGroupVersion.WithKind("Service"))}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	pods := s.selected(svc)
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		number, ok := targetPort(p, pods)
		if !ok {
			continue
		}
		slice.Ports = append(slice.Ports, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &number})
	}
	for _, p := range pods {
		if p.Status.PodIP == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		slice.Endpoints = append(slice.Endpoints, s.endpoint(p))
	}
	if len(slice.Endpoints) > maxEndpoints {
		err := engine.NotModelled("Service %v: more than %d endpoints", k, maxEndpoints)
		s.client.Cluster().Engine().Fail(err)
		return err
	}
	old, err := kube.Get[*discoveryv1.EndpointSlice](s.client, kube.KeyOf(slice))
	if apierrors.IsNotFound(err) {
		_, err := s.client.Create(slice)
		return err
	}
	if reflect.DeepEqual(old.Endpoints, slice.Endpoints) && reflect.DeepEqual(old.Ports, slice.Ports) {
		return nil
	}
	now := old.DeepCopy()
	now.Endpoints, now.Ports = slice.Endpoints, slice.Ports
	_, err = s.client.Update(now)
	return err
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
