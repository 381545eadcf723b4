package live

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/backend/live/tap"
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// scene finds out who is who, and what the client is to call.
func (r *run) scene(ctx context.Context, l *scenario.Client, svc *corev1.Service) (*scene, string, error) {
	s := &scene{port: uint16(svc.Spec.Ports[0].Port), nodePort: uint16(svc.Spec.Ports[0].NodePort), shared: r.client.Spec.HostNetwork, clientNamespace: l.Pod,
		clientNode: r.t.node(r.client.Spec.NodeName), nodes: map[string]*node{}, balancers: map[netip.Addr]bool{}, backends: map[netip.AddrPort]bool{}}
	if s.clientNode == nil {
		return nil, "", fmt.Errorf("pod %s runs on %q, which is no worker", l.Pod, r.client.Spec.NodeName)
	}
	if s.client = s.clientNode.address; !s.shared {
		var err error
		if s.client, err = netip.ParseAddr(r.client.Status.PodIP); err != nil {
			return nil, "", fmt.Errorf("pod %s: %w", l.Pod, err)
		}
	}
	for _, n := range r.t.nodes {
		s.nodes[n.label()] = n
	}
	for _, z := range r.t.zones {
		s.balancers[z.balancer] = true
	}
	all, err := r.backends(ctx, l)
	if err != nil {
		return nil, "", err
	}
	for _, a := range all {
		s.backends[a] = true
	}
	if l.Curl.Address == "clusterIP" {
		if s.shared { // no search list and no cluster DNS in a pod with hostNetwork
			return s, svc.Spec.ClusterIP, nil
		}
		if a, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil {
			s.dialled = map[netip.Addr]bool{a: true}
		}
		return s, svc.Name + "." + svc.Namespace + ".svc.cluster.local", nil
	}
	s.dialled = s.balancers
	return s, svc.Status.LoadBalancer.Ingress[0].Hostname, nil
}

// label is the first part of a node's name.
func (n *node) label() string {
	host, _, _ := strings.Cut(n.name, ".")
	return host
}

// backends are the endpoints of the Service that is called.
func (r *run) backends(ctx context.Context, l *scenario.Client) ([]netip.AddrPort, error) {
	return (&balancer{cluster: r.cluster, key: l.Curl.Service}).backends(ctx)
}

// taps are the captures that a run needs: on every node, in the router, and in the client's pod if it has a network namespace of its own.
func (r *run) taps(ctx context.Context, s *scene) (*taps, error) {
	t := &taps{cluster: r.cluster, router: r.router, vpc: r.t.vpc.String(), places: []tapPlace{{name: routerNamespace}}}
	for _, n := range r.t.nodes {
		t.places = append(t.places, tapPlace{name: n.label(), enter: fmt.Sprintf("-t %d -n", n.pid)})
	}
	if !s.shared {
		enter, err := r.cluster.podNamespace(ctx, s.clientNode, r.client.Namespace, r.client.Name)
		if err != nil {
			return nil, err
		}
		t.places = append(t.places, tapPlace{name: s.clientNamespace, enter: enter})
	}
	// A Service's own address is no part of the VPC; the client's capture has to show it as well.
	t.vpc += " or net " + r.t.service.String()
	return t, nil
}

// record computes the observations.
func (r *run) record(ctx context.Context, s *scene, l *scenario.Client, lines []callLine, packets []tap.Packet) (*observe.Recording, error) {
	flows, halfOpen := s.account(packets)
	f := observe.Finding{Calls: calls(lines, s.epoch), ClientNode: s.clientNode.name, HalfOpen: halfOpen}
	backends, err := r.backends(ctx, l)
	if err != nil {
		return nil, err
	}
	var addresses []string
	if r.balancer != nil {
		f.Service = &observe.Service{RegisteredTargets: len(r.balancer.targets), HealthyTargets: r.balancer.healthy()}
		for _, a := range backends {
			f.Service.Backends = append(f.Service.Backends, a.Addr())
		}
	}
	for _, a := range backends {
		addresses = append(addresses, a.Addr().String())
	}
	slices.Sort(addresses)
	rec := &observe.Recording{Backend: r.b.Name(), Seed: r.opts.Seed, Events: uint64(len(packets))}
	rec.Add(flows.Summarize(f))
	r.describe(s, l, addresses)
	return rec, nil
}

// describe says in short lines what there was.
func (r *run) describe(s *scene, l *scenario.Client, backends []string) {
	say := func(format string, args ...any) { r.setup = append(r.setup, fmt.Sprintf(format, args...)) }
	var zones []string
	for _, z := range r.t.zones {
		n := 0
		for _, x := range r.t.nodes {
			if x.zone == z.name {
				n++
			}
		}
		zones = append(zones, fmt.Sprintf("%d in %s", n, z.name))
	}
	say("%d workers in Docker, by kind: %s; a router between them", len(r.t.nodes), strings.Join(zones, ", "))
	say("Service %s: %d backends (%s)", l.Curl.Service, len(backends), strings.Join(backends, ", "))
	if b := r.balancer; b != nil {
		var names []string
		for _, z := range b.t.zones {
			names = append(names, fmt.Sprintf("%v (%s)", z.balancer, z.name))
		}
		kind := "instance"
		if b.ip {
			kind = "ip"
		}
		say("internal Network Load Balancer, played by the router, at %s", strings.Join(names, ", "))
		say("%s targets, preserve_client_ip.enabled=%s, cross-zone %v", kind, b.attributes[attributePreserve], b.crossZone())
	}
	where := "pod " + l.Pod
	if s.shared {
		where += " (hostNetwork)"
	}
	say("client: %s, %v, on %s", where, s.client, s.clientNode.name)
	say("%d calls as curl makes them, one every %v", l.Count, l.Every)
	say("the program of %s stands in for the images nginx and nicolaka/netshoot", r.workload.Ref)
	for _, line := range r.aws.said {
		say("%s", line)
	}
}

// events are what happened, for a trace.
type events struct {
	mutex sync.Mutex
	all   []event
}

type event struct {
	at        time.Time
	who, text string
}

func (e *events) add(at time.Time, who, text string) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.all = append(e.all, event{at, who, text})
}

// writeTrace writes what happened in the order of time: what the harness did, the cluster's events, the client's calls, and every packet that was captured.
func (r *run) writeTrace(ctx context.Context, packets []tap.Packet, lines []callLine) error {
	var list corev1.EventList
	if err := r.cluster.get(ctx, &list, "events", "--all-namespaces"); err != nil {
		return err
	}
	for _, e := range list.Items {
		at := e.LastTimestamp.Time
		if at.IsZero() {
			at = e.EventTime.Time
		}
		r.events.add(at, "kubernetes", fmt.Sprintf("%s %s/%s %s: %s", e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Reason, e.Message))
	}
	for _, l := range lines {
		r.events.add(time.Unix(0, l.Began), "client", fmt.Sprintf("call %d begins", l.Call))
		for _, a := range l.Attempts {
			end := a.Error
			if end == "" {
				end = "connected"
			}
			r.events.add(time.Unix(0, a.Ended), "client", fmt.Sprintf("call %d %s > %s %s after %v", l.Call, a.Local, a.Remote, end, time.Duration(a.Ended-a.Began)))
		}
		r.events.add(time.Unix(0, l.Ended), "client", fmt.Sprintf("call %d ended: HTTP %d, exit %d %s", l.Call, l.HTTP, l.Exit, l.Message))
	}
	for i := range packets {
		p := &packets[i]
		direction := "in"
		if p.Out {
			direction = "out"
		}
		r.events.add(p.At, p.Namespace+"/"+p.Interface, fmt.Sprintf("%s %v", direction, &p.Headers))
	}
	slices.SortStableFunc(r.events.all, func(a, b event) int { return a.at.Compare(b.at) })
	w := bufio.NewWriter(r.opts.Trace)
	for _, e := range r.events.all {
		if _, err := fmt.Fprintf(w, "%+14.6f %s %s\n", e.at.Sub(r.began).Seconds(), e.who, e.text); err != nil {
			return err
		}
	}
	return w.Flush()
}
