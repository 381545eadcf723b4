package lbc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// bench is an API server with a Service web and its slice, one node, the controller, and a target group whose health the test sets.
type bench struct {
	*testing.T
	e      *engine.Engine
	c      *kube.Cluster
	person *kube.Client
	x      *Controller
	elb    *fakeELB
	pods   []string
	not    map[string]bool // endpoints that are not ready
	ends   map[string]bool // endpoints that are terminating
}

// fakeELB is a target group: what is registered is initial until the test says otherwise.
type fakeELB struct {
	ELBV2
	calls  []string
	health map[string]*elbtypes.TargetHealth
	e      *engine.Engine
}

func (f *fakeELB) called(ctx context.Context, name string, d time.Duration, targets []elbtypes.TargetDescription) {
	var ids []string
	for i := range targets {
		ids = append(ids, strings.TrimPrefix(strings.TrimSuffix(uidOf(&targets[i]), ":80"), "10.0.0."))
	}
	slices.Sort(ids)
	if len(ids) > 6 {
		ids = []string{fmt.Sprint(len(ids))}
	}
	f.calls = append(f.calls, strings.TrimSpace(name+" "+strings.Join(ids, ",")))
	engine.ProcessFrom(ctx).Sleep(d)
}

func (f *fakeELB) DescribeTargetHealth(ctx context.Context, in *elbv2.DescribeTargetHealthInput, _ ...func(*elbv2.Options)) (*elbv2.DescribeTargetHealthOutput, error) {
	f.called(ctx, "describe", 80*time.Millisecond, in.Targets)
	out := &elbv2.DescribeTargetHealthOutput{}
	add := func(uid string, h *elbtypes.TargetHealth) {
		id, _, _ := strings.Cut(uid, ":")
		out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, elbtypes.TargetHealthDescription{Target: &elbtypes.TargetDescription{Id: aws.String(id), Port: aws.Int32(80)}, TargetHealth: h})
	}
	if in.Targets == nil {
		uids := make([]string, 0, len(f.health))
		for uid := range f.health {
			uids = append(uids, uid)
		}
		slices.Sort(uids)
		for _, uid := range uids {
			add(uid, f.health[uid])
		}
		return out, nil
	}
	for i := range in.Targets {
		uid := uidOf(&in.Targets[i])
		h := f.health[uid]
		if h == nil {
			h = &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumUnused, Reason: elbtypes.TargetHealthReasonEnumNotRegistered}
		}
		add(uid, h)
	}
	return out, nil
}

func (f *fakeELB) RegisterTargets(ctx context.Context, in *elbv2.RegisterTargetsInput, _ ...func(*elbv2.Options)) (*elbv2.RegisterTargetsOutput, error) {
	f.called(ctx, "register", 165*time.Millisecond, in.Targets)
	for i := range in.Targets {
		f.health[uidOf(&in.Targets[i])] = &elbtypes.TargetHealth{State: "initial", Reason: "Elb.RegistrationInProgress", Description: aws.String("Target registration is in progress")}
	}
	return &elbv2.RegisterTargetsOutput{}, nil
}

func (f *fakeELB) DeregisterTargets(ctx context.Context, in *elbv2.DeregisterTargetsInput, _ ...func(*elbv2.Options)) (*elbv2.DeregisterTargetsOutput, error) {
	f.called(ctx, "deregister", 43*time.Millisecond, in.Targets)
	for i := range in.Targets {
		f.health[uidOf(&in.Targets[i])] = &elbtypes.TargetHealth{State: "draining", Reason: "Target.DeregistrationInProgress"}
	}
	return &elbv2.DeregisterTargetsOutput{}, nil
}

func newBench(t *testing.T, version, targetType string) *bench {
	b := &bench{T: t, e: engine.New(engine.Options{Seed: 1}), not: map[string]bool{}, ends: map[string]bool{}}
	b.c = kube.New(b.e, trace.New(b.e), kube.Options{})
	b.person = b.c.As(kube.Caller{User: "test"})
	b.elb = &fakeELB{e: b.e, health: map[string]*elbtypes.TargetHealth{}}
	x, err := New(b.c, Caches{Services: kube.NewInformer[*corev1.Service](b.c), Slices: kube.NewInformer[*discoveryv1.EndpointSlice](b.c), Nodes: kube.NewInformer[*corev1.Node](b.c), Pods: kube.NewInformer[*corev1.Pod](b.c)},
		Options{ClusterName: "c", ELBV2: b.elb, Version: version})
	if err != nil {
		t.Fatal(err)
	}
	b.x = x
	b.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{ProviderID: "aws:///a/i-1"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
	b.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}}})
	b.create(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}}, AddressType: discoveryv1.AddressTypeIPv4})
	b.create(&TargetGroupBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "tgb"}, Spec: TargetGroupBindingSpec{TargetGroupARN: "arn", TargetType: &targetType, ServiceRef: ServiceReference{"web", intstr.FromInt32(80)}}})
	b.run(time.Second)
	b.elb.calls = nil
	return b
}

func (b *bench) create(o kube.Object) {
	b.Helper()
	if _, err := b.person.Create(o); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) run(d time.Duration) {
	b.Helper()
	if err := b.e.Run(b.e.Now()+d, nil); err != nil {
		b.Fatal(err)
	}
}

// pod makes a pod that runs, whose address ends in its name.
func (b *bench) pod(name string, gated, containersReady bool) {
	b.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"app": "web"}}, Spec: corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "c", Image: "nginx"}}}}
	if gated {
		p.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "target-health.elbv2.k8s.aws/tgb"}}
	}
	b.create(p)
	b.containers(name, containersReady)
	b.pods = append(b.pods, name)
}

func (b *bench) containers(name string, ready bool) {
	b.Helper()
	p, err := kube.Get[*corev1.Pod](b.person, kube.Key{Namespace: "default", Name: name})
	if err != nil {
		b.Fatal(err)
	}
	p = p.DeepCopyObject().(*corev1.Pod)
	s := corev1.ConditionFalse
	if ready {
		s = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.ContainersReady, Status: s}}
	p.Status.PodIP = "10.0.0." + name
	if _, err := b.person.UpdateStatus(p); err != nil {
		b.Fatal(err)
	}
}

// publish writes the slice with the pods that there are.
func (b *bench) publish() {
	b.Helper()
	b.run(10 * time.Millisecond) // what the controller knows of pods lags
	old, err := kube.Get[*discoveryv1.EndpointSlice](b.person, kube.Key{Namespace: "default", Name: "web-1"})
	if err != nil {
		b.Fatal(err)
	}
	s := old.DeepCopyObject().(*discoveryv1.EndpointSlice)
	name, port := "", int32(80)
	s.Ports = []discoveryv1.EndpointPort{{Name: &name, Port: &port}}
	s.Endpoints = nil
	for _, p := range b.pods {
		ready, terminating := !b.not[p] && !b.ends[p], b.ends[p]
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.0.0." + p}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: p}, Conditions: discoveryv1.EndpointConditions{Ready: &ready, Terminating: &terminating}})
	}
	if _, err := b.person.Update(s); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) healthy(names ...string) {
	for _, n := range names {
		b.elb.health["10.0.0."+n+":80"] = &elbtypes.TargetHealth{State: "healthy"}
	}
}

// calls are those since the last time.
func (b *bench) calls() string {
	out := strings.Join(b.elb.calls, "; ")
	b.elb.calls = nil
	return out
}

func (b *bench) expect(what, want string) {
	b.Helper()
	if got := b.calls(); got != want {
		b.Errorf("%s: %s, want %s", what, got, want)
	}
}

// condition is status, reason and message of a pod's gate, and whether its time of transition is set.
func (b *bench) condition(name string) string {
	p, err := kube.Get[*corev1.Pod](b.person, kube.Key{Namespace: "default", Name: name})
	if err != nil {
		return err.Error()
	}
	c := condition(p, "target-health.elbv2.k8s.aws/tgb")
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s (%s) since=%v", c.Status, c.Reason, c.Message, !c.LastTransitionTime.IsZero())
}

// Within one reconcile: what is there is listed, then deregistered, then registered. What changes meanwhile is one next reconcile.
func TestDeregisterBeforeRegister(t *testing.T) {
	b := newBench(t, "", "ip")
	b.pod("1", false, true)
	b.pod("2", false, true)
	b.publish()
	b.run(time.Second)
	b.expect("first", "register 1,2") // the first list, when the binding was made, was empty and is cached
	b.healthy("1", "2")
	b.pod("3", false, true)
	b.pods = b.pods[1:] // 1 goes
	b.publish()
	b.run(100 * time.Millisecond) // the reconcile is at work
	for _, p := range []string{"4", "5"} {
		b.pod(p, false, true)
		b.publish()
		b.run(5 * time.Millisecond)
	}
	b.pods = slices.DeleteFunc(b.pods, func(p string) bool { return p == "2" })
	b.publish()
	b.run(5 * time.Second)
	b.expect("both at once", "describe 1,2; deregister 1; register 3; describe 1,3; deregister 2; register 4,5")
	b.run(10 * time.Minute)
	b.expect("without a change", "")
}

// Targets that are healthy are not asked for again before the cache is five minutes old; then all are.
func TestCacheOfTargets(t *testing.T) {
	b := newBench(t, "", "ip")
	b.pod("1", false, true)
	b.publish()
	b.run(time.Second)
	b.healthy("1")
	b.calls()
	step := func(p, want string) {
		b.pod(p, false, true)
		b.publish()
		b.run(time.Second)
		b.expect(p, want)
	}
	step("2", "describe 1; register 2")
	step("3", "describe 2; register 3") // 1 is known to be healthy
	b.run(5 * time.Minute)
	step("4", "describe; register 4")
	// 200 targets in one call.
	for i := range 250 {
		b.pod(fmt.Sprintf("1%03d", i), false, true)
	}
	b.publish()
	b.run(time.Second)
	b.expect("many", "describe 2,3,4; register 200; register 50")
}

// Pods are registered when their containers are ready, although they are not, since a gate may keep them from it; their gate says what the target
// group says. What the patch leaves out stays.
func TestReadinessGate(t *testing.T) {
	b := newBench(t, "", "ip")
	b.not["1"], b.not["2"] = true, true
	b.pod("1", true, true)
	b.pod("2", true, false) // containers are not ready yet
	b.pod("3", false, true)
	b.ends["3"] = true // terminating
	b.publish()
	b.run(300 * time.Millisecond)
	b.expect("registered", "register 1")
	if got, want := b.condition("1"), "False Elb.RegistrationInProgress (Target registration is in progress) since=true"; got != want {
		t.Errorf("registered: %s, want %s", got, want)
	}
	if got := b.condition("2"); got != "none" {
		t.Errorf("not registered: %s", got)
	}
	b.run(10 * time.Second)
	b.containers("2", true) // that changes no slice: the controller finds out when it looks again
	b.run(5 * time.Second)
	b.expect("after 15 s", "describe 1; register 2")
	b.healthy("1")
	b.run(16 * time.Second)
	b.expect("after 30 s", "describe 1,2")
	if got, want := b.condition("1"), "True Elb.RegistrationInProgress (Target registration is in progress) since=true"; got != want {
		t.Errorf("healthy: %s, want %s", got, want)
	}
	b.healthy("2")
	b.run(time.Minute)
	b.expect("until both are healthy", "describe 2")
	// A patch that only takes back reason and message cannot, but erases the time.
	if got, want := b.condition("1"), "True Elb.RegistrationInProgress (Target registration is in progress) since=false"; got != want {
		t.Errorf("healthy, and looked at again: %s, want %s", got, want)
	}
}

// While a pod's target is not healthy and none is initial, v2.4 comes again after its back-off, v2.10 after 15 s.
func TestRequeues(t *testing.T) {
	for _, c := range []struct {
		version string
		within  int // describe calls in ten seconds
	}{{"v2.4.3", 8}, {"v2.10.0", 0}} {
		b := newBench(t, c.version, "ip")
		b.not["1"] = true
		b.pod("1", true, true)
		b.publish()
		b.run(time.Second)
		b.elb.health["10.0.0.1:80"] = &elbtypes.TargetHealth{State: "unhealthy", Reason: "Target.ResponseCodeMismatch", Description: aws.String("Health checks failed with these codes: [500]")}
		b.run(15 * time.Second)
		if got, want := b.condition("1"), "False Target.ResponseCodeMismatch (Health checks failed with these codes: [500]) since=false"; got != want {
			t.Errorf("%s: %s, want %s", c.version, got, want)
		}
		b.calls()
		b.run(10 * time.Second)
		n := strings.Count(b.calls(), "describe")
		if c.within == 0 && n != 0 || c.within > 0 && (n < 2 || n > c.within) {
			t.Errorf("%s: asked %d times in ten seconds", c.version, n)
		}
	}
	if _, err := waysOf("v3.0.0"); err == nil {
		t.Error("v3.0.0 is taken for one that is modelled")
	}
	if _, err := waysOf("latest"); err == nil {
		t.Error("latest is taken for a version")
	}
}

// Nodes are registered once; pods that come and go change nothing.
func TestInstanceTargets(t *testing.T) {
	b := newBench(t, "", "instance")
	if _, ok := b.elb.health["i-1:30000"]; !ok && len(b.elb.health) != 1 {
		t.Errorf("registered: %v", b.elb.health)
	}
	b.pod("1", false, true)
	b.publish()
	b.run(time.Minute)
	b.expect("a pod", "")
}

// A gate is given at creation, for each binding with ip targets whose Service selects the pod, in a namespace with the label.
func TestWhoGetsAGate(t *testing.T) {
	with := func(l map[string]string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: l}}
	}
	label := map[string]string{GateLabel: GateLabelValue}
	for _, c := range []struct {
		name, targetType string
		namespace        *corev1.Namespace
		labels           map[string]string
		gates            int
	}{
		{"all fits", "ip", with(label), map[string]string{"app": "web", "x": "y"}, 1},
		{"no label", "ip", with(nil), map[string]string{"app": "web"}, 0},
		{"another value of the label", "ip", with(map[string]string{GateLabel: "true"}), map[string]string{"app": "web"}, 0},
		{"instance targets", "instance", with(label), map[string]string{"app": "web"}, 0},
		{"a pod that the Service does not select", "ip", with(label), map[string]string{"app": "other"}, 0},
		{"another namespace", "ip", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other", Labels: label}}, map[string]string{"app": "web"}, 0},
		{"the controller itself", "ip", with(label), map[string]string{"app": "web", "app.kubernetes.io/name": "aws-load-balancer-controller"}, 0},
	} {
		b := newBench(t, "", c.targetType)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace.Name, Name: "p", Labels: c.labels}}
		b.x.MutatePod(c.namespace, pod)
		b.x.MutatePod(c.namespace, pod) // once is enough
		if len(pod.Spec.ReadinessGates) != c.gates {
			t.Errorf("%s: %v", c.name, pod.Spec.ReadinessGates)
		}
	}
}
