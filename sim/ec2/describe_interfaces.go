package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

func (s *Service) sdkInterface(eni *vpc.Interface) types.NetworkInterface {
	out := types.NetworkInterface{NetworkInterfaceId: aws.String(string(eni.ID)), SubnetId: aws.String(string(eni.Subnet.ID)), VpcId: aws.String(s.vpc.ID), AvailabilityZone: aws.String(eni.Subnet.Zone),
		Description: aws.String(eni.Description), PrivateIpAddress: aws.String(eni.Primary().String()), InterfaceType: types.NetworkInterfaceTypeInterface, SourceDestCheck: aws.Bool(eni.SourceDestCheck),
		Status: types.NetworkInterfaceStatusAvailable, TagSet: sdkTags(eni.Tags)}
	for i, a := range eni.Addrs {
		out.PrivateIpAddresses = append(out.PrivateIpAddresses, types.NetworkInterfacePrivateIpAddress{PrivateIpAddress: aws.String(a.String()), Primary: aws.Bool(i == 0)})
	}
	for _, p := range eni.Prefixes {
		out.Ipv4Prefixes = append(out.Ipv4Prefixes, types.Ipv4PrefixSpecification{Ipv4Prefix: aws.String(p.String())})
	}
	for _, g := range eni.Groups {
		out.Groups = append(out.Groups, types.GroupIdentifier{GroupId: aws.String(string(g.ID)), GroupName: aws.String(g.Name)})
	}
	if eni.Instance != "" {
		out.Status = types.NetworkInterfaceStatusInUse
		out.Attachment = &types.NetworkInterfaceAttachment{AttachmentId: aws.String(eni.AttachmentID), InstanceId: aws.String(string(eni.Instance)), DeviceIndex: aws.Int32(int32(eni.DeviceIndex)), NetworkCardIndex: aws.Int32(0),
			DeleteOnTermination: aws.Bool(eni.DeleteOnTermination), AttachTime: aws.Time(engine.Epoch.Add(eni.Attached)), Status: types.AttachmentStatusAttached}
		if s.attachments[eni.AttachmentID] == nil {
			out.Attachment.Status = types.AttachmentStatusDetaching
		}
	}
	return out
}

// DescribeNetworkInterfaces lists network interfaces of instances, and those that are attached to nothing. Filters: network-interface-id, status,
// subnet-id, vpc-id, availability-zone, description, group-id, attachment.instance-id, tag:KEY, tag-key. There is one page.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *ec2.DescribeNetworkInterfacesInput, _ ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error) {
	return do(ctx, s, "DescribeNetworkInterfaces", in, len(in.Filters) == 0 && in.MaxResults == nil, func(in *ec2.DescribeNetworkInterfacesInput) (*ec2.DescribeNetworkInterfacesOutput, error) {
		if err := engine.Only(in, "Filters", "NetworkInterfaceIds", "MaxResults"); err != nil {
			return nil, err
		}
		enis, err := s.candidates(in)
		if err != nil {
			return nil, err
		}
		out := &ec2.DescribeNetworkInterfacesOutput{}
		for _, eni := range enis {
			ok, err := matches(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "network-interface-id":
					return []string{string(eni.ID)}, true
				case "status":
					if eni.Instance != "" {
						return []string{string(types.NetworkInterfaceStatusInUse)}, true
					}
					return []string{string(types.NetworkInterfaceStatusAvailable)}, true
				case "subnet-id":
					return []string{string(eni.Subnet.ID)}, true
				case "vpc-id":
					return []string{s.vpc.ID}, true
				case "availability-zone":
					return []string{eni.Subnet.Zone}, true
				case "description":
					return []string{eni.Description}, true
				case "attachment.instance-id":
					return []string{string(eni.Instance)}, true
				case "group-id":
					var ids []string
					for _, g := range eni.Groups {
						ids = append(ids, string(g.ID))
					}
					return ids, true
				}
				return tagValues(eni.Tags, name)
			})
			if err != nil {
				return nil, err
			}
			if ok {
				out.NetworkInterfaces = append(out.NetworkInterfaces, s.sdkInterface(eni))
			}
		}
		return out, nil
	})
}

// candidates are the interfaces that a call may mean: those that it names, those of an instance that it names, those that are attached to nothing
// if it asks for these, else all.
func (s *Service) candidates(in *ec2.DescribeNetworkInterfacesInput) ([]*vpc.Interface, error) {
	var enis []*vpc.Interface
	if len(in.NetworkInterfaceIds) > 0 {
		for i := range in.NetworkInterfaceIds {
			eni, err := s.eni(&in.NetworkInterfaceIds[i])
			if err != nil {
				return nil, err
			}
			enis = append(enis, eni)
		}
		return enis, nil
	}
	for _, f := range in.Filters {
		switch {
		case aws.ToString(f.Name) == "attachment.instance-id":
			for _, id := range f.Values {
				if i := s.Instance(id); i != nil {
					enis = append(enis, i.Interfaces...)
				}
			}
			return enis, nil
		case aws.ToString(f.Name) == "status" && len(f.Values) == 1 && f.Values[0] == string(types.NetworkInterfaceStatusAvailable):
			return s.loose, nil
		}
	}
	for _, i := range s.instances {
		enis = append(enis, i.Interfaces...)
	}
	return append(enis, s.loose...), nil
}

// DescribeInstanceTypes lists instance types by name.
func (s *Service) DescribeInstanceTypes(ctx context.Context, in *ec2.DescribeInstanceTypesInput, _ ...func(*ec2.Options)) (*ec2.DescribeInstanceTypesOutput, error) {
	return do(ctx, s, "DescribeInstanceTypes", in, false, func(in *ec2.DescribeInstanceTypesInput) (*ec2.DescribeInstanceTypesOutput, error) {
		if err := engine.Only(in, "InstanceTypes"); err != nil {
			return nil, err
		}
		out := &ec2.DescribeInstanceTypesOutput{}
		for _, t := range in.InstanceTypes {
			l, ok := limits[string(t)]
			if !ok {
				return nil, apiError("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", t)
			}
			info := types.InstanceTypeInfo{InstanceType: t, BareMetal: aws.Bool(l.BareMetal), NetworkInfo: &types.NetworkInfo{
				MaximumNetworkInterfaces: aws.Int32(int32(l.Interfaces)), Ipv4AddressesPerInterface: aws.Int32(int32(l.Addresses)), MaximumNetworkCards: aws.Int32(int32(l.NetworkCards)), DefaultNetworkCardIndex: aws.Int32(0)}}
			if l.Hypervisor == "nitro" || l.Hypervisor == "xen" {
				info.Hypervisor = types.InstanceTypeHypervisor(l.Hypervisor)
			}
			out.InstanceTypes = append(out.InstanceTypes, info)
		}
		return out, nil
	})
}

// DescribeVpcs lists the VPC. Filters: vpc-id.
func (s *Service) DescribeVpcs(ctx context.Context, in *ec2.DescribeVpcsInput, _ ...func(*ec2.Options)) (*ec2.DescribeVpcsOutput, error) {
	return do(ctx, s, "DescribeVpcs", in, false, func(in *ec2.DescribeVpcsInput) (*ec2.DescribeVpcsOutput, error) {
		if err := engine.Only(in, "VpcIds", "Filters"); err != nil {
			return nil, err
		}
		for _, id := range in.VpcIds {
			if id != s.vpc.ID {
				return nil, apiError("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
			}
		}
		ok, err := matches(in.Filters, func(name string) ([]string, bool) { return []string{s.vpc.ID}, name == "vpc-id" })
		if err != nil || !ok {
			return &ec2.DescribeVpcsOutput{}, err
		}
		v := types.Vpc{VpcId: aws.String(s.vpc.ID), CidrBlock: aws.String(s.vpc.CIDR.String()), State: types.VpcStateAvailable}
		for _, c := range s.vpc.CIDRs {
			v.CidrBlockAssociationSet = append(v.CidrBlockAssociationSet, types.VpcCidrBlockAssociation{CidrBlock: aws.String(c.String()), CidrBlockState: &types.VpcCidrBlockState{State: types.VpcCidrBlockStateCodeAssociated}})
		}
		return &ec2.DescribeVpcsOutput{Vpcs: []types.Vpc{v}}, nil
	})
}
