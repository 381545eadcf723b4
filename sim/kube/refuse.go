package kube

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Refuse returns an error that wraps engine.ErrNotModelled for an object that asks for what nothing here does. Fields that change nothing that is
// modelled (environment, resource limits, pull policies) are let through.
func Refuse(o any) error {
	var err error
	switch o := o.(type) {
	case *corev1.Namespace, *corev1.ConfigMap, *corev1.Secret, *corev1.ServiceAccount, *corev1.Node, *discoveryv1.EndpointSlice:
	case *corev1.Pod:
		err = refusePod(&o.Spec)
	case *appsv1.Deployment:
		if err = engine.Only(o.Spec, "Replicas", "Selector", "Template", "Strategy", "RevisionHistoryLimit", "ProgressDeadlineSeconds", "MinReadySeconds", "Paused"); err == nil {
			err = refusePod(&o.Spec.Template.Spec)
		}
	case *appsv1.ReplicaSet:
		if err = engine.Only(o.Spec, "Replicas", "Selector", "Template", "MinReadySeconds"); err == nil {
			err = refusePod(&o.Spec.Template.Spec)
		}
	case *corev1.Service:
		err = refuseService(&o.Spec)
	case *networkingv1.IngressClass:
		err = engine.Only(o.Spec, "Controller")
	case *networkingv1.Ingress:
		err = refuseIngress(&o.Spec)
	case Custom:
		err = o.Refuse()
	default:
		err = engine.NotModelled("an object of this kind")
	}
	if err != nil {
		return fmt.Errorf("%s %v: %w", kindOf(o), KeyOf(o.(Object)), err)
	}
	return validate(o)
}

func refusePod(s *corev1.PodSpec) error {
	if err := engine.Only(s, "Containers", "NodeSelector", "NodeName", "Affinity", "TopologySpreadConstraints", "HostNetwork", "DNSPolicy", "RestartPolicy", "TerminationGracePeriodSeconds",
		"ServiceAccountName", "DeprecatedServiceAccount", "AutomountServiceAccountToken", "ImagePullSecrets", "EnableServiceLinks", "SchedulerName", "SecurityContext", "ReadinessGates", "OS"); err != nil {
		return err
	}
	if s.RestartPolicy != "" && s.RestartPolicy != corev1.RestartPolicyAlways {
		return engine.NotModelled("restartPolicy %s", s.RestartPolicy)
	}
	if s.DNSPolicy == corev1.DNSNone {
		return engine.NotModelled("dnsPolicy None")
	}
	if s.SchedulerName != "" && s.SchedulerName != corev1.DefaultSchedulerName {
		return engine.NotModelled("schedulerName %s", s.SchedulerName)
	}
	if s.SecurityContext != nil && len(s.SecurityContext.Sysctls) > 0 {
		return engine.NotModelled("sysctls of a pod")
	}
	for i := range s.Containers {
		c := &s.Containers[i]
		if err := engine.Only(c, "Name", "Image", "Command", "Args", "WorkingDir", "Ports", "Env", "Resources", "ImagePullPolicy", "SecurityContext", "Stdin", "StdinOnce", "TTY",
			"TerminationMessagePath", "TerminationMessagePolicy", "Lifecycle", "ReadinessProbe", "LivenessProbe", "StartupProbe"); err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		if err := refuseActions(c); err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
		for _, p := range c.Ports {
			if p.HostPort != 0 {
				return engine.NotModelled("container %s: hostPort", c.Name)
			}
		}
	}
	return nil
}

// refuseActions looks at what a container's probes and hooks do.
func refuseActions(c *corev1.Container) error {
	http := func(name string, a *corev1.HTTPGetAction) error {
		if a != nil && a.Scheme == corev1.URISchemeHTTPS {
			return engine.NotModelled("%s: httpGet: scheme HTTPS", name)
		}
		return nil
	}
	for _, x := range []struct {
		name string
		p    *corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		if x.p == nil {
			continue
		}
		if x.p.GRPC != nil {
			return engine.NotModelled("%s: grpc", x.name)
		}
		if err := http(x.name, x.p.HTTPGet); err != nil {
			return err
		}
	}
	if l := c.Lifecycle; l != nil {
		for _, x := range []struct {
			name string
			h    *corev1.LifecycleHandler
		}{{"lifecycle.postStart", l.PostStart}, {"lifecycle.preStop", l.PreStop}} {
			if x.h == nil {
				continue
			}
			if x.h.TCPSocket != nil {
				return engine.NotModelled("%s: tcpSocket", x.name)
			}
			if err := http(x.name, x.h.HTTPGet); err != nil {
				return err
			}
		}
	}
	return nil
}

func refuseService(s *corev1.ServiceSpec) error {
	if err := engine.Only(s, "Ports", "Selector", "ClusterIP", "ClusterIPs", "Type", "SessionAffinity", "ExternalTrafficPolicy", "HealthCheckNodePort", "IPFamilies", "IPFamilyPolicy",
		"AllocateLoadBalancerNodePorts", "LoadBalancerClass", "InternalTrafficPolicy"); err != nil {
		return err
	}
	switch {
	case s.ClusterIP == corev1.ClusterIPNone:
		return engine.NotModelled("a headless Service")
	case s.SessionAffinity == corev1.ServiceAffinityClientIP:
		return engine.NotModelled("sessionAffinity ClientIP")
	case s.InternalTrafficPolicy != nil && *s.InternalTrafficPolicy != corev1.ServiceInternalTrafficPolicyCluster:
		return engine.NotModelled("internalTrafficPolicy %s", *s.InternalTrafficPolicy)
	case s.AllocateLoadBalancerNodePorts != nil && !*s.AllocateLoadBalancerNodePorts:
		return engine.NotModelled("allocateLoadBalancerNodePorts false")
	}
	for _, p := range s.Ports {
		if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP && p.Protocol != corev1.ProtocolUDP {
			return engine.NotModelled("protocol %s", p.Protocol)
		}
	}
	for _, f := range s.IPFamilies {
		if f != corev1.IPv4Protocol {
			return engine.NotModelled("IP family %s", f)
		}
	}
	return nil
}
