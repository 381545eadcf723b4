package kube

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
)

// What nothing here does is refused by its name in a manifest; what has no effect on what is modelled is let through.
func TestRefuse(t *testing.T) {
	local := corev1.ServiceInternalTrafficPolicyLocal
	pod := func(change func(*corev1.PodSpec, *corev1.Container)) *corev1.Pod {
		p := &corev1.Pod{}
		p.Name = "web"
		p.Spec.Containers = []corev1.Container{{Name: "c", Image: "nginx", Command: []string{"x"}, Env: []corev1.EnvVar{{Name: "A"}}, ImagePullPolicy: corev1.PullAlways}}
		change(&p.Spec, &p.Spec.Containers[0])
		return p
	}
	svc := func(change func(*corev1.ServiceSpec)) *corev1.Service {
		s := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
		s.Name = "web"
		change(&s.Spec)
		return s
	}
	for _, c := range []struct {
		o    any
		want string // empty: let through
	}{
		{pod(func(*corev1.PodSpec, *corev1.Container) {}), ""},
		{pod(func(_ *corev1.PodSpec, c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 1}}}
		}), "readinessProbe: grpc"},
		{pod(func(_ *corev1.PodSpec, c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(1), Scheme: corev1.URISchemeHTTPS}}}
		}), "livenessProbe: httpGet: scheme HTTPS"},
		{pod(func(_ *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}}
		}), "lifecycle.preStop: tcpSocket"},
		{pod(func(_ *corev1.PodSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "5"}}}}
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}}
		}), ""},
		{pod(func(_ *corev1.PodSpec, c *corev1.Container) { c.Ports = []corev1.ContainerPort{{HostPort: 80}} }), "hostPort"},
		{pod(func(s *corev1.PodSpec, _ *corev1.Container) { s.InitContainers = s.Containers }), "initContainers"},
		{pod(func(s *corev1.PodSpec, _ *corev1.Container) { s.Volumes = []corev1.Volume{{}} }), "volumes"},
		{pod(func(s *corev1.PodSpec, _ *corev1.Container) { s.RestartPolicy = corev1.RestartPolicyNever }), "restartPolicy Never"},
		{&appsv1.StatefulSet{}, "kind"},
		{svc(func(*corev1.ServiceSpec) {}), ""},
		{svc(func(s *corev1.ServiceSpec) { s.LoadBalancerSourceRanges = []string{"10.0.0.0/8"} }), "loadBalancerSourceRanges"},
		{svc(func(s *corev1.ServiceSpec) { s.ExternalIPs = []string{"1.2.3.4"} }), "externalIPs"},
		{svc(func(s *corev1.ServiceSpec) { s.ClusterIP = "None" }), "headless"},
		{svc(func(s *corev1.ServiceSpec) { s.SessionAffinity = corev1.ServiceAffinityClientIP }), "sessionAffinity"},
		{svc(func(s *corev1.ServiceSpec) { s.InternalTrafficPolicy = &local }), "internalTrafficPolicy Local"},
		{svc(func(s *corev1.ServiceSpec) { s.Ports[0].Protocol = corev1.ProtocolSCTP }), "protocol SCTP"},
		{&corev1.PersistentVolume{}, "kind"},
	} {
		err := Refuse(c.o)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("refused: %v", err)
		case c.want != "" && (!errors.Is(err, engine.ErrNotModelled) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}
