package lbc

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

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
	CreateRule(context.Context, *elbv2.CreateRuleInput, ...func(*elbv2.Options)) (*elbv2.CreateRuleOutput, error)
	DescribeRules(context.Context, *elbv2.DescribeRulesInput, ...func(*elbv2.Options)) (*elbv2.DescribeRulesOutput, error)
	DescribeTargetHealth(context.Context, *elbv2.DescribeTargetHealthInput, ...func(*elbv2.Options)) (*elbv2.DescribeTargetHealthOutput, error)
	RegisterTargets(context.Context, *elbv2.RegisterTargetsInput, ...func(*elbv2.Options)) (*elbv2.RegisterTargetsOutput, error)
	DeregisterTargets(context.Context, *elbv2.DeregisterTargetsInput, ...func(*elbv2.Options)) (*elbv2.DeregisterTargetsOutput, error)
}

// EC2 is what the controller calls of EC2.
type EC2 interface {
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	DescribeSecurityGroups(context.Context, *ec2.DescribeSecurityGroupsInput, ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error)
	CreateSecurityGroup(context.Context, *ec2.CreateSecurityGroupInput, ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error)
	AuthorizeSecurityGroupIngress(context.Context, *ec2.AuthorizeSecurityGroupIngressInput, ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error)
}

var (
	_ ELBV2 = (*elbv2.Client)(nil)
	_ EC2   = (*ec2.Client)(nil)
)

// Options are what the controller is made with.
type Options struct {
	ClusterName, VPCID string
	VPCCIDR            netip.Prefix
	ELBV2              ELBV2
	EC2                EC2
	// Version is the controller's, such as v2.6.0. Empty means v2.4.3.
	Version string
}

// Caches are what the controller sees of the cluster.
type Caches struct {
	Services *kube.Informer[*corev1.Service]
	Slices   *kube.Informer[*discoveryv1.EndpointSlice]
	Nodes    *kube.Informer[*corev1.Node]
	Pods     *kube.Informer[*corev1.Pod]
}

// ways are what differs between versions.
type ways struct {
	// requeuesAfter: a binding with pods that are not healthy waits for requeueDuration; before v2.10 it does so only while a target is
	// initial, and backs off exponentially otherwise.
	requeuesAfter bool
	// checkpoints: a reconcile whose endpoints are as they were is left out; since v2.10.
	checkpoints bool
	// retriesUnknownPods: a pod that the cache does not have yet is waited for; failOpen: pods on nodes of unknown state are used when there are
	// no others. Both since v2.5.
	retriesUnknownPods, failOpen bool
}

func waysOf(version string) (ways, error) {
	if version == "" {
		version = "v2.4.3"
	}
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	var n [2]int
	for i := range n {
		var err error
		if i >= len(parts) {
			return ways{}, fmt.Errorf("version %q of AWS Load Balancer Controller: want one such as v2.6.0", version)
		}
		if n[i], err = strconv.Atoi(parts[i]); err != nil {
			return ways{}, fmt.Errorf("version %q of AWS Load Balancer Controller: want one such as v2.6.0", version)
		}
	}
	if n[0] != 2 || n[1] < 4 {
		return ways{}, engine.NotModelled("AWS Load Balancer Controller %s: v2.4 to v2.17 are", version)
	}
	return ways{requeuesAfter: n[1] >= 10, checkpoints: n[1] >= 10, retriesUnknownPods: n[1] >= 5, failOpen: n[1] >= 5}, nil
}

// Controller makes load balancers and registers their targets. Use New.
type Controller struct {
	opts     Options
	ways     ways
	client   *kube.Client
	services *kube.Informer[*corev1.Service]
	slices   *kube.Informer[*discoveryv1.EndpointSlice]
	nodes    *kube.Informer[*corev1.Node]
	pods     *kube.Informer[*corev1.Pod]
	classes  *kube.Informer[*networkingv1.IngressClass]
	ings     *kube.Informer[*networkingv1.Ingress]
	tgbs     *kube.Informer[*TargetGroupBinding]

	queue     *kube.Queue // Services
	ingresses *kube.Queue
	bindings  *kube.Queue
	ctx       context.Context
	recorder  *kube.Recorder

	done     map[kube.Key]bool // Services that have their load balancer
	deployed map[kube.Key]*deployed
	backend  string // the id of the shared security group of Application Load Balancers
	// by target group ARN, by binding, by security group, by pod or node
	targets     map[string]*cached
	made        map[string]*elbtypes.TargetGroup // by name
	checkpoints map[kube.Key]string
	openings    map[kube.Key]map[string][]opening
	rules       map[string]map[opening]bool
	groups      map[string]string
}

// maxConcurrent is how many objects of a kind are worked on at a time. Source: pkg/config, defaultMaxConcurrentReconciles.
const maxConcurrent = 3

// bindingBackoff is how long a binding that failed waits. Source: controllers/elbv2/targetgroupbinding_controller.go; pkg/config,
// defaultTargetGroupBindingMaxExponentialBackoffDelay.
var bindingBackoff = kube.Backoff{Base: kube.ControllerBackoff.Base, Max: kube.ControllerBackoff.Max}

// New starts the controller.
func New(c *kube.Cluster, caches Caches, opts Options) (*Controller, error) {
	w, err := waysOf(opts.Version)
	if err != nil {
		return nil, err
	}
	x := &Controller{opts: opts, ways: w, services: caches.Services, slices: caches.Slices, nodes: caches.Nodes, pods: caches.Pods, client: c.As(kube.Caller{User: "system:serviceaccount:kube-system:aws-load-balancer-controller"}),
		done: map[kube.Key]bool{}, deployed: map[kube.Key]*deployed{}, targets: map[string]*cached{}, made: map[string]*elbtypes.TargetGroup{}, checkpoints: map[kube.Key]string{}, openings: map[kube.Key]map[string][]opening{}, rules: map[string]map[opening]bool{}, groups: map[string]string{}}
	x.classes, x.ings, x.tgbs = kube.NewInformer[*networkingv1.IngressClass](c), kube.NewInformer[*networkingv1.Ingress](c), kube.NewInformer[*TargetGroupBinding](c)
	x.ctx = iam.WithCaller(context.Background(), iam.Caller{ARN: "arn:aws:sts::111122223333:assumed-role/AmazonEKSLoadBalancerControllerRole/" + opts.ClusterName, Type: "AssumedRole", UserAgent: "elbv2.k8s.aws", Name: "aws-load-balancer-controller"})
	x.recorder = c.Recorder("aws-load-balancer-controller", "")
	e := c.Engine()
	x.queue = kube.NewQueue(e, "aws-load-balancer-controller: service", kube.ControllerBackoff, x.reconcileService).Workers(maxConcurrent)
	x.ingresses = kube.NewQueue(e, "aws-load-balancer-controller: ingress", kube.ControllerBackoff, x.reconcileIngress).Workers(maxConcurrent)
	x.bindings = kube.NewQueue(e, "aws-load-balancer-controller: targetGroupBinding", bindingBackoff, x.bind).Workers(maxConcurrent)
	x.watch()
	return x, nil
}

// watch has changes of objects put keys into the queues. Source: controllers/*/eventhandlers.
func (x *Controller) watch() {
	x.tgbs.Index("namespace", func(b *TargetGroupBinding) []string { return []string{b.Namespace} })
	x.tgbs.Index("service", func(b *TargetGroupBinding) []string { return []string{b.Namespace + "/" + b.Spec.ServiceRef.Name} })
	x.slices.Index("service", func(s *discoveryv1.EndpointSlice) []string {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}
	})
	bind := func(namespace, service string) {
		for _, b := range x.tgbs.By("service", namespace+"/"+service) {
			x.bindings.Add(kube.KeyOf(b))
		}
	}
	x.services.Handle(func(_, now *corev1.Service) {
		if now == nil {
			return
		}
		if ours(now) {
			x.queue.Add(kube.KeyOf(now))
		}
		for _, i := range x.ings.List() {
			if i.Namespace == now.Namespace {
				x.ingresses.Add(kube.KeyOf(i))
			}
		}
		bind(now.Namespace, now.Name)
	})
	x.ings.Handle(func(_, now *networkingv1.Ingress) {
		if now != nil {
			x.ingresses.Add(kube.KeyOf(now))
		}
	})
	x.tgbs.Handle(func(_, now *TargetGroupBinding) {
		if now != nil {
			x.bindings.Add(kube.KeyOf(now))
		}
	})
	x.slices.Handle(func(old, now *discoveryv1.EndpointSlice) {
		s := now
		if s == nil {
			s = old
		}
		for _, b := range x.tgbs.By("service", s.Namespace+"/"+s.Labels[discoveryv1.LabelServiceName]) {
			if *b.Spec.TargetType == targetTypeIP {
				x.bindings.Add(kube.KeyOf(b))
			}
		}
	})
	x.nodes.Handle(func(old, now *corev1.Node) {
		if old != nil && now != nil && readyStatus(old) == readyStatus(now) && old.Labels[corev1.LabelNodeExcludeBalancers] == now.Labels[corev1.LabelNodeExcludeBalancers] {
			return
		}
		for _, b := range x.tgbs.List() {
			if *b.Spec.TargetType == targetTypeInstance {
				x.bindings.Add(kube.KeyOf(b))
			}
		}
	})
}

// fail ends the run: what is asked for is not modelled.
func (x *Controller) fail(err error) error {
	x.client.Cluster().Engine().Fail(err)
	return err
}

// say writes an Event about an object. Source: pkg/k8s/events.go.
func (x *Controller) say(o kube.Object, reason, format string, args ...any) {
	if reason == reconciled {
		x.recorder.Normal(o, reason, format, args...)
		return
	}
	x.recorder.Warning(o, reason, format, args...)
}

const reconciled = "SuccessfullyReconciled"

// servicePort finds a port of a Service by its number or its name. Source: pkg/k8s/service_utils.go, LookupServicePort.
func servicePort(svc *corev1.Service, port intstr.IntOrString) (*corev1.ServicePort, error) {
	for i := range svc.Spec.Ports {
		p := &svc.Spec.Ports[i]
		if port.Type == intstr.String && p.Name == port.StrVal || port.Type == intstr.Int && p.Port == port.IntVal {
			return p, nil
		}
	}
	return nil, fmt.Errorf("unable to find port %s on service %v", port.String(), kube.KeyOf(svc))
}
