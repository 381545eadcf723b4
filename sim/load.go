package sim

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/workload"
)

// LoadRun is a load as it goes on.
type LoadRun struct {
	Load
	// Client is the pod that runs the commands, Outside the host on the internet that does; nil before the first one.
	Client  *kubelet.Pod
	Outside *Client
	// Results by number, nil for runs that have not ended.
	Results []*workload.Result
	Begun   int
	Ended   int
	// Host and Port are what is called.
	Host string
	Port uint16
	// NodePort of the Service that is called, zero if it has none.
	NodePort uint16

	world *World
}

// Done says whether all runs have ended.
func (r *LoadRun) Done() bool { return r.Ended == r.Count }

func key(s string) kube.Key {
	namespace, name, _ := strings.Cut(s, "/")
	return kube.Key{Namespace: namespace, Name: name}
}

// Start schedules a load.
func (w *World) Start(l Load) *LoadRun {
	r := &LoadRun{Load: l, Results: make([]*workload.Result, l.Count), world: w}
	w.Loads = append(w.Loads, r)
	w.Engine.At(l.At, "load: "+l.Name, r)
	return r
}

// Done says whether all loads have ended.
func (w *World) Done() bool {
	for _, r := range w.Loads {
		if !r.Done() {
			return false
		}
	}
	return true
}

// prepare finds the client and the address.
func (r *LoadRun) prepare() error {
	w := r.world
	if r.Pod == "" {
		r.Outside = w.newClient("client " + r.Name)
	} else if err := r.findPod(); err != nil {
		return err
	}
	if r.Ingress != "" {
		ing, err := kube.Get[*networkingv1.Ingress](w.operator, key(r.Ingress))
		if err != nil {
			return fmt.Errorf("load %s: %w", r.Name, err)
		}
		if len(ing.Status.LoadBalancer.Ingress) == 0 {
			return fmt.Errorf("load %s: Ingress %s has no load balancer after %v", r.Name, r.Ingress, w.Engine.Now())
		}
		r.Host, r.Port = ing.Status.LoadBalancer.Ingress[0].Hostname, 80
		if lb := w.balancer(r.Host); lb != nil && len(lb.Listeners) > 0 {
			r.Port = lb.Listeners[0].Port
		}
		return nil
	}
	svc, err := kube.Get[*corev1.Service](w.operator, key(r.Service))
	if err != nil {
		return fmt.Errorf("load %s: %w", r.Name, err)
	}
	r.Port = uint16(svc.Spec.Ports[0].Port)
	r.NodePort = uint16(svc.Spec.Ports[0].NodePort)
	r.Host = svc.Name + "." + svc.Namespace + ".svc.cluster.local"
	if r.ByClusterIP {
		switch {
		case r.Outside != nil:
			return fmt.Errorf("load %s: a client on the internet cannot call a cluster IP", r.Name)
		case r.Client.Shared: // no search list and no cluster DNS in a pod with hostNetwork
			r.Host = svc.Spec.ClusterIP
		}
		return nil
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return fmt.Errorf("load %s: Service %s has no load balancer after %v", r.Name, r.Service, w.Engine.Now())
	}
	r.Host = svc.Status.LoadBalancer.Ingress[0].Hostname
	return nil
}

// findPod finds the client pod.
func (r *LoadRun) findPod() error {
	w := r.world
	r.Client = w.Kubelets.Running(key(r.Pod))
	if r.Client != nil {
		return nil
	}
	why := "there is no such pod"
	if p, err := kube.Get[*corev1.Pod](w.operator, key(r.Pod)); err == nil {
		why = string(p.Status.Phase)
		for _, c := range p.Status.Conditions {
			if c.Status == corev1.ConditionFalse {
				why += ": " + c.Message
			}
		}
	}
	return fmt.Errorf("load %s: pod %s does not run: %s", r.Name, r.Pod, why)
}

// Fire starts the next run, or with other paces than Open all of them. The engine calls it.
func (r *LoadRun) Fire() {
	w := r.world
	if r.Begun == 0 {
		if err := r.prepare(); err != nil {
			w.Engine.Fail(err)
			return
		}
	}
	w.Engine.SetCause(0)
	switch r.Pace {
	case Serial:
		w.Engine.Go("curl", r.serial)
	case KeepAlive:
		w.Engine.Go("curl", r.keepAlive)
	case Open, "":
		i := r.begin()
		if r.Begun < r.Count {
			w.Engine.After(r.Every, "load", r)
		}
		w.Engine.Go("curl", func(p *engine.Process) { r.end(i, r.curl(p)) })
	default:
		w.Engine.Fail(fmt.Errorf("load %s: pace %q: %s, %s or %s", r.Name, r.Pace, Open, Serial, KeepAlive))
	}
}

// begin counts a call that begins, end one that has ended.
func (r *LoadRun) begin() int {
	r.Begun++
	return r.Begun - 1
}

func (r *LoadRun) end(i int, result *workload.Result) {
	if h := r.world.ELB.NodeByAddr(result.Remote.Addr()); h != "" {
		result.Node = h
	}
	r.Results[i] = result
	r.Ended++
}

// command is what is run.
func (r *LoadRun) command() workload.Curl {
	return workload.Curl{Host: r.Host, Port: r.Port, Path: r.Path, Head: r.Method == "HEAD", MaxTime: r.MaxTime, Fallback: workload.Fallback(r.Fallback)}
}

// place is where it is run.
func (r *LoadRun) place() (who string, ns *linux.Namespace, resolv dns.Config) {
	if r.Outside != nil {
		return r.Outside.Name, r.Outside.Namespace, r.Outside.Resolv
	}
	return r.Client.Object.Namespace + "/" + r.Client.Object.Name, r.Client.Namespace, r.Client.Resolv
}

func (r *LoadRun) curl(p *engine.Process) *workload.Result {
	who, ns, resolv := r.place()
	return r.command().Run(p, r.world.Log, who, ns, resolv)
}

// serial is a loop of sleep and curl.
func (r *LoadRun) serial(p *engine.Process) {
	for r.Begun < r.Count {
		p.Sleep(r.Every)
		r.world.Engine.SetCause(0)
		i := r.begin()
		r.end(i, r.curl(p))
	}
}

// keepAlive is one run of curl with many URLs.
func (r *LoadRun) keepAlive(p *engine.Process) {
	who, ns, resolv := r.place()
	s := &workload.Session{Curl: r.command(), Log: r.world.Log, Who: who, Namespace: ns, Resolv: resolv}
	first := r.world.Engine.Now()
	for r.Begun < r.Count {
		p.Sleep(first + time.Duration(r.Begun)*r.Every - r.world.Engine.Now())
		r.world.Engine.SetCause(0)
		i := r.begin()
		r.end(i, s.Do(p))
	}
	s.Close()
}

// operatorCaller is a person with the AWS command line.
var operatorCaller = iam.Caller{ARN: "arn:aws:iam::111122223333:user/operator", Type: "IAMUser", UserAgent: "aws-cli/2", Name: "operator"}

// Do has a person change the world at a time, by the API's own calls.
func (w *World) Do(c Change) {
	w.Engine.At(c.At, "operator", engine.Func(func() {
		w.Engine.Go("operator", func(p *engine.Process) {
			if err := w.change(engine.WithProcess(iam.WithCaller(context.Background(), operatorCaller), p), c); err != nil {
				w.Engine.Fail(err)
			}
		})
	}))
}

func (w *World) change(ctx context.Context, c Change) error {
	if c.CrashNodeOf != "" {
		return w.crash(c.CrashNodeOf)
	}
	if c.Action != nil {
		return c.Action.act(ctx, w)
	}
	name, err := w.hostname(c)
	if err != nil {
		return err
	}
	lb := w.balancer(name)
	if lb == nil {
		return fmt.Errorf("no load balancer has the name %s", name)
	}
	if _, err := w.ELB.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{}); err != nil {
		return err
	}
	if len(c.LoadBalancerAttributes) > 0 {
		in := &elbv2.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &lb.ARN}
		for _, k := range sortedKeys(c.LoadBalancerAttributes) {
			in.Attributes = append(in.Attributes, elbtypes.LoadBalancerAttribute{Key: aws.String(k), Value: aws.String(c.LoadBalancerAttributes[k])})
		}
		if _, err := w.ELB.ModifyLoadBalancerAttributes(ctx, in); err != nil {
			return err
		}
	}
	if len(c.TargetGroupAttributes) == 0 {
		return nil
	}
	groups, err := w.ELB.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: &lb.ARN})
	if err != nil {
		return err
	}
	for _, tg := range groups.TargetGroups {
		in := &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn}
		for _, k := range sortedKeys(c.TargetGroupAttributes) {
			in.Attributes = append(in.Attributes, elbtypes.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(c.TargetGroupAttributes[k])})
		}
		if _, err := w.ELB.ModifyTargetGroupAttributes(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// hostname is the name of the load balancer that a change is about.
func (w *World) hostname(c Change) (string, error) {
	if c.Ingress != "" {
		ing, err := kube.Get[*networkingv1.Ingress](w.operator, key(c.Ingress))
		if err != nil {
			return "", err
		}
		if len(ing.Status.LoadBalancer.Ingress) == 0 {
			return "", fmt.Errorf("Ingress %s has no load balancer yet", c.Ingress)
		}
		return ing.Status.LoadBalancer.Ingress[0].Hostname, nil
	}
	svc, err := kube.Get[*corev1.Service](w.operator, key(c.Service))
	if err != nil {
		return "", err
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return "", fmt.Errorf("service %s has no load balancer yet", c.Service)
	}
	return svc.Status.LoadBalancer.Ingress[0].Hostname, nil
}

// balancer is the load balancer of a name, or nil.
func (w *World) balancer(name string) *elb.LoadBalancer {
	for _, lb := range w.ELB.LoadBalancers() {
		if lb.DNSName == name {
			return lb
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// LoadBalancerOf is the load balancer of a Service, as its status names it, or nil.
func (w *World) LoadBalancerOf(service string) (addrs []netip.Addr, name string) {
	svc, err := kube.Get[*corev1.Service](w.operator, key(service))
	if err != nil || len(svc.Status.LoadBalancer.Ingress) == 0 {
		return nil, ""
	}
	for _, lb := range w.ELB.LoadBalancers() {
		if lb.DNSName == svc.Status.LoadBalancer.Ingress[0].Hostname {
			for _, n := range lb.Nodes {
				addrs = append(addrs, n.Addr)
			}
			return addrs, lb.Name
		}
	}
	return nil, ""
}
