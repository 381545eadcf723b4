package kube

import (
	"fmt"
	"net/netip"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Node ports. Source: kubernetes/kubernetes pkg/kubeapiserver/options (--service-node-port-range).
const (
	nodePortLow  = 30000
	nodePortHigh = 32767
)

// dnsOffset is where the cluster's DNS Service is in the service range. Source: EKS user guide, clusterDNS; awslabs/amazon-eks-ami bootstrap.sh.
const dnsOffset = 10

// defaults fills in what the API server fills in, and allocates.
func (c *Cluster) defaults(o Object) error {
	one := int32(1)
	switch o := o.(type) {
	case *appsv1.Deployment:
		deploymentDefaults(&o.Spec)
	case *appsv1.ReplicaSet:
		if o.Spec.Replicas == nil {
			o.Spec.Replicas = &one
		}
		podDefaults(&o.Spec.Template.Spec)
	case *corev1.Pod:
		podDefaults(&o.Spec)
		o.Status.Phase = corev1.PodPending
	case *corev1.Service:
		return c.serviceDefaults(o)
	}
	return nil
}

// deploymentDefaults fills in a Deployment. Source: kubernetes/kubernetes pkg/apis/apps/v1/defaults.go, SetDefaults_Deployment.
func deploymentDefaults(s *appsv1.DeploymentSpec) {
	one, ten, tenMinutes, quarter := int32(1), int32(10), int32(600), intstr.FromString("25%")
	if s.Replicas == nil {
		s.Replicas = &one
	}
	if s.Strategy.Type == "" {
		s.Strategy.Type = appsv1.RollingUpdateDeploymentStrategyType
	}
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		if s.Strategy.RollingUpdate == nil {
			s.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{}
		}
		r := s.Strategy.RollingUpdate
		if r.MaxSurge == nil {
			r.MaxSurge = &quarter
		}
		if r.MaxUnavailable == nil {
			r.MaxUnavailable = &quarter
		}
	}
	if s.RevisionHistoryLimit == nil {
		s.RevisionHistoryLimit = &ten
	}
	if s.ProgressDeadlineSeconds == nil {
		s.ProgressDeadlineSeconds = &tenMinutes
	}
	podDefaults(&s.Template.Spec)
}

func podDefaults(s *corev1.PodSpec) {
	if s.RestartPolicy == "" {
		s.RestartPolicy = corev1.RestartPolicyAlways
	}
	if s.DNSPolicy == "" {
		s.DNSPolicy = corev1.DNSClusterFirst
	}
	if s.TerminationGracePeriodSeconds == nil {
		thirty := int64(30)
		s.TerminationGracePeriodSeconds = &thirty
	}
	for i := range s.Containers {
		x := &s.Containers[i]
		probeDefaults(x.LivenessProbe)
		probeDefaults(x.ReadinessProbe)
		probeDefaults(x.StartupProbe)
		if l := x.Lifecycle; l != nil {
			handlerDefaults(l.PostStart)
			handlerDefaults(l.PreStop)
		}
	}
}

// probeDefaults fills in a probe. Source: kubernetes/kubernetes pkg/apis/core/v1/defaults.go, SetDefaults_Probe and SetDefaults_HTTPGetAction.
func probeDefaults(p *corev1.Probe) {
	if p == nil {
		return
	}
	for _, x := range []struct {
		field *int32
		value int32
	}{{&p.TimeoutSeconds, 1}, {&p.PeriodSeconds, 10}, {&p.SuccessThreshold, 1}, {&p.FailureThreshold, 3}} {
		if *x.field == 0 {
			*x.field = x.value
		}
	}
	httpDefaults(p.HTTPGet)
}

func handlerDefaults(h *corev1.LifecycleHandler) {
	if h != nil {
		httpDefaults(h.HTTPGet)
	}
}

func httpDefaults(a *corev1.HTTPGetAction) {
	if a == nil {
		return
	}
	if a.Path == "" {
		a.Path = "/"
	}
	if a.Scheme == "" {
		a.Scheme = corev1.URISchemeHTTP
	}
}

func (c *Cluster) serviceDefaults(s *corev1.Service) error {
	if s.Spec.Type == "" {
		s.Spec.Type = corev1.ServiceTypeClusterIP
	}
	if s.Spec.ClusterIP == "" {
		a, ok := c.freeIP()
		if !ok {
			return apierrors.NewInternalError(errRangeFull)
		}
		s.Spec.ClusterIP = a.String()
	} else if s.Spec.ClusterIP != corev1.ClusterIPNone {
		a, err := netip.ParseAddr(s.Spec.ClusterIP)
		if err != nil || !c.opts.ServiceCIDR.Contains(a) || c.ips[a] {
			return apierrors.NewBadRequest("spec.clusterIP " + s.Spec.ClusterIP + ": not a free address of the service range")
		}
		c.ips[a] = true
	}
	s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	return c.servicePorts(s)
}

// servicePorts fills in a Service's ports, and allocates those that it lacks.
func (c *Cluster) servicePorts(s *corev1.Service) error {
	external := s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
	for i := range s.Spec.Ports {
		p := &s.Spec.Ports[i]
		if p.Protocol == "" {
			p.Protocol = corev1.ProtocolTCP
		}
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
		switch {
		case !external:
		case p.NodePort == 0:
			p.NodePort = c.freePort()
		default:
			if p.NodePort < nodePortLow || p.NodePort > nodePortHigh {
				return apierrors.NewBadRequest(fmt.Sprintf("spec.ports[%d].nodePort %d: not in the range %d-%d", i, p.NodePort, nodePortLow, nodePortHigh))
			}
			if c.ports[p.NodePort] {
				return apierrors.NewBadRequest(fmt.Sprintf("spec.ports[%d].nodePort %d: provided port is already allocated", i, p.NodePort))
			}
			c.ports[p.NodePort] = true
		}
	}
	if external && s.Spec.ExternalTrafficPolicy == "" {
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
	}
	switch local := s.Spec.Type == corev1.ServiceTypeLoadBalancer && s.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal; {
	case !local:
		s.Spec.HealthCheckNodePort = 0
	case s.Spec.HealthCheckNodePort == 0:
		s.Spec.HealthCheckNodePort = c.freePort()
	default:
		c.ports[s.Spec.HealthCheckNodePort] = true
	}
	return nil
}

// serviceUpdate keeps what was allocated for a Service, and allocates what its new spec needs besides.
func (c *Cluster) serviceUpdate(old, now *corev1.Service) error {
	if now.Spec.ClusterIP == "" {
		now.Spec.ClusterIP, now.Spec.ClusterIPs = old.Spec.ClusterIP, old.Spec.ClusterIPs
	}
	if now.Spec.ClusterIP != old.Spec.ClusterIP {
		return apierrors.NewBadRequest("spec.clusterIP: field is immutable")
	}
	c.releasePorts(old)
	if err := c.servicePorts(now); err != nil {
		c.keepPorts(old)
		return err
	}
	return nil
}

// release gives back what was allocated for a Service.
func (c *Cluster) release(s *corev1.Service) {
	if a, err := netip.ParseAddr(s.Spec.ClusterIP); err == nil {
		delete(c.ips, a)
	}
	c.releasePorts(s)
}

func (c *Cluster) releasePorts(s *corev1.Service) {
	for _, p := range s.Spec.Ports {
		delete(c.ports, p.NodePort)
	}
	delete(c.ports, s.Spec.HealthCheckNodePort)
}

func (c *Cluster) keepPorts(s *corev1.Service) {
	for _, p := range s.Spec.Ports {
		if p.NodePort != 0 {
			c.ports[p.NodePort] = true
		}
	}
	if s.Spec.HealthCheckNodePort != 0 {
		c.ports[s.Spec.HealthCheckNodePort] = true
	}
}

type rangeFull struct{}

func (rangeFull) Error() string { return "range is full" }

var errRangeFull = rangeFull{}

// freeIP draws a cluster IP; the first addresses of the range are left to those who ask for one.
func (c *Cluster) freeIP() (netip.Addr, bool) {
	base := c.opts.ServiceCIDR.Masked().Addr().As4()
	size := 1 << (32 - c.opts.ServiceCIDR.Bits())
	const static = 256
	if size <= 2*static {
		return netip.Addr{}, false
	}
	r := c.engine.Rand("kube: cluster IPs")
	for range 10 * size {
		n := uint32(static + r.IntN(size-static-1))
		a := netip.AddrFrom4([4]byte{base[0], base[1], base[2] + byte(n>>8), base[3] + byte(n)})
		if c.opts.ServiceCIDR.Contains(a) && !c.ips[a] {
			c.ips[a] = true
			return a, true
		}
	}
	return netip.Addr{}, false
}

// DNSAddr is the address of the cluster's DNS Service.
func (c *Cluster) DNSAddr() netip.Addr {
	b := c.opts.ServiceCIDR.Masked().Addr().As4()
	b[3] += dnsOffset
	return netip.AddrFrom4(b)
}

func (c *Cluster) freePort() int32 {
	r := c.engine.Rand("kube: node ports")
	for {
		p := int32(nodePortLow + r.IntN(nodePortHigh-nodePortLow+1))
		if !c.ports[p] {
			c.ports[p] = true
			return p
		}
	}
}
