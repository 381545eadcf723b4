package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// go on to a time, looking at the world every so often.
func (w *World) watch(t *testing.T, until, every time.Duration, look func()) {
	t.Helper()
	for w.Engine.Now() < until {
		if err := w.Engine.Run(w.Engine.Now()+every, nil); err != nil {
			t.Fatal(err)
		}
		look()
	}
}

// phases counts pods of the default namespace by whether they run.
func (w *World) phases() (running, waiting, unplaced int) {
	for _, p := range kube.List[*corev1.Pod](w.operator) {
		switch {
		case p.Namespace != "default" || p.DeletionTimestamp != nil:
		case p.Spec.NodeName == "":
			unplaced++
		case p.Status.Phase == corev1.PodRunning:
			running++
		default:
			waiting++
		}
	}
	return running, waiting, unplaced
}

// eventsOf are the messages of a reason.
func (w *World) eventsOf(reason string) (out []string) {
	for _, e := range kube.Events(w.operator) {
		if e.Reason == reason {
			out = append(out, e.Message)
		}
	}
	return out
}

// kubectl set env replaces the pods of aws-node, a tenth of them at a time, each on its node; the pods beside them keep their addresses.
func TestSetEnvRestartsATenthAtATime(t *testing.T) {
	for _, c := range []struct{ nodes, most int }{{21, 3}, {10, 1}, {3, 1}} {
		pods := make([]int, c.nodes)
		for i := range pods {
			pods[i] = 1
		}
		w := poolLab{seed: 1, perZone: []int{c.nodes}, pods: pods, env: map[string]string{"WARM_IP_TARGET": "2"}}.run(t, 3*time.Minute)
		before := map[string]string{}
		for _, p := range kube.List[*corev1.Pod](w.operator) {
			if p.Namespace == "default" {
				before[p.Name] = p.Status.PodIP
			}
		}
		from := w.Engine.Now()
		w.Do(Change{At: from, Action: SetEnv{Kind: "DaemonSet", Name: "kube-system/aws-node", Env: map[string]string{"WARM_IP_TARGET": "5"}}})
		away := 0
		w.watch(t, from+12*time.Minute, 100*time.Millisecond, func() {
			n := 0
			for _, x := range w.Nodes {
				if !x.CNI.Serving() {
					n++
				}
			}
			away = max(away, n)
		})
		if away != c.most {
			t.Errorf("of %d nodes up to %d were without a daemon at a time, want %d", c.nodes, away, c.most)
		}
		if got := slices.Compact(held(w)); !slices.Equal(got, []int{1 + 1 + 5}) {
			t.Errorf("the nodes hold %v addresses, want 7 each", got)
		}
		for _, p := range kube.List[*corev1.Pod](w.operator) {
			if p.Namespace == "default" && before[p.Name] != p.Status.PodIP {
				t.Errorf("%s had %s, and has %s", p.Name, before[p.Name], p.Status.PodIP)
			}
		}
	}
}

// While aws-node restarts no pod gets an address, and its node takes pods all the same; afterwards the kubelet's next try works.
func TestNoAddressWhileTheDaemonRestarts(t *testing.T) {
	w := poolLab{seed: 1, pods: []int{1}}.run(t, 3*time.Minute)
	from := w.Engine.Now()
	w.Do(Change{At: from, Action: SetEnv{Kind: "DaemonSet", Name: "kube-system/aws-node", Env: map[string]string{"MINIMUM_IP_TARGET": "4"}}})
	scaled := false
	w.watch(t, from+5*time.Minute, 50*time.Millisecond, func() {
		if !scaled && !w.Nodes[0].CNI.Serving() {
			scaled = true
			w.Do(Change{At: w.Engine.Now(), Action: Scale{Deployment: "default/web-1", Replicas: 2}})
		}
	})
	failed := w.eventsOf("FailedCreatePodSandBox")
	if !scaled || len(failed) == 0 || !strings.Contains(failed[0], "add cmd: Error received from AddNetwork gRPC call") {
		t.Errorf("events %q", failed)
	}
	if running, waiting, _ := w.phases(); running != 2 || waiting != 0 {
		t.Errorf("%d pods run and %d wait", running, waiting)
	}
}

// A node is not ready, and takes no pods but its agents, until the plugin's configuration is there.
func TestNodesAreNotReadyWithoutTheirPlugin(t *testing.T) {
	w, err := New(poolLab{seed: 1, perZone: []int{2}}.spec(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Apply(0, Objects{podsOn(w, 0, 1), podsOn(w, 1, 1)})
	ready := map[string]time.Duration{}
	w.watch(t, 2*time.Minute, 50*time.Millisecond, func() {
		for _, n := range w.Nodes {
			node, err := kube.Get[*corev1.Node](w.operator, kube.Key{Name: n.Name})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range node.Status.Conditions {
				if c.Type != corev1.NodeReady {
					continue
				}
				if is := c.Status == corev1.ConditionTrue; is && !n.CNI.Configured() {
					t.Fatalf("%s is ready without its plugin", n.Name)
				} else if is && ready[n.Name] == 0 {
					ready[n.Name] = w.Engine.Now()
				}
			}
			for _, p := range kube.List[*corev1.Pod](w.operator) {
				if p.Namespace == "default" && p.Spec.NodeName == n.Name && ready[n.Name] == 0 {
					t.Fatalf("%s was placed on %s, which is not ready", p.Name, n.Name)
				}
			}
		}
	})
	if len(ready) != 2 {
		t.Errorf("ready: %v", ready)
	}
}

// Two m5.large in a /28: the first takes what there is, the second has no address to give.
func TestTwoNodesInASubnetOfElevenAddresses(t *testing.T) {
	w := poolLab{seed: 1, perZone: []int{2}, pods: []int{1, 1}, prefix: 28}.run(t, 4*time.Minute)
	if free := w.VPC.Subnets()[0].Available(); free != 0 {
		t.Errorf("%d addresses are free", free)
	}
	if got := held(w); got[0]+got[1] != 11 {
		t.Errorf("the nodes hold %v", got)
	}
	running, waiting, _ := w.phases()
	if running != 1 || waiting != 1 {
		t.Errorf("%d pods run and %d wait", running, waiting)
	}
	failed := w.eventsOf("FailedCreatePodSandBox")
	if len(failed) == 0 || !strings.Contains(failed[0], "failed to assign an IP address to container") {
		t.Errorf("events %q", failed)
	}
	if _, err := fmt.Sscanf(failed[0], "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to set"); err != nil {
		t.Errorf("event %q", failed[0])
	}
}

// max-pods is the scheduler's limit, not the plugin's: pods beyond it are placed nowhere, though the node has addresses.
func TestMaxPods(t *testing.T) {
	for _, c := range []struct{ maxPods, pods, running, waiting, unplaced int }{
		{0, 27, 27, 0, 0}, // an m5.large takes 29, of which aws-node and kube-proxy are two
		{0, 30, 27, 0, 3}, // addresses end where pods do
		{12, 30, 10, 0, 20},
		{110, 40, 27, 13, 0}, // as many may be placed, and wait for an address
	} {
		w := poolLab{seed: 1, pods: []int{c.pods}, maxPods: c.maxPods}.run(t, 5*time.Minute)
		if running, waiting, unplaced := w.phases(); running != c.running || waiting != c.waiting || unplaced != c.unplaced {
			t.Errorf("%d pods with max-pods %d: %d run, %d wait, %d are placed nowhere", c.pods, c.maxPods, running, waiting, unplaced)
		}
	}
}

// With custom networking pods' addresses come from the subnets of the ENIConfigs; the primary interface has none for them.
func TestCustomNetworking(t *testing.T) {
	s := poolLab{seed: 1, perZone: []int{1, 1}, prefix: 28, env: map[string]string{"AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true", "ENI_CONFIG_LABEL_DEF": "topology.kubernetes.io/zone"}}.spec()
	second := netip.MustParsePrefix("100.64.0.0/16")
	s.VPC.CIDRs = append(s.VPC.CIDRs, second)
	for i, z := range []string{"a", "b"} {
		s.VPC.Subnets = append(s.VPC.Subnets, Subnet{Name: "pods-" + z, Zone: "eu-west-1" + z, CIDR: netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, byte(64 * i), 0}), 18)})
		s.VPCCNI.ENIConfigs = append(s.VPCCNI.ENIConfigs, ENIConfig{Name: "eu-west-1" + z, Subnet: "pods-" + z})
	}
	w, err := New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.Apply(30*time.Second, Objects{podsOn(w, 0, 12), podsOn(w, 1, 3)})
	if err := w.Engine.Run(5*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
	if running, waiting, unplaced := w.phases(); running != 15 {
		t.Errorf("%d pods run, %d wait, %d are placed nowhere", running, waiting, unplaced)
	}
	for i, zone := range []string{"100.64.0.0/18", "100.64.64.0/18"} {
		for _, p := range kube.List[*corev1.Pod](w.operator) {
			if p.Namespace == "default" && p.Spec.NodeName == w.Nodes[i].Name && !netip.MustParsePrefix(zone).Contains(netip.MustParseAddr(p.Status.PodIP)) {
				t.Errorf("%s of node %d has %s", p.Name, i, p.Status.PodIP)
			}
		}
		if n := len(w.Nodes[i].Instance.Interfaces[0].Addrs); n != 1 {
			t.Errorf("the primary interface of node %d has %d addresses", i, n)
		}
	}
	for _, sn := range w.VPC.Subnets()[:2] {
		if sn.Available() != 10 {
			t.Errorf("the nodes' subnet %s has %d free addresses of 11", sn.Name, sn.Available())
		}
	}
}

// What makes no sense is said before the world begins.
func TestSpecsOfAddressesThatMakeNoSense(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(*Spec)
	}{
		{"a version", "1.11", func(s *Spec) { s.VPCCNI.Version = "1.11" }},
		{"a variable", "WARM_IPS", func(s *Spec) { s.VPCCNI.Env = map[string]string{"WARM_IPS": "1"} }},
		{"an ENIConfig without its subnet", `no subnet "nowhere"`, func(s *Spec) { s.VPCCNI.ENIConfigs = []ENIConfig{{"a", "nowhere"}} }},
		{"an ENIConfig twice", "two of it", func(s *Spec) { s.VPCCNI.ENIConfigs = []ENIConfig{{"a", "zone-1"}, {"a", "zone-1"}} }},
		{"negative max-pods", "max-pods is -1", func(s *Spec) { s.NodeGroups[0].MaxPods = -1 }},
		{"no CIDR block", "no CIDR block", func(s *Spec) { s.VPC.CIDRs = nil }},
		{"six CIDR blocks", "at most 5", func(s *Spec) {
			for i := range 5 {
				s.VPC.CIDRs = append(s.VPC.CIDRs, netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(64 + i), 0, 0}), 16))
			}
		}},
		{"a subnet outside", "not inside", func(s *Spec) { s.VPC.Subnets[0].CIDR = netip.MustParsePrefix("10.9.0.0/24") }},
		{"more nodes than addresses", "address", func(s *Spec) {
			s.VPC.Subnets[0].CIDR = netip.MustParsePrefix("192.168.0.0/28")
			s.NodeGroups[0].Size = 12
		}},
		{"an instance type", "m9.huge", func(s *Spec) { s.NodeGroups[0].InstanceType = "m9.huge" }},
	} {
		s := poolLab{seed: 1}.spec()
		c.change(&s)
		if w, err := New(s, nil); err == nil {
			w.Close()
			t.Errorf("%s: no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
