package lbc

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// endpoint is an address that should be a target, of a pod or of a node.
type endpoint struct {
	id   string
	port int32
	pod  *corev1.Pod  // of ip targets
	node *corev1.Node // of instance targets
}

func (e *endpoint) uid() string { return fmt.Sprintf("%s:%d", e.id, e.port) }

// podEndpoints are the addresses of a Service's port that should be targets: those that are ready, and those whose containers are ready while
// the pod is not, since that may be for its readiness gate. Potential says that there may be more as soon as containers are ready.
// Source: pkg/backend/endpoint_resolver.go, resolvePodEndpointsWithEndpointsData.
func (x *Controller) podEndpoints(b *TargetGroupBinding) (out []endpoint, potential bool, err error) {
	svc, ok := x.services.Get(kube.Key{Namespace: b.Namespace, Name: b.Spec.ServiceRef.Name})
	if !ok {
		return nil, false, fmt.Errorf("backend not found: Service %s/%s", b.Namespace, b.Spec.ServiceRef.Name)
	}
	port, err := servicePort(svc, b.Spec.ServiceRef.Port)
	if err != nil {
		return nil, false, err
	}
	gate := b.ConditionType()
	var unknown []endpoint
	for _, s := range x.slices.By("service", svc.Namespace+"/"+svc.Name) {
		for _, p := range s.Ports {
			if p.Port == nil || port.Name != "" && (p.Name == nil || *p.Name != port.Name) {
				continue
			}
			for i := range s.Endpoints {
				ep := &s.Endpoints[i]
				if ep.TargetRef == nil || ep.TargetRef.Kind != "Pod" || len(ep.Addresses) == 0 {
					continue
				}
				pod, ok := x.pods.Get(kube.Key{Namespace: svc.Namespace, Name: ep.TargetRef.Name})
				if !ok {
					potential = potential || x.ways.retriesUnknownPods
					continue
				}
				e := endpoint{id: ep.Addresses[0], port: *p.Port, pod: pod}
				if ep.Conditions.Ready != nil && *ep.Conditions.Ready {
					out = append(out, e)
					continue
				}
				if c := condition(pod, corev1.ContainersReady); c == nil || c.Status != corev1.ConditionTrue {
					potential = potential || hasGate(pod, gate)
					continue
				}
				switch x.nodeReady(pod.Spec.NodeName) {
				case corev1.ConditionTrue:
					if !terminating(ep) {
						out = append(out, e)
					}
				case corev1.ConditionUnknown:
					unknown = append(unknown, e)
				}
			}
		}
	}
	if len(out) == 0 && x.ways.failOpen {
		out = unknown
	}
	return sorted(out), potential, nil
}

func terminating(ep *discoveryv1.Endpoint) bool {
	return ep.Conditions.Terminating != nil && *ep.Conditions.Terminating
}

// nodeReady is the status of a node's condition Ready.
func (x *Controller) nodeReady(name string) corev1.ConditionStatus {
	n, ok := x.nodes.Get(kube.Key{Name: name})
	if !ok {
		return corev1.ConditionFalse
	}
	return readyStatus(n)
}

func readyStatus(n *corev1.Node) corev1.ConditionStatus {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status
		}
	}
	return corev1.ConditionFalse
}

// nodeEndpoints are the nodes that should be targets: those that are ready and not excluded.
// Source: pkg/backend/endpoint_resolver.go, ResolveNodePortEndpoints; endpoint_utils.go, IsNodeSuitableAsTrafficProxy.
func (x *Controller) nodeEndpoints(b *TargetGroupBinding) (out []endpoint, err error) {
	svc, ok := x.services.Get(kube.Key{Namespace: b.Namespace, Name: b.Spec.ServiceRef.Name})
	if !ok {
		return nil, fmt.Errorf("backend not found: Service %s/%s", b.Namespace, b.Spec.ServiceRef.Name)
	}
	port, err := servicePort(svc, b.Spec.ServiceRef.Port)
	if err != nil {
		return nil, err
	}
	if port.NodePort == 0 {
		return nil, fmt.Errorf("service type must be either 'NodePort' or 'LoadBalancer': %s/%s", svc.Namespace, svc.Name)
	}
	for _, n := range x.nodes.List() {
		if _, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]; excluded || readyStatus(n) != corev1.ConditionTrue {
			continue
		}
		at := strings.LastIndexByte(n.Spec.ProviderID, '/')
		out = append(out, endpoint{id: n.Spec.ProviderID[at+1:], port: port.NodePort, node: n})
	}
	return sorted(out), nil
}

// sorted orders endpoints as the controller does, and takes each once.
func sorted(e []endpoint) []endpoint {
	slices.SortStableFunc(e, func(a, b endpoint) int { return strings.Compare(a.uid(), b.uid()) })
	return slices.CompactFunc(e, func(a, b endpoint) bool { return a.uid() == b.uid() })
}
