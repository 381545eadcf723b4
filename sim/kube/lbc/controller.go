// Package lbc models AWS Load Balancer Controller for Services that ask for a Network Load Balancer by it: aws-load-balancer-type: external.
//
// Models: instance and ip targets, the order of its AWS calls (the target group before the load balancer, targets last), names, health checks for either
// externalTrafficPolicy, attributes by annotation, rules on the nodes' security groups, readiness of ip targets, retries. Its TargetGroupBinding is kept
// inside, not as an API object.
// Does not model yet: Ingresses, the Service webhook, security groups on load balancers (2.6 and later give new ones to new load balancers), readiness gates,
// updates and deletion of a Service, target weights.
// Source: kubernetes-sigs/aws-load-balancer-controller v2.4 pkg/service, pkg/deploy, pkg/targetgroupbinding.
package lbc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
)

// ELBV2 is what the controller calls of Elastic Load Balancing.
type ELBV2 interface {
	CreateTargetGroup(context.Context, *elbv2.CreateTargetGroupInput, ...func(*elbv2.Options)) (*elbv2.CreateTargetGroupOutput, error)
	DescribeTargetGroups(context.Context, *elbv2.DescribeTargetGroupsInput, ...func(*elbv2.Options)) (*elbv2.DescribeTargetGroupsOutput, error)
	DescribeTargetGroupAttributes(context.Context, *elbv2.DescribeTargetGroupAttributesInput, ...func(*elbv2.Options)) (*elbv2.DescribeTargetGroupAttributesOutput, error)
	ModifyTargetGroupAttributes(context.Context, *elbv2.ModifyTargetGroupAttributesInput, ...func(*elbv2.Options)) (*elbv2.ModifyTargetGroupAttributesOutput, error)
	DescribeLoadBalancers(context.Context, *elbv2.DescribeLoadBalancersInput, ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancersOutput, error)
	CreateLoadBalancer(context.Context, *elbv2.CreateLoadBalancerInput, ...func(*elbv2.Options)) (*elbv2.CreateLoadBalancerOutput, error)
	DescribeLoadBalancerAttributes(context.Context, *elbv2.DescribeLoadBalancerAttributesInput, ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancerAttributesOutput, error)
	ModifyLoadBalancerAttributes(context.Context, *elbv2.ModifyLoadBalancerAttributesInput, ...func(*elbv2.Options)) (*elbv2.ModifyLoadBalancerAttributesOutput, error)
	DescribeListeners(context.Context, *elbv2.DescribeListenersInput, ...func(*elbv2.Options)) (*elbv2.DescribeListenersOutput, error)
	CreateListener(context.Context, *elbv2.CreateListenerInput, ...func(*elbv2.Options)) (*elbv2.CreateListenerOutput, error)
	DescribeTargetHealth(context.Context, *elbv2.DescribeTargetHealthInput, ...func(*elbv2.Options)) (*elbv2.DescribeTargetHealthOutput, error)
	RegisterTargets(context.Context, *elbv2.RegisterTargetsInput, ...func(*elbv2.Options)) (*elbv2.RegisterTargetsOutput, error)
	DeregisterTargets(context.Context, *elbv2.DeregisterTargetsInput, ...func(*elbv2.Options)) (*elbv2.DeregisterTargetsOutput, error)
}

// EC2 is what the controller calls of EC2.
type EC2 interface {
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
	AuthorizeSecurityGroupIngress(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
}

var (
	_ ELBV2 = (*elbv2.Client)(nil)
	_ EC2   = (*ec2.Client)(nil)
)

// Annotations of a Service. Source: docs/guide/service/annotations.md.
const (
	prefix               = "service.beta.kubernetes.io/aws-load-balancer-"
	annotationType       = prefix + "type"
	annotationScheme     = prefix + "scheme"
	annotationTargetType = prefix + "nlb-target-type"
	annotationTGAttrs    = prefix + "target-group-attributes"
	annotationLBAttrs    = prefix + "attributes"
	loadBalancerClass    = "service.k8s.aws/nlb"
)

// Options are what the controller is made with.
type Options struct {
	ClusterName, VPCID string
	VPCCIDR            netip.Prefix
	ELBV2              ELBV2
	EC2                EC2
}

// Controller makes load balancers for Services. Use New.
type Controller struct {
	opts     Options
	client   *kube.Client
	services *kube.Informer[*corev1.Service]
	slices   *kube.Informer[*discoveryv1.EndpointSlice]
	nodes    *kube.Informer[*corev1.Node]
	queue    *kube.Queue
	bindings *kube.Queue
	bound    map[kube.Key]*binding
	ctx      context.Context
}

// binding ties a Service's target group to its targets, as a TargetGroupBinding does.
type binding struct {
	arn        string
	targetType string
}

// New starts the controller.
func New(c *kube.Cluster, services *kube.Informer[*corev1.Service], endpointSlices *kube.Informer[*discoveryv1.EndpointSlice], nodes *kube.Informer[*corev1.Node], opts Options) *Controller {
	x := &Controller{opts: opts, services: services, slices: endpointSlices, nodes: nodes, bound: map[kube.Key]*binding{}, client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:aws-load-balancer-controller"})}
	x.ctx = iam.WithCaller(context.Background(), iam.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/AmazonEKSLoadBalancerControllerRole/" + opts.ClusterName, Type: "AssumedRole", UserAgent: "elbv2.k8s.aws", Name: "aws-load-balancer-controller"})
	x.queue = kube.NewQueue(c.Engine(), "aws-load-balancer-controller: service", kube.ControllerBackoff, x.reconcile)
	x.bindings = kube.NewQueue(c.Engine(), "aws-load-balancer-controller: targetGroupBinding", kube.ControllerBackoff, x.bind)
	services.Handle(func(_, now *corev1.Service) {
		if now != nil && ours(now) {
			x.queue.Add(kube.KeyOf(now))
		}
	})
	endpointSlices.Handle(func(old, now *discoveryv1.EndpointSlice) {
		s := now
		if s == nil {
			s = old
		}
		if k := (kube.Key{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}); x.bound[k] != nil {
			x.bindings.Add(k)
		}
	})
	return x
}

// ours says whether a Service is this controller's.
func ours(s *corev1.Service) bool {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return false
	}
	t := s.Annotations[annotationType]
	return t == "external" || t == "nlb-ip" || s.Spec.LoadBalancerClass != nil && *s.Spec.LoadBalancerClass == loadBalancerClass
}

func (x *Controller) fail(err error) error {
	x.client.Cluster().Engine().Fail(err)
	return err
}

// attributes reads an annotation of the form key=value,key=value.
func attributes(annotation string) (keys []string, values map[string]string, err error) {
	values = map[string]string{}
	for _, part := range strings.Split(annotation, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, nil, fmt.Errorf("failed to parse stringMap annotation: %s", annotation)
		}
		keys = append(keys, k)
		values[k] = v
	}
	slices.Sort(keys)
	return keys, values, nil
}

var notAlphanumeric = regexp.MustCompile("[^a-zA-Z0-9]")

// name is k8s-NAMESPACE-NAME-HASH, of 8, 8 and 10 characters. Source: pkg/service/model_build_load_balancer.go, model_build_target_group.go.
func name(svc *corev1.Service, parts ...string) string {
	cut := func(s string, n int) string {
		s = notAlphanumeric.ReplaceAllString(s, "")
		return s[:min(len(s), n)]
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	return fmt.Sprintf("k8s-%s-%s-%s", cut(svc.Namespace, 8), cut(svc.Name, 8), hex.EncodeToString(sum[:])[:10])
}

func (x *Controller) reconcile(p *engine.Process, k kube.Key) error {
	svc, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil || !ours(svc) || x.bound[k] != nil {
		return nil
	}
	for a := range svc.Annotations {
		if strings.HasPrefix(a, prefix) && !slices.Contains([]string{annotationType, annotationScheme, annotationTargetType, annotationTGAttrs, annotationLBAttrs}, a) {
			return x.fail(engine.NotModelled("Service %v: annotation %s", k, a))
		}
	}
	if s := svc.Annotations[annotationScheme]; s != "" && s != "internal" {
		return x.fail(engine.NotModelled("Service %v: scheme %s", k, s))
	}
	if len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
		return x.fail(engine.NotModelled("Service %v: other than one TCP port", k))
	}
	targetType := svc.Annotations[annotationTargetType]
	if targetType == "" {
		targetType = "instance"
		if svc.Annotations[annotationType] == "nlb-ip" {
			targetType = "ip"
		}
	}
	ctx := engine.WithProcess(x.ctx, p)
	tags := []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String(x.opts.ClusterName)}, {Key: aws.String("service.k8s.aws/stack"), Value: aws.String(k.String())}}
	tg, err := x.targetGroup(ctx, svc, targetType, tags)
	if err != nil {
		return err
	}
	lb, subnets, err := x.loadBalancer(ctx, svc, tags)
	if err != nil {
		return err
	}
	if _, err := x.opts.ELBV2.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn}); err != nil {
		return err
	}
	if _, err := x.opts.ELBV2.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(svc.Spec.Ports[0].Port), Protocol: elbtypes.ProtocolEnumTcp, Tags: tags,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: tg.TargetGroupArn}}}); err != nil {
		return err
	}
	if err := x.allow(ctx, svc, targetType, subnets); err != nil {
		return err
	}
	x.bound[k] = &binding{arn: aws.ToString(tg.TargetGroupArn), targetType: targetType}
	x.bindings.Add(k)
	latest, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil {
		return err
	}
	now := latest.DeepCopy()
	now.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: aws.ToString(lb.DNSName)}}
	_, err = x.client.UpdateStatus(now)
	return err
}

// targetGroup makes the target group and sets its attributes where they differ.
func (x *Controller) targetGroup(ctx context.Context, svc *corev1.Service, targetType string, tags []elbtypes.Tag) (tg elbtypes.TargetGroup, err error) {
	port := &svc.Spec.Ports[0]
	in := &elbv2.CreateTargetGroupInput{VpcId: aws.String(x.opts.VPCID), Protocol: elbtypes.ProtocolEnumTcp, TargetType: elbtypes.TargetTypeEnum(targetType), Tags: tags,
		HealthCheckProtocol: elbtypes.ProtocolEnumTcp, HealthCheckPort: aws.String("traffic-port"), HealthCheckIntervalSeconds: aws.Int32(10), HealthCheckTimeoutSeconds: aws.Int32(10),
		HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(3)}
	if targetType == "instance" {
		in.Port = aws.Int32(port.NodePort)
		if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
			in.HealthCheckProtocol, in.HealthCheckPath, in.HealthCheckPort = elbtypes.ProtocolEnumHttp, aws.String("/healthz"), aws.String(fmt.Sprint(svc.Spec.HealthCheckNodePort))
			in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount = aws.Int32(6), aws.Int32(2), aws.Int32(2)
		}
	} else {
		in.Port = aws.Int32(max(1, port.TargetPort.IntVal))
	}
	in.Name = aws.String(name(svc, x.opts.ClusterName, string(svc.UID), fmt.Sprint(*in.Port), fmt.Sprint(port.Port), targetType, "TCP", string(in.HealthCheckProtocol), fmt.Sprint(*in.HealthCheckIntervalSeconds)))
	made, err := x.opts.ELBV2.CreateTargetGroup(ctx, in)
	if err != nil {
		return tg, err
	}
	tg = made.TargetGroups[0]
	keys, values, err := attributes(svc.Annotations[annotationTGAttrs])
	if err != nil {
		return tg, err
	}
	if _, ok := values["proxy_protocol_v2.enabled"]; !ok {
		keys, values["proxy_protocol_v2.enabled"] = append(keys, "proxy_protocol_v2.enabled"), "false"
	}
	out, err := x.opts.ELBV2.DescribeTargetGroupAttributes(ctx, &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn})
	if err != nil {
		return tg, err
	}
	have := map[string]string{}
	for _, a := range out.Attributes {
		have[aws.ToString(a.Key)] = aws.ToString(a.Value)
	}
	modify := &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn}
	for _, k := range keys {
		if have[k] != values[k] {
			modify.Attributes = append(modify.Attributes, elbtypes.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(values[k])})
		}
	}
	if len(modify.Attributes) > 0 {
		_, err = x.opts.ELBV2.ModifyTargetGroupAttributes(ctx, modify)
	}
	return tg, err
}

// loadBalancer makes the load balancer, and sets its attributes where they differ.
func (x *Controller) loadBalancer(ctx context.Context, svc *corev1.Service, tags []elbtypes.Tag) (lb elbtypes.LoadBalancer, subnets []ec2types.Subnet, err error) {
	found, err := x.opts.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:kubernetes.io/role/internal-elb"), Values: []string{"", "1"}}, {Name: aws.String("vpc-id"), Values: []string{x.opts.VPCID}}}})
	if err != nil {
		return lb, nil, err
	}
	zones := map[string]bool{}
	slices.SortFunc(found.Subnets, func(a, b ec2types.Subnet) int {
		return strings.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId))
	})
	for _, s := range found.Subnets {
		if z := aws.ToString(s.AvailabilityZone); !zones[z] {
			zones[z] = true
			subnets = append(subnets, s)
		}
	}
	if len(subnets) == 0 {
		return lb, nil, fmt.Errorf("unable to resolve at least one subnet (0 match VPC and tags: [kubernetes.io/role/internal-elb])")
	}
	lbName := name(svc, x.opts.ClusterName, string(svc.UID), "internal")
	if _, err := x.opts.ELBV2.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{lbName}}); err == nil {
		return lb, nil, x.fail(engine.NotModelled("load balancer %s exists already", lbName))
	}
	in := &elbv2.CreateLoadBalancerInput{Name: aws.String(lbName), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: elbtypes.LoadBalancerSchemeEnumInternal, Tags: tags}
	for _, s := range subnets {
		in.SubnetMappings = append(in.SubnetMappings, elbtypes.SubnetMapping{SubnetId: s.SubnetId})
	}
	made, err := x.opts.ELBV2.CreateLoadBalancer(ctx, in)
	if err != nil {
		return lb, nil, err
	}
	lb = made.LoadBalancers[0]
	keys, values, err := attributes(svc.Annotations[annotationLBAttrs])
	if err != nil {
		return lb, nil, err
	}
	out, err := x.opts.ELBV2.DescribeLoadBalancerAttributes(ctx, &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return lb, nil, err
	}
	have := map[string]string{}
	for _, a := range out.Attributes {
		have[aws.ToString(a.Key)] = aws.ToString(a.Value)
	}
	modify := &elbv2.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}
	for _, k := range keys {
		if have[k] != values[k] {
			modify.Attributes = append(modify.Attributes, elbtypes.LoadBalancerAttribute{Key: aws.String(k), Value: aws.String(values[k])})
		}
	}
	if len(modify.Attributes) > 0 {
		_, err = x.opts.ELBV2.ModifyLoadBalancerAttributes(ctx, modify)
	}
	return lb, subnets, err
}

// allow opens the nodes' security groups. Clients' addresses that are preserved come from anywhere in the VPC; else from the load balancer's subnets.
func (x *Controller) allow(ctx context.Context, svc *corev1.Service, targetType string, subnets []ec2types.Subnet) error {
	port := svc.Spec.Ports[0].NodePort
	if targetType == "ip" {
		port = svc.Spec.Ports[0].TargetPort.IntVal
	}
	_, tgAttrs, err := attributes(svc.Annotations[annotationTGAttrs])
	if err != nil {
		return err
	}
	preserved := targetType == "instance"
	if v, ok := tgAttrs["preserve_client_ip.enabled"]; ok {
		preserved = v == "true"
	}
	var from []ec2types.IpRange
	description := aws.String("elbv2.k8s.aws/targetGroupBinding=shared")
	if preserved {
		from = append(from, ec2types.IpRange{CidrIp: aws.String(x.opts.VPCCIDR.String()), Description: description})
	} else {
		for _, s := range subnets {
			from = append(from, ec2types.IpRange{CidrIp: s.CidrBlock, Description: description})
		}
	}
	tcp := func(p int32, ranges []ec2types.IpRange) ec2types.IpPermission {
		return ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(p), ToPort: aws.Int32(p), IpRanges: ranges}
	}
	perms := []ec2types.IpPermission{tcp(port, from)}
	var checks []ec2types.IpRange
	for _, s := range subnets {
		checks = append(checks, ec2types.IpRange{CidrIp: s.CidrBlock, Description: description})
	}
	switch {
	case targetType == "instance" && svc.Spec.HealthCheckNodePort != 0:
		perms = append(perms, tcp(svc.Spec.HealthCheckNodePort, checks))
	case preserved:
		perms = append(perms, tcp(port, checks))
	}
	out, err := x.opts.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{{Name: aws.String("tag-key"), Values: []string{"kubernetes.io/cluster/" + x.opts.ClusterName}}}})
	if err != nil {
		return err
	}
	for _, g := range out.SecurityGroups {
		if _, err := x.opts.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: perms}); err != nil {
			return err
		}
	}
	return nil
}

// bind registers and deregisters targets, by what there is.
func (x *Controller) bind(p *engine.Process, k kube.Key) error {
	b := x.bound[k]
	svc, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil {
		return nil
	}
	ctx := engine.WithProcess(x.ctx, p)
	wanted, err := x.targets(ctx, svc, b)
	if err != nil {
		return err
	}
	out, err := x.opts.ELBV2.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(b.arn)})
	if err != nil {
		return err
	}
	id := func(t elbtypes.TargetDescription) string {
		return fmt.Sprintf("%s:%d", aws.ToString(t.Id), aws.ToInt32(t.Port))
	}
	have := map[string]bool{}
	var gone []elbtypes.TargetDescription
	for _, d := range out.TargetHealthDescriptions {
		if d.TargetHealth.State == elbtypes.TargetHealthStateEnumDraining {
			continue
		}
		have[id(*d.Target)] = true
		if !slices.ContainsFunc(wanted, func(w elbtypes.TargetDescription) bool { return id(w) == id(*d.Target) }) {
			gone = append(gone, *d.Target)
		}
	}
	var fresh []elbtypes.TargetDescription
	for _, w := range wanted {
		if !have[id(w)] {
			fresh = append(fresh, w)
		}
	}
	if len(gone) > 0 {
		if _, err := x.opts.ELBV2.DeregisterTargets(ctx, &elbv2.DeregisterTargetsInput{TargetGroupArn: aws.String(b.arn), Targets: gone}); err != nil {
			return err
		}
	}
	if len(fresh) > 0 {
		if _, err := x.opts.ELBV2.RegisterTargets(ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: aws.String(b.arn), Targets: fresh}); err != nil {
			return err
		}
	}
	return nil
}

// targets is what should be registered: ready endpoints, or nodes that are ready and not excluded.
func (x *Controller) targets(ctx context.Context, svc *corev1.Service, b *binding) (out []elbtypes.TargetDescription, err error) {
	if b.targetType == "ip" {
		for _, s := range x.slices.List() {
			if s.Namespace != svc.Namespace || s.Labels[discoveryv1.LabelServiceName] != svc.Name || len(s.Ports) == 0 || s.Ports[0].Port == nil {
				continue
			}
			for i := range s.Endpoints {
				if ep := &s.Endpoints[i]; ep.Conditions.Ready == nil || *ep.Conditions.Ready {
					out = append(out, elbtypes.TargetDescription{Id: aws.String(ep.Addresses[0]), Port: aws.Int32(*s.Ports[0].Port)})
				}
			}
		}
		return out, nil
	}
	described, err := x.opts.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, r := range described.Reservations {
		for _, i := range r.Instances {
			ids[aws.ToString(i.PrivateDnsName)] = aws.ToString(i.InstanceId)
		}
	}
	for _, n := range x.nodes.List() {
		_, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]
		ok := slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
		if ok && !excluded && ids[n.Name] != "" {
			out = append(out, elbtypes.TargetDescription{Id: aws.String(ids[n.Name]), Port: aws.Int32(svc.Spec.Ports[0].NodePort)})
		}
	}
	return out, nil
}
