package elb

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// CreateTargetGroup makes a target group. What is not given has ELB's defaults.
func (s *Service) CreateTargetGroup(ctx context.Context, in *elbv2.CreateTargetGroupInput, _ ...sdkOptions) (*elbv2.CreateTargetGroupOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateTargetGroup", in, func(in *elbv2.CreateTargetGroupInput) (*elbv2.CreateTargetGroupOutput, error) {
		if err := engine.Only(in, "Name", "Port", "Protocol", "VpcId", "TargetType", "HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath", "HealthCheckIntervalSeconds", "HealthCheckTimeoutSeconds",
			"HealthyThresholdCount", "UnhealthyThresholdCount", "HealthCheckEnabled", "Tags", "Matcher", "ProtocolVersion", "IpAddressType"); err != nil {
			return nil, err
		}
		if in.Protocol != types.ProtocolEnumTcp && in.Protocol != types.ProtocolEnumHttp {
			return nil, engine.NotModelled("target group protocol %q", in.Protocol)
		}
		if v := aws.ToString(in.ProtocolVersion); v != "" && v != "HTTP1" {
			return nil, engine.NotModelled("ProtocolVersion %s", v)
		}
		if in.IpAddressType != "" && in.IpAddressType != types.TargetGroupIpAddressTypeEnumIpv4 {
			return nil, engine.NotModelled("IpAddressType %s", in.IpAddressType)
		}
		name := aws.ToString(in.Name)
		if name == "" || len(name) > 32 {
			return nil, invalid("Target group name '%s' must have 1 to 32 characters", name)
		}
		if slices.ContainsFunc(s.groups, func(tg *TargetGroup) bool { return tg.Name == name }) {
			return nil, &types.DuplicateTargetGroupNameException{Message: aws.String("A target group with the same name '" + name + "' exists, but with different settings")}
		}
		typ := string(in.TargetType)
		switch typ {
		case "":
			typ = "instance"
		case "instance", "ip":
		default:
			return nil, engine.NotModelled("target type %q", typ)
		}
		hc, err := healthCheck(in)
		if err != nil {
			return nil, err
		}
		tg := &TargetGroup{Name: name, ARN: s.arn("targetgroup/" + name + "/" + s.id()), Protocol: string(in.Protocol), Port: uint16(aws.ToInt32(in.Port)), TargetType: typ, VPCID: aws.ToString(in.VpcId), HealthCheck: hc,
			Tags: tagMap(in.Tags), Origin: s.origin(), AttributeOrigin: map[string]trace.ID{}}
		tg.Attributes = maps.Clone(tg.defaults())
		if tg.Protocol == "TCP" {
			// Source: Network Load Balancers user guide, "Client IP preservation": on for instance targets, off for ip targets of TCP and TLS.
			tg.Attributes[AttrPreserveClientIP] = strconv.FormatBool(typ == "instance")
		}
		s.groups = append(s.groups, tg)
		return &elbv2.CreateTargetGroupOutput{TargetGroups: []types.TargetGroup{tg.sdk(s)}}, nil
	})
}

// healthCheck reads a target group's health check. ELB's defaults for TCP are 30 s, 5 and 2 in a row, 10 s for TCP and 6 s for HTTP to answer; for
// HTTP they are 30 s, 5 s, 5 and 2, and code 200.
// Source: aws-sdk-go-v2 service/elasticloadbalancingv2 CreateTargetGroupInput, Matcher (doc comments).
func healthCheck(in *elbv2.CreateTargetGroupInput) (HealthCheck, error) {
	hc := HealthCheck{Protocol: "TCP", Port: "traffic-port", Interval: 30 * time.Second, Timeout: 10 * time.Second, HealthyThreshold: 5, UnhealthyThreshold: 2, Matcher: matcher{{200, 399}}}
	http := in.Protocol == types.ProtocolEnumHttp
	switch {
	case in.HealthCheckProtocol == types.ProtocolEnumHttp, in.HealthCheckProtocol == "" && http:
		hc.Protocol, hc.Timeout, hc.Path = "HTTP", 6*time.Second, "/"
		if http {
			hc.Timeout, hc.Matcher = 5*time.Second, matcher{{200, 200}}
		}
	case in.HealthCheckProtocol == types.ProtocolEnumTcp && http:
		return hc, invalid("Health check protocol 'TCP' is not supported for target groups with protocol 'HTTP'")
	case in.HealthCheckProtocol == "", in.HealthCheckProtocol == types.ProtocolEnumTcp:
	default:
		return hc, engine.NotModelled("health check protocol %q", in.HealthCheckProtocol)
	}
	if in.HealthCheckEnabled != nil && !*in.HealthCheckEnabled {
		return hc, engine.NotModelled("health checks that are disabled")
	}
	if in.Matcher != nil && in.Matcher.HttpCode != nil {
		if hc.Protocol == "TCP" {
			return hc, invalid("A matcher is not supported for health check protocol TCP")
		}
		m, err := parseMatcher(*in.Matcher.HttpCode)
		if err != nil {
			return hc, err
		}
		hc.Matcher = m
	}
	if p := aws.ToString(in.HealthCheckPort); p != "" {
		hc.Port = p
	}
	if p := aws.ToString(in.HealthCheckPath); p != "" {
		if hc.Protocol == "TCP" {
			return hc, invalid("Health check path is not supported for health check protocol TCP")
		}
		hc.Path = p
	}
	seconds := func(to *time.Duration, n *int32, low, high int32) error {
		if n == nil {
			return nil
		}
		if *n < low || *n > high {
			return invalid("health check interval or timeout %d: from %d to %d seconds", *n, low, high)
		}
		*to = time.Duration(*n) * time.Second
		return nil
	}
	if err := seconds(&hc.Interval, in.HealthCheckIntervalSeconds, 5, 300); err != nil {
		return hc, err
	}
	if err := seconds(&hc.Timeout, in.HealthCheckTimeoutSeconds, 2, 120); err != nil {
		return hc, err
	}
	for _, n := range []*int32{in.HealthyThresholdCount, in.UnhealthyThresholdCount} {
		if n != nil && (*n < 2 || *n > 10) {
			return hc, invalid("health check threshold %d: from 2 to 10", *n)
		}
	}
	if in.HealthyThresholdCount != nil {
		hc.HealthyThreshold = int(*in.HealthyThresholdCount)
	}
	if in.UnhealthyThresholdCount != nil {
		hc.UnhealthyThreshold = int(*in.UnhealthyThresholdCount)
	}
	if http && hc.Timeout >= hc.Interval {
		return hc, invalid("Health check interval must be greater than the timeout.")
	}
	return hc, nil
}

func (tg *TargetGroup) sdk(s *Service) types.TargetGroup {
	hc := tg.HealthCheck
	out := types.TargetGroup{TargetGroupArn: aws.String(tg.ARN), TargetGroupName: aws.String(tg.Name), Protocol: types.ProtocolEnum(tg.Protocol), Port: aws.Int32(int32(tg.Port)), VpcId: aws.String(tg.VPCID),
		TargetType: types.TargetTypeEnum(tg.TargetType), HealthCheckProtocol: types.ProtocolEnum(hc.Protocol), HealthCheckPort: aws.String(hc.Port), HealthCheckEnabled: aws.Bool(true),
		HealthCheckIntervalSeconds: aws.Int32(int32(hc.Interval / time.Second)), HealthCheckTimeoutSeconds: aws.Int32(int32(hc.Timeout / time.Second)),
		HealthyThresholdCount: aws.Int32(int32(hc.HealthyThreshold)), UnhealthyThresholdCount: aws.Int32(int32(hc.UnhealthyThreshold))}
	if hc.Path != "" {
		out.HealthCheckPath, out.Matcher = aws.String(hc.Path), &types.Matcher{HttpCode: aws.String(hc.Matcher.String())}
	}
	if tg.Protocol == "HTTP" {
		out.ProtocolVersion = aws.String("HTTP1")
	}
	for _, lb := range s.lbs {
		if slices.Contains(lb.groups(), tg) {
			out.LoadBalancerArns = append(out.LoadBalancerArns, lb.ARN)
		}
	}
	return out
}

// DescribeTargetGroups lists target groups: by ARN, name or load balancer, or all.
func (s *Service) DescribeTargetGroups(ctx context.Context, in *elbv2.DescribeTargetGroupsInput, _ ...sdkOptions) (*elbv2.DescribeTargetGroupsOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeTargetGroups", in, func(in *elbv2.DescribeTargetGroupsInput) (*elbv2.DescribeTargetGroupsOutput, error) {
		if err := engine.Only(in, "Names", "TargetGroupArns", "LoadBalancerArn"); err != nil {
			return nil, err
		}
		if in.LoadBalancerArn != nil {
			if _, err := s.loadBalancer(in.LoadBalancerArn); err != nil {
				return nil, err
			}
		}
		out := &elbv2.DescribeTargetGroupsOutput{}
		for _, tg := range s.groups {
			x := tg.sdk(s)
			switch {
			case len(in.Names) > 0 && !slices.Contains(in.Names, tg.Name), len(in.TargetGroupArns) > 0 && !slices.Contains(in.TargetGroupArns, tg.ARN),
				in.LoadBalancerArn != nil && !slices.Contains(x.LoadBalancerArns, *in.LoadBalancerArn):
				continue
			}
			out.TargetGroups = append(out.TargetGroups, x)
		}
		if len(out.TargetGroups) < len(in.Names)+len(in.TargetGroupArns) {
			return nil, &types.TargetGroupNotFoundException{Message: aws.String("One or more target groups not found")}
		}
		return out, nil
	})
}

// DescribeTargetGroupAttributes lists a target group's attributes.
func (s *Service) DescribeTargetGroupAttributes(ctx context.Context, in *elbv2.DescribeTargetGroupAttributesInput, _ ...sdkOptions) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeTargetGroupAttributes", in, func(in *elbv2.DescribeTargetGroupAttributesInput) (*elbv2.DescribeTargetGroupAttributesOutput, error) {
		tg, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		return &elbv2.DescribeTargetGroupAttributesOutput{Attributes: tg.attributes()}, nil
	})
}

func (tg *TargetGroup) attributes() (out []types.TargetGroupAttribute) {
	for _, k := range sortedKeys(tg.Attributes) {
		out = append(out, types.TargetGroupAttribute{Key: aws.String(k), Value: aws.String(tg.Attributes[k])})
	}
	return out
}

// ModifyTargetGroupAttributes sets attributes: all that are given, or none and an error. It takes effect for new connections.
func (s *Service) ModifyTargetGroupAttributes(ctx context.Context, in *elbv2.ModifyTargetGroupAttributesInput, _ ...sdkOptions) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "ModifyTargetGroupAttributes", in, func(in *elbv2.ModifyTargetGroupAttributesInput) (*elbv2.ModifyTargetGroupAttributesOutput, error) {
		tg, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		for _, a := range in.Attributes {
			if err := checkAttribute(aws.ToString(a.Key), aws.ToString(a.Value), tg.defaults()); err != nil {
				return nil, err
			}
		}
		for _, a := range in.Attributes {
			tg.Attributes[aws.ToString(a.Key)] = aws.ToString(a.Value)
			tg.AttributeOrigin[aws.ToString(a.Key)] = s.origin()
		}
		s.attributesChanged()
		return &elbv2.ModifyTargetGroupAttributesOutput{Attributes: tg.attributes()}, nil
	})
}

// RegisterTargets registers targets: all that are given, or none and an error. One that is registered already stays; one that is draining comes back.
func (s *Service) RegisterTargets(ctx context.Context, in *elbv2.RegisterTargetsInput, _ ...sdkOptions) (*elbv2.RegisterTargetsOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "RegisterTargets", in, func(in *elbv2.RegisterTargetsInput) (*elbv2.RegisterTargetsOutput, error) {
		tg, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		var add []*Target
		for _, d := range in.Targets {
			t, err := s.target(tg, d)
			if err != nil {
				return nil, err
			}
			add = append(add, t)
		}
		for _, t := range add {
			i := slices.IndexFunc(tg.Targets, func(o *Target) bool { return o.ID == t.ID && o.Port == t.Port })
			switch {
			case i < 0:
				tg.Targets = append(tg.Targets, t)
			case tg.Targets[i].Draining:
				tg.Targets[i] = t
			default:
				continue
			}
			s.targets++
			t.number = s.targets
		}
		s.targetsChanged(tg, s.trail.Rest(ctx, "RegisterTargets"))
		return &elbv2.RegisterTargetsOutput{}, nil
	})
}

// target reads a description of a target, and finds where its packets go.
func (s *Service) target(tg *TargetGroup, d types.TargetDescription) (*Target, error) {
	t := &Target{ID: aws.ToString(d.Id), Port: tg.Port, Origin: s.origin()}
	if d.Port != nil {
		t.Port = uint16(*d.Port)
	}
	if tg.TargetType == "instance" {
		t.Interface = s.resolve(t.ID)
		if t.Interface == nil {
			return nil, &types.InvalidTargetException{Message: aws.String(fmt.Sprintf("The following targets are not in a running state and cannot be registered: '%s'", t.ID))}
		}
		t.Addr = t.Interface.Primary()
	} else {
		a, err := netip.ParseAddr(t.ID)
		if err != nil {
			return nil, invalid("The IP address '%s' is not a valid IPv4 address", t.ID)
		}
		t.Addr, t.Interface = a, s.vpc.ByAddr(a)
		i := slices.IndexFunc(s.vpc.Subnets(), func(sn *vpc.Subnet) bool { return sn.CIDR.Contains(a) })
		switch {
		case i >= 0:
			t.Zone = s.vpc.Subnets()[i].Zone
			return t, nil
		case s.vpc.CIDR.Contains(a): // an address of the VPC that is in no subnet, so that no packet arrives
			return nil, &types.InvalidTargetException{Message: aws.String(fmt.Sprintf("The IP address '%s' is not within any subnet of the VPC", t.ID))}
		}
		return nil, engine.NotModelled("ip target %v, outside of the VPC", a)
	}
	t.Zone = t.Interface.Subnet.Zone
	return t, nil
}

// DeregisterTargets makes targets drain; after the deregistration delay they are gone. One that is not registered is no error.
// Source: Application Load Balancers user guide, "Edit target group attributes: deregistration delay": a target without requests under way is done
// at once, but shown as draining until the delay is over.
func (s *Service) DeregisterTargets(ctx context.Context, in *elbv2.DeregisterTargetsInput, _ ...sdkOptions) (*elbv2.DeregisterTargetsOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DeregisterTargets", in, func(in *elbv2.DeregisterTargetsInput) (*elbv2.DeregisterTargetsOutput, error) {
		tg, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		delay := tg.deregistrationDelay()
		for _, d := range in.Targets {
			for _, t := range tg.Targets {
				if t.ID != aws.ToString(d.Id) || d.Port != nil && t.Port != uint16(*d.Port) || t.Draining {
					continue
				}
				t.Draining, t.Deregistered, t.DeregisteredAt = true, s.origin(), s.engine.Now()
				s.engine.After(delay, "elb: deregistration delay", engine.Func(func() {
					tg.Targets = slices.DeleteFunc(tg.Targets, func(o *Target) bool { return o == t })
				}))
			}
		}
		s.targetsChanged(tg, s.trail.Rest(ctx, "DeregisterTargets"))
		return &elbv2.DeregisterTargetsOutput{}, nil
	})
}

// deregistrationDelay is deregistration_delay.timeout_seconds, which is a number: checkAttribute has seen to it.
func (tg *TargetGroup) deregistrationDelay() time.Duration {
	n, err := strconv.Atoi(tg.Attributes[AttrDeregistrationDelay])
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// DescribeTargetHealth lists targets of a group and their health: all, or those that are asked for.
func (s *Service) DescribeTargetHealth(ctx context.Context, in *elbv2.DescribeTargetHealthInput, _ ...sdkOptions) (*elbv2.DescribeTargetHealthOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeTargetHealth", in, func(in *elbv2.DescribeTargetHealthInput) (*elbv2.DescribeTargetHealthOutput, error) {
		if err := engine.Only(in, "TargetGroupArn", "Targets"); err != nil {
			return nil, err
		}
		tg, err := s.targetGroup(in.TargetGroupArn)
		if err != nil {
			return nil, err
		}
		out := &elbv2.DescribeTargetHealthOutput{}
		describe := func(t *Target, id string, port uint16, state, reason, description string) {
			h := types.TargetHealthDescription{Target: &types.TargetDescription{Id: aws.String(id), Port: aws.Int32(int32(port))}, TargetHealth: &types.TargetHealth{State: types.TargetHealthStateEnum(state)}}
			if t != nil && tg.TargetType == "ip" {
				h.Target.AvailabilityZone = aws.String(t.Zone)
			}
			if reason != "" {
				h.TargetHealth.Reason, h.TargetHealth.Description = types.TargetHealthReasonEnum(reason), aws.String(description)
			}
			out.TargetHealthDescriptions = append(out.TargetHealthDescriptions, h)
		}
		if len(in.Targets) == 0 {
			for _, t := range tg.Targets {
				state, reason, description := s.Health(tg, t)
				describe(t, t.ID, t.Port, state, reason, description)
			}
			return out, nil
		}
		for _, d := range in.Targets {
			id, port := aws.ToString(d.Id), tg.Port
			if d.Port != nil {
				port = uint16(*d.Port)
			}
			state, reason, description := "unused", "Target.NotRegistered", "Target is not registered to the target group"
			var found *Target
			for _, t := range tg.Targets {
				if t.ID == id && t.Port == port {
					found = t
					state, reason, description = s.Health(tg, t)
				}
			}
			describe(found, id, port, state, reason, description)
		}
		return out, nil
	})
}
