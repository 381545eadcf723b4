package scenario_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

func hairpin(t testing.TB) *scenario.Scenario {
	t.Helper()
	c, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func settings(text string) map[string]string {
	set := map[string]string{}
	for _, s := range strings.Fields(text) {
		name, value, _ := strings.Cut(s, "=")
		set[name] = value
	}
	return set
}

// Every scenario that the program carries is right, in every variant, and has what the command line shows of it.
func TestEmbeddedScenarios(t *testing.T) {
	c, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are none")
	}
	for _, s := range all {
		t.Run(s.Slug(), func(t *testing.T) {
			if err := s.Validate(observe.All()); err != nil {
				t.Fatal(err)
			}
			if len(s.Symptoms) == 0 || len(s.Headline) == 0 || s.Golden == nil {
				t.Error("symptoms, headline or golden is missing")
			}
			for _, v := range s.Variants {
				if v.Doc == "" {
					t.Errorf("variant %s has no doc", v.Name)
				}
				plan, err := s.Resolve(v.Name, nil)
				if err != nil {
					t.Errorf("%s: %v", v.Name, err)
					continue
				}
				applicable := 0
				for _, e := range plan.Expect {
					if ok, err := e.EvalWhen(plan.Vars(nil)); err != nil {
						t.Errorf("%s: %s: %v", v.Name, e.Name, err)
					} else if ok && e.Variant != "*" {
						applicable++
					}
				}
				if applicable == 0 {
					t.Errorf("variant %s has no expectation of its own that applies", v.Name)
				}
			}
			folder, err := s.Folder()
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"scenario.yaml", "README.md", "README.zh-TW.md"} {
				if _, err := fs.Stat(folder, name); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// What people set, alone and together, in every variant: it resolves, or breaks the rule that is named.
func TestHairpinSettings(t *testing.T) {
	const (
		ipNeedsLBC = "targetType=ip needs controller=lbc"
		noZone     = "clientZone is a position in nodesPerZone"
		noNode     = "clientNode must be one of the nodes of clientZone"
	)
	rows := []struct{ set, broken string }{
		{"", ""},
		{"nodesPerZone=4,4,4", ""},
		{"nodesPerZone=1 clientZone=1", ""},
		{"nodesPerZone=20 clientZone=1 clientNode=20", ""},
		{"nodesPerZone=0,1 clientZone=2", ""},
		{"nodesPerZone=2,2", ""},
		{"nodesPerZone=200,200,200 replicas=500", ""},
		{"clientZone=1", ""},
		{"clientZone=3 clientNode=2", ""},
		{"backendOnClientNode=one", ""},
		{"backendOnClientNode=one replicas=1", ""},
		{"clientIsBackend=true", ""},
		{"clientIsBackend=true replicas=1", ""},
		{"clientIsBackend=true backendOnClientNode=one", ""},
		{"clientHostNetwork=true", ""},
		{"controller=lbc", ""},
		{"controller=lbc crossZone=true preserveClientIP=true", ""},
		{"controller=lbc targetType=ip", ""},
		{"crossZone=true", ""},
		{"preserveClientIP=true", ""},
		{"preserveClientIP=null", ""},
		{"externalTrafficPolicy=Local", ""},
		{"dnsAffinity=zone", ""},
		{"via=clusterIP", ""},
		{"connections=1 connectInterval=1ms clientMaxTime=5s", ""},
		{"clientFallback=parallel", ""},
		{"clientFallback=none clientMaxTime=5s", ""},
		{"tcpSynRetries=127 tcpSynLinearTimeouts=127 ipDefaultTTL=1", ""},
		{"tcpSynLinearTimeouts=4 ipDefaultTTL=64 kernelTimerHZ=250", ""},
		{"targetType=ip controller=in-tree", ipNeedsLBC},
		{"nodesPerZone=1", noZone},
		{"nodesPerZone=2,2 clientZone=3", noZone},
		{"clientNode=3", noNode},
		{"nodesPerZone=1,0,2", noNode},
	}
	s := hairpin(t)
	for _, row := range rows {
		for _, variant := range s.VariantNames() {
			plan, err := s.Resolve(variant, settings(row.set))
			if row.broken != "" {
				if err == nil || !strings.Contains(err.Error(), row.broken) {
					t.Errorf("%s with %s: %v, want the rule %q", variant, row.set, err, row.broken)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s with %s: %v", variant, row.set, err)
				continue
			}
			checkHairpin(t, fmt.Sprintf("%s with %s", variant, row.set), plan)
		}
	}
}

// checkHairpin holds a plan against what its parameters ask for.
func checkHairpin(t *testing.T, what string, plan *scenario.Plan) {
	t.Helper()
	nodes, groups := 0, map[string]bool{}
	for _, g := range plan.World.NodeGroups {
		nodes += g.Size
		groups[g.Name] = true
	}
	var want int64
	for _, n := range plan.Params.Get("nodesPerZone").([]any) {
		want += n.(int64)
	}
	if int64(nodes) != want {
		t.Errorf("%s: %d nodes, want %d", what, nodes, want)
	}
	if string(plan.World.LoadBalancerController) != plan.Params.Get("controller") {
		t.Errorf("%s: controller %s", what, plan.World.LoadBalancerController)
	}
	var backends int64
	for _, o := range plan.Objects {
		switch v := o.Value.(type) {
		case *appsv1.Deployment:
			backends += int64(*v.Spec.Replicas)
		case *corev1.Pod:
			if v.Labels["app"] == "nginx-demo" {
				backends++
			}
			if !groups[v.Spec.NodeSelector["eks.amazonaws.com/nodegroup"]] {
				t.Errorf("%s: the client is tied to %v", what, v.Spec.NodeSelector)
			}
			if v.Spec.HostNetwork != plan.Params.Get("clientHostNetwork") {
				t.Errorf("%s: hostNetwork is %v", what, v.Spec.HostNetwork)
			}
		case *corev1.Service:
			attributes := v.Annotations["service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"]
			preserve := plan.Params.Get("preserveClientIP")
			if byAnnotation := plan.Params.Get("controller") == "lbc" && preserve != nil; byAnnotation != (attributes == fmt.Sprintf("preserve_client_ip.enabled=%v", preserve)) {
				t.Errorf("%s: attributes %q", what, attributes)
			}
			if string(v.Spec.ExternalTrafficPolicy) != plan.Params.Get("externalTrafficPolicy") {
				t.Errorf("%s: externalTrafficPolicy %s", what, v.Spec.ExternalTrafficPolicy)
			}
		}
	}
	if backends != plan.Params.Get("replicas") {
		t.Errorf("%s: %d backends, want %v", what, backends, plan.Params.Get("replicas"))
	}
}

// An editable copy behaves as the embedded scenario does, and its mistakes have the path that was given.
func TestLoadPathOfTheRealScenario(t *testing.T) {
	s, err := scenario.LoadPath("../../scenarios/elb/nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(observe.All()); err != nil {
		t.Error(err)
	}
}

func BenchmarkLoad(b *testing.B) {
	fsys, err := hairpin(b).Folder()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := scenario.Load(fsys, "."); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	fsys, err := hairpin(b).Folder()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := scenario.Load(fsys, ".")
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Validate(observe.All()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResolve is what each further run of a sweep costs; BenchmarkResolveFirst has the compiling, too.
func BenchmarkResolve(b *testing.B) {
	s := hairpin(b)
	for b.Loop() {
		if _, err := s.Resolve("broken", map[string]string{"nodesPerZone": "4,4,4"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolveFirst(b *testing.B) {
	fsys, err := hairpin(b).Folder()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		s, err := scenario.Load(fsys, ".")
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := s.Resolve("broken", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	catalog, err := scenario.Embedded()
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := catalog.Find("nlb-hairpin")
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := s.Resolve("fixed-preserve-off", map[string]string{"nodesPerZone": "4,4,4"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range plan.Params {
		if v.Origin != scenario.FromDefault {
			fmt.Printf("%s=%s (%s)\n", v.Name, v, v.Origin)
		}
	}
	for _, a := range plan.Timeline {
		fmt.Println(a.At, a.Verb())
	}
	_, err = s.Resolve("broken", map[string]string{"replicas": "many", "connectInterval": "500"})
	fmt.Println(err)
	// Output:
	// nodesPerZone=4,4,4 (set)
	// preserveClientIP=false (variant)
	// 0s modifyTargetGroupAttributes
	// --set connectInterval=500: connectInterval must be a duration from 1ms to 1h, such as 500ms; it was given 500
	// --set replicas=many: replicas must be a whole number from 1 to 500; it was given many
}
