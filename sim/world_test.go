package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// small is a world of three nodes in two zones with a web Deployment, a client and a Service of type LoadBalancer.
func small(t testing.TB, controller string, nodes int, local bool, observe func(*trace.Log)) *World {
	t.Helper()
	pfx := netip.MustParsePrefix
	s := linux.DefaultSysctls()
	spec := Spec{Seed: 1, Region: "eu-west-1", Cluster: Cluster{Name: "c", Version: "1.22", ServiceCIDR: pfx("10.100.0.0/16")}, Sysctls: s, LoadBalancerController: controller,
		VPC: VPC{CIDR: pfx("192.168.0.0/16"), Subnets: []Subnet{
			{Name: "pub-a", Zone: "eu-west-1a", CIDR: pfx("192.168.0.0/19"), Public: true}, {Name: "pub-b", Zone: "eu-west-1b", CIDR: pfx("192.168.32.0/19"), Public: true},
			{Name: "priv-a", Zone: "eu-west-1a", CIDR: pfx("192.168.64.0/19")}, {Name: "priv-b", Zone: "eu-west-1b", CIDR: pfx("192.168.96.0/19")}}},
		NodeGroups: []NodeGroup{{Name: "a", Subnet: "pub-a", InstanceType: "m5.large", Size: 1}, {Name: "b", Subnet: "pub-b", InstanceType: "m5.large", Size: nodes - 1}},
		CoreDNS:    CoreDNS{Replicas: 2}}
	w, err := New(spec, observe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	labels := map[string]string{"app": "web"}
	three := int32(3)
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "nlb", "service.beta.kubernetes.io/aws-load-balancer-internal": "true"}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}}
	if controller == LBC {
		svc.Annotations = map[string]string{"service.beta.kubernetes.io/aws-load-balancer-type": "external", "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"}
	}
	if local {
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	w.Apply(10*time.Second, Objects{
		&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "client"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nicolaka/netshoot", Command: []string{"sleep", "infinity"}}}}},
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: &three, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx"}}}}}},
		svc,
	})
	return w
}

func settle(t testing.TB, w *World) {
	t.Helper()
	if err := w.Engine.Run(5*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
}

// The order in which each controller calls AWS, as CloudTrail shows it.
// Sources: kubernetes/legacy-cloud-providers v0.22.12 aws; kubernetes-sigs/aws-load-balancer-controller v2.4 pkg/deploy.
func TestOrderOfCallsThatMakeALoadBalancer(t *testing.T) {
	for _, c := range []struct {
		controller, caller string
		want               []string
	}{
		{InTree, "in-tree cloud provider", []string{"DescribeInstances", "DescribeSubnets", "DescribeRouteTables", "DescribeLoadBalancers!LoadBalancerNotFound", "CreateLoadBalancer", "CreateTargetGroup", "AddTags", "RegisterTargets", "CreateListener",
			"DescribeLoadBalancerAttributes", "DescribeSubnets", "DescribeSecurityGroups", "DescribeSecurityGroups", "AuthorizeSecurityGroupIngress", "DescribeSecurityGroups", "AuthorizeSecurityGroupIngress", "DescribeSecurityGroups", "AuthorizeSecurityGroupIngress"}},
		{LBC, "aws-load-balancer-controller", []string{"CreateTargetGroup", "DescribeTargetGroupAttributes", "DescribeSubnets", "DescribeLoadBalancers!LoadBalancerNotFound", "CreateLoadBalancer", "DescribeLoadBalancerAttributes", "DescribeListeners", "CreateListener",
			// The rules come with the first targets: pkg/targetgroupbinding/resource_manager.go, between listing targets and registering them.
			"DescribeTargetHealth", "DescribeInstances", "DescribeSecurityGroups", "AuthorizeSecurityGroupIngress", "RegisterTargets"}},
	} {
		w := small(t, c.controller, 3, false, nil)
		settle(t, w)
		var got []string
		for _, e := range w.Trail.Events() {
			if e.Caller.Name != c.caller {
				continue
			}
			name := e.Name
			if e.ErrorCode != "" {
				name += "!" + e.ErrorCode
			}
			got = append(got, name)
			if !strings.HasPrefix(e.Caller.ARN, "arn:aws:sts::") || e.Caller.UserAgent == "" {
				t.Errorf("%s by %+v", e.Name, e.Caller)
			}
		}
		if c.controller == LBC {
			got = slices.Compact(got) // ip targets come as they are ready: further rounds of the last two calls
		}
		if len(got) < len(c.want) || !slices.Equal(got[:len(c.want)], c.want) || c.controller == InTree && len(got) != len(c.want) {
			t.Errorf("%s\ngot  %v\nwant %v", c.controller, got, c.want)
		}
	}
}

// The rules that the in-tree provider writes on the nodes' security group, and the health check that a policy asks for.
func TestWhatIsMadeForAService(t *testing.T) {
	for _, local := range []bool{false, true} {
		w := small(t, InTree, 3, local, nil)
		settle(t, w)
		svc, err := kube.Get[*corev1.Service](w.operator, kube.Key{Namespace: "default", Name: "web"})
		if err != nil {
			t.Fatal(err)
		}
		np := svc.Spec.Ports[0].NodePort
		check, hc := np, "TCP traffic-port 30s 10s 3 3"
		if local {
			check, hc = svc.Spec.HealthCheckNodePort, fmt.Sprintf("HTTP %d 10s 6s 2 2", svc.Spec.HealthCheckNodePort)
		}
		var rules []string
		for _, p := range w.VPC.SecurityGroups()[0].Ingress[1:] {
			what, _, _ := strings.Cut(p.Description, "=")
			rules = append(rules, fmt.Sprintf("%v %d-%d %v %s", p.Proto, p.FromPort, p.ToPort, p.CIDR, what))
		}
		want := []string{
			fmt.Sprintf("tcp %d-%d 192.168.64.0/19 kubernetes.io/rule/nlb/health", check, check), fmt.Sprintf("tcp %d-%d 192.168.96.0/19 kubernetes.io/rule/nlb/health", check, check),
			fmt.Sprintf("tcp %d-%d 0.0.0.0/0 kubernetes.io/rule/nlb/client", np, np), "icmp 3-4 0.0.0.0/0 kubernetes.io/rule/nlb/mtu"}
		if !slices.Equal(rules, want) {
			t.Errorf("local %v\ngot  %v\nwant %v", local, rules, want)
		}
		tg := w.ELB.TargetGroups()[0]
		if got := fmt.Sprintf("%s %s %v %v %d %d", tg.HealthCheck.Protocol, tg.HealthCheck.Port, tg.HealthCheck.Interval, tg.HealthCheck.Timeout, tg.HealthCheck.HealthyThreshold, tg.HealthCheck.UnhealthyThreshold); got != hc {
			t.Errorf("local %v: health check %s, want %s", local, got, hc)
		}
		if svc.Status.LoadBalancer.Ingress[0].Hostname != w.ELB.LoadBalancers()[0].DNSName || !strings.HasPrefix(w.ELB.LoadBalancers()[0].Name, "a") || len(w.ELB.LoadBalancers()[0].Name) != 32 {
			t.Errorf("%v %v", svc.Status.LoadBalancer.Ingress, w.ELB.LoadBalancers()[0].Name)
		}
	}
}

// Every packet that leaves a socket is in the end taken by a socket, answered by the resolver or dropped for a reason: none vanishes.
func TestEveryPacketIsDeliveredOrDropped(t *testing.T) {
	type fate struct {
		last  string
		ended bool
		at    time.Duration
	}
	fates := map[uint64]*fate{}
	w := small(t, InTree, 3, false, func(log *trace.Log) {
		log.Attach(trace.Set(trace.Out, trace.In, trace.Drop, trace.Route), func(r *trace.Record) {
			f := fates[r.Packet.Serial]
			if f == nil {
				f = &fate{}
				fates[r.Packet.Serial] = f
			}
			where := log.String(r.Actor)
			f.last, f.at = r.Kind.String()+" "+where, r.Time
			switch r.Kind {
			case trace.Drop:
				if log.String(r.Reason) == "" {
					t.Errorf("a drop without a reason at %s", where)
				}
				f.ended = true
			case trace.In:
				f.ended = true // until it goes on
			case trace.Out:
				// The resolver has no interface of its own that a capture could show.
				f.ended = r.Packet.Dst.String() == "192.168.0.2" && strings.HasPrefix(where, "ip-")
			case trace.Route:
				f.ended = false
			}
		})
	})
	settle(t, w)
	w.Start(Load{Name: "l", At: 6 * time.Minute, Every: time.Second, Count: 60, Pod: "default/client", Service: "default/web", Fallback: "sequential"})
	if err := w.Engine.RunWhile(func() bool { return !w.Done() }, nil); err != nil {
		t.Fatal(err)
	}
	now := w.Engine.Now()
	lost := 0
	for serial, f := range fates {
		if !f.ended && now-f.at > time.Second {
			if lost++; lost < 5 {
				t.Errorf("packet %d was last seen at %v: %s", serial, f.at, f.last)
			}
		}
	}
	if len(fates) < 2000 {
		t.Errorf("only %d packets", len(fates))
	}
}

// BenchmarkWorld builds and settles worlds of two sizes.
func BenchmarkWorld(b *testing.B) {
	for _, nodes := range []int{20, 200} {
		b.Run(fmt.Sprintf("nodes=%d", nodes), func(b *testing.B) {
			for range b.N {
				settle(b, small(b, InTree, nodes, false, nil))
			}
		})
	}
}
