package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/linux"
)

// poolLab is a world of nodes with pods, to look at their addresses.
type poolLab struct {
	seed         uint64
	instanceType string
	perZone      []int
	pods         []int // by node
	version      string
	env          map[string]string
	prefix       int
	maxPods      int
	throttle     bool
}

func (l poolLab) spec() Spec {
	if l.instanceType == "" {
		l.instanceType = "m5.large"
	}
	if l.perZone == nil {
		l.perZone = []int{1}
	}
	if l.prefix == 0 {
		l.prefix = 19
	}
	s := Spec{Seed: l.seed, Region: "eu-west-1", Cluster: Cluster{Name: "c", Version: "1.22", ServiceCIDR: netip.MustParsePrefix("10.100.0.0/16")}, Sysctls: linux.DefaultSysctls(), LoadBalancerController: InTree,
		VPC: VPC{CIDRs: []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}}, VPCCNI: VPCCNI{Version: l.version, Env: l.env}, EC2Throttle: l.throttle}
	for i, n := range l.perZone {
		base := netip.AddrFrom4([4]byte{192, 168, byte(i * 32), 0})
		name := fmt.Sprintf("zone-%d", i+1)
		s.VPC.Subnets = append(s.VPC.Subnets, Subnet{Name: name, Zone: "eu-west-1" + string(rune('a'+i)), CIDR: netip.PrefixFrom(base, l.prefix), Public: true})
		s.NodeGroups = append(s.NodeGroups, NodeGroup{Name: name, Subnet: name, InstanceType: l.instanceType, Size: n, MaxPods: l.maxPods})
	}
	return s
}

// run builds the world and puts the pods on their nodes, one Deployment for each node.
func (l poolLab) run(t testing.TB, until time.Duration) *World {
	t.Helper()
	w, err := New(l.spec(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	var objects Objects
	for i, n := range l.pods {
		if n > 0 {
			objects = append(objects, podsOn(w, i, n))
		}
	}
	w.Apply(30*time.Second, objects)
	if err := w.Engine.Run(until, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func podsOn(w *World, node, n int) *appsv1.Deployment {
	name := fmt.Sprintf("web-%d", node+1)
	labels := map[string]string{"app": name}
	replicas := int32(n)
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelHostname: w.Nodes[node].Name},
			Containers: []corev1.Container{{Name: "c", Image: "nicolaka/netshoot", Command: []string{"sleep", "infinity"}}}}}}}
}

// held is how many addresses each node's interfaces hold.
func held(w *World) (out []int) {
	for _, n := range w.Nodes {
		sum := 0
		for _, e := range n.Instance.Interfaces {
			sum += e.Used()
		}
		out = append(out, sum)
	}
	return out
}

// The article's five nodes, as the subnets see them.
func TestArticlesFiveNodes(t *testing.T) {
	for _, version := range []string{"1.10", "1.12", "1.13", "1.16.0", "1.16.4", "1.23"} {
		w := poolLab{seed: 1, perZone: []int{1, 2, 2}, pods: []int{2, 1, 1, 0, 1}, version: version}.run(t, 4*time.Minute)
		if got := fmt.Sprint(held(w)); got != "[20 20 20 10 20]" {
			t.Errorf("%s: the nodes hold %s addresses", version, got)
		}
		var free []int
		for _, s := range w.VPC.Subnets() {
			free = append(free, s.Available())
		}
		if got := fmt.Sprint(free); got != "[8167 8147 8157]" {
			t.Errorf("%s: free addresses %s", version, got)
		}
	}
}
