package controllers

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// endpointKey tells endpoints apart.
type endpointKey struct {
	address string
	pod     types.UID
}

func keyOfEndpoint(e *discoveryv1.Endpoint) endpointKey {
	k := endpointKey{address: e.Addresses[0]}
	if e.TargetRef != nil {
		k.pod = e.TargetRef.UID
	}
	return k
}

// portGroup is the endpoints that have the same ports.
type portGroup struct {
	ports []discoveryv1.EndpointPort
	order []endpointKey
	want  map[endpointKey]discoveryv1.Endpoint
}

func (g *portGroup) add(e discoveryv1.Endpoint) {
	k := keyOfEndpoint(&e)
	g.order = append(g.order, k)
	g.want[k] = e
}

// slicePlan is what is to be done to the slices of a Service.
type slicePlan struct{ create, update, drop []*discoveryv1.EndpointSlice }

// finish sees to it that a Service has a slice, if an empty one without ports, and turns slices to drop into slices to create where it can.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/reconciler.go, reconcileByAddressType, finalize.
func (p *slicePlan) finish(svc *corev1.Service, stored int) {
	if stored == len(p.drop) && len(p.create) == 0 {
		if stored == 1 && len(p.drop[0].Endpoints)+len(p.drop[0].Ports) == 0 {
			p.drop = nil
			return
		}
		p.create = append(p.create, newSlice(svc, nil, nil))
	}
	for len(p.create) > 0 && len(p.drop) > 0 {
		last := len(p.create) - 1
		now := p.drop[0].DeepCopy()
		now.Ports, now.Endpoints = p.create[last].Ports, p.create[last].Endpoints
		p.create, p.drop, p.update = p.create[:last], p.drop[1:], append(p.update, now)
	}
}

// fill puts the endpoints of a group into its slices with few writes: each endpoint stays in its slice; new ones go into slices that are written
// anyway, the fullest first, then into one slice that has room for the rest, then into new ones.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/reconciler.go, reconcileByPortMapping.
func fill(plan *slicePlan, svc *corev1.Service, g *portGroup, have []*discoveryv1.EndpointSlice) {
	placed := map[endpointKey]bool{}
	var written, same []*discoveryv1.EndpointSlice
	for _, old := range have {
		var kept []discoveryv1.Endpoint
		changed := false
		for i := range old.Endpoints {
			k := keyOfEndpoint(&old.Endpoints[i])
			e, ok := g.want[k]
			if !ok || placed[k] {
				continue
			}
			placed[k] = true
			changed = changed || !reflect.DeepEqual(e, old.Endpoints[i])
			kept = append(kept, e)
		}
		switch {
		case !changed && len(kept) == len(old.Endpoints):
			same = append(same, old)
		case len(kept) == 0:
			plan.drop = append(plan.drop, old)
		default:
			now := old.DeepCopy()
			now.Endpoints = kept
			written = append(written, now)
		}
	}
	var rest []discoveryv1.Endpoint
	for _, k := range g.order {
		if !placed[k] {
			placed[k] = true
			rest = append(rest, g.want[k])
		}
	}
	take := func(n int) []discoveryv1.Endpoint {
		n = min(n, len(rest))
		out := rest[:n:n]
		rest = rest[n:]
		return out
	}
	slices.SortStableFunc(written, func(a, b *discoveryv1.EndpointSlice) int { return len(b.Endpoints) - len(a.Endpoints) })
	for _, e := range written {
		e.Endpoints = append(e.Endpoints, take(maxEndpoints-len(e.Endpoints))...)
	}
	for len(rest) > 0 {
		if at := roomiest(same, len(rest)); at >= 0 && len(rest) < maxEndpoints {
			now := same[at].DeepCopy()
			same = slices.Delete(same, at, at+1)
			now.Endpoints = append(now.Endpoints, take(maxEndpoints-len(now.Endpoints))...)
			written = append(written, now)
			continue
		}
		plan.create = append(plan.create, newSlice(svc, g.ports, take(maxEndpoints)))
	}
	plan.update = append(plan.update, written...)
}

// roomiest is the slice that is fullest after so many more endpoints, -1 if none has room for all of them.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/utils.go, getSliceToFill.
func roomiest(of []*discoveryv1.EndpointSlice, more int) int {
	best, most := -1, 0
	for i, e := range of {
		if n := len(e.Endpoints) + more; n <= maxEndpoints && n > most {
			best, most = i, n
		}
	}
	return best
}

func newSlice(svc *corev1.Service, ports []discoveryv1.EndpointPort, endpoints []discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: svc.Namespace, GenerateName: svc.Name + "-",
			Labels:          map[string]string{discoveryv1.LabelServiceName: svc.Name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(svc, corev1.SchemeGroupVersion.WithKind("Service"))}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: ports, Endpoints: endpoints,
	}
}

// endpointPorts are a Service's ports as a pod has them; a port whose name no container has is left out.
// Source: kubernetes/kubernetes pkg/controller/endpointslice/utils.go, getEndpointPorts.
func endpointPorts(svc *corev1.Service, pod *corev1.Pod) (out []discoveryv1.EndpointPort, id string) {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if number, ok := targetPort(p, pod); ok {
			out = append(out, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &number})
		}
	}
	return out, portsID(out)
}

// portsID is the same for the same ports.
func portsID(ports []discoveryv1.EndpointPort) string {
	var b strings.Builder
	for _, p := range ports {
		fmt.Fprintf(&b, "%s/%s/%d ", *p.Name, *p.Protocol, *p.Port)
	}
	return b.String()
}

// targetPort is the number of a Service's target port in a pod, where it may be the name of a container's port of the same protocol.
// Source: kubernetes/kubernetes pkg/api/v1/pod/util.go, FindPort.
func targetPort(p *corev1.ServicePort, pod *corev1.Pod) (int32, bool) {
	if p.TargetPort.Type == intstr.Int {
		return p.TargetPort.IntVal, true
	}
	for _, c := range pod.Spec.Containers {
		for _, cp := range c.Ports {
			protocol := cp.Protocol
			if protocol == "" {
				protocol = corev1.ProtocolTCP
			}
			if cp.Name == p.TargetPort.StrVal && protocol == p.Protocol {
				return cp.ContainerPort, true
			}
		}
	}
	return 0, false
}
