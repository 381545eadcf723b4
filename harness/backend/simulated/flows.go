package simulated

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// flowWatcher listens to a world as captures on its interfaces would, from the moment a load begins.
type flowWatcher struct {
	w        *sim.World
	load     *sim.LoadRun
	places   []observe.Place // by trace.Name
	flows    *observe.Flows
	halfOpen int
	evidence *evidence
}

// watchFlows watches a world's first load.
func watchFlows(w *sim.World, _ *scenario.Plan, record bool) watcher {
	o := &flowWatcher{w: w}
	if len(w.Loads) == 0 {
		return o
	}
	o.load = w.Loads[0]
	if record {
		o.evidence = newEvidence(w.Log)
	}
	w.Log.Attach(trace.Set(trace.Call), func(*trace.Record) {
		if o.flows == nil && o.load.Client != nil {
			o.begin()
		}
	})
	w.Log.Attach(trace.Set(trace.Out, trace.In), func(r *trace.Record) {
		if o.flows == nil || int(r.Actor) >= len(o.places) || o.places[r.Actor].Role == observe.Elsewhere {
			return
		}
		o.flows.Packet(r.Time, o.places[r.Actor], r.Kind == trace.Out, r.Packet)
	})
	w.Log.Attach(trace.Set(trace.NAT), func(r *trace.Record) {
		if o.flows != nil && r.Packet.Proto == packet.TCP {
			o.flows.Draw(r.Before, r.Packet)
		}
	})
	w.Log.Attach(trace.Set(trace.Socket), func(r *trace.Record) {
		if o.flows != nil && strings.HasSuffix(r.Text, "no answer to the SYN-ACK") {
			o.halfOpen++
		}
	})
	return o
}

// begin finds out which interface is what, when the client is known.
func (o *flowWatcher) begin() {
	w, log := o.w, o.w.Log
	client := o.load.Client
	o.flows = observe.NewFlows(o.load.Port, o.load.NodePort, client.Addr)
	role := func(n trace.Name, p observe.Place) {
		for int(n) >= len(o.places) {
			o.places = append(o.places, observe.Place{})
		}
		o.places[n] = p
	}
	for _, n := range w.Nodes {
		for _, d := range n.Root.Devices() {
			if strings.HasPrefix(d.Name, "eth") {
				p := observe.Place{Role: observe.NodeInterface, Node: n.Name}
				if client.Shared && client.Node.Name == n.Name {
					p.Role = observe.ClientNodeInterface
				}
				role(d.Label(), p)
			}
		}
	}
	if !client.Shared {
		role(client.Namespace.Device("eth0").Label(), observe.Place{Role: observe.Client})
	}
	role(client.Namespace.Device("lo").Label(), observe.Place{Role: observe.Client}) // as tcpdump -i any shows it
	for _, lb := range w.ELB.LoadBalancers() {
		for _, n := range lb.Nodes {
			role(n.Label(), observe.Place{Role: observe.Balancer})
		}
	}
	if o.load.ByClusterIP && client.Shared {
		return // the node's own translation comes before its interface: what leaves is for a backend
	}
	o.flows.Dialled = map[netip.Addr]bool{}
	addrs, _ := w.LoadBalancerOf(o.load.Service)
	if o.load.ByClusterIP {
		k := strings.SplitN(o.load.Service, "/", 2)
		if a, ok := w.ClusterIP(k[0], k[1]); ok {
			addrs = []netip.Addr{a}
		}
	}
	for _, a := range addrs {
		o.flows.Dialled[a] = true
	}
	if o.evidence != nil {
		o.evidence.follow(log, client.Namespace.Name, o.flows)
	}
}

// observed adds what was seen so far.
func (o *flowWatcher) observed(rec *observe.Recording) {
	f := observe.Finding{}
	flows := o.flows
	if flows == nil {
		flows = observe.NewFlows(0, 0)
	}
	if o.load != nil {
		f.Calls = calls(o.load)
		if o.load.Client != nil {
			f.ClientNode = o.load.Client.Node.Name
		}
		f.Service = o.service()
		f.HalfOpen = o.halfOpen + o.stillHalfOpen()
		rec.Setup = append(rec.Setup, o.setup(f.Service)...)
	}
	rec.Add(flows.Summarize(f))
	if o.evidence != nil {
		rec.AddEvidence(o.evidence.byObservation())
	}
}

// calls is what the client's commands reported.
func calls(l *sim.LoadRun) []observe.Call {
	var out []observe.Call
	for _, r := range l.Results[:l.Begun] {
		if r == nil {
			continue // it had not ended when the run was interrupted
		}
		c := observe.Call{Began: r.Began, Ended: r.Ended, HTTPCode: r.HTTPCode, ExitCode: r.Exit}
		if len(r.Attempts) > 0 {
			a := r.Attempts[0]
			c.FirstLocal, c.FirstRemote, c.FirstBegan, c.FirstEnded = a.Local, a.Remote, a.Began, a.Ended
			var errno linux.Errno
			if errors.As(a.Err, &errno) {
				c.FirstError = string(errno)
			} else if a.Err != nil && a.Err != workload.ErrGaveUp {
				c.FirstError = a.Err.Error()
			}
		}
		out = append(out, c)
	}
	return out
}

// stillHalfOpen counts backends' sockets that wait for the last step of a handshake longer than a round trip takes.
func (o *flowWatcher) stillHalfOpen() int {
	n := 0
	now := o.w.Engine.Now()
	for _, s := range kube.List[*corev1.Pod](o.w.Kube.As(kube.Caller{User: "observer"})) {
		if p := o.w.Kubelets.Running(kube.KeyOf(s)); p != nil && !p.Shared {
			p.Namespace.Connections(func(c *linux.Conn) {
				if c.State() == linux.SynRecv && now-c.Since() > time.Second {
					n++
				}
			})
		}
	}
	return n
}

// observerCaller asks the APIs as an engineer would.
var observerCaller = iam.Caller{ARN: "arn:aws:iam::111122223333:user/observer", Type: "IAMUser", UserAgent: "aws-cli/2", Name: "observer"}

// service asks what is registered and healthy.
func (o *flowWatcher) service() *observe.Service {
	ctx := iam.WithCaller(context.Background(), observerCaller)
	_, name := o.w.LoadBalancerOf(o.load.Service)
	if name == "" {
		return nil
	}
	lbs, err := o.w.ELB.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{name}})
	if err != nil {
		return nil
	}
	s := &observe.Service{}
	groups, err := o.w.ELB.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{LoadBalancerArn: lbs.LoadBalancers[0].LoadBalancerArn})
	if err != nil {
		return nil
	}
	for _, g := range groups.TargetGroups {
		health, err := o.w.ELB.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn})
		if err != nil {
			return nil
		}
		for _, h := range health.TargetHealthDescriptions {
			s.RegisteredTargets++
			if h.TargetHealth.State == elbtypes.TargetHealthStateEnumHealthy {
				s.HealthyTargets++
			}
		}
	}
	namespace, service, _ := strings.Cut(o.load.Service, "/")
	for _, es := range kube.List[*discoveryv1.EndpointSlice](o.w.Kube.As(kube.Caller{User: "observer"})) {
		if es.Namespace != namespace || es.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, ep := range es.Endpoints {
			if a, err := netip.ParseAddr(ep.Addresses[0]); err == nil {
				s.Backends = append(s.Backends, a)
			}
		}
	}
	return s
}

// setup says in short lines what there was.
func (o *flowWatcher) setup(s *observe.Service) (out []string) {
	w, l := o.w, o.load
	if len(w.Nodes) > 0 {
		out = append(out, nodesOf(w))
	}
	if s != nil {
		var backends []string
		for _, a := range s.Backends {
			backends = append(backends, a.String())
		}
		slices.Sort(backends)
		out = append(out, fmt.Sprintf("Service %s: %s", l.Service, plural(len(backends), "backend")+list(backends)))
	}
	if addrs, _ := w.LoadBalancerOf(l.Service); len(addrs) > 0 {
		var names []string
		for _, lb := range w.ELB.LoadBalancers() {
			for _, n := range lb.Nodes {
				names = append(names, fmt.Sprintf("%v (%s)", n.Addr, n.Zone))
			}
		}
		tg := w.ELB.TargetGroups()[0]
		out = append(out, "internal Network Load Balancer at "+strings.Join(names, ", "))
		out = append(out, fmt.Sprintf("%s targets, preserve_client_ip.enabled=%s, cross-zone %v", tg.TargetType, tg.Attributes["preserve_client_ip.enabled"], tg.CrossZone(w.ELB.LoadBalancers()[0])))
	}
	if l.Client != nil {
		where := "pod " + l.Pod
		if l.Client.Shared {
			where += " (hostNetwork)"
		}
		out = append(out, fmt.Sprintf("client: %s, %v, on %s", where, l.Client.Addr, l.Client.Node.Name))
		out = append(out, fmt.Sprintf("%s of curl http://%s/, one every %v", plural(l.Count, "call"), shorten(l.Host), l.Every))
	}
	return out
}

// nodesOf says which nodes there are.
func nodesOf(w *sim.World) string {
	zones := map[string]int{}
	var order []string
	for _, n := range w.Nodes {
		z := n.Instance.Interfaces[0].Subnet.Zone
		if zones[z] == 0 {
			order = append(order, z)
		}
		zones[z]++
	}
	if len(order) == 0 {
		return "no nodes"
	}
	var parts []string
	for _, z := range order {
		parts = append(parts, fmt.Sprintf("%d in %s", zones[z], z))
	}
	return fmt.Sprintf("%s %s: %s", plural(len(w.Nodes), "node"), w.Nodes[0].Instance.Type, strings.Join(parts, ", "))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func list(items []string) string {
	switch {
	case len(items) == 0:
		return ""
	case len(items) > 5:
		return fmt.Sprintf(" (%s, … %d more)", strings.Join(items[:4], ", "), len(items)-4)
	}
	return " (" + strings.Join(items, ", ") + ")"
}

// shorten leaves out the middle of a load balancer's name, which is random.
func shorten(host string) string {
	first, rest, ok := strings.Cut(host, ".")
	if ok && len(first) > 20 {
		return first[:8] + "…." + rest
	}
	return host
}
