package elb

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// CreateLoadBalancer makes a Network Load Balancer with a node in each of the subnets. It is provisioning for a while.
func (s *Service) CreateLoadBalancer(ctx context.Context, in *elbv2.CreateLoadBalancerInput, _ ...sdkOptions) (*elbv2.CreateLoadBalancerOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateLoadBalancer", in, func(in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
		if err := engine.Only(in, "Name", "Type", "Scheme", "Subnets", "SubnetMappings", "Tags"); err != nil {
			return nil, err
		}
		if in.Type != types.LoadBalancerTypeEnumNetwork {
			return nil, engine.NotModelled("load balancer type %q", in.Type)
		}
		if in.Scheme != types.LoadBalancerSchemeEnumInternal {
			return nil, engine.NotModelled("scheme %q", in.Scheme)
		}
		name := aws.ToString(in.Name)
		if name == "" || len(name) > 32 {
			return nil, invalid("The load balancer name '%s' must have 1 to 32 characters", name)
		}
		if slices.ContainsFunc(s.lbs, func(lb *LoadBalancer) bool { return lb.Name == name }) {
			return nil, &types.DuplicateLoadBalancerNameException{Message: aws.String("A load balancer with the same name '" + name + "' exists, but with different settings")}
		}
		ids := slices.Clone(in.Subnets)
		for _, m := range in.SubnetMappings {
			if m.PrivateIPv4Address != nil || m.AllocationId != nil {
				return nil, engine.NotModelled("SubnetMapping with an address")
			}
			ids = append(ids, aws.ToString(m.SubnetId))
		}
		id := s.id()
		lb := &LoadBalancer{Name: name, ARN: s.arn("loadbalancer/net/" + name + "/" + id), DNSName: name + "-" + id + ".elb." + s.region + ".amazonaws.com", Scheme: "internal", State: "provisioning",
			Created: s.engine.Now(), Attributes: maps.Clone(defaultLBAttributes), Tags: tagMap(in.Tags), Origin: s.origin(), AttributeOrigin: map[string]trace.ID{}}
		zones := map[string]bool{}
		for _, want := range ids {
			found := false
			for _, sn := range s.vpc.Subnets() {
				if string(sn.ID) != want {
					continue
				}
				found = true
				if zones[sn.Zone] {
					return nil, &types.InvalidConfigurationRequestException{Message: aws.String("A load balancer cannot be attached to multiple subnets in the same Availability Zone")}
				}
				zones[sn.Zone] = true
				n, err := s.newNode(lb, sn)
				if err != nil {
					return nil, err
				}
				lb.Nodes = append(lb.Nodes, n)
			}
			if !found {
				return nil, &types.SubnetNotFoundException{Message: aws.String("The subnet ID '" + want + "' does not exist")}
			}
		}
		if len(lb.Nodes) == 0 {
			return nil, invalid("At least one subnet must be specified")
		}
		s.lbs = append(s.lbs, lb)
		s.engine.After(s.opts.ProvisioningTime, "elb: provisioned", engine.Func(func() {
			if lb.State == "provisioning" {
				lb.State = "active"
				s.log.Say(trace.Health, "elb", lb.Name, "provisioning to active")
			}
		}))
		return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []types.LoadBalancer{lb.sdk(s)}}, nil
	})
}

func (lb *LoadBalancer) sdk(s *Service) types.LoadBalancer {
	out := types.LoadBalancer{LoadBalancerArn: aws.String(lb.ARN), LoadBalancerName: aws.String(lb.Name), DNSName: aws.String(lb.DNSName), Scheme: types.LoadBalancerSchemeEnum(lb.Scheme),
		Type: types.LoadBalancerTypeEnumNetwork, VpcId: aws.String(s.vpc.ID), State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnum(lb.State)}, CreatedTime: aws.Time(engine.Epoch.Add(lb.Created)), IpAddressType: types.IpAddressTypeIpv4}
	for _, n := range lb.Nodes {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{ZoneName: aws.String(n.Zone), SubnetId: aws.String(string(n.Subnet.ID))})
	}
	return out
}

// DescribeLoadBalancers lists load balancers, by name or ARN or all.
func (s *Service) DescribeLoadBalancers(ctx context.Context, in *elbv2.DescribeLoadBalancersInput, _ ...sdkOptions) (*elbv2.DescribeLoadBalancersOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeLoadBalancers", in, func(in *elbv2.DescribeLoadBalancersInput) (*elbv2.DescribeLoadBalancersOutput, error) {
		if err := engine.Only(in, "Names", "LoadBalancerArns"); err != nil {
			return nil, err
		}
		out := &elbv2.DescribeLoadBalancersOutput{}
		for _, lb := range s.lbs {
			if len(in.Names) == 0 && len(in.LoadBalancerArns) == 0 || slices.Contains(in.Names, lb.Name) || slices.Contains(in.LoadBalancerArns, lb.ARN) {
				out.LoadBalancers = append(out.LoadBalancers, lb.sdk(s))
			}
		}
		if len(out.LoadBalancers) < len(in.Names)+len(in.LoadBalancerArns) {
			return nil, &types.LoadBalancerNotFoundException{Message: aws.String("One or more load balancers not found")}
		}
		return out, nil
	})
}

// DescribeLoadBalancerAttributes lists a load balancer's attributes.
func (s *Service) DescribeLoadBalancerAttributes(ctx context.Context, in *elbv2.DescribeLoadBalancerAttributesInput, _ ...sdkOptions) (*elbv2.DescribeLoadBalancerAttributesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeLoadBalancerAttributes", in, func(in *elbv2.DescribeLoadBalancerAttributesInput) (*elbv2.DescribeLoadBalancerAttributesOutput, error) {
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		return &elbv2.DescribeLoadBalancerAttributesOutput{Attributes: lb.attributes()}, nil
	})
}

func (lb *LoadBalancer) attributes() (out []types.LoadBalancerAttribute) {
	for _, k := range sortedKeys(lb.Attributes) {
		out = append(out, types.LoadBalancerAttribute{Key: aws.String(k), Value: aws.String(lb.Attributes[k])})
	}
	return out
}

// ModifyLoadBalancerAttributes sets attributes: all that are given, or none and an error.
func (s *Service) ModifyLoadBalancerAttributes(ctx context.Context, in *elbv2.ModifyLoadBalancerAttributesInput, _ ...sdkOptions) (*elbv2.ModifyLoadBalancerAttributesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "ModifyLoadBalancerAttributes", in, func(in *elbv2.ModifyLoadBalancerAttributesInput) (*elbv2.ModifyLoadBalancerAttributesOutput, error) {
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		for _, a := range in.Attributes {
			if err := checkAttribute(aws.ToString(a.Key), aws.ToString(a.Value), defaultLBAttributes); err != nil {
				return nil, err
			}
		}
		for _, a := range in.Attributes {
			lb.Attributes[aws.ToString(a.Key)] = aws.ToString(a.Value)
			lb.AttributeOrigin[aws.ToString(a.Key)] = s.origin()
		}
		s.attributesChanged()
		return &elbv2.ModifyLoadBalancerAttributesOutput{Attributes: lb.attributes()}, nil
	})
}

// CreateListener makes a listener that forwards to one target group.
func (s *Service) CreateListener(ctx context.Context, in *elbv2.CreateListenerInput, _ ...sdkOptions) (*elbv2.CreateListenerOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateListener", in, func(in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
		if err := engine.Only(in, "LoadBalancerArn", "Port", "Protocol", "DefaultActions", "Tags"); err != nil {
			return nil, err
		}
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		if in.Protocol != types.ProtocolEnumTcp {
			return nil, engine.NotModelled("listener protocol %q", in.Protocol)
		}
		if len(in.DefaultActions) != 1 || in.DefaultActions[0].Type != types.ActionTypeEnumForward || in.DefaultActions[0].TargetGroupArn == nil {
			return nil, engine.NotModelled("default actions other than to forward to one target group")
		}
		tg, err := s.targetGroup(in.DefaultActions[0].TargetGroupArn)
		if err != nil {
			return nil, err
		}
		port := uint16(aws.ToInt32(in.Port))
		for _, l := range lb.Listeners {
			if l.Port == port {
				return nil, &types.DuplicateListenerException{Message: aws.String("A listener already exists on this port for this load balancer")}
			}
		}
		l := &Listener{ARN: s.arn("listener/net/" + lb.Name + "/" + s.id()), Port: port, Protocol: "TCP", TargetGroup: tg, Origin: s.origin()}
		lb.Listeners = append(lb.Listeners, l)
		s.listenersChanged(lb)
		return &elbv2.CreateListenerOutput{Listeners: []types.Listener{l.sdk(lb)}}, nil
	})
}

func (l *Listener) sdk(lb *LoadBalancer) types.Listener {
	return types.Listener{ListenerArn: aws.String(l.ARN), LoadBalancerArn: aws.String(lb.ARN), Port: aws.Int32(int32(l.Port)), Protocol: types.ProtocolEnum(l.Protocol),
		DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: aws.String(l.TargetGroup.ARN)}}}
}

// DescribeListeners lists a load balancer's listeners.
func (s *Service) DescribeListeners(ctx context.Context, in *elbv2.DescribeListenersInput, _ ...sdkOptions) (*elbv2.DescribeListenersOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeListeners", in, func(in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
		if err := engine.Only(in, "LoadBalancerArn"); err != nil {
			return nil, err
		}
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		out := &elbv2.DescribeListenersOutput{}
		for _, l := range lb.Listeners {
			out.Listeners = append(out.Listeners, l.sdk(lb))
		}
		return out, nil
	})
}

// AddTags adds tags to load balancers and target groups.
func (s *Service) AddTags(ctx context.Context, in *elbv2.AddTagsInput, _ ...sdkOptions) (*elbv2.AddTagsOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "AddTags", in, func(in *elbv2.AddTagsInput) (*elbv2.AddTagsOutput, error) {
		var all []map[string]string
		for _, arn := range in.ResourceArns {
			if lb, err := s.loadBalancer(&arn); err == nil {
				all = append(all, lb.Tags)
				continue
			}
			tg, err := s.targetGroup(&arn)
			if err != nil {
				return nil, err
			}
			all = append(all, tg.Tags)
		}
		for _, tags := range all {
			maps.Copy(tags, tagMap(in.Tags))
		}
		return &elbv2.AddTagsOutput{}, nil
	})
}
