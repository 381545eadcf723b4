package ec2

import (
	"context"
	"net/netip"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

func (s *Service) eni(id *string) (*vpc.Interface, error) {
	if eni := s.vpc.Interface(vpc.InterfaceID(aws.ToString(id))); eni != nil {
		return eni, nil
	}
	return nil, apiError("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", aws.ToString(id))
}

// CreateNetworkInterface makes a network interface with a primary address.
func (s *Service) CreateNetworkInterface(ctx context.Context, in *ec2.CreateNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.CreateNetworkInterfaceOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateNetworkInterface", in, func(in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "SubnetId", "Groups", "Description"); err != nil {
			return nil, err
		}
		var groups []*vpc.SecurityGroup
		for _, id := range in.Groups {
			g := s.vpc.SecurityGroup(vpc.SecurityGroupID(id))
			if g == nil {
				return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
			}
			groups = append(groups, g)
		}
		for _, sn := range s.vpc.Subnets() {
			if string(sn.ID) == aws.ToString(in.SubnetId) {
				eni, err := sn.AddInterface(aws.ToString(in.Description), netip.Addr{}, groups...)
				if err != nil {
					return nil, err
				}
				return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: &types.NetworkInterface{NetworkInterfaceId: aws.String(string(eni.ID)), SubnetId: in.SubnetId, PrivateIpAddress: aws.String(eni.Primary().String())}}, nil
			}
		}
		return nil, apiError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", aws.ToString(in.SubnetId))
	})
}

// AttachNetworkInterface attaches an interface to an instance as the next device.
func (s *Service) AttachNetworkInterface(ctx context.Context, in *ec2.AttachNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.AttachNetworkInterfaceOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "AttachNetworkInterface", in, func(in *ec2.AttachNetworkInterfaceInput) (*ec2.AttachNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "InstanceId", "DeviceIndex"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		i := s.Instance(aws.ToString(in.InstanceId))
		switch {
		case i == nil:
			return nil, apiError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", aws.ToString(in.InstanceId))
		case eni.Instance != "":
			return nil, apiError("InvalidNetworkInterface.InUse", "Interface: [%s] in use", eni.ID)
		case len(i.Interfaces) >= i.Limits.Interfaces:
			return nil, apiError("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(i.Interfaces)+1, i.Type)
		case int(aws.ToInt32(in.DeviceIndex)) != len(i.Interfaces):
			return nil, apiError("InvalidParameterValue", "device index %d is not the next one", aws.ToInt32(in.DeviceIndex))
		}
		eni.Instance, eni.DeviceIndex = i.ID, len(i.Interfaces)
		i.Interfaces = append(i.Interfaces, eni)
		return &ec2.AttachNetworkInterfaceOutput{AttachmentId: aws.String(s.vpc.NewID("eni-attach"))}, nil
	})
}

// AssignPrivateIpAddresses gives an interface secondary addresses: all that are asked for, or none and an error.
func (s *Service) AssignPrivateIpAddresses(ctx context.Context, in *ec2.AssignPrivateIpAddressesInput, _ ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "AssignPrivateIpAddresses", in, func(in *ec2.AssignPrivateIpAddressesInput) (*ec2.AssignPrivateIpAddressesOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "SecondaryPrivateIpAddressCount"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		n := int(aws.ToInt32(in.SecondaryPrivateIpAddressCount))
		if i := s.byID[eni.Instance]; i != nil && len(eni.Addrs)+n > i.Limits.Addresses {
			return nil, apiError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
		}
		out := &ec2.AssignPrivateIpAddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
		for range n {
			a, err := eni.Assign(netip.Addr{})
			if err != nil {
				for _, given := range out.AssignedPrivateIpAddresses {
					eni.Unassign(netip.MustParseAddr(aws.ToString(given.PrivateIpAddress)))
				}
				return nil, err
			}
			out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, types.AssignedPrivateIpAddress{PrivateIpAddress: aws.String(a.String())})
		}
		return out, nil
	})
}
