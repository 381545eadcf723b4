package scenario

import (
	"fmt"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ownEnv is what the expressions of own.set may name.
func ownEnv() (*cel.Env, error) {
	return cel.NewEnv(append(functions(), cel.CrossTypeNumericComparisons(true), cel.ParserExpressionSizeLimit(maxExpression), cel.ParserRecursionLimit(100),
		cel.Variable("own", cel.MapType(cel.StringType, cel.DynType)))...)
}

// readOwn checks what a scenario says of others' manifests.
func (s *Scenario) readOwn(found *findings) {
	if s.doc.Own == nil {
		return
	}
	var keys []string
	for _, m := range s.manifests {
		keys = append(keys, m.key)
	}
	kinds := map[string]bool{}
	for _, r := range s.doc.Own.Replaces {
		kind, _, _ := strings.Cut(r.text, "/")
		known := false
		for _, k := range keys {
			known = known || k == r.text
		}
		switch {
		case !known:
			found.add(r.at, "own.replaces: the manifests have no %q%s", shorten(r.text), targetHint(r.text, keys))
		case kinds[kind]:
			found.add(r.at, "own.replaces: two objects of kind %s; those that are put in their place are found by their kind", kind)
		}
		kinds[kind] = true
	}
	env, err := ownEnv()
	if err != nil {
		found.add(place{file: s.File, line: 1}, "%v", err)
		return
	}
	scope := scope{where: "own.set", env: env, compiled: map[string]*program{}}
	for _, e := range s.doc.Own.Set {
		if _, ok := findParameter(s.Parameters, e.name); !ok {
			found.add(e.at, "own.set: unknown parameter %q%s", shorten(e.name), didYouMean(e.name, parameterNames(s.Parameters)))
			continue
		}
		scope.compile(e.value.node, 0, len(e.value.text), found)
	}
}

// ownValue is what the user's manifests settle of a parameter.
func (s *Scenario) ownValue(name string) (any, bool) {
	if s.own == nil {
		return nil, false
	}
	v, ok := s.own.values[name]
	return v, ok
}

// ownObject is the user's object of a kind, decoded.
func ownObject[T KubernetesObject](o *own, kind string) (T, manifest, bool) {
	m, ok := o.of(kind)
	if !ok {
		return *new(T), m, false
	}
	x, ok := m.decode(&findings{})
	if !ok {
		return *new(T), m, false
	}
	v, ok := x.Value.(T)
	return v, m, ok
}

// check holds the user's objects against each other, and gathers what they say.
func (o *own) check(found *findings) {
	facts := map[string]any{"loadBalancer": "", "path": "/", "host": ""}
	o.facts = facts
	d, dm, hasDeployment := ownObject[*appsv1.Deployment](o, "Deployment")
	svc, sm, hasService := ownObject[*corev1.Service](o, "Service")
	ing, im, hasIngress := ownObject[*networkingv1.Ingress](o, "Ingress")
	facts["hasDeployment"], facts["hasService"], facts["hasIngress"] = hasDeployment, hasService, hasIngress
	if hasDeployment {
		o.deploymentFacts(d)
	}
	if hasService && hasDeployment {
		if svc.Namespace != d.Namespace {
			found.add(sm.tree.at, "Service %s is in namespace %s, and Deployment %s in %s: a Service selects pods of its own namespace", svc.Name, svc.Namespace, d.Name, d.Namespace)
		} else if len(svc.Spec.Selector) == 0 || !labels.SelectorFromSet(svc.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels)) {
			found.add(placeOfPath(sm.tree, "spec", "selector"), "Service %s selects %s, and the pods of Deployment %s have the labels %s", svc.Name, labelText(svc.Spec.Selector), d.Name, labelText(d.Spec.Template.Labels))
		}
	}
	if hasDeployment && !hasService {
		found.add(dm.tree.at, "--manifests %s has no Service in front of Deployment %s", o.dir, d.Name)
	}
	if found.any() {
		return
	}
	switch {
	case hasIngress:
		facts["loadBalancer"] = "alb"
		o.ingressFacts(ing, im, svc, sm, found)
	case hasService && svc.Spec.Type == corev1.ServiceTypeLoadBalancer:
		facts["loadBalancer"] = "nlb"
		facts["targetType"] = svc.Annotations["service.beta.kubernetes.io/aws-load-balancer-nlb-target-type"]
		if svc.Annotations["service.beta.kubernetes.io/aws-load-balancer-type"] == "nlb-ip" {
			facts["targetType"] = "ip"
		}
		facts["deregistrationDelaySeconds"] = delayOf(svc.Annotations["service.beta.kubernetes.io/aws-load-balancer-target-group-attributes"])
	case hasService:
		found.add(sm.tree.at, "Service %s is of type %s and there is no Ingress: nothing makes a load balancer", svc.Name, orElse(string(svc.Spec.Type), "ClusterIP"))
	}
	if facts["targetType"] == nil || facts["targetType"] == "" {
		facts["targetType"] = "instance" // the controller's default
	}
	if hasDeployment && hasService {
		o.ports(d, dm, svc)
	}
}

// deploymentFacts is what a Deployment says.
func (o *own) deploymentFacts(d *appsv1.Deployment) {
	facts := o.facts
	number := func(p *int32, otherwise int64) int64 {
		if p == nil {
			return otherwise
		}
		return int64(*p)
	}
	facts["replicas"], facts["minReadySeconds"] = number(d.Spec.Replicas, 1), int64(d.Spec.MinReadySeconds)
	surge, missing := "25%", "25%"
	if r := d.Spec.Strategy.RollingUpdate; r != nil {
		surge, missing = scaled(r.MaxSurge, surge), scaled(r.MaxUnavailable, missing)
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		surge, missing = "0", "100%"
	}
	facts["maxSurge"], facts["maxUnavailable"] = surge, missing
	pod := &d.Spec.Template.Spec
	facts["terminationGracePeriodSeconds"] = int64(30)
	if g := pod.TerminationGracePeriodSeconds; g != nil {
		facts["terminationGracePeriodSeconds"] = *g
	}
	hook, kind, probe := int64(0), "exec", false
	for i := range pod.Containers {
		c := &pod.Containers[i]
		probe = probe || c.ReadinessProbe != nil
		if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
			continue
		}
		h := c.Lifecycle.PreStop
		switch {
		case h.Sleep != nil:
			hook, kind = max(hook, h.Sleep.Seconds), "sleep"
		case h.Exec != nil && len(h.Exec.Command) > 0:
			hook = max(hook, sleepOf(h.Exec.Command))
		}
	}
	facts["preStopSeconds"], facts["preStopKind"], facts["readinessProbe"] = hook, kind, probe
	facts["gateLabel"] = false
	for _, m := range o.manifests {
		if m.key == "Namespace/"+d.Namespace {
			l := m.tree.get("metadata").get("labels").get("elbv2.k8s.aws/pod-readiness-gate-inject")
			facts["gateLabel"] = l != nil && l.text == "enabled"
		}
	}
	o.notes = append(o.notes, fmt.Sprintf("your Deployment %s/%s: %d replicas, maxSurge %s, maxUnavailable %s, preStop %d s, grace period %v s", d.Namespace, d.Name, facts["replicas"], surge, missing, hook, facts["terminationGracePeriodSeconds"]))
}

func scaled(v *intstr.IntOrString, otherwise string) string {
	if v == nil {
		return otherwise
	}
	return v.String()
}

// sleepOf is how long a command sleeps: the sum of the sleeps in it, in whole seconds.
func sleepOf(command []string) (n int64) {
	words := strings.FieldsFunc(strings.Join(command, " "), func(r rune) bool { return r == ' ' || r == ';' || r == '&' })
	for i, w := range words {
		if w[strings.LastIndexByte(w, '/')+1:] == "sleep" && i+1 < len(words) {
			if f, err := strconv.ParseFloat(strings.TrimSuffix(words[i+1], "s"), 64); err == nil && f >= 0 && f < 1e6 {
				n += int64(f)
			}
		}
	}
	return n
}

// ingressFacts is what an Ingress says of the Service behind it.
func (o *own) ingressFacts(ing *networkingv1.Ingress, im manifest, svc *corev1.Service, sm manifest, found *findings) {
	facts := o.facts
	if ing.Namespace != svc.Namespace {
		found.add(im.tree.at, "Ingress %s is in namespace %s, and Service %s in %s: an Ingress sends requests to Services of its own namespace", ing.Name, ing.Namespace, svc.Name, svc.Namespace)
		return
	}
	facts["targetType"] = orElse(svc.Annotations["alb.ingress.kubernetes.io/target-type"], ing.Annotations["alb.ingress.kubernetes.io/target-type"])
	facts["deregistrationDelaySeconds"] = delayOf(orElse(svc.Annotations["alb.ingress.kubernetes.io/target-group-attributes"], ing.Annotations["alb.ingress.kubernetes.io/target-group-attributes"]))
	reaches := false
	backend := func(b *networkingv1.IngressBackend, what string, at place) bool {
		if b == nil || b.Service == nil {
			return false
		}
		if b.Service.Name != svc.Name {
			found.add(at, "%s goes to Service %s, and --manifests %s has Service %s: leave what does not belong to this rollout out of a copy of the Ingress", what, b.Service.Name, o.dir, svc.Name)
			return false
		}
		for _, p := range svc.Spec.Ports {
			if b.Service.Port.Number == p.Port || b.Service.Port.Name != "" && b.Service.Port.Name == p.Name {
				return true
			}
		}
		found.add(at, "%s goes to port %s of Service %s, which has no such port", what, portText(b.Service.Port), svc.Name)
		return false
	}
	rules := im.tree.get("spec").get("rules")
	for i := range ing.Spec.Rules {
		r := &ing.Spec.Rules[i]
		if r.HTTP == nil {
			continue
		}
		for j := range r.HTTP.Paths {
			p := &r.HTTP.Paths[j]
			at := im.tree.at
			if rules != nil && i < len(rules.items) {
				if paths := rules.items[i].get("http").get("paths"); paths != nil && j < len(paths.items) {
					at = paths.items[j].at
				}
			}
			if backend(&p.Backend, "path "+orElse(p.Path, "/"), at) && !reaches {
				reaches = true
				facts["path"] = orElse(strings.TrimSuffix(p.Path, "*"), "/")
				facts["host"] = strings.Replace(r.Host, "*.", "www.", 1)
			}
		}
	}
	if b := ing.Spec.DefaultBackend; backend(b, "the default backend", placeOfPath(im.tree, "spec", "defaultBackend")) {
		reaches = true
	}
	if !reaches && !found.any() {
		found.add(im.tree.at, "Ingress %s sends nothing to Service %s", ing.Name, svc.Name)
	}
}

// delayOf is the deregistration delay in an annotation of target group attributes.
func delayOf(attributes string) int64 {
	for part := range strings.SplitSeq(attributes, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(part), "deregistration_delay.timeout_seconds="); ok {
			if n, err := strconv.ParseInt(v, 10, 64); err == nil {
				return n
			}
		}
	}
	return 300
}

// ports says which program stands in for an image that nobody knows, and where it listens: where the container says, and if it says nothing, where the
// Service sends what comes.
func (o *own) ports(d *appsv1.Deployment, dm manifest, svc *corev1.Service) {
	containers := dm.tree.get("spec").get("template").get("spec").get("containers")
	if containers == nil || len(containers.items) == 0 {
		return
	}
	names := map[string]bool{}
	numbers := map[int32]bool{}
	for _, c := range d.Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			names[p.Name], numbers[p.ContainerPort] = true, true
		}
	}
	var add []*node
	for _, p := range svc.Spec.Ports {
		n := p.TargetPort.IntVal
		if p.TargetPort.Type == intstr.String {
			continue // a name that no container has is refused by nobody: the Service has no endpoint then
		}
		if n == 0 {
			n = p.Port
		}
		if !numbers[n] {
			numbers[n] = true
			at := containers.items[0].at
			add = append(add, &node{at: at, kind: objectNode, fields: []field{{key: "containerPort", at: at, value: &node{at: at, kind: intNode, integer: int64(n), text: strconv.Itoa(int(n))}}}})
			o.notes = append(o.notes, fmt.Sprintf("no container names port %d, to which Service %s sends: the first one listens there", n, svc.Name))
		}
	}
	if len(add) == 0 {
		return
	}
	first := containers.items[0]
	list := &node{at: first.at, kind: listNode}
	if had := first.get("ports"); had != nil && had.kind == listNode {
		*list = *had
	}
	list.items = append(append([]*node{}, list.items...), add...)
	patch := &node{at: first.at, kind: objectNode, fields: []field{{key: "spec", at: first.at, value: &node{at: first.at, kind: objectNode, fields: []field{{key: "template", at: first.at, value: &node{at: first.at, kind: objectNode,
		fields: []field{{key: "spec", at: first.at, value: &node{at: first.at, kind: objectNode, fields: []field{{key: "containers", at: first.at, value: &node{at: first.at, kind: listNode, items: []*node{{at: first.at, kind: objectNode,
			fields: []field{{key: "ports", at: first.at, value: list}}}}}}}}}}}}}}}}}
	for key, m := range o.now {
		if m.key == dm.key {
			m.tree = lay(m.tree, patch)
			o.now[key] = m
		}
	}
}

// placeOfPath is where a field of an object stands, or the object where it has none.
func placeOfPath(n *node, path ...string) place {
	at := n.at
	for _, key := range path {
		if n = n.get(key); n == nil {
			break
		}
		at = n.at
	}
	return at
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func labelText(m map[string]string) string {
	if len(m) == 0 {
		return "nothing"
	}
	return metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: m})
}

func portText(p networkingv1.ServiceBackendPort) string {
	if p.Name != "" {
		return strconv.Quote(p.Name)
	}
	return strconv.Itoa(int(p.Number))
}
