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

	"github.com/ekslab/ekslab/sim/kube"
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

// A node that loses power tells nobody. Until two checks of a node of the load balancer have failed, it sends requests there, which end after the
// connect timeout; then it does no more.
func TestCrashedNode(t *testing.T) {
	s := newShop()
	crash := 4 * time.Minute
	s.loads = []Load{{Name: "curl", Pace: Open, At: crash, Every: 200 * time.Millisecond, Count: 400, Ingress: "default/web", Method: "HEAD"}}
	w := s.open(t, nil)
	w.Do(Change{At: crash, CrashNodeOf: "default/web-*"})
	// When the node's lease runs out, after 30 to 45 s, the targets of its pods are taken away.
	states := map[string]int{}
	for at := 20 * time.Second; at <= time.Minute; at += time.Second {
		run(t, w, crash+at)
		for _, tg := range w.ELB.TargetGroups()[0].Targets {
			state, reason, _ := w.ELB.Health(w.ELB.TargetGroups()[0], tg)
			states[state+" "+reason]++
		}
	}
	run(t, w, crash+2*time.Minute)
	var first, last time.Duration
	for i, r := range w.Loads[0].Results {
		switch {
		case r == nil:
			t.Fatalf("request %d has not ended", i)
		case r.HTTPCode == 200:
		case r.HTTPCode != 504 || r.Ended-r.Began < 10*time.Second:
			t.Errorf("request %d: %+v", i, r)
		default:
			if first == 0 {
				first = r.Began - crash
			}
			last = r.Began - crash
		}
	}
	// 15 s between checks, 5 s until one has failed, two of them: from 20 to 35 s.
	if first == 0 || first > 10*time.Second || last < 15*time.Second || last > 35*time.Second {
		t.Errorf("504 from %v to %v", first, last)
	}
	lb := w.ELB.LoadBalancers()[0]
	if states["unhealthy Target.Timeout"] == 0 || states["healthy "] == 0 || states["draining Target.DeregistrationInProgress"] == 0 || lb.Metrics["TargetConnectionErrorCount"] == 0 {
		t.Errorf("states %v, metrics %v", states, lb.Metrics)
	}
}

// A server that closes idle connections sooner than the load balancer does loses requests that are under way to it.
func TestIdleTimeoutOfTheServer(t *testing.T) {
	for _, c := range []struct {
		idle string // of the server
		want string
	}{{"5", "502"}, {"75", ""}} {
		s := newShop()
		// Ten targets in turn, every half second: each connection is used again after five seconds.
		s.loads = []Load{{Name: "curl", Pace: KeepAlive, At: 4 * time.Minute, Every: 500 * time.Millisecond, Count: 200, Ingress: "default/web", Method: "HEAD"}}
		w, err := New(s.spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		o := s.objects()
		o[0].(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "EKSLAB_IDLE_SECONDS", Value: c.idle}}
		w.Apply(30*time.Second, o)
		for _, l := range s.loads {
			w.Start(l)
		}
		run(t, w, 6*time.Minute)
		codes := map[int]int{}
		for _, r := range w.Loads[0].Results {
			codes[r.HTTPCode]++
		}
		delete(codes, 200)
		if c.want == "" && len(codes) != 0 || c.want != "" && (len(codes) != 1 || codes[502] == 0) {
			t.Errorf("idle for %s s: %v", c.idle, codes)
		}
		for _, a := range w.ELB.LoadBalancers()[0].AccessLog {
			if a.ELBStatusCode == 502 && a.Reason != "ELB_TARGET_CLOSED_CONNECTION" && a.Reason != "ELB_TARGET_RESET_CONNECTION" {
				t.Errorf("%+v", a)
			}
		}
	}
}

// Instance targets are the nodes: a rolling update makes no call about targets. Pods change behind the node port.
func TestInstanceTargetsStay(t *testing.T) {
	s := newShop()
	s.service, s.annotations["alb.ingress.kubernetes.io/target-type"] = corev1.ServiceTypeNodePort, "instance"
	s.loads = []Load{{Name: "curl", Pace: Serial, At: 4 * time.Minute, Every: 500 * time.Millisecond, Count: 100, Ingress: "default/web", Method: "HEAD"}}
	w := s.open(t, nil)
	w.Do(Change{At: 4*time.Minute + 10*time.Second, Action: SetImage{Deployment: "default/web", Container: "web", Image: "nginx:1.22.0"}})
	run(t, w, 6*time.Minute)
	bad, servers := 0, map[string]bool{}
	for _, r := range w.Loads[0].Results {
		if r.HTTPCode != 200 {
			bad++
		}
		servers[r.Server] = true
	}
	for _, e := range w.Trail.Events() {
		if strings.HasSuffix(e.Name, "registerTargets") || e.Name == "RegisterTargets" && e.Time > 4*time.Minute || e.Name == "DeregisterTargets" {
			t.Errorf("%s at %v", e.Name, e.Time)
		}
	}
	if bad > 5 || len(servers) < 2 {
		t.Errorf("%d errors, servers %v", bad, servers)
	}
}

// What exists already is updated, as kubectl apply does: a manifest may bring the namespace default, or the IngressClass that the chart has made.
func TestApplyWhatExists(t *testing.T) {
	s := newShop()
	w := s.open(t, nil)
	w.Apply(20*time.Second, Objects{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{"a": "b"}}},
		&networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: "alb"}, Spec: networkingv1.IngressClassSpec{Controller: "ingress.k8s.aws/alb"}},
	})
	run(t, w, 3*time.Minute)
	ns, err := kube.Get[*corev1.Namespace](w.operator, kube.Key{Name: "default"})
	if err != nil || ns.Labels["a"] != "b" {
		t.Errorf("%+v %v", ns, err)
	}
	if n := len(w.ELB.LoadBalancers()); n != 1 {
		t.Errorf("%d load balancers", n)
	}
}
