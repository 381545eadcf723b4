package sim

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// shop is a cluster of five nodes in three zones, with a Deployment of nginx behind an Ingress.
type shop struct {
	spec        Spec
	replicas    int32
	annotations map[string]string
	service     corev1.ServiceType
	loads       []Load
}

func newShop() *shop {
	s := &shop{replicas: 10, service: corev1.ServiceTypeClusterIP, annotations: map[string]string{"alb.ingress.kubernetes.io/scheme": "internet-facing", "alb.ingress.kubernetes.io/target-type": "ip"}}
	s.spec = Spec{Seed: 1, Region: "eu-west-1", Cluster: Cluster{Name: "c", Version: "1.27", ServiceCIDR: netip.MustParsePrefix("10.100.0.0/16")}, VPC: VPC{CIDR: netip.MustParsePrefix("192.168.0.0/16")}, Sysctls: linux.DefaultSysctls(), LoadBalancerController: LBC,
		APILatency: map[string]time.Duration{"RegisterTargets": 165 * time.Millisecond, "DeregisterTargets": 43 * time.Millisecond}}
	for i, z := range []string{"a", "b", "c"} {
		s.spec.VPC.Subnets = append(s.spec.VPC.Subnets, Subnet{Name: "public-" + z, Zone: "eu-west-1" + z, CIDR: netip.MustParsePrefix(fmt.Sprintf("192.168.%d.0/19", 32*i)), Public: true},
			Subnet{Name: "private-" + z, Zone: "eu-west-1" + z, CIDR: netip.MustParsePrefix(fmt.Sprintf("192.168.%d.0/19", 96+32*i))})
		s.spec.NodeGroups = append(s.spec.NodeGroups, NodeGroup{Name: "ng-" + z, Subnet: "private-" + z, InstanceType: "m5.large", Size: 1 + min(i, 1)})
	}
	return s
}

func (s *shop) objects() Objects {
	labels := map[string]string{"app": "web"}
	prefix := networkingv1.PathTypePrefix
	class := "alb"
	return Objects{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &s.replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}}}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Type: s.service, Selector: labels, Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(80)}}}},
		&networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: s.annotations}, Spec: networkingv1.IngressSpec{IngressClassName: &class, Rules: []networkingv1.IngressRule{{IngressRuleValue: networkingv1.IngressRuleValue{
			HTTP: &networkingv1.HTTPIngressRuleValue{Paths: []networkingv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{Name: "web", Port: networkingv1.ServiceBackendPort{Number: 80}}}}}}}}}}},
	}
}

// open builds the world, with everything scheduled.
func (s *shop) open(t testing.TB, observe func(*trace.Log)) *World {
	t.Helper()
	w, err := New(s.spec, observe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	w.Apply(30*time.Second, s.objects())
	for _, l := range s.loads {
		w.Start(l)
	}
	return w
}

func run(t testing.TB, w *World, until time.Duration) {
	t.Helper()
	if err := w.Engine.Run(until, nil); err != nil {
		t.Fatal(err)
	}
}

// A Deployment behind an Ingress answers clients on the internet, through every node of the load balancer, whatever the target type.
func TestIngressServes(t *testing.T) {
	for _, c := range []struct {
		targetType string
		service    corev1.ServiceType
		pace       Pace
	}{{"ip", corev1.ServiceTypeClusterIP, Serial}, {"ip", corev1.ServiceTypeClusterIP, Open}, {"ip", corev1.ServiceTypeClusterIP, KeepAlive}, {"instance", corev1.ServiceTypeNodePort, Serial}} {
		s := newShop()
		s.service, s.annotations["alb.ingress.kubernetes.io/target-type"] = c.service, c.targetType
		s.loads = []Load{{Name: "curl", Pace: c.pace, At: 5 * time.Minute, Every: 500 * time.Millisecond, Count: 60, Ingress: "default/web", Method: "HEAD"}}
		w := s.open(t, nil)
		run(t, w, 6*time.Minute)
		nodes := map[string]int{}
		for i, r := range w.Loads[0].Results {
			if r == nil || r.HTTPCode != 200 || !strings.HasPrefix(r.Server, "nginx") {
				t.Fatalf("%+v: request %d: %+v", c, i, r)
			}
			nodes[r.Node]++
		}
		want := 3
		if c.pace == KeepAlive {
			want = 1
		}
		if len(nodes) != want {
			t.Errorf("%+v: answers by %v", c, nodes)
		}
		lb := w.ELB.LoadBalancers()[0]
		if lb.Metrics["RequestCount"] != 60 || lb.Metrics["HTTPCode_Target_2XX_Count"] != 60 || len(lb.AccessLog) != 60 {
			t.Errorf("%+v: metrics %v, %d lines of access log", c, lb.Metrics, len(lb.AccessLog))
		}
	}
}

// balanced makes the Service ask for a Network Load Balancer, in place of the Ingress.
func (s *shop) balanced(targetType string) Objects {
	o := s.objects()
	svc := o[1].(*corev1.Service)
	class := "service.k8s.aws/nlb"
	svc.Spec.Type, svc.Spec.LoadBalancerClass = corev1.ServiceTypeLoadBalancer, &class
	svc.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": targetType, "service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"}
	return o[:2]
}

// The same behind a Network Load Balancer: pods and nodes as targets, called from the internet. It says nothing of its own.
func TestNLBServesTheInternet(t *testing.T) {
	for _, targetType := range []string{"ip", "instance"} {
		s := newShop()
		w, err := New(s.spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		w.Apply(30*time.Second, s.balanced(targetType))
		l := w.Start(Load{Name: "curl", Pace: Serial, At: 6 * time.Minute, Every: 500 * time.Millisecond, Count: 60, Service: "default/web", Method: "HEAD"})
		run(t, w, 7*time.Minute)
		nodes := map[string]int{}
		for i, r := range l.Results {
			if r == nil || r.HTTPCode != 200 || !strings.HasPrefix(r.Server, "nginx") {
				t.Fatalf("%s: request %d: %+v", targetType, i, r)
			}
			nodes[r.Node]++
		}
		if len(nodes) != 3 {
			t.Errorf("%s: answers by %v", targetType, nodes)
		}
	}
}
