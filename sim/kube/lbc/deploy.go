package lbc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// targetGroup makes a target group and sets its attributes where they differ. One that an earlier try has made is used.
func (x *Controller) targetGroup(ctx context.Context, in *elbv2.CreateTargetGroupInput, annotation, defaults string) (tg elbtypes.TargetGroup, err error) {
	keys, values, err := attributes(annotation)
	if err != nil {
		return tg, err
	}
	for _, d := range strings.Split(defaults, ",") {
		if k, v, _ := strings.Cut(d, "="); k != "" && values[k] == "" {
			keys, values[k] = append(keys, k), v
		}
	}
	if made := x.made[*in.Name]; made != nil {
		tg = *made
	} else {
		out, err := x.opts.ELBV2.CreateTargetGroup(ctx, in)
		if err != nil {
			return tg, err
		}
		tg = out.TargetGroups[0]
		x.made[*in.Name] = &tg
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

// subnets finds the subnets of a load balancer by their tags, the first of each zone by its id.
// Source: pkg/networking/subnet_resolver.go, ResolveViaDiscovery.
func (x *Controller) subnets(ctx context.Context, scheme string) (out []ec2types.Subnet, err error) {
	tag := "kubernetes.io/role/internal-elb"
	if scheme == "internet-facing" {
		tag = "kubernetes.io/role/elb"
	}
	found, err := x.opts.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{
		{Name: aws.String("tag:" + tag), Values: []string{"", "1"}}, {Name: aws.String("vpc-id"), Values: []string{x.opts.VPCID}}}})
	if err != nil {
		return nil, err
	}
	zones := map[string]bool{}
	slices.SortFunc(found.Subnets, func(a, b ec2types.Subnet) int {
		return strings.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId))
	})
	for _, s := range found.Subnets {
		if z := aws.ToString(s.AvailabilityZone); !zones[z] {
			zones[z] = true
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("unable to resolve at least one subnet (0 match VPC and tags: [%s])", tag)
	}
	return out, nil
}

// loadBalancer makes a load balancer in subnets, and sets its attributes where they differ.
func (x *Controller) loadBalancer(ctx context.Context, in *elbv2.CreateLoadBalancerInput, subnets []ec2types.Subnet, annotation string) (lb elbtypes.LoadBalancer, err error) {
	keys, values, err := attributes(annotation)
	if err != nil {
		return lb, err
	}
	if _, err := x.opts.ELBV2.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{*in.Name}}); err == nil {
		return lb, x.fail(engine.NotModelled("load balancer %s exists already", *in.Name))
	}
	for _, s := range subnets {
		in.SubnetMappings = append(in.SubnetMappings, elbtypes.SubnetMapping{SubnetId: s.SubnetId})
	}
	made, err := x.opts.ELBV2.CreateLoadBalancer(ctx, in)
	if err != nil {
		return lb, err
	}
	lb = made.LoadBalancers[0]
	out, err := x.opts.ELBV2.DescribeLoadBalancerAttributes(ctx, &elbv2.DescribeLoadBalancerAttributesInput{LoadBalancerArn: lb.LoadBalancerArn})
	if err != nil {
		return lb, err
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
		if _, err := x.opts.ELBV2.ModifyLoadBalancerAttributes(ctx, modify); err != nil {
			return lb, x.fail(fmt.Errorf("load balancer %s: %w", *in.Name, err)) // a second try would find it made
		}
	}
	return lb, nil
}

// createBinding makes the TargetGroupBinding of a target group.
func (x *Controller) createBinding(namespace string, tg elbtypes.TargetGroup, targetType string, ref ServiceReference, networking *TargetGroupBindingNetworking) error {
	_, err := x.client.Create(&TargetGroupBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: aws.ToString(tg.TargetGroupName)},
		Spec: TargetGroupBindingSpec{TargetGroupARN: aws.ToString(tg.TargetGroupArn), TargetType: &targetType, ServiceRef: ref, Networking: networking}})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
