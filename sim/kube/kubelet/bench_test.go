package kubelet_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// bench is one node with its kubelet. Its network plugin answers as the test says, and all that the kubelet does is told in told.
type bench struct {
	t        *testing.T
	engine   *engine.Engine
	log      *trace.Log
	client   *kube.Client
	kubelets *kubelet.Kubelets
	root     *linux.Namespace
	began    time.Duration
	told     []string
	// fails is how often the plugin still fails, slow how long it takes.
	fails int
	slow  time.Duration
	nets  map[string]bool
}

func newBench(t *testing.T, seed uint64) *bench {
	e := engine.New(engine.Options{Seed: seed})
	t.Cleanup(e.Close)
	b := &bench{t: t, engine: e, log: trace.New(e), nets: map[string]bool{}}
	c := kube.New(e, b.log, kube.Options{})
	b.client = c.As(kube.Caller{User: "test"})
	serial := uint64(0)
	k := linux.NewKernel(e, b.log, "n1", linux.DefaultSysctls(), &serial, linux.KernelOptions{})
	b.root = k.NewNamespace("n1")
	b.root.AddAddr(b.root.AddDevice("eth0", 9001), netip.MustParseAddr("10.0.0.1"))
	b.kubelets = kubelet.New(c, kube.NewInformer[*corev1.Pod](c), kubelet.Options{Images: workload.Standard(), Times: kubelet.Times{PodStart: [2]time.Duration{2 * time.Second, 2 * time.Second}}})
	n := b.kubelets.Add("n1", b.root)
	n.CNI = b
	b.log.Attach(trace.Set(trace.Kube), func(r *trace.Record) {
		if actor, what := b.log.String(r.Actor), b.log.String(r.What); strings.HasPrefix(actor, "kubelet") && !strings.Contains(what, " ") && what != "Pulled" && what != "Created" {
			_, text, _ := strings.Cut(r.Text, "/")
			b.tell(what + " " + text)
		}
	})
	return b
}

// tell notes what happens, and when: in seconds since began, rounded to tenths.
func (b *bench) tell(what string) {
	b.told = append(b.told, fmt.Sprintf("%.1f %s", (b.engine.Now()-b.began).Seconds(), what))
}

// Add is the plugin's.
func (b *bench) Add(p *engine.Process, namespace, name string) (*linux.Namespace, netip.Addr, error) {
	p.Sleep(b.slow)
	if b.fails > 0 {
		b.fails--
		return nil, netip.Addr{}, fmt.Errorf("add cmd: failed to assign an IP address to container")
	}
	b.nets[name] = true
	a := netip.MustParseAddr("10.0.1.9")
	ns := b.root.Kernel().NewNamespace(namespace + "/" + name)
	in, out := ns.AddDevice("eth0", 9001), b.root.AddDevice("eni"+name, 9001)
	linux.Pair(in, out)
	ns.AddAddr(in, a)
	ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, in)
	b.root.AddRoute(route.Route{Dst: netip.PrefixFrom(a, 32)}, out)
	return ns, a, nil
}

// Del is the plugin's.
func (b *bench) Del(_ *engine.Process, _, name string) error {
	if b.nets[name] {
		b.tell("DEL " + name)
		delete(b.nets, name)
		b.root.RemoveDevice(b.root.Device("eni" + name))
	}
	return nil
}

func (b *bench) run(d time.Duration) {
	b.t.Helper()
	if err := b.engine.Run(b.engine.Now()+d, nil); err != nil {
		b.t.Fatal(err)
	}
}

var webKey = kube.Key{Namespace: "default", Name: "web"}

// create makes a pod of the node and notes all from here.
func (b *bench) create(spec corev1.PodSpec) {
	b.t.Helper()
	spec.NodeName = "n1"
	if _, err := b.client.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: spec}); err != nil {
		b.t.Fatal(err)
	}
	b.mark()
}

func (b *bench) mark() { b.began, b.told = b.engine.Now(), nil }

func (b *bench) delete(grace int64) {
	b.t.Helper()
	o := metav1.DeleteOptions{}
	if grace >= 0 {
		o.GracePeriodSeconds = &grace
	}
	if err := kube.DeleteWith[*corev1.Pod](b.client, webKey, o); err != nil {
		b.t.Fatal(err)
	}
}

// gone runs until the pod is not in the API any more and notes that.
func (b *bench) gone() {
	b.t.Helper()
	there := func() bool { _, err := kube.Get[*corev1.Pod](b.client, webKey); return err == nil }
	if err := b.engine.RunWhile(func() bool { return there() && b.engine.Now() < b.began+time.Hour }, nil); err != nil {
		b.t.Fatal(err)
	}
	if there() {
		b.t.Error("the pod stays")
		return
	}
	b.tell("gone")
}

func (b *bench) pod() *corev1.Pod {
	b.t.Helper()
	p, err := kube.Get[*corev1.Pod](b.client, webKey)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// ready is the status of the pod's conditions that are about readiness.
func (b *bench) ready() (pod, containers bool) {
	b.t.Helper()
	for _, c := range b.pod().Status.Conditions {
		switch c.Type {
		case corev1.PodReady:
			pod = c.Status == corev1.ConditionTrue
		case corev1.ContainersReady:
			containers = c.Status == corev1.ConditionTrue
		}
	}
	return pod, containers
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	if !slices.Equal(b.told, lines) {
		b.t.Errorf("got\n  %s\nwant\n  %s", strings.Join(b.told, "\n  "), strings.Join(lines, "\n  "))
	}
}

// nginx is a pod with one web server.
func nginx(change func(*corev1.PodSpec, *corev1.Container)) corev1.PodSpec {
	s := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx:1.22.0"}}}
	if change != nil {
		change(&s, &s.Containers[0])
	}
	return s
}

func preStop(command ...string) *corev1.Lifecycle {
	return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}}
}
