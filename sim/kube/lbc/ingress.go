package lbc

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// deployed is what was made for an Ingress.
type deployed struct {
	spec string // that it was made by
}

// plan is what an Ingress comes to, before anything is made. Source: pkg/ingress/model_builder.go.
type plan struct {
	ing    *networkingv1.Ingress
	scheme string
	ports  []int32
	cidrs  []string
	groups []*planned // target groups, each once
	rules  []plannedRule
	other  *planned // where requests go that no rule takes; nil: a 404
}

// planned is a target group of an Ingress: a port of a Service.
type planned struct {
	svc        *corev1.Service
	ref        ServiceReference
	port       *corev1.ServicePort
	targetType string
	in         *elbv2.CreateTargetGroupInput
	attributes string
	made       elbtypes.TargetGroup
}

type plannedRule struct {
	host  string
	paths []string
	to    *planned
}

// reconcileIngress makes an Ingress's Application Load Balancer.
func (x *Controller) reconcileIngress(p *engine.Process, k kube.Key) error {
	ing, err := kube.Get[*networkingv1.Ingress](x.client, k)
	if err != nil || !x.ingressOfClass(ing) {
		return nil
	}
	b, err := json.Marshal([]any{ing.Spec, ing.Annotations})
	if err != nil {
		return err
	}
	if d := x.deployed[k]; d != nil {
		if d.spec != string(b) {
			return x.fail(engine.NotModelled("Ingress %v: a change after its load balancer was made", k))
		}
		return nil
	}
	if err := refuseIngress(ing); err != nil {
		return x.fail(fmt.Errorf("ingress %v: %w", k, err))
	}
	m, err := x.plan(ing)
	if err != nil {
		x.say(ing, "FailedBuildModel", "Failed build model due to %v", err)
		return err
	}
	dns, err := x.deploy(engine.WithProcess(x.ctx, p), m)
	if err != nil {
		x.say(ing, "FailedDeployModel", "Failed deploy model due to %v", err)
		return err
	}
	x.deployed[k] = &deployed{string(b)}
	latest, err := kube.Get[*networkingv1.Ingress](x.client, k)
	if apierrors.IsNotFound(err) {
		return nil
	}
	now := latest.DeepCopy()
	now.ResourceVersion = ""
	now.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{Hostname: dns}}
	if _, err := x.client.UpdateStatus(now); err != nil {
		return err
	}
	x.say(ing, reconciled, "Successfully reconciled")
	return nil
}

// plan reads an Ingress.
func (x *Controller) plan(ing *networkingv1.Ingress) (*plan, error) {
	m := &plan{ing: ing, scheme: text(ing.Annotations, ingressScheme, "internal")}
	if m.scheme != "internal" && m.scheme != "internet-facing" {
		return nil, fmt.Errorf("unknown scheme: %v", m.scheme)
	}
	var err error
	if m.ports, err = listenPorts(ing); err != nil {
		return nil, err
	}
	if m.cidrs, err = inboundCIDRs(ing); err != nil {
		return nil, err
	}
	if b := ing.Spec.DefaultBackend; b != nil {
		if m.other, err = x.group(m, b.Service); err != nil {
			return nil, err
		}
	}
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, path := range sortedPaths(r.HTTP.Paths) {
			to, err := x.group(m, path.Backend.Service)
			if err != nil {
				return nil, err
			}
			patterns, err := pathPatterns(path)
			if err != nil {
				return nil, err
			}
			if r.Host == "" && len(patterns) == 0 {
				patterns = []string{"/*"}
			}
			m.rules = append(m.rules, plannedRule{r.Host, patterns, to})
		}
	}
	return m, nil
}

// sortedPaths puts exact paths first, then prefixes by their length, then the others. Source: sortIngressPaths.
func sortedPaths(paths []networkingv1.HTTPIngressPath) []networkingv1.HTTPIngressPath {
	rank := func(p *networkingv1.HTTPIngressPath) int {
		switch pathType(p) {
		case networkingv1.PathTypeExact:
			return 0
		case networkingv1.PathTypePrefix:
			return 1
		}
		return 2
	}
	out := slices.Clone(paths)
	slices.SortStableFunc(out, func(a, b networkingv1.HTTPIngressPath) int {
		if d := rank(&a) - rank(&b); d != 0 {
			return d
		}
		if rank(&a) == 1 {
			return len(b.Path) - len(a.Path)
		}
		return 0
	})
	return out
}

func pathType(p *networkingv1.HTTPIngressPath) networkingv1.PathType {
	if p.PathType == nil {
		return networkingv1.PathTypeImplementationSpecific
	}
	return *p.PathType
}

// pathPatterns are the values of the condition path-pattern. Source: buildPathPatterns.
func pathPatterns(p networkingv1.HTTPIngressPath) ([]string, error) {
	switch t := pathType(&p); {
	case p.Path == "":
		return nil, nil
	case t == networkingv1.PathTypeImplementationSpecific:
		return []string{p.Path}, nil
	case strings.ContainsAny(p.Path, "*?"):
		return nil, fmt.Errorf("%s path shouldn't contain wildcards: %v", strings.ToLower(string(t)), p.Path)
	case t == networkingv1.PathTypeExact:
		return []string{p.Path}, nil
	case p.Path == "/":
		return []string{"/*"}, nil
	}
	path := strings.TrimSuffix(p.Path, "/")
	return []string{path, path + "/*"}, nil
}

// group plans the target group of a backend, once for each port of a Service.
func (x *Controller) group(m *plan, b *networkingv1.IngressServiceBackend) (*planned, error) {
	svc, ok := x.services.Get(kube.Key{Namespace: m.ing.Namespace, Name: b.Name})
	if !ok {
		return nil, fmt.Errorf("ingress: %v: services %q not found", kube.KeyOf(m.ing), b.Name)
	}
	ref := ServiceReference{b.Name, intstr.FromInt32(b.Port.Number)}
	if b.Port.Name != "" {
		ref.Port = intstr.FromString(b.Port.Name)
	}
	for _, g := range m.groups {
		if g.ref == ref {
			return g, nil
		}
	}
	port, err := servicePort(svc, ref.Port)
	if err != nil {
		return nil, fmt.Errorf("ingress: %v: %w", kube.KeyOf(m.ing), err)
	}
	// What the Service says counts before what the Ingress says.
	a := map[string]string{}
	for k, v := range m.ing.Annotations {
		a[k] = v
	}
	for k, v := range svc.Annotations {
		a[k] = v
	}
	g := &planned{svc: svc, ref: ref, port: port, targetType: text(a, ingressTargetType, targetTypeInstance), attributes: a[ingressTGAttrs]}
	switch g.targetType {
	case targetTypeInstance:
		if port.NodePort == 0 {
			return nil, fmt.Errorf("ingress: %v: service type must be either 'NodePort' or 'LoadBalancer': %v", kube.KeyOf(m.ing), kube.KeyOf(svc))
		}
	case targetTypeIP:
	default:
		return nil, fmt.Errorf("ingress: %v: unknown targetType: %v", kube.KeyOf(m.ing), g.targetType)
	}
	if g.in, err = x.groupInput(m, g, a); err != nil {
		return nil, fmt.Errorf("ingress: %v: %w", kube.KeyOf(m.ing), err)
	}
	m.groups = append(m.groups, g)
	return g, nil
}

// groupInput is the target group's CreateTargetGroup.
// Source: pkg/ingress/model_build_target_group.go; defaults: pkg/ingress/model_builder.go (15 s, 5 s, 2, 2, /, 200).
func (x *Controller) groupInput(m *plan, g *planned, a map[string]string) (*elbv2.CreateTargetGroupInput, error) {
	in := &elbv2.CreateTargetGroupInput{VpcId: aws.String(x.opts.VPCID), Protocol: elbtypes.ProtocolEnumHttp, ProtocolVersion: aws.String("HTTP1"), IpAddressType: elbtypes.TargetGroupIpAddressTypeEnumIpv4,
		TargetType: elbtypes.TargetTypeEnum(g.targetType), Tags: x.ingressTags(m), HealthCheckEnabled: aws.Bool(true), HealthCheckProtocol: elbtypes.ProtocolEnum(text(a, ingressCheckProtocol, "HTTP")), HealthCheckPath: aws.String(text(a, ingressCheckPath, "/")),
		Matcher: &elbtypes.Matcher{HttpCode: aws.String(text(a, ingressSuccessCodes, "200"))}}
	in.Port = aws.Int32(max(1, g.port.TargetPort.IntVal))
	if g.targetType == targetTypeInstance {
		in.Port = aws.Int32(g.port.NodePort)
	}
	check := text(a, ingressCheckPort, "traffic-port")
	if check != "traffic-port" {
		if _, err := number(a, ingressCheckPort, 0); err != nil { // the name of a port of the Service
			p, err := servicePort(g.svc, intstr.FromString(check))
			if err != nil {
				return nil, err
			}
			switch {
			case g.targetType == targetTypeInstance:
				check = fmt.Sprint(p.NodePort)
			case p.TargetPort.Type == intstr.Int:
				check = p.TargetPort.String()
			default:
				return nil, fmt.Errorf("cannot use named healthCheckPort for IP TargetType when service's targetPort is a named port")
			}
		}
	}
	in.HealthCheckPort = aws.String(check)
	for _, n := range []struct {
		key       string
		otherwise int32
		to        **int32
	}{{ingressCheckInterval, 15, &in.HealthCheckIntervalSeconds}, {ingressCheckTimeout, 5, &in.HealthCheckTimeoutSeconds}, {ingressHealthy, 2, &in.HealthyThresholdCount}, {ingressUnhealthy, 2, &in.UnhealthyThresholdCount}} {
		v, err := number(a, n.key, n.otherwise)
		if err != nil {
			return nil, err
		}
		*n.to = aws.Int32(v)
	}
	key := kube.KeyOf(m.ing)
	in.Name = aws.String(nameOf(g.svc.Namespace, g.svc.Name, x.opts.ClusterName, key.String(), key.Namespace, key.Name, string(g.svc.UID), g.ref.Port.String(), fmt.Sprint(*in.Port), g.targetType, "HTTP", "HTTP1"))
	return in, nil
}

func (x *Controller) ingressTags(m *plan) []elbtypes.Tag {
	return []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String(x.opts.ClusterName)}, {Key: aws.String("ingress.k8s.aws/stack"), Value: aws.String(kube.KeyOf(m.ing).String())}}
}

// deploy makes what was planned, in the order of the controller: security groups, target groups, the load balancer, listeners, rules, bindings.
// Source: pkg/deploy/stack_deployer.go.
func (x *Controller) deploy(ctx context.Context, m *plan) (dns string, err error) {
	key := kube.KeyOf(m.ing)
	subnets, err := x.subnets(ctx, m.scheme)
	if err != nil {
		return "", fmt.Errorf("couldn't auto-discover subnets: %w", err)
	}
	if x.backend == "" {
		if x.backend, err = x.securityGroup(ctx, nameOf(x.opts.ClusterName, "traffic", x.opts.ClusterName, "backend"), "[k8s] Shared Backend SecurityGroup for LoadBalancer", nil, nil); err != nil {
			return "", err
		}
	}
	frontend, err := x.securityGroup(ctx, nameOf(key.Namespace, key.Name, x.opts.ClusterName, key.String()), "[k8s] Managed SecurityGroup for LoadBalancer", m.ports, m.cidrs)
	if err != nil {
		return "", err
	}
	for _, g := range m.groups {
		if g.made, err = x.targetGroup(ctx, g.in, g.attributes, ""); err != nil {
			return "", err
		}
	}
	in := &elbv2.CreateLoadBalancerInput{Name: aws.String(text(m.ing.Annotations, ingressName, nameOf(key.Namespace, key.Name, x.opts.ClusterName, key.String(), m.scheme))), Type: elbtypes.LoadBalancerTypeEnumApplication,
		Scheme: elbtypes.LoadBalancerSchemeEnum(m.scheme), IpAddressType: elbtypes.IpAddressTypeIpv4, SecurityGroups: []string{frontend, x.backend}, Tags: x.ingressTags(m)}
	lb, err := x.loadBalancer(ctx, in, subnets, m.ing.Annotations[ingressLBAttrs])
	if err != nil {
		return "", err
	}
	for _, port := range m.ports {
		if err := x.ingressListener(ctx, m, lb, port); err != nil {
			return "", err
		}
	}
	for _, g := range m.groups {
		port := g.port.TargetPort
		if g.targetType == targetTypeInstance {
			port = intstr.FromInt32(g.port.NodePort)
		}
		ports := []intstr.IntOrString{port}
		if check, err := number(map[string]string{"": *g.in.HealthCheckPort}, "", 0); err == nil {
			ports = append(ports, intstr.FromInt32(check))
		}
		networking := &TargetGroupBindingNetworking{Ingress: []NetworkingIngressRule{{From: []NetworkingPeer{{GroupID: x.backend}}, Ports: ports}}}
		if err := x.createBinding(key.Namespace, g.made, g.targetType, g.ref, networking); err != nil {
			return "", err
		}
	}
	return aws.ToString(lb.DNSName), nil
}

// ingressListener makes a listener and its rules.
func (x *Controller) ingressListener(ctx context.Context, m *plan, lb elbtypes.LoadBalancer, port int32) error {
	forward := func(g *planned) []elbtypes.Action {
		return []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, ForwardConfig: &elbtypes.ForwardActionConfig{TargetGroups: []elbtypes.TargetGroupTuple{{TargetGroupArn: g.made.TargetGroupArn}}}}}
	}
	other := []elbtypes.Action{{Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{ContentType: aws.String("text/plain"), StatusCode: aws.String("404")}}}
	if m.other != nil {
		other = forward(m.other)
	}
	made, err := x.opts.ELBV2.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(port), Protocol: elbtypes.ProtocolEnumHttp, Tags: x.ingressTags(m), DefaultActions: other})
	if err != nil {
		return err
	}
	arn := made.Listeners[0].ListenerArn
	if _, err := x.opts.ELBV2.DescribeRules(ctx, &elbv2.DescribeRulesInput{ListenerArn: arn}); err != nil {
		return err
	}
	for i, r := range m.rules {
		in := &elbv2.CreateRuleInput{ListenerArn: arn, Priority: aws.Int32(int32(i + 1)), Actions: forward(r.to), Tags: x.ingressTags(m)}
		if r.host != "" {
			in.Conditions = append(in.Conditions, elbtypes.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &elbtypes.HostHeaderConditionConfig{Values: []string{r.host}}})
		}
		if len(r.paths) > 0 {
			in.Conditions = append(in.Conditions, elbtypes.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &elbtypes.PathPatternConditionConfig{Values: r.paths}})
		}
		if _, err := x.opts.ELBV2.CreateRule(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// securityGroup makes a security group that lets ranges of addresses reach ports, or finds it. Source: pkg/networking/backend_sg_provider.go, pkg/deploy/ec2/security_group_synthesizer.go.
func (x *Controller) securityGroup(ctx context.Context, name, description string, ports []int32, cidrs []string) (string, error) {
	found, err := x.opts.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{x.opts.VPCID}}, {Name: aws.String("group-name"), Values: []string{name}}}})
	if err != nil {
		return "", err
	}
	if len(found.SecurityGroups) > 0 {
		return aws.ToString(found.SecurityGroups[0].GroupId), nil
	}
	made, err := x.opts.EC2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{VpcId: aws.String(x.opts.VPCID), GroupName: aws.String(name), Description: aws.String(description),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSecurityGroup, Tags: []ec2types.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String(x.opts.ClusterName)}}}}})
	if err != nil {
		return "", err
	}
	in := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: made.GroupId}
	for _, port := range ports {
		for _, c := range cidrs {
			in.IpPermissions = append(in.IpPermissions, ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(port), ToPort: aws.Int32(port), IpRanges: []ec2types.IpRange{{CidrIp: aws.String(c)}}})
		}
	}
	if len(in.IpPermissions) > 0 {
		if _, err := x.opts.EC2.AuthorizeSecurityGroupIngress(ctx, in); err != nil {
			return "", err
		}
	}
	return aws.ToString(made.GroupId), nil
}
