package elb

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
)

// Errors by the codes that callers look for, and what is refused since nothing models it.
func TestErrorsOfTheAPI(t *testing.T) {
	r := newRig(t, Options{})
	s := r.elb
	ctx := iam.WithCaller(context.Background(), iam.Caller{Name: "test"})
	tg, err := s.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(80), Protocol: types.ProtocolEnumTcp, TargetType: types.TargetTypeEnumInstance})
	if err != nil {
		t.Fatal(err)
	}
	arn := tg.TargetGroups[0].TargetGroupArn
	lb, err := s.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: []string{string(r.vpc.Subnets()[0].ID)}})
	if err != nil {
		t.Fatal(err)
	}
	listener := &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumTcp, DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: arn}}}
	if _, err := s.CreateListener(ctx, listener); err != nil {
		t.Fatal(err)
	}
	attribute := func(k, v string) error {
		_, err := s.ModifyTargetGroupAttributes(ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: arn, Attributes: []types.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("7")}, {Key: aws.String(k), Value: aws.String(v)}}})
		return err
	}
	for _, c := range []struct {
		code string // empty: not modelled
		do   func() error
	}{
		{"LoadBalancerNotFound", func() error {
			_, err := s.DescribeLoadBalancers(ctx, &elbv2.DescribeLoadBalancersInput{Names: []string{"nobody"}})
			return err
		}},
		{"TargetGroupNotFound", func() error {
			_, err := s.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: aws.String("x")})
			return err
		}},
		{"InvalidTarget", func() error {
			_, err := s.RegisterTargets(ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: arn, Targets: []types.TargetDescription{{Id: aws.String("a1")}, {Id: aws.String("i-gone")}}})
			return err
		}},
		{"DuplicateListener", func() error { _, err := s.CreateListener(ctx, listener); return err }},
		{"DuplicateLoadBalancerName", func() error {
			_, err := s.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal})
			return err
		}},
		{"ValidationError", func() error { return attribute("preserve_client_ip.enabled", "maybe") }},
		{"", func() error { return attribute("proxy_protocol_v2.enabled", "true") }},
		{"", func() error {
			_, err := s.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("alb"), Type: types.LoadBalancerTypeEnumGateway})
			return err
		}},
		{"", func() error {
			_, err := s.CreateLoadBalancer(ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("sg"), Type: types.LoadBalancerTypeEnumNetwork, Scheme: types.LoadBalancerSchemeEnumInternal, SecurityGroups: []string{"sg-1"}})
			return err
		}},
	} {
		err := c.do()
		var api smithy.APIError
		switch {
		case c.code == "" && !errors.Is(err, engine.ErrNotModelled):
			t.Errorf("want not modelled, got %v", err)
		case c.code != "" && (!errors.As(err, &api) || api.ErrorCode() != c.code):
			t.Errorf("want %s, got %v", c.code, err)
		}
	}
	// A call that fails changes nothing.
	got := s.groups[len(s.groups)-1]
	if len(got.Targets) != 0 || got.Attributes["deregistration_delay.timeout_seconds"] != "300" {
		t.Errorf("half done: %d targets, %v", len(got.Targets), got.Attributes)
	}
}

// Defaults by target type, as AWS documents them.
func TestDefaultsOfATargetGroup(t *testing.T) {
	r := newRig(t, Options{})
	ctx := iam.WithCaller(context.Background(), iam.Caller{Name: "test"})
	for _, c := range []struct {
		typ       types.TargetTypeEnum
		preserved string
	}{{types.TargetTypeEnumInstance, "true"}, {types.TargetTypeEnumIp, "false"}} {
		out, err := r.elb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{Name: aws.String("tg-" + string(c.typ)), Port: aws.Int32(80), Protocol: types.ProtocolEnumTcp, TargetType: c.typ})
		if err != nil {
			t.Fatal(err)
		}
		tg := out.TargetGroups[0]
		attrs, err := r.elb.DescribeTargetGroupAttributes(ctx, &elbv2.DescribeTargetGroupAttributesInput{TargetGroupArn: tg.TargetGroupArn})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range attrs.Attributes {
			if aws.ToString(a.Key) == AttrPreserveClientIP && aws.ToString(a.Value) != c.preserved {
				t.Errorf("%s: %s", c.typ, aws.ToString(a.Value))
			}
		}
		if *tg.HealthCheckIntervalSeconds != 30 || *tg.HealthCheckTimeoutSeconds != 10 || *tg.HealthyThresholdCount != 5 || *tg.UnhealthyThresholdCount != 2 || *tg.HealthCheckPort != "traffic-port" {
			t.Errorf("%s: %+v", c.typ, tg)
		}
	}
}
