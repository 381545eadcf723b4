package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

func (s *Service) eni(id *string) (*vpc.Interface, error) {
	if eni := s.vpc.Interface(vpc.InterfaceID(aws.ToString(id))); eni != nil {
		return eni, nil
	}
	return nil, apiError("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", aws.ToString(id))
}

func (s *Service) groups(ids []string) ([]*vpc.SecurityGroup, error) {
	var groups []*vpc.SecurityGroup
	for _, id := range ids {
		g := s.vpc.SecurityGroup(vpc.SecurityGroupID(id))
		if g == nil {
			return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// CreateNetworkInterface makes a network interface with a primary address, and secondary ones or prefixes: all that is asked for, or none and an error.
func (s *Service) CreateNetworkInterface(ctx context.Context, in *ec2.CreateNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.CreateNetworkInterfaceOutput, error) {
	return do(ctx, s, "CreateNetworkInterface", in, false, func(in *ec2.CreateNetworkInterfaceInput) (*ec2.CreateNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "SubnetId", "Groups", "Description", "SecondaryPrivateIpAddressCount", "Ipv4PrefixCount", "TagSpecifications"); err != nil {
			return nil, err
		}
		groups, err := s.groups(in.Groups)
		if err != nil {
			return nil, err
		}
		sn := s.vpc.Subnet(vpc.SubnetID(aws.ToString(in.SubnetId)))
		if sn == nil {
			return nil, apiError("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", aws.ToString(in.SubnetId))
		}
		eni, err := sn.AddInterface(aws.ToString(in.Description), netip.Addr{}, groups...)
		if err != nil {
			return nil, err
		}
		if _, err := s.assign(eni, in.SecondaryPrivateIpAddressCount, in.Ipv4PrefixCount); err != nil {
			eni.Delete()
			return nil, err
		}
		for _, spec := range in.TagSpecifications {
			if spec.ResourceType != types.ResourceTypeNetworkInterface {
				eni.Delete()
				return nil, apiError("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
			}
			tag(eni, spec.Tags)
		}
		s.loose = append(s.loose, eni)
		out := s.sdkInterface(eni)
		return &ec2.CreateNetworkInterfaceOutput{NetworkInterface: &out}, nil
	})
}

func tag(eni *vpc.Interface, tags []types.Tag) {
	if eni.Tags == nil {
		eni.Tags = map[string]string{}
	}
	for _, t := range tags {
		eni.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
}

// AttachNetworkInterface attaches an interface to an instance.
func (s *Service) AttachNetworkInterface(ctx context.Context, in *ec2.AttachNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.AttachNetworkInterfaceOutput, error) {
	return do(ctx, s, "AttachNetworkInterface", in, false, func(in *ec2.AttachNetworkInterfaceInput) (*ec2.AttachNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "InstanceId", "DeviceIndex", "NetworkCardIndex"); err != nil {
			return nil, err
		}
		if aws.ToInt32(in.NetworkCardIndex) != 0 {
			return nil, engine.NotModelled("network card %d", aws.ToInt32(in.NetworkCardIndex))
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		i := s.Instance(aws.ToString(in.InstanceId))
		device := int(aws.ToInt32(in.DeviceIndex))
		switch {
		case i == nil:
			return nil, apiError("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", aws.ToString(in.InstanceId))
		case eni.Instance != "":
			return nil, apiError("InvalidNetworkInterface.InUse", "Interface: [%s] in use.", eni.ID)
		case eni.Subnet.Zone != i.Interfaces[0].Subnet.Zone:
			return nil, apiError("InvalidParameterCombination", "You may not attach a network interface to an instance if they are not in the same availability zone")
		case len(i.Interfaces) >= i.Limits.Interfaces:
			return nil, apiError("AttachmentLimitExceeded", "Interface count %d exceeds the limit for %s", len(i.Interfaces)+1, i.Type)
		case slices.ContainsFunc(i.Interfaces, func(o *vpc.Interface) bool { return o.DeviceIndex == device }):
			return nil, apiError("InvalidParameterValue", "Instance '%s' already has an interface attached at device index '%d'.", i.ID, device)
		case len(eni.Addrs)+len(eni.Prefixes) > i.Limits.Addresses:
			return nil, apiError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
		case len(eni.Prefixes) > 0 && !i.Limits.Nitro():
			return nil, apiError("UnsupportedOperation", "The instance type %s does not support prefix delegation", i.Type)
		}
		s.attach(i, eni, device)
		s.loose = slices.DeleteFunc(s.loose, func(o *vpc.Interface) bool { return o == eni })
		s.metadataChanged(i, eni)
		return &ec2.AttachNetworkInterfaceOutput{AttachmentId: aws.String(eni.AttachmentID), NetworkCardIndex: aws.Int32(0)}, nil
	})
}

func (s *Service) attach(i *Instance, eni *vpc.Interface, device int) {
	eni.Instance, eni.DeviceIndex = i.ID, device
	eni.AttachmentID, eni.Attached = s.vpc.NewID("eni-attach"), s.engine.Now()
	eni.DeleteOnTermination = false
	i.Interfaces = append(i.Interfaces, eni)
	s.attachments[eni.AttachmentID] = eni
}

// DetachNetworkInterface detaches an interface, which takes a while: until then it is in use.
func (s *Service) DetachNetworkInterface(ctx context.Context, in *ec2.DetachNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.DetachNetworkInterfaceOutput, error) {
	return do(ctx, s, "DetachNetworkInterface", in, false, func(in *ec2.DetachNetworkInterfaceInput) (*ec2.DetachNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "AttachmentId"); err != nil {
			return nil, err
		}
		eni := s.attachments[aws.ToString(in.AttachmentId)]
		switch {
		case eni == nil:
			return nil, apiError("InvalidAttachmentID.NotFound", "The interface attachment '%s' does not exist.", aws.ToString(in.AttachmentId))
		case eni.DeviceIndex == 0:
			return nil, apiError("OperationNotPermitted", "The network interface at device index 0 cannot be detached.")
		}
		delete(s.attachments, eni.AttachmentID)
		i := s.byID[eni.Instance]
		eni.Detach()
		s.engine.After(s.between("ec2: detachment", s.opts.Detachment), "ec2: detached", engine.Func(func() {
			i.Interfaces = slices.DeleteFunc(i.Interfaces, func(o *vpc.Interface) bool { return o == eni })
			eni.Instance, eni.AttachmentID, eni.DeviceIndex = "", "", 0
			s.loose = append(s.loose, eni)
		}))
		s.metadataRemoved(i, eni)
		return &ec2.DetachNetworkInterfaceOutput{}, nil
	})
}

// DeleteNetworkInterface deletes an interface that is attached to nothing.
func (s *Service) DeleteNetworkInterface(ctx context.Context, in *ec2.DeleteNetworkInterfaceInput, _ ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error) {
	return do(ctx, s, "DeleteNetworkInterface", in, false, func(in *ec2.DeleteNetworkInterfaceInput) (*ec2.DeleteNetworkInterfaceOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		if eni.Instance != "" || !slices.Contains(s.loose, eni) {
			return nil, apiError("InvalidParameterValue", "Network interface '%s' is currently in use.", eni.ID)
		}
		s.loose = slices.DeleteFunc(s.loose, func(o *vpc.Interface) bool { return o == eni })
		eni.Delete()
		return &ec2.DeleteNetworkInterfaceOutput{}, nil
	})
}

// ModifyNetworkInterfaceAttribute changes one attribute: the security groups, or what becomes of the interface when its instance ends.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2.ModifyNetworkInterfaceAttributeInput, _ ...func(*ec2.Options)) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
	return do(ctx, s, "ModifyNetworkInterfaceAttribute", in, false, func(in *ec2.ModifyNetworkInterfaceAttributeInput) (*ec2.ModifyNetworkInterfaceAttributeOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "Attachment", "Groups"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		switch {
		case (in.Attachment != nil) == (len(in.Groups) > 0):
			return nil, apiError("InvalidParameterCombination", "exactly one attribute may be modified")
		case in.Attachment != nil:
			if err := engine.Only(in.Attachment, "AttachmentId", "DeleteOnTermination"); err != nil {
				return nil, err
			}
			if aws.ToString(in.Attachment.AttachmentId) != eni.AttachmentID || eni.AttachmentID == "" {
				return nil, apiError("InvalidAttachmentID.NotFound", "The interface attachment '%s' does not exist.", aws.ToString(in.Attachment.AttachmentId))
			}
			eni.DeleteOnTermination = aws.ToBool(in.Attachment.DeleteOnTermination)
		default:
			groups, err := s.groups(in.Groups)
			if err != nil {
				return nil, err
			}
			eni.Groups = groups
		}
		return &ec2.ModifyNetworkInterfaceAttributeOutput{}, nil
	})
}

// CreateTags adds tags to network interfaces and subnets, over those of the same keys.
func (s *Service) CreateTags(ctx context.Context, in *ec2.CreateTagsInput, _ ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error) {
	return do(ctx, s, "CreateTags", in, false, func(in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
		if err := engine.Only(in, "Resources", "Tags"); err != nil {
			return nil, err
		}
		for _, id := range in.Resources {
			if s.vpc.Interface(vpc.InterfaceID(id)) == nil && s.vpc.Subnet(vpc.SubnetID(id)) == nil {
				return nil, apiError("InvalidID", "The ID '%s' is not valid", id)
			}
		}
		for _, id := range in.Resources {
			if eni := s.vpc.Interface(vpc.InterfaceID(id)); eni != nil {
				tag(eni, in.Tags)
				continue
			}
			sn := s.vpc.Subnet(vpc.SubnetID(id))
			if sn.Tags == nil {
				sn.Tags = map[string]string{}
			}
			for _, t := range in.Tags {
				sn.Tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
		}
		return &ec2.CreateTagsOutput{}, nil
	})
}
