// Package cloudprovider models the service controller with the in-tree AWS cloud provider: what makes a Network Load Balancer for a Service of type
// LoadBalancer that carries the annotation aws-load-balancer-type: nlb.
//
// Models: the order of its AWS calls when a load balancer is made, names, health checks for either externalTrafficPolicy, rules on the nodes' security
// group, the cross-zone annotation, the Service's status and finalizer, retries.
// Does not model yet: Classic Load Balancers, updates and deletion of a Service, nodes that come and go after the load balancer was made, loadBalancerSourceRanges.
// Sources: kubernetes/legacy-cloud-providers v0.22.12 aws/aws.go, aws/aws_loadbalancer.go; kubernetes/cloud-provider v0.22.12 controllers/service.
package cloudprovider

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
)

// ELBV2 is what the provider calls of Elastic Load Balancing.
type ELBV2 interface {
	DescribeLoadBalancers(context.Context, *elbv2.DescribeLoadBalancersInput, ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancersOutput, error)
	CreateLoadBalancer(context.Context, *elbv2.CreateLoadBalancerInput, ...func(*elbv2.Options)) (*elbv2.CreateLoadBalancerOutput, error)
	CreateTargetGroup(context.Context, *elbv2.CreateTargetGroupInput, ...func(*elbv2.Options)) (*elbv2.CreateTargetGroupOutput, error)
	AddTags(context.Context, *elbv2.AddTagsInput, ...func(*elbv2.Options)) (*elbv2.AddTagsOutput, error)
	RegisterTargets(context.Context, *elbv2.RegisterTargetsInput, ...func(*elbv2.Options)) (*elbv2.RegisterTargetsOutput, error)
	CreateListener(context.Context, *elbv2.CreateListenerInput, ...func(*elbv2.Options)) (*elbv2.CreateListenerOutput, error)
	DescribeLoadBalancerAttributes(context.Context, *elbv2.DescribeLoadBalancerAttributesInput, ...func(*elbv2.Options)) (*elbv2.DescribeLoadBalancerAttributesOutput, error)
	ModifyLoadBalancerAttributes(context.Context, *elbv2.ModifyLoadBalancerAttributesInput, ...func(*elbv2.Options)) (*elbv2.ModifyLoadBalancerAttributesOutput, error)
}

// EC2 is what the provider calls of EC2.
type EC2 interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
	DescribeRouteTables(context.Context, *ec2.DescribeRouteTablesInput, ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error)
	DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
	AuthorizeSecurityGroupIngress(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
}

// The real clients are as good as the models.
var (
	_ ELBV2 = (*elbv2.Client)(nil)
	_ EC2   = (*ec2.Client)(nil)
)

// Annotations of a Service. Source: aws/aws.go.
const (
	annotationType      = "service.beta.kubernetes.io/aws-load-balancer-type"
	annotationInternal  = "service.beta.kubernetes.io/aws-load-balancer-internal"
	annotationCrossZone = "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled"
	annotationPrefix    = "service.beta.kubernetes.io/aws-load-balancer-"
)

// Finalizer keeps a Service until its load balancer is gone. Source: cloud-provider service/helpers.
const Finalizer = "service.kubernetes.io/load-balancer-cleanup"

// retry is how long a Service that failed waits. Source: cloud-provider controllers/service/controller.go (minRetryDelay, maxRetryDelay).
var retry = kube.Backoff{Base: 5 * time.Second, Max: 300 * time.Second}

// chunk is how many targets one RegisterTargets call carries. Source: aws_loadbalancer.go, ensureTargetGroup.
const chunk = 100

// Options are what the controller is made with.
type Options struct {
	ClusterName, VPCID string
	ELBV2              ELBV2
	EC2                EC2
}

// Controller makes load balancers for Services. Use New.
type Controller struct {
	opts     Options
	client   *kube.Client
	services *kube.Informer[*corev1.Service]
	nodes    *kube.Informer[*corev1.Node]
	queue    *kube.Queue
	ctx      context.Context
}

// New starts the controller.
func New(c *kube.Cluster, services *kube.Informer[*corev1.Service], nodes *kube.Informer[*corev1.Node], opts Options) *Controller {
	x := &Controller{opts: opts, services: services, nodes: nodes, client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:service-controller"})}
	x.ctx = iam.WithCaller(context.Background(), iam.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/eksClusterRole/" + opts.ClusterName, Type: "AssumedRole", UserAgent: "kubernetes aws-sdk-go/1.38.49", Name: "in-tree cloud provider"})
	x.queue = kube.NewQueue(c.Engine(), "service-controller", retry, x.reconcile)
	services.Handle(func(_, now *corev1.Service) {
		if now != nil && now.Spec.Type == corev1.ServiceTypeLoadBalancer && now.Spec.LoadBalancerClass == nil {
			x.queue.Add(kube.KeyOf(now))
		}
	})
	return x
}

func (x *Controller) fail(err error) error {
	x.client.Cluster().Engine().Fail(err)
	return err
}

func (x *Controller) reconcile(p *engine.Process, k kube.Key) error {
	svc, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return nil
	}
	switch typ := svc.Annotations[annotationType]; typ {
	case "nlb":
	case "external", "nlb-ip":
		return nil // AWS Load Balancer Controller's
	default:
		return x.fail(engine.NotModelled("Service %v: %s %q with the in-tree provider", k, annotationType, typ))
	}
	if svc.Annotations[annotationInternal] != "true" {
		return x.fail(engine.NotModelled("Service %v: an internet-facing load balancer", k))
	}
	for a := range svc.Annotations {
		if strings.HasPrefix(a, annotationPrefix) && !slices.Contains([]string{annotationType, annotationInternal, annotationCrossZone}, a) {
			return x.fail(engine.NotModelled("Service %v: annotation %s", k, a))
		}
	}
	if len(svc.Status.LoadBalancer.Ingress) > 0 {
		return nil // made already
	}
	if !slices.Contains(svc.Finalizers, Finalizer) {
		now := svc.DeepCopy()
		now.Finalizers = append(now.Finalizers, Finalizer)
		stored, err := x.client.Update(now)
		if err != nil {
			return err
		}
		svc = stored.(*corev1.Service)
	}
	host, err := x.ensure(engine.WithProcess(x.ctx, p), svc)
	if err != nil {
		return err
	}
	latest, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil {
		return err
	}
	now := latest.DeepCopy()
	now.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: host}}
	_, err = x.client.UpdateStatus(now)
	return err
}

// Name is a load balancer's: "a" and the Service's UID without dashes, cut to 32 characters.
// Source: cloud-provider cloud.go, DefaultLoadBalancerName.
func Name(svc *corev1.Service) string {
	name := "a" + strings.ReplaceAll(string(svc.UID), "-", "")
	return name[:min(len(name), 32)]
}

// ensure makes the load balancer, in the provider's own order.
func (x *Controller) ensure(ctx context.Context, svc *corev1.Service) (hostname string, err error) {
	name := Name(svc)
	instances, groups, err := x.instances(ctx)
	if err != nil {
		return "", err
	}
	subnets, err := x.subnets(ctx)
	if err != nil {
		return "", err
	}
	tags := map[string]string{"kubernetes.io/service-name": svc.Namespace + "/" + svc.Name, "kubernetes.io/cluster/" + x.opts.ClusterName: "owned"}
	if _, err := x.opts.ELBV2.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{name}}); err == nil {
		return "", x.fail(engine.NotModelled("load balancer %s exists already", name))
	}
	create := &elbv2.CreateLoadBalancerInput{Type: elbtypes.LoadBalancerTypeEnumNetwork, Name: aws.String(name), Scheme: elbtypes.LoadBalancerSchemeEnumInternal, Tags: elbTags(tags)}
	for _, s := range subnets {
		create.SubnetMappings = append(create.SubnetMappings, elbtypes.SubnetMapping{SubnetId: s.SubnetId})
	}
	made, err := x.opts.ELBV2.CreateLoadBalancer(ctx, create)
	if err != nil {
		return "", err
	}
	lb := made.LoadBalancers[0]
	var nodePorts []int32
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		nodePorts = append(nodePorts, p.NodePort)
		if err := x.listener(ctx, svc, p, lb, instances, tags); err != nil {
			return "", err
		}
	}
	if err := x.attributes(ctx, svc, lb); err != nil {
		return "", err
	}
	if err := x.allow(ctx, svc, name, nodePorts, subnets, groups); err != nil {
		return "", err
	}
	return aws.ToString(lb.DNSName), nil
}

// instances is the instances of the nodes that load balancers use, and their security groups.
func (x *Controller) instances(ctx context.Context) (ids []string, groups map[string]bool, err error) {
	out, err := x.opts.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{})
	if err != nil {
		return nil, nil, err
	}
	byName := map[string]ec2types.Instance{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			byName[aws.ToString(i.PrivateDnsName)] = i
		}
	}
	groups = map[string]bool{}
	for _, n := range x.nodes.List() {
		if _, excluded := n.Labels[corev1.LabelNodeExcludeBalancers]; excluded || !ready(n) {
			continue
		}
		if i, ok := byName[n.Name]; ok {
			ids = append(ids, aws.ToString(i.InstanceId))
			for _, g := range i.SecurityGroups {
				groups[aws.ToString(g.GroupId)] = true
			}
		}
	}
	return ids, groups, nil
}

func ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// subnets picks one subnet a zone: with the tag for internal load balancers first, then with the cluster's, then by id.
func (x *Controller) subnets(ctx context.Context) ([]ec2types.Subnet, error) {
	vpc := []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{x.opts.VPCID}}}
	out, err := x.opts.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: vpc})
	if err != nil {
		return nil, err
	}
	if _, err := x.opts.EC2.DescribeRouteTables(ctx, &ec2.DescribeRouteTablesInput{Filters: vpc}); err != nil {
		return nil, err
	}
	rank := func(s ec2types.Subnet) string {
		internal, cluster := "1", "1"
		for _, t := range s.Tags {
			switch aws.ToString(t.Key) {
			case "kubernetes.io/role/internal-elb":
				internal = "0"
			case "kubernetes.io/cluster/" + x.opts.ClusterName:
				cluster = "0"
			}
		}
		return internal + cluster + aws.ToString(s.SubnetId)
	}
	best := map[string]ec2types.Subnet{}
	for _, s := range out.Subnets {
		z := aws.ToString(s.AvailabilityZone)
		if b, ok := best[z]; !ok || rank(s) < rank(b) {
			best[z] = s
		}
	}
	var zones []string
	for z := range best {
		zones = append(zones, z)
	}
	slices.Sort(zones)
	var list []ec2types.Subnet
	for _, z := range zones {
		list = append(list, best[z])
	}
	return list, nil
}

func elbTags(tags map[string]string) (out []elbtypes.Tag) {
	for _, k := range []string{"kubernetes.io/service-name"} {
		out = append(out, elbtypes.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	for k, v := range tags {
		if strings.HasPrefix(k, "kubernetes.io/cluster/") {
			out = append(out, elbtypes.Tag{Key: aws.String(k), Value: aws.String(v)})
		}
	}
	return out
}

var notAlphanumeric = regexp.MustCompile("[^a-zA-Z0-9]")

// targetGroupName is k8s-NAMESPACE-NAME-HASH, of 8, 8 and 10 characters. Source: aws_loadbalancer.go, buildTargetGroupName.
func (x *Controller) targetGroupName(svc *corev1.Service, p *corev1.ServicePort, hc *elbv2.CreateTargetGroupInput) string {
	cut := func(s string, n int) string {
		s = notAlphanumeric.ReplaceAllString(s, "")
		return s[:min(len(s), n)]
	}
	sum := sha1.Sum(fmt.Appendf(nil, "%s/%s/%s/%d/%d/%s/instance/%s/%d", x.opts.ClusterName, svc.Namespace, svc.Name, p.Port, p.NodePort, p.Protocol, hc.HealthCheckProtocol, aws.ToInt32(hc.HealthCheckIntervalSeconds)))
	return fmt.Sprintf("k8s-%s-%s-%s", cut(svc.Namespace, 8), cut(svc.Name, 8), hex.EncodeToString(sum[:])[:10])
}

// listener makes a port's target group with its targets, and then its listener.
func (x *Controller) listener(ctx context.Context, svc *corev1.Service, p *corev1.ServicePort, lb elbtypes.LoadBalancer, instances []string, tags map[string]string) error {
	if p.Protocol != corev1.ProtocolTCP {
		return x.fail(engine.NotModelled("Service %v: protocol %s", kube.KeyOf(svc), p.Protocol))
	}
	in := &elbv2.CreateTargetGroupInput{VpcId: aws.String(x.opts.VPCID), Port: aws.Int32(p.NodePort), Protocol: elbtypes.ProtocolEnumTcp, TargetType: elbtypes.TargetTypeEnumInstance,
		HealthCheckProtocol: elbtypes.ProtocolEnumTcp, HealthCheckPort: aws.String("traffic-port"), HealthCheckIntervalSeconds: aws.Int32(30), HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(3)}
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		in.HealthCheckProtocol, in.HealthCheckPath = elbtypes.ProtocolEnumHttp, aws.String("/healthz")
		in.HealthCheckPort = aws.String(fmt.Sprint(svc.Spec.HealthCheckNodePort))
		in.HealthCheckIntervalSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount = aws.Int32(10), aws.Int32(2), aws.Int32(2)
	}
	in.Name = aws.String(x.targetGroupName(svc, p, in))
	made, err := x.opts.ELBV2.CreateTargetGroup(ctx, in)
	if err != nil {
		return err
	}
	arn := made.TargetGroups[0].TargetGroupArn
	if _, err := x.opts.ELBV2.AddTags(ctx, &elbv2.AddTagsInput{ResourceArns: []string{aws.ToString(arn)}, Tags: elbTags(tags)}); err != nil {
		return err
	}
	for ids := range slices.Chunk(instances, chunk) {
		register := &elbv2.RegisterTargetsInput{TargetGroupArn: arn}
		for _, id := range ids {
			register.Targets = append(register.Targets, elbtypes.TargetDescription{Id: aws.String(id), Port: aws.Int32(p.NodePort)})
		}
		if _, err := x.opts.ELBV2.RegisterTargets(ctx, register); err != nil {
			return err
		}
	}
	_, err = x.opts.ELBV2.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(p.Port), Protocol: elbtypes.ProtocolEnumTcp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}})
	return err
}

// attributes sets what differs from what the annotations ask for.
func (x *Controller) attributes(ctx context.Context, svc *corev1.Service, lb elbtypes.LoadBalancer) error {
	desired := [][2]string{{"load_balancing.cross_zone.enabled", "false"}, {"access_logs.s3.enabled", "false"}}
	if svc.Annotations[annotationCrossZone] == "true" {
		desired[0][1] = "true"
	}
	out, err := x.opts.ELBV2.DescribeLoadBalancerAttributes(ctx, &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return err
	}
	have := map[string]string{}
	for _, a := range out.Attributes {
		have[aws.ToString(a.Key)] = aws.ToString(a.Value)
	}
	modify := &elbv2.ModifyLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn}
	for _, d := range desired {
		if have[d[0]] != d[1] {
			modify.Attributes = append(modify.Attributes, elbtypes.LoadBalancerAttribute{Key: aws.String(d[0]), Value: aws.String(d[1])})
		}
	}
	if len(modify.Attributes) == 0 {
		return nil
	}
	_, err = x.opts.ELBV2.ModifyLoadBalancerAttributes(ctx, modify)
	return err
}

// allow opens the nodes' security group: for health checks from the load balancer's subnets, for clients, for path MTU discovery.
func (x *Controller) allow(ctx context.Context, svc *corev1.Service, name string, nodePorts []int32, subnets []ec2types.Subnet, instanceGroups map[string]bool) error {
	var ids []string
	for _, s := range subnets {
		ids = append(ids, aws.ToString(s.SubnetId))
	}
	described, err := x.opts.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil {
		return err
	}
	all, err := x.opts.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{})
	if err != nil {
		return err
	}
	for _, g := range all.SecurityGroups {
		tagged := slices.ContainsFunc(g.Tags, func(t ec2types.Tag) bool {
			return aws.ToString(t.Key) == "kubernetes.io/cluster/"+x.opts.ClusterName
		})
		if !tagged || !instanceGroups[aws.ToString(g.GroupId)] {
			continue
		}
		ranges := func(description string, cidrs ...string) (out []ec2types.IpRange) {
			for _, c := range cidrs {
				out = append(out, ec2types.IpRange{CidrIp: aws.String(c), Description: aws.String(description)})
			}
			return out
		}
		var zones []string
		for _, s := range described.Subnets {
			zones = append(zones, aws.ToString(s.CidrBlock))
		}
		for _, port := range nodePorts {
			check := port
			if svc.Spec.HealthCheckNodePort != 0 {
				check = svc.Spec.HealthCheckNodePort
			}
			for _, perm := range []ec2types.IpPermission{
				{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(check), ToPort: aws.Int32(check), IpRanges: ranges("kubernetes.io/rule/nlb/health="+name, zones...)},
				{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(port), ToPort: aws.Int32(port), IpRanges: ranges("kubernetes.io/rule/nlb/client="+name, "0.0.0.0/0")},
				{IpProtocol: aws.String("icmp"), FromPort: aws.Int32(3), ToPort: aws.Int32(4), IpRanges: ranges("kubernetes.io/rule/nlb/mtu", "0.0.0.0/0")},
			} {
				if err := x.authorize(ctx, g, perm); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// authorize adds a rule to a security group unless it is there.
func (x *Controller) authorize(ctx context.Context, g ec2types.SecurityGroup, perm ec2types.IpPermission) error {
	now, err := x.opts.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{aws.ToString(g.GroupId)}})
	if err != nil {
		return err
	}
	for _, have := range now.SecurityGroups[0].IpPermissions {
		if reflect.DeepEqual(have, perm) {
			return nil
		}
	}
	_, err = x.opts.EC2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: []ec2types.IpPermission{perm}})
	return err
}
