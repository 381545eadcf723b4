package kubelet

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// lab is one node with its kubelet and an API server.
type lab struct {
	t      testing.TB
	e      *engine.Engine
	c      *kube.Client
	k      *Kubelets
	root   *linux.Namespace
	last   byte
	refuse int // how many times the CNI plugin fails
	lines  []string
}

func newLab(t testing.TB, times Times) *lab {
	e := engine.New(engine.Options{Seed: 1})
	t.Cleanup(e.Close)
	log := trace.New(e)
	c := kube.New(e, log, kube.Options{})
	l := &lab{t: t, e: e, c: c.As(kube.Caller{User: "test"})}
	log.Attach(trace.Set(trace.Kube, trace.Config), func(r *trace.Record) {
		if who := log.String(r.Actor); strings.HasPrefix(who, "kubelet ") || r.Kind == trace.Config && log.String(r.What) == "plugin" {
			l.note("%s %s", log.String(r.What), r.Text)
		}
	})
	var serial uint64
	l.root = linux.NewKernel(e, log, "n1", linux.DefaultSysctls(), &serial, linux.KernelOptions{}).NewNamespace("n1")
	l.root.Forwarding = true
	l.root.AddAddr(l.root.AddDevice("eth0", 9001), netip.MustParseAddr("10.0.0.1"))
	pods := kube.NewInformer[*corev1.Pod](c)
	l.k = New(c, pods, Options{Images: workload.Standard(), Times: times})
	n := l.k.Add("n1", l.root)
	n.CNI, n.phase = l, 300*time.Millisecond
	pods.Handle(func(old, now *corev1.Pod) {
		switch {
		case now == nil:
			l.note("removed %s", old.Name)
		case old == nil || stateOf(old) != stateOf(now):
			l.note("status %s: %s", now.Name, stateOf(now))
		}
	})
	return l
}

// stateOf is a pod's status in a few words.
func stateOf(p *corev1.Pod) string {
	out := []string{string(p.Status.Phase)}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			out = append(out, "Ready="+string(c.Status))
			if c.Reason != "" {
				out = append(out, c.Reason)
			}
		}
	}
	for _, c := range p.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			out = append(out, c.State.Waiting.Reason)
		case c.State.Terminated != nil:
			out = append(out, fmt.Sprint("exit ", c.State.Terminated.ExitCode))
		}
		if c.RestartCount > 0 {
			out = append(out, fmt.Sprint(c.RestartCount, " restarts"))
		}
	}
	return strings.Join(out, " ")
}

func (l *lab) note(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf("%8.3f ", l.e.Now().Seconds())+fmt.Sprintf(format, args...))
}

// Add is the plugin's ADD.
func (l *lab) Add(p *engine.Process, namespace, pod string) (*linux.Namespace, netip.Addr, error) {
	p.Sleep(time.Millisecond)
	if l.refuse > 0 {
		l.refuse--
		return nil, netip.Addr{}, errors.New("add cmd: failed to assign an IP address to container")
	}
	l.last++
	a := netip.AddrFrom4([4]byte{10, 0, 1, l.last})
	ns := l.root.Kernel().NewNamespace(namespace + "/" + pod)
	inside, outside := ns.AddDevice("eth0", 9001), l.root.AddDevice("veth-"+pod, 9001)
	linux.Pair(inside, outside)
	ns.AddAddr(inside, a)
	ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, inside)
	l.root.AddRoute(route.Route{Dst: netip.PrefixFrom(a, 32)}, outside)
	l.note("CNI ADD %s %v", pod, a)
	return ns, a, nil
}

// Del is the plugin's DEL.
func (l *lab) Del(_ *engine.Process, _, pod string) error {
	l.note("CNI DEL %s", pod)
	if d := l.root.Device("veth-" + pod); d != nil {
		l.root.DeleteRoute(route.Main, netip.PrefixFrom(d.Peer().Addr(), 32))
		d.Peer().Namespace().Close()
	}
	return nil
}

func (l *lab) run(d time.Duration) error { return l.e.Run(l.e.Now()+d, nil) }

// take is what has been noted since the last call.
func (l *lab) take() string {
	defer func() { l.lines = nil }()
	if len(l.lines) == 0 {
		return "nothing\n"
	}
	return strings.Join(l.lines, "\n") + "\n"
}

// handler reads a hook or probe: sh:SCRIPT, exec:COMMAND, sleep:SECONDS, get:PORT/PATH, tcp:PORT.
func handler(text string) corev1.ProbeHandler {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "sh":
		return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", rest}}}
	case "exec":
		return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: strings.Fields(rest)}}
	case "get":
		port, path, _ := strings.Cut(rest, "/")
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.Parse(port), Path: "/" + path}}
	case "tcp":
		return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.Parse(rest)}}
	}
	panic(text)
}

func hook(text string) *corev1.LifecycleHandler {
	if s, ok := strings.CutPrefix(text, "sleep:"); ok {
		n, _ := strconv.ParseInt(s, 10, 64)
		return &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: n}}
	}
	h := handler(text)
	return &corev1.LifecycleHandler{Exec: h.Exec, HTTPGet: h.HTTPGet}
}

// create makes the pod that a command describes.
func (l *lab) create(d *datadriven.TestData) error {
	c := corev1.Container{Name: "c", Image: "nginx:1.22.0", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: corev1.PodSpec{NodeName: "n1"}}
	probe := func(p **corev1.Probe) *corev1.Probe {
		if *p == nil {
			*p = &corev1.Probe{}
		}
		return *p
	}
	for _, a := range d.CmdArgs {
		v := strings.Join(a.Vals, ",")
		number := func() int32 {
			n, err := strconv.Atoi(v)
			if err != nil {
				d.Fatalf(l.t.(*testing.T), "%s: %v", a.Key, err)
			}
			return int32(n)
		}
		switch a.Key {
		case "name":
			pod.Name = v
		case "image":
			c.Image = v
		case "command":
			c.Command = strings.Fields(v)
		case "grace":
			n := int64(number())
			pod.Spec.TerminationGracePeriodSeconds = &n
		case "env":
			for _, x := range a.Vals {
				k, v, _ := strings.Cut(x, "=")
				c.Env = append(c.Env, corev1.EnvVar{Name: k, Value: v})
			}
		case "preStop", "postStart":
			if c.Lifecycle == nil {
				c.Lifecycle = &corev1.Lifecycle{}
			}
			if a.Key == "preStop" {
				c.Lifecycle.PreStop = hook(v)
			} else {
				c.Lifecycle.PostStart = hook(v)
			}
		case "stopSignal":
			s := corev1.Signal(v)
			pod.Spec.OS = &corev1.PodOS{Name: corev1.Linux}
			c.Lifecycle = &corev1.Lifecycle{StopSignal: &s}
		case "gate":
			pod.Spec.ReadinessGates = append(pod.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: corev1.PodConditionType(v)})
		case "readiness":
			probe(&c.ReadinessProbe).ProbeHandler = handler(v)
		case "liveness":
			probe(&c.LivenessProbe).ProbeHandler = handler(v)
		case "startup":
			probe(&c.StartupProbe).ProbeHandler = handler(v)
		case "delay":
			probe(&c.ReadinessProbe).InitialDelaySeconds = number()
		case "period":
			probe(&c.ReadinessProbe).PeriodSeconds = number()
		case "success":
			probe(&c.ReadinessProbe).SuccessThreshold = number()
		case "failure":
			probe(&c.ReadinessProbe).FailureThreshold = number()
		case "livenessPeriod":
			probe(&c.LivenessProbe).PeriodSeconds = number()
		case "livenessGrace":
			n := int64(number())
			probe(&c.LivenessProbe).TerminationGracePeriodSeconds = &n
		case "startupPeriod":
			probe(&c.StartupProbe).PeriodSeconds = number()
		default:
			d.Fatalf(l.t.(*testing.T), "%q is no setting of a pod", a.Key)
		}
	}
	pod.Spec.Containers = []corev1.Container{c}
	_, err := l.c.Create(pod)
	return err
}

// The dialogues of testdata: pods are made and deleted, time goes by, and everything is told that the kubelet does.
func TestDialogues(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		one := [2]time.Duration{time.Second, time.Second}
		l := newLab(t, Times{PodStart: [2]time.Duration{2 * time.Second, 2 * time.Second}, NetnsTeardown: &one})
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var err error
			var name string
			var seconds, times int
			key := func() kube.Key { return kube.Key{Namespace: "default", Name: name} }
			switch d.Cmd {
			case "pod":
				err = l.create(d)
			case "run":
				d.ScanArgs(t, "seconds", &seconds)
				err = l.run(time.Duration(seconds) * time.Second)
			case "delete":
				d.ScanArgs(t, "name", &name)
				var opts metav1.DeleteOptions
				if d.HasArg("grace") {
					d.ScanArgs(t, "grace", &seconds)
					n := int64(seconds)
					opts.GracePeriodSeconds = &n
				}
				err = kube.DeleteWith[*corev1.Pod](l.c, key(), opts)
			case "cni":
				d.ScanArgs(t, "fails", &times)
				l.refuse = times
			case "condition":
				var is string
				var gate string
				d.ScanArgs(t, "name", &name)
				d.ScanArgs(t, "type", &gate)
				d.ScanArgs(t, "is", &is)
				_, err = kube.PatchStatus[*corev1.Pod](l.c, key(), fmt.Appendf(nil, `{"status":{"conditions":[{"type":%q,"status":%q}]}}`, gate, is))
			case "exit":
				var code int
				d.ScanArgs(t, "name", &name)
				d.ScanArgs(t, "code", &code)
				l.k.Running(key()).containers[0].task.Exit(code)
			default:
				d.Fatalf(t, "%q is no command", d.Cmd)
			}
			if err != nil {
				return fmt.Sprintf("error: %v\n%s", err, l.take())
			}
			if d.Cmd != "run" {
				return "ok\n"
			}
			return l.take()
		})
	})
}
