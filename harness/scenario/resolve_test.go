package scenario

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func mustResolve(t testing.TB, s *Scenario, variant string, set map[string]string) *Plan {
	t.Helper()
	plan, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatalf("Resolve(%s, %v): %v", variant, set, err)
	}
	return plan
}

func objectOf[T KubernetesObject](t testing.TB, plan *Plan) (found T) {
	t.Helper()
	for _, o := range plan.Objects {
		if v, ok := o.Value.(T); ok {
			return v
		}
	}
	t.Fatalf("the plan has no %T", found)
	return found
}

func TestPlanIsConcrete(t *testing.T) {
	plan := mustResolve(t, mustLoad(t, full), "fixed-off", map[string]string{"sizes": "3,1,0", "zone": "2"})
	if len(plan.World.VPC.Subnets) != 2 || len(plan.World.NodeGroups) != 2 {
		t.Errorf("subnets %v, node groups %v", plan.World.VPC.Subnets, plan.World.NodeGroups)
	}
	if g := plan.World.NodeGroups[0]; g.Size != 3 || g.Addresses[0] != "192.168.18.190" {
		t.Errorf("the first node group is %+v", g)
	}
	if n := plan.World.Kernel.Sysctls["net.ipv4.tcp_syn_retries"]; n != 4 {
		t.Errorf("the sysctl is %d", n)
	}
	if d := objectOf[*appsv1.Deployment](t, plan); *d.Spec.Replicas != 4 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
	if len(plan.Timeline) != 1 || plan.Timeline[0].Verb() != "modifyTargetGroupAttributes" || plan.Timeline[0].At != time.Minute || plan.Timeline[0].Line != 54 {
		t.Errorf("timeline %+v", plan.Timeline)
	}
	if a := plan.Timeline[0].ModifyTargetGroupAttributes.Attributes; !equal(a, map[string]string{"preserve_client_ip.enabled": "false"}) {
		t.Errorf("attributes %v", a)
	}
	c := plan.Load[0]
	if c.Every != 500*time.Millisecond || c.At != 2*time.Minute || c.Count != 100 || c.Line != 58 || c.Curl.Service != "web/web" {
		t.Errorf("load %+v", c)
	}
	if plan.Settle != 5*time.Minute {
		t.Errorf("settles for %v", plan.Settle)
	}
	var names []string
	for _, e := range plan.Expect {
		names = append(names, e.Name)
	}
	if !equal(names, []string{"some", "none"}) {
		t.Errorf("expectations %v", names)
	}
}

// The later wins: default, variant, --set. A computed default follows whichever value the parameters above it have.
func TestPrecedence(t *testing.T) {
	s := mustLoad(t, full)
	rows := []struct {
		variant string
		set     map[string]string
		name    string
		want    any
		origin  Origin
	}{
		{"broken", nil, "preserve", nil, FromDefault},
		{"fixed-off", nil, "preserve", false, FromVariant},
		{"fixed-off", map[string]string{"preserve": "true"}, "preserve", true, FromSet},
		{"fixed-off", map[string]string{"preserve": "null"}, "preserve", nil, FromSet},
		{"broken", nil, "controller", "in-tree", FromDefault},
		{"fixed-ip", nil, "controller", "lbc", FromDefault},
		{"broken", map[string]string{"kind": "ip"}, "controller", "lbc", FromDefault},
		{"broken", map[string]string{"controller": "lbc"}, "controller", "lbc", FromSet},
	}
	for _, row := range rows {
		plan := mustResolve(t, s, row.variant, row.set)
		for _, v := range plan.Params {
			if v.Name == row.name && (v.Value != row.want || v.Origin != row.origin) {
				t.Errorf("%s %v: %s is %v from %s, want %v from %s", row.variant, row.set, v.Name, v.Value, v.Origin, row.want, row.origin)
			}
		}
	}
}

func TestParamsAsJSON(t *testing.T) {
	plan := mustResolve(t, mustLoad(t, full), "broken", nil)
	got, err := json.Marshal(plan.Params)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sizes":[1,2],"zone":1,"kind":"instance","controller":"in-tree","preserve":null,"every":"500ms","share":0.5,"delay":[1,5],"label":"x"}`
	if string(got) != want {
		t.Errorf("got %s", got)
	}
	if v := plan.Params.Get("every"); v != 500*time.Millisecond {
		t.Errorf("every is %v", v)
	}
	if v := plan.Params.Get("nope"); v != nil {
		t.Errorf("a parameter that does not exist is %v", v)
	}
}

// A value that a set would refuse cannot come in by another way.
func TestGoldenIsResolvable(t *testing.T) {
	s := mustLoad(t, full)
	if s.Golden.Variant != "fixed-off" || !equal(s.Golden.Settings(), map[string]string{"zone": "2"}) {
		t.Errorf("golden %+v", s.Golden)
	}
	mustResolve(t, s, s.Golden.Variant, s.Golden.Settings())
	s = mustLoad(t, replaced(t, full, "variant: fixed-off}", "label: y}"))
	if s.Golden.Variant != "broken" {
		t.Errorf("without a variant, golden is of %s", s.Golden.Variant)
	}
	if mustLoad(t, minimal).Golden != nil {
		t.Error("a scenario without golden has one")
	}
}

func TestVariantOverlay(t *testing.T) {
	text := replaced(t, full, "  fixed-off: {doc: Off., set: {preserve: false}}", `  fixed-off:
    timeline: [{at: 9m, modifyLoadBalancerAttributes: {service: web/web, attributes: {a: '${params.label}'}}}]
    patches: [{target: Deployment/web/web, patch: {spec: {replicas: 9}}}]`)
	s := mustLoad(t, text)
	if err := s.Validate(vocab); err != nil {
		t.Fatal(err)
	}
	plan := mustResolve(t, s, "fixed-off", nil)
	if len(plan.Timeline) != 1 || plan.Timeline[0].ModifyLoadBalancerAttributes.Attributes["a"] != "x" {
		t.Errorf("timeline %+v", plan.Timeline)
	}
	if n := *objectOf[*appsv1.Deployment](t, plan).Spec.Replicas; n != 9 {
		t.Errorf("%d replicas, want the variant's 9, which come after the scenario's own", n)
	}
	if plan := mustResolve(t, s, "broken", nil); len(plan.Timeline) != 0 || *objectOf[*appsv1.Deployment](t, plan).Spec.Replicas != 3 {
		t.Error("another variant has the overlay, too")
	}
}

// A patch names its target as the file has it, even after an earlier patch has renamed it.
func TestPatchesFollowRenamedObjects(t *testing.T) {
	s := mustLoad(t, replaced(t, full, "  - target: Service/web/web", `  - target: Pod/web/client
    patch: {metadata: {namespace: other}, spec: {hostNetwork: true}}
  - target: Pod/web/client
    patch: {metadata: {labels: {moved: "true"}}, spec: {hostNetwork: null}}
  - target: Service/web/web`))
	_, err := s.Resolve("broken", nil)
	wantErr(t, err, `scenario.yaml:62: the manifests have no Pod "web/client"; they have other/client`)
	s = mustLoad(t, replaced(t, full, "  - target: Service/web/web", `  - target: Deployment/web/web
    patch: {metadata: {namespace: other}}
  - target: Deployment/web/web
    patch: {metadata: {labels: {moved: "true"}}, spec: {selector: {matchLabels: {app: null}}}}
  - target: Service/web/web`))
	d := objectOf[*appsv1.Deployment](t, mustResolve(t, s, "broken", nil))
	if d.Namespace != "other" || d.Labels["moved"] != "true" || len(d.Spec.Selector.MatchLabels) != 0 {
		t.Errorf("the Deployment is %s/%s %v %v", d.Namespace, d.Name, d.Labels, d.Spec.Selector)
	}
}

func TestObjectsAfterPatches(t *testing.T) {
	// $${HOME} is no expression, and a number within text is written out.
	plan := mustResolve(t, mustLoad(t, full), "broken", nil)
	svc := objectOf[*corev1.Service](t, plan)
	if want := map[string]string{"preserve": "true", "text": "n=3 ${HOME}"}; !equal(svc.Annotations, want) {
		t.Errorf("annotations %v", svc.Annotations)
	}
	if svc.Spec.Ports[0].TargetPort.StrVal != "http" {
		t.Errorf("target port %v", svc.Spec.Ports[0].TargetPort)
	}
	o := plan.Objects[1]
	if o.Key() != "Deployment/web/web" || o.File != "web.yaml" || o.Line != 6 || o.Value.GetObjectKind().GroupVersionKind().Kind != "Deployment" {
		t.Errorf("%s at %s:%d", o.Key(), o.File, o.Line)
	}
	for _, o := range plan.Objects {
		text, err := o.YAML()
		if err != nil {
			t.Fatal(err)
		}
		found := &findings{}
		again := decodeManifests(readManifests("again.yaml", text, found), found)
		if err := found.err(); err != nil {
			t.Fatalf("%s as YAML: %v\n%s", o.Key(), err, text)
		}
		if len(again) != 1 || !equal(again[0].Value, o.Value) {
			t.Errorf("%s is not the same when its YAML is read:\n%s", o.Key(), text)
		}
	}
}

// YAML knows one kind of number, so a double without a fraction is as good as an int, and one with a fraction is not.
func TestWholeDoublesAreWholeNumbers(t *testing.T) {
	text := replaced(t, replaced(t, full, "count: 100", "count: '${params.share * 8.0}'"), "replicas: '${let.nodes}'", "replicas: '${6.0 / 2.0}'")
	plan := mustResolve(t, mustLoad(t, text), "broken", nil)
	if n := *objectOf[*appsv1.Deployment](t, plan).Spec.Replicas; plan.Load[0].Count != 4 || n != 3 {
		t.Errorf("count %d, replicas %d", plan.Load[0].Count, n)
	}
	_, err := mustLoad(t, text).Resolve("broken", map[string]string{"share": "0.3"})
	wantErr(t, err, "scenario.yaml:61: load[0].count: want a whole number, have the number 2.4")
}

func TestExpectations(t *testing.T) {
	s := mustLoad(t, full)
	plan := mustResolve(t, s, "broken", nil)
	share := plan.Expect[1]
	if share.Name != "share" || share.Line != 77 || share.File != "scenario.yaml" || share.When != "let.kept" ||
		share.That != "near(obs.hungRatio, 1.0 / double(let.nodes), obs.connections)" || !equal(share.Reads, []string{"connections", "hungRatio"}) {
		t.Errorf("%+v", share)
	}
	vars := plan.Vars(map[string]any{"connections": 3000.0, "hungRatio": 0.34})
	for _, e := range plan.Expect {
		if applies, err := e.EvalWhen(vars); err != nil || !applies {
			t.Errorf("%s applies: %v, %v", e.Name, applies, err)
		}
		if ok, err := e.Eval(vars); err != nil || !ok {
			t.Errorf("%s is met: %v, %v", e.Name, ok, err)
		}
	}
	if ok, err := share.Eval(plan.Vars(map[string]any{"connections": 3000.0, "hungRatio": 0.5})); err != nil || ok {
		t.Errorf("half of the calls: %v, %v", ok, err)
	}
	if _, err := share.Eval(plan.Vars(nil)); err == nil {
		t.Error("without a sample there is a value")
	}
	off := mustResolve(t, s, "broken", map[string]string{"preserve": "false"})
	if applies, err := off.Expect[1].EvalWhen(off.Vars(nil)); err != nil || applies {
		t.Errorf("the expectation applies outside its when: %v, %v", applies, err)
	}
}

func TestConditions(t *testing.T) {
	s := mustLoad(t, full)
	plan := mustResolve(t, s, "broken", nil)
	c, err := s.Condition("--where", "obs.hungRatio > 0.1 && params.zone == 1 && let.nodes == 3", vocab)
	if err != nil {
		t.Fatal(err)
	}
	if !equal(c.Reads, []string{"hungRatio"}) {
		t.Errorf("reads %v", c.Reads)
	}
	for ratio, want := range map[float64]bool{0.05: false, 0.2: true} {
		if got, err := c.Eval(plan.Vars(map[string]any{"hungRatio": ratio})); err != nil || got != want {
			t.Errorf("a ratio of %v: %v, %v", ratio, got, err)
		}
	}
	for source, want := range map[string]string{
		"obs.hungRati > 1":     `--where obs.hungRati > 1: unknown observation "hungRati"; did you mean "hungRatio"?`,
		"params.zones == 1":    `--where params.zones == 1: unknown parameter "zones"; did you mean "zone"?`,
		"":                     `--where "": a CEL expression is missing`,
		"obs.hungRatio == 'a'": `--where obs.hungRatio == 'a': obs.hungRatio is a number and cannot be compared with a string`,
		"1 +":                  `--where 1 +: not valid CEL: the expression ends too early`,
		"1 + 1":                `--where 1 + 1: the condition must be true or false, but this is an int`,
	} {
		_, err := s.Condition("--where", source, vocab)
		wantErr(t, err, want)
	}
}

// One scenario serves many workers, as in a sweep; the race detector watches.
func TestResolveConcurrently(t *testing.T) {
	s := mustLoad(t, full)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for _, v := range s.VariantNames() {
				plan, err := s.Resolve(v, map[string]string{"sizes": strings.Repeat("1,", i%2) + "2"})
				if err != nil && i%2 == 1 {
					t.Error(err)
				}
				if err == nil {
					for _, e := range plan.Expect {
						_, _ = e.Eval(plan.Vars(map[string]any{"connections": 1.0, "hungRatio": 0.0}))
					}
				}
			}
			if i == 0 {
				_ = s.Validate(vocab)
			}
		})
	}
	group.Wait()
}

func TestResolveDoesNotChangeTheScenario(t *testing.T) {
	s := mustLoad(t, full)
	first := mustResolve(t, s, "broken", nil)
	mustResolve(t, s, "fixed-off", map[string]string{"sizes": "9,9,9", "preserve": "true"})
	again := mustResolve(t, s, "broken", nil)
	if !equal(first.World, again.World) || !equal(first.Params, again.Params) || !equal(first.Load, again.Load) {
		t.Error("the same settings come to another plan")
	}
	for i := range first.Objects {
		if !equal(first.Objects[i].Value, again.Objects[i].Value) {
			t.Errorf("%s differs", first.Objects[i].Key())
		}
	}
}
