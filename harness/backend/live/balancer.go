package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/harness/backend/live/router"
	"github.com/ekslab/ekslab/harness/scenario"
)

// Annotations of a Service by which its load balancer is asked for.
// Source: kubernetes/legacy-cloud-providers aws/aws.go; kubernetes-sigs/aws-load-balancer-controller pkg/annotations/constants.go.
const (
	annotationPrefix     = "service.beta.kubernetes.io/aws-load-balancer-"
	annotationTargetType = annotationPrefix + "nlb-target-type"
	annotationCrossZone  = annotationPrefix + "cross-zone-load-balancing-enabled"
	annotationLB         = annotationPrefix + "attributes"
	annotationTG         = annotationPrefix + "target-group-attributes"
)

// Attributes of load balancers and target groups that the router can do something about.
const (
	attributePreserve  = "preserve_client_ip.enabled"
	attributeCrossZone = "load_balancing.cross_zone.enabled"
	attributeRouting   = "dns_record.client_routing_policy"
)

// known are the attributes and the values that the router can do.
var known = map[string][]string{
	attributePreserve:  {"true", "false"},
	attributeCrossZone: {"true", "false"},
	attributeRouting:   {"any_availability_zone", "availability_zone_affinity"},
}

// balancer is the Network Load Balancer of one Service and what a controller does for it: it finds the targets, checks their health, programs the
// router, and tells the Service and the cluster's DNS of the name.
type balancer struct {
	cluster *cluster
	router  string
	t       *topology
	seed    uint32

	key       string // namespace/name of the Service
	name      string // DNS name
	port      uint16
	nodePort  uint16
	checkPort uint16 // for policy Local; zero checks the target's own port
	ip        bool   // target type ip

	mutex      sync.Mutex // guards what is below
	attributes map[string]string
	targets    []*target
	programmed string
}

// target is a registered target as health checks see it.
type target struct {
	addr netip.AddrPort
	zone string
	node *node
	// healthy is what the load balancer thinks, agreeing how many checks in a row said otherwise.
	healthy   bool
	differing int
	reason    string
}

// threshold is how many checks in a row turn a target's state. In AWS checks are 10 or 30 s apart and thresholds 2 or 3; here they are a second apart until
// the state is what it should be, since nobody learns from waiting, and 10 s after.
const threshold = 2

const (
	checkAtFirst = time.Second
	checkLater   = 10 * time.Second
	checkTimeout = 6 * time.Second
)

// newBalancer reads the Service as the controllers do. What it asks for has been checked by supported.
func newBalancer(c *cluster, routerName string, t *topology, seed uint64, world *scenario.World, svc *corev1.Service) *balancer {
	b := &balancer{cluster: c, router: routerName, t: t, seed: uint32(seed ^ seed>>32), key: svc.Namespace + "/" + svc.Name,
		port: uint16(svc.Spec.Ports[0].Port), nodePort: uint16(svc.Spec.Ports[0].NodePort), ip: targetType(svc, world) == "ip"}
	b.name = "a" + strings.ReplaceAll(string(svc.UID), "-", "")
	b.name = b.name[:min(len(b.name), 32)] + "-ekslab.elb." + t.region + ".amazonaws.com"
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal && !b.ip {
		b.checkPort = uint16(svc.Spec.HealthCheckNodePort)
	}
	b.attributes = asked(svc)
	if b.attributes[attributePreserve] == "" {
		// Source: Network Load Balancers user guide, "Client IP preservation": on for instance targets, off for ip targets with TCP.
		b.attributes[attributePreserve] = strconv.FormatBool(!b.ip)
	}
	return b
}

// targetType is instance unless AWS Load Balancer Controller is asked for ip.
func targetType(svc *corev1.Service, world *scenario.World) string {
	if world.LoadBalancerController == "lbc" && svc.Annotations[annotationTargetType] == "ip" {
		return "ip"
	}
	return "instance"
}

// asked is what a Service's annotations say of attributes.
func asked(svc *corev1.Service) map[string]string {
	out := map[string]string{}
	if v := svc.Annotations[annotationCrossZone]; v != "" {
		out[attributeCrossZone] = v
	}
	for _, a := range []string{annotationLB, annotationTG} {
		for pair := range strings.SplitSeq(svc.Annotations[a], ",") {
			if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
				out[k] = v
			}
		}
	}
	return out
}

func (b *balancer) crossZone() bool { return b.attributes[attributeCrossZone] == "true" }

// register finds the targets: every node, or every endpoint.
func (b *balancer) register(ctx context.Context) error {
	var found []*target
	if !b.ip {
		for _, n := range b.t.nodes {
			found = append(found, &target{addr: netip.AddrPortFrom(n.address, b.nodePort), zone: n.zone, node: n})
		}
	} else {
		backends, err := b.backends(ctx)
		if err != nil {
			return err
		}
		for _, e := range backends {
			if n := b.t.owner(e.Addr()); n != nil {
				found = append(found, &target{addr: e, zone: n.zone, node: n})
			}
		}
	}
	b.mutex.Lock()
	b.targets = found
	b.mutex.Unlock()
	return nil
}

// owner is the node that has an address, or a pod with it.
func (t *topology) owner(a netip.Addr) *node {
	for _, n := range t.nodes {
		if n.address == a || n.pods.Contains(a) {
			return n
		}
	}
	return nil
}

// backends are the addresses and ports of the Service's endpoints.
func (b *balancer) backends(ctx context.Context) (out []netip.AddrPort, err error) {
	namespace, name, _ := strings.Cut(b.key, "/")
	var slices discoveryv1.EndpointSliceList
	if err := b.cluster.get(ctx, &slices, "endpointslices", "-n", namespace, "-l", discoveryv1.LabelServiceName+"="+name); err != nil {
		return nil, err
	}
	for _, s := range slices.Items {
		for _, e := range s.Endpoints {
			a, err := netip.ParseAddr(e.Addresses[0])
			if err != nil || len(s.Ports) == 0 || s.Ports[0].Port == nil {
				continue
			}
			out = append(out, netip.AddrPortFrom(a, uint16(*s.Ports[0].Port)))
		}
	}
	return out, nil
}

// check asks every target once, each from the load balancer's address in its own zone, and programs the router if that changed anything.
func (b *balancer) check(ctx context.Context) error {
	byZone := map[string][]string{}
	for _, t := range b.targets {
		byZone[t.zone] = append(byZone[t.zone], t.addr.String())
	}
	type answer struct {
		Target, Reason string
		OK             bool
	}
	answers := map[string]answer{}
	for _, z := range b.t.zones {
		if len(byZone[z.name]) == 0 {
			continue
		}
		args := []string{"exec", b.router, workloadPath, "check", "-from", z.balancer.String(), "-timeout", checkTimeout.String()}
		if b.checkPort != 0 {
			args = append(args, "-path", "/healthz", "-port", strconv.Itoa(int(b.checkPort)))
		}
		out, err := b.cluster.output(ctx, append(args, byZone[z.name]...)...)
		if err != nil {
			return fmt.Errorf("health checks: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			var a answer
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				return fmt.Errorf("health checks: %w", err)
			}
			answers[a.Target] = a
		}
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, t := range b.targets {
		a := answers[t.addr.String()]
		t.reason = a.Reason
		if a.OK == t.healthy {
			t.differing = 0
		} else if t.differing++; t.differing >= threshold {
			t.healthy, t.differing = a.OK, 0
		}
	}
	return b.program(ctx)
}

// ruleset is what the router has to do now.
func (b *balancer) ruleset() router.Ruleset {
	r := router.Ruleset{PreserveClientIP: b.attributes[attributePreserve] == "true", Seed: b.seed}
	for _, n := range b.t.nodes {
		r.Links = append(r.Links, router.Link{Interface: n.link, Owned: []netip.Prefix{netip.PrefixFrom(n.address, 32), n.pods}})
	}
	for _, z := range b.t.zones {
		f := router.Frontend{Zone: z.name, Address: z.balancer, Port: b.port}
		var all []netip.AddrPort
		for _, t := range b.targets {
			if t.zone != z.name && !b.crossZone() {
				continue
			}
			all = append(all, t.addr)
			if t.healthy {
				f.Targets = append(f.Targets, t.addr)
			}
		}
		if len(f.Targets) == 0 {
			// Without a healthy one it fails open. Source: Network Load Balancers user guide, "Target group health".
			f.Targets = all
		}
		r.Frontends = append(r.Frontends, f)
	}
	return r
}

// program gives the router its rules, if they are other than before. The mutex is held.
func (b *balancer) program(ctx context.Context) error {
	rules := b.ruleset().String()
	if rules == b.programmed {
		return nil
	}
	if err := b.cluster.docker(ctx, strings.NewReader(rules), &strings.Builder{}, "exec", "-i", b.router, "nft", "-f", "-"); err != nil {
		return fmt.Errorf("programming the router: %w", err)
	}
	b.programmed = rules
	return nil
}

// settle registers the targets and checks them until nothing changes any more.
func (b *balancer) settle(ctx context.Context) error {
	if err := b.register(ctx); err != nil {
		return err
	}
	same := 0
	return poll(ctx, "the health of the targets", 2*time.Minute, checkAtFirst, func(ctx context.Context) (bool, string, error) {
		before := b.healthy()
		if err := b.check(ctx); err != nil {
			return false, "", err
		}
		b.mutex.Lock()
		pending := false
		var why []string
		for _, t := range b.targets {
			pending = pending || t.differing > 0
			if !t.healthy {
				why = append(why, t.addr.String()+" "+t.reason)
			}
		}
		b.mutex.Unlock()
		if same++; pending || b.healthy() != before {
			same = 0
		}
		return same > threshold, strings.Join(why, ", "), nil
	})
}

// watch goes on checking until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(checkLater):
			_ = b.check(ctx) // one that could not be made says nothing of a target
		}
	}
}

func (b *balancer) healthy() (n int) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, t := range b.targets {
		if t.healthy {
			n++
		}
	}
	return n
}

// answers are the addresses that the name resolves to: of the zones that have a healthy target, of all if none has.
func (b *balancer) answers() (out []netip.Addr) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	own := ""
	if b.attributes[attributeRouting] == "availability_zone_affinity" {
		own = b.t.resolverZone()
	}
	var all []netip.Addr
	for _, z := range b.t.zones {
		all = append(all, z.balancer)
		serves := false
		for _, t := range b.targets {
			serves = serves || t.healthy && (t.zone == z.name || b.crossZone())
		}
		switch {
		case serves && z.name == own:
			return []netip.Addr{z.balancer}
		case serves:
			out = append(out, z.balancer)
		}
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// resolverZone is the zone that CoreDNS runs in, if that is one.
func (t *topology) resolverZone() string {
	for _, n := range t.nodes {
		if n.group == t.coreDNS.NodeGroup {
			return n.zone
		}
	}
	return ""
}

// modify changes attributes, as ModifyTargetGroupAttributes and ModifyLoadBalancerAttributes do.
func (b *balancer) modify(ctx context.Context, attributes map[string]string) error {
	b.mutex.Lock()
	for k, v := range attributes {
		b.attributes[k] = v
	}
	err := b.program(ctx)
	b.mutex.Unlock()
	if err != nil {
		return err
	}
	if attributes[attributeRouting] != "" {
		return b.publish(ctx)
	}
	return nil
}

// publish makes the name known: to the cluster's DNS, in the place of the VPC's resolver, and in the Service's status.
func (b *balancer) publish(ctx context.Context) error {
	if err := b.cluster.serveName(ctx, b.t, b.name, b.answers()); err != nil {
		return err
	}
	namespace, name, _ := strings.Cut(b.key, "/")
	patch, err := json.Marshal(map[string]any{"status": corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{Hostname: b.name}}}}})
	if err != nil {
		return err
	}
	_, err = b.cluster.kubectl(ctx, nil, "patch", "service", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", string(patch))
	return err
}

// unsupported says what of a Service the router cannot do.
func unsupported(svc *corev1.Service, world *scenario.World) error {
	var all []error
	no := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].Protocol != "" && svc.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
		no("only a single TCP port can be balanced")
	}
	if len(svc.Spec.LoadBalancerSourceRanges) > 0 {
		no("loadBalancerSourceRanges")
	}
	if svc.Annotations[annotationPrefix+"internal"] != "true" && svc.Annotations[annotationPrefix+"scheme"] != "internal" {
		no("an internet-facing load balancer")
	}
	switch typ := svc.Annotations[annotationPrefix+"type"]; {
	case world.LoadBalancerController == "in-tree" && typ != "nlb", world.LoadBalancerController == "lbc" && typ != "external" && typ != "nlb-ip":
		no("annotation %stype %q with controller %s", annotationPrefix, typ, world.LoadBalancerController)
	}
	for a := range svc.Annotations {
		switch strings.TrimPrefix(a, annotationPrefix) {
		case "type", "internal", "scheme", "nlb-target-type", "cross-zone-load-balancing-enabled", "attributes", "target-group-attributes":
		default:
			if strings.HasPrefix(a, annotationPrefix) {
				no("annotation %s", a)
			}
		}
	}
	if err := unknownAttributes(asked(svc)); err != nil {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func unknownAttributes(attributes map[string]string) error {
	var all []error
	for k, v := range attributes {
		values, ok := known[k]
		if !ok {
			all = append(all, fmt.Errorf("attribute %s", k))
			continue
		}
		valid := false
		for _, x := range values {
			valid = valid || x == v
		}
		if !valid {
			all = append(all, fmt.Errorf("attribute %s=%s", k, v))
		}
	}
	return errors.Join(all...)
}
