package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

// DescribeSubnets lists subnets. Filters: vpc-id, subnet-id, availability-zone, tag:KEY, tag-key.
func (s *Service) DescribeSubnets(ctx context.Context, in *ec2.DescribeSubnetsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error) {
	return do(ctx, s, "DescribeSubnets", in, false, func(in *ec2.DescribeSubnetsInput) (*ec2.DescribeSubnetsOutput, error) {
		if err := engine.Only(in, "Filters", "SubnetIds"); err != nil {
			return nil, err
		}
		out := &ec2.DescribeSubnetsOutput{}
		for _, sn := range s.vpc.Subnets() {
			if len(in.SubnetIds) > 0 && !slices.Contains(in.SubnetIds, string(sn.ID)) {
				continue
			}
			ok, err := matches(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "vpc-id":
					return []string{s.vpc.ID}, true
				case "subnet-id":
					return []string{string(sn.ID)}, true
				case "availability-zone":
					return []string{sn.Zone}, true
				}
				return tagValues(sn.Tags, name)
			})
			if err != nil {
				return nil, err
			}
			if ok {
				out.Subnets = append(out.Subnets, types.Subnet{SubnetId: aws.String(string(sn.ID)), VpcId: aws.String(s.vpc.ID), AvailabilityZone: aws.String(sn.Zone),
					CidrBlock: aws.String(sn.CIDR.String()), AvailableIpAddressCount: aws.Int32(int32(sn.Available())), State: types.SubnetStateAvailable, Tags: sdkTags(sn.Tags)})
			}
		}
		if len(in.SubnetIds) > len(out.Subnets) && len(in.Filters) == 0 {
			return nil, apiError("InvalidSubnetID.NotFound", "The subnet ID does not exist")
		}
		return out, nil
	})
}

// DescribeInstances lists instances. Filters: instance-id, private-dns-name, vpc-id, tag:KEY, tag-key.
func (s *Service) DescribeInstances(ctx context.Context, in *ec2.DescribeInstancesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error) {
	return do(ctx, s, "DescribeInstances", in, len(in.Filters) == 0, func(in *ec2.DescribeInstancesInput) (*ec2.DescribeInstancesOutput, error) {
		if err := engine.Only(in, "Filters", "InstanceIds"); err != nil {
			return nil, err
		}
		for _, id := range in.InstanceIds {
			if s.Instance(id) == nil {
				return nil, apiError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
			}
		}
		out := &ec2.DescribeInstancesOutput{}
		from := s.instances
		if len(in.InstanceIds) > 0 {
			from = nil
			for _, id := range in.InstanceIds {
				from = append(from, s.Instance(id))
			}
		}
		for _, i := range from {
			ok, err := matches(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "instance-id":
					return []string{string(i.ID)}, true
				case "private-dns-name":
					return []string{i.PrivateDNSName}, true
				case "vpc-id":
					return []string{s.vpc.ID}, true
				}
				return tagValues(i.Tags, name)
			})
			if err != nil {
				return nil, err
			}
			if ok {
				out.Reservations = append(out.Reservations, types.Reservation{Instances: []types.Instance{i.sdk(s.vpc)}})
			}
		}
		return out, nil
	})
}

func (i *Instance) sdk(v *vpc.VPC) types.Instance {
	primary := i.Interfaces[0]
	out := types.Instance{InstanceId: aws.String(string(i.ID)), InstanceType: types.InstanceType(i.Type), PrivateDnsName: aws.String(i.PrivateDNSName), PrivateIpAddress: aws.String(primary.Primary().String()),
		SubnetId: aws.String(string(primary.Subnet.ID)), VpcId: aws.String(v.ID), Placement: &types.Placement{AvailabilityZone: aws.String(primary.Subnet.Zone)},
		State: &types.InstanceState{Name: types.InstanceStateNameRunning}, Tags: sdkTags(i.Tags)}
	for _, g := range primary.Groups {
		out.SecurityGroups = append(out.SecurityGroups, types.GroupIdentifier{GroupId: aws.String(string(g.ID)), GroupName: aws.String(g.Name)})
	}
	for _, eni := range i.Interfaces {
		out.NetworkInterfaces = append(out.NetworkInterfaces, types.InstanceNetworkInterface{NetworkInterfaceId: aws.String(string(eni.ID)), PrivateIpAddress: aws.String(eni.Primary().String()),
			SubnetId: aws.String(string(eni.Subnet.ID)), Attachment: &types.InstanceNetworkInterfaceAttachment{AttachmentId: aws.String(eni.AttachmentID), DeviceIndex: aws.Int32(int32(eni.DeviceIndex)),
				NetworkCardIndex: aws.Int32(0), DeleteOnTermination: aws.Bool(eni.DeleteOnTermination), Status: types.AttachmentStatusAttached}})
	}
	return out
}

// DescribeRouteTables lists the VPC's route tables: one that leads to an internet gateway, with the public subnets, and the main one, which has
// local routes only. Filter: vpc-id.
func (s *Service) DescribeRouteTables(ctx context.Context, in *ec2.DescribeRouteTablesInput, _ ...func(*ec2.Options)) (*ec2.DescribeRouteTablesOutput, error) {
	return do(ctx, s, "DescribeRouteTables", in, false, func(in *ec2.DescribeRouteTablesInput) (*ec2.DescribeRouteTablesOutput, error) {
		if err := engine.Only(in, "Filters"); err != nil {
			return nil, err
		}
		ok, err := matches(in.Filters, func(name string) ([]string, bool) { return []string{s.vpc.ID}, name == "vpc-id" })
		if err != nil || !ok {
			return &ec2.DescribeRouteTablesOutput{}, err
		}
		var local []types.Route
		for _, c := range s.vpc.CIDRs {
			local = append(local, types.Route{DestinationCidrBlock: aws.String(c.String()), GatewayId: aws.String("local")})
		}
		public := types.RouteTable{RouteTableId: aws.String("rtb-public"), VpcId: aws.String(s.vpc.ID), Routes: append(slices.Clone(local), types.Route{DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: aws.String("igw-1")})}
		main := types.RouteTable{RouteTableId: aws.String("rtb-main"), VpcId: aws.String(s.vpc.ID), Routes: local, Associations: []types.RouteTableAssociation{{Main: aws.Bool(true)}}}
		for _, sn := range s.vpc.Subnets() {
			if sn.Public {
				public.Associations = append(public.Associations, types.RouteTableAssociation{SubnetId: aws.String(string(sn.ID))})
			}
		}
		return &ec2.DescribeRouteTablesOutput{RouteTables: []types.RouteTable{main, public}}, nil
	})
}
