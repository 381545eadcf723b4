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
	"github.com/ekslab/ekslab/sim/vpc"
)

// CreateLoadBalancer makes a Network or an Application Load Balancer with nodes in its subnets. It is provisioning for a while.
func (s *Service) CreateLoadBalancer(ctx context.Context, in *elbv2.CreateLoadBalancerInput, _ ...sdkOptions) (*elbv2.CreateLoadBalancerOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateLoadBalancer", in, func(in *elbv2.CreateLoadBalancerInput) (*elbv2.CreateLoadBalancerOutput, error) {
		lb, subnets, groups, err := s.newLoadBalancer(in)
		if err != nil {
			return nil, err
		}
		if lb.Type == Application {
			err = s.albNodes(lb, subnets, groups)
		} else {
			for _, sn := range subnets {
				var n *Node
				if n, err = s.newNode(lb, sn); err != nil {
					break
				}
				lb.Nodes = append(lb.Nodes, n)
			}
		}
		if err != nil {
			return nil, err
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

// newLoadBalancer reads what is asked for.
func (s *Service) newLoadBalancer(in *elbv2.CreateLoadBalancerInput) (*LoadBalancer, []*vpc.Subnet, []*vpc.SecurityGroup, error) {
	fail := func(err error) (*LoadBalancer, []*vpc.Subnet, []*vpc.SecurityGroup, error) {
		return nil, nil, nil, err
	}
	if err := engine.Only(in, "Name", "Type", "Scheme", "Subnets", "SubnetMappings", "Tags", "SecurityGroups", "IpAddressType"); err != nil {
		return fail(err)
	}
	id, name := "", aws.ToString(in.Name)
	lb := &LoadBalancer{Name: name, Type: Network, Scheme: string(in.Scheme), State: "provisioning", Created: s.engine.Now(), Tags: tagMap(in.Tags), Origin: s.origin(), AttributeOrigin: map[string]trace.ID{}, Metrics: map[string]int{}}
	path := "net/"
	switch in.Type {
	case types.LoadBalancerTypeEnumNetwork:
		if len(in.SecurityGroups) > 0 {
			return fail(engine.NotModelled("security groups of a Network Load Balancer"))
		}
	case types.LoadBalancerTypeEnumApplication, "":
		lb.Type, path = Application, "app/"
	default:
		return fail(engine.NotModelled("load balancer type %q", in.Type))
	}
	if in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4 {
		return fail(engine.NotModelled("IpAddressType %s", in.IpAddressType))
	}
	switch lb.Scheme {
	case "":
		lb.Scheme = "internet-facing"
	case "internal", "internet-facing":
	default:
		return fail(invalid("'%s' is not a valid scheme", lb.Scheme))
	}
	if name == "" || len(name) > 32 {
		return fail(invalid("The load balancer name '%s' must have 1 to 32 characters", name))
	}
	if slices.ContainsFunc(s.lbs, func(lb *LoadBalancer) bool { return lb.Name == name }) {
		return fail(&types.DuplicateLoadBalancerNameException{Message: aws.String("A load balancer with the same name '" + name + "' exists, but with different settings")})
	}
	ids := slices.Clone(in.Subnets)
	for _, m := range in.SubnetMappings {
		if m.PrivateIPv4Address != nil || m.AllocationId != nil {
			return fail(engine.NotModelled("SubnetMapping with an address"))
		}
		ids = append(ids, aws.ToString(m.SubnetId))
	}
	var subnets []*vpc.Subnet
	zones := map[string]bool{}
	for _, want := range ids {
		i := slices.IndexFunc(s.vpc.Subnets(), func(sn *vpc.Subnet) bool { return string(sn.ID) == want })
		if i < 0 {
			return fail(&types.SubnetNotFoundException{Message: aws.String("The subnet ID '" + want + "' does not exist")})
		}
		sn := s.vpc.Subnets()[i]
		if zones[sn.Zone] {
			return fail(&types.InvalidConfigurationRequestException{Message: aws.String("A load balancer cannot be attached to multiple subnets in the same Availability Zone")})
		}
		zones[sn.Zone] = true
		// Source: Application Load Balancers user guide, "Subnets for your load balancer": at least a /27 with 8 free addresses.
		if lb.Type == Application && (sn.CIDR.Bits() > 27 || sn.Available() < 8) {
			return fail(&types.InvalidSubnetException{Message: aws.String("Not enough IP space available in " + want + ". ELB requires at least 8 free IP addresses in each subnet.")})
		}
		subnets = append(subnets, sn)
	}
	switch {
	case len(subnets) == 0:
		return fail(invalid("At least one subnet must be specified"))
	case lb.Type == Application && len(subnets) < 2:
		return fail(invalid("At least two subnets in two different Availability Zones must be specified"))
	}
	var groups []*vpc.SecurityGroup
	for _, want := range in.SecurityGroups {
		g := s.vpc.SecurityGroup(vpc.SecurityGroupID(want))
		if g == nil {
			return fail(&types.InvalidSecurityGroupException{Message: aws.String("The security group '" + want + "' does not exist")})
		}
		groups = append(groups, g)
		lb.SecurityGroups = append(lb.SecurityGroups, g.ID)
	}
	if lb.Type == Application && len(groups) == 0 {
		return fail(engine.NotModelled("an Application Load Balancer in the VPC's default security group"))
	}
	id = s.id()
	lb.ARN, lb.DNSName = s.arn("loadbalancer/"+path+name+"/"+id), name+"-"+id+".elb."+s.region+".amazonaws.com"
	if lb.Type == Application {
		lb.DNSName = name + "-" + id + "." + s.region + ".elb.amazonaws.com"
		if lb.Scheme == "internal" {
			lb.DNSName = "internal-" + lb.DNSName
		}
	}
	lb.Attributes = maps.Clone(lb.defaults())
	return lb, subnets, groups, nil
}

// albNodes makes the nodes of an Application Load Balancer, spread over its subnets in turn.
func (s *Service) albNodes(lb *LoadBalancer, subnets []*vpc.Subnet, groups []*vpc.SecurityGroup) error {
	count := s.opts.ALBNodes
	if count == 0 {
		count = len(subnets)
	}
	for i := range count {
		n, err := s.newALBNode(lb, subnets[i%len(subnets)], i/len(subnets)+1, groups)
		if err != nil {
			return err
		}
		lb.ALBNodes = append(lb.ALBNodes, n)
	}
	lb.subnets = append(lb.subnets, subnets...)
	return nil
}

func (lb *LoadBalancer) sdk(s *Service) types.LoadBalancer {
	out := types.LoadBalancer{LoadBalancerArn: aws.String(lb.ARN), LoadBalancerName: aws.String(lb.Name), DNSName: aws.String(lb.DNSName), Scheme: types.LoadBalancerSchemeEnum(lb.Scheme),
		Type: types.LoadBalancerTypeEnum(lb.Type), VpcId: aws.String(s.vpc.ID), State: &types.LoadBalancerState{Code: types.LoadBalancerStateEnum(lb.State)}, CreatedTime: aws.Time(engine.Epoch.Add(lb.Created)), IpAddressType: types.IpAddressTypeIpv4}
	for _, n := range lb.Nodes {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{ZoneName: aws.String(n.Zone), SubnetId: aws.String(string(n.Subnet.ID))})
	}
	for _, sn := range lb.subnets {
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{ZoneName: aws.String(sn.Zone), SubnetId: aws.String(string(sn.ID))})
	}
	for _, g := range lb.SecurityGroups {
		out.SecurityGroups = append(out.SecurityGroups, string(g))
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
			if err := checkAttribute(aws.ToString(a.Key), aws.ToString(a.Value), lb.defaults()); err != nil {
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
