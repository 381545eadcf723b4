package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
)

// Change is something that a person does to the world at a time.
type Change struct {
	At     time.Duration
	Action Action
}

// Action is what a person does: one of the types below.
type Action interface {
	act(ctx context.Context, w *World) error
}

// operatorCaller is a person with the AWS command line.
var operatorCaller = iam.Caller{ARN: "arn:aws:iam::111122223333:user/operator", Type: "IAMUser", UserAgent: "aws-cli/2", Name: "operator"}

// Do has a person change the world at a time, by the API's own calls.
func (w *World) Do(c Change) {
	w.Engine.At(c.At, "operator", engine.Func(func() {
		w.Engine.Go("operator", func(p *engine.Process) {
			if err := c.Action.act(engine.WithProcess(iam.WithCaller(context.Background(), operatorCaller), p), w); err != nil {
				w.Engine.Fail(err)
			}
		})
	}))
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// SetEnv is `kubectl set env`: the environment of every container of a workload.
type SetEnv struct {
	// Kind is DaemonSet or Deployment; Name is namespace/name.
	Kind, Name string
	// Env are the variables to set; Remove are those to remove (`NAME-` on the command line).
	Env    map[string]string
	Remove []string
}

func (s SetEnv) act(_ context.Context, w *World) error {
	switch s.Kind {
	case "DaemonSet":
		d, err := kube.Get[*appsv1.DaemonSet](w.operator, key(s.Name))
		if err != nil {
			return err
		}
		d = d.DeepCopy()
		s.set(&d.Spec.Template.Spec)
		_, err = w.operator.Update(d)
		return err
	case "Deployment":
		d, err := kube.Get[*appsv1.Deployment](w.operator, key(s.Name))
		if err != nil {
			return err
		}
		d = d.DeepCopy()
		s.set(&d.Spec.Template.Spec)
		_, err = w.operator.Update(d)
		return err
	}
	return fmt.Errorf("set env %s/%s: the kind has no containers", s.Kind, s.Name)
}

func (s SetEnv) set(pod *corev1.PodSpec) {
	for i := range pod.Containers {
		c := &pod.Containers[i]
		for _, k := range sortedKeys(s.Env) {
			at := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == k })
			if at < 0 {
				c.Env = append(c.Env, corev1.EnvVar{Name: k, Value: s.Env[k]})
			} else {
				c.Env[at] = corev1.EnvVar{Name: k, Value: s.Env[k]}
			}
		}
		c.Env = slices.DeleteFunc(c.Env, func(v corev1.EnvVar) bool { return slices.Contains(s.Remove, v.Name) })
	}
}

// Scale is `kubectl scale deployment`.
type Scale struct {
	// Deployment is namespace/name.
	Deployment string
	Replicas   int
}

func (s Scale) act(_ context.Context, w *World) error {
	d, err := kube.Get[*appsv1.Deployment](w.operator, key(s.Deployment))
	if err != nil {
		return err
	}
	d = d.DeepCopy()
	n := int32(s.Replicas)
	d.Spec.Replicas = &n
	_, err = w.operator.Update(d)
	return err
}

// ModifyLoadBalancer sets attributes of the load balancer, or of the target groups, that were made for a Service or an Ingress.
type ModifyLoadBalancer struct {
	// Service or Ingress, as namespace/name, whose load balancer is meant.
	Service, Ingress string
	// Attributes to set, by AWS's names: of the target groups, or of the load balancer itself.
	TargetGroupAttributes  map[string]string
	LoadBalancerAttributes map[string]string
}

func (c ModifyLoadBalancer) act(ctx context.Context, w *World) error {
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
func (w *World) hostname(c ModifyLoadBalancer) (string, error) {
	if c.Ingress != "" {
		ing, err := kube.Get[*networkingv1.Ingress](w.operator, key(c.Ingress))
		if err != nil {
			return "", err
		}
		if len(ing.Status.LoadBalancer.Ingress) == 0 {
			return "", fmt.Errorf("ingress %s has no load balancer yet", c.Ingress)
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
