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

// assigned is what an interface was given.
type assigned struct {
	addrs    []netip.Addr
	prefixes []netip.Prefix
}

// assign gives an interface as many secondary addresses, or prefixes, as are asked for, or none and an error.
func (s *Service) assign(eni *vpc.Interface, addresses, prefixes *int32) (got assigned, err error) {
	a, p := int(aws.ToInt32(addresses)), int(aws.ToInt32(prefixes))
	switch {
	case addresses != nil && prefixes != nil:
		return got, apiError("InvalidParameterCombination", "SecondaryPrivateIpAddressCount and Ipv4PrefixCount cannot both be given")
	case a < 0 || p < 0 || addresses != nil && a == 0 || prefixes != nil && p == 0:
		return got, apiError("InvalidParameterValue", "Value (%d) for the number of addresses or prefixes is invalid.", a+p)
	}
	defer func() {
		if err != nil {
			for _, x := range got.addrs {
				eni.Unassign(x)
			}
			for _, x := range got.prefixes {
				eni.UnassignPrefix(x)
			}
		}
	}()
	if a > eni.Subnet.Available() {
		return got, apiError("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
	}
	for range a {
		x, err := eni.Assign(netip.Addr{})
		if err != nil {
			return got, err
		}
		got.addrs = append(got.addrs, x)
	}
	for range p {
		x, err := eni.AssignPrefix()
		if err != nil {
			return got, err
		}
		got.prefixes = append(got.prefixes, x)
	}
	return got, nil
}

// AssignPrivateIpAddresses gives an interface secondary addresses, or prefixes: all that are asked for, or none and an error.
func (s *Service) AssignPrivateIpAddresses(ctx context.Context, in *ec2.AssignPrivateIpAddressesInput, _ ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error) {
	return do(ctx, s, "AssignPrivateIpAddresses", in, false, func(in *ec2.AssignPrivateIpAddressesInput) (*ec2.AssignPrivateIpAddressesOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "SecondaryPrivateIpAddressCount", "Ipv4PrefixCount"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		if in.SecondaryPrivateIpAddressCount == nil && in.Ipv4PrefixCount == nil {
			return nil, apiError("MissingParameter", "Either 'secondaryPrivateIpAddressCount' or 'ipv4PrefixCount' should be given")
		}
		i := s.byID[eni.Instance]
		n := int(aws.ToInt32(in.SecondaryPrivateIpAddressCount) + aws.ToInt32(in.Ipv4PrefixCount))
		switch {
		case i == nil:
		case len(eni.Addrs)+len(eni.Prefixes)+n > i.Limits.Addresses:
			return nil, apiError("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
		case in.Ipv4PrefixCount != nil && !i.Limits.Nitro():
			return nil, apiError("UnsupportedOperation", "The instance type %s does not support prefix delegation", i.Type)
		}
		got, err := s.assign(eni, in.SecondaryPrivateIpAddressCount, in.Ipv4PrefixCount)
		if err != nil {
			return nil, err
		}
		out := &ec2.AssignPrivateIpAddressesOutput{NetworkInterfaceId: in.NetworkInterfaceId}
		for _, a := range got.addrs {
			out.AssignedPrivateIpAddresses = append(out.AssignedPrivateIpAddresses, types.AssignedPrivateIpAddress{PrivateIpAddress: aws.String(a.String())})
		}
		for _, p := range got.prefixes {
			out.AssignedIpv4Prefixes = append(out.AssignedIpv4Prefixes, types.Ipv4PrefixSpecification{Ipv4Prefix: aws.String(p.String())})
		}
		if i != nil {
			s.metadataChanged(i, eni)
		}
		return out, nil
	})
}

// UnassignPrivateIpAddresses takes secondary addresses, or prefixes, from an interface: all that are named, or none and an error.
func (s *Service) UnassignPrivateIpAddresses(ctx context.Context, in *ec2.UnassignPrivateIpAddressesInput, _ ...func(*ec2.Options)) (*ec2.UnassignPrivateIpAddressesOutput, error) {
	return do(ctx, s, "UnassignPrivateIpAddresses", in, false, func(in *ec2.UnassignPrivateIpAddressesInput) (*ec2.UnassignPrivateIpAddressesOutput, error) {
		if err := engine.Only(in, "NetworkInterfaceId", "PrivateIpAddresses", "Ipv4Prefixes"); err != nil {
			return nil, err
		}
		eni, err := s.eni(in.NetworkInterfaceId)
		if err != nil {
			return nil, err
		}
		var addrs []netip.Addr
		for _, text := range in.PrivateIpAddresses {
			a, err := netip.ParseAddr(text)
			if err != nil || slices.Index(eni.Addrs, a) < 1 {
				return nil, apiError("InvalidParameterValue", "Some of the specified addresses are not assigned to interface %s", eni.ID)
			}
			addrs = append(addrs, a)
		}
		var prefixes []netip.Prefix
		for _, text := range in.Ipv4Prefixes {
			p, err := netip.ParsePrefix(text)
			if err != nil || !slices.Contains(eni.Prefixes, p) {
				return nil, apiError("InvalidParameterValue", "Some of the specified prefixes are not assigned to interface %s", eni.ID)
			}
			prefixes = append(prefixes, p)
		}
		if len(addrs)+len(prefixes) == 0 {
			return nil, apiError("MissingParameter", "The request must contain the parameter privateIpAddress or ipv4Prefix")
		}
		for _, a := range addrs {
			eni.Unassign(a)
		}
		for _, p := range prefixes {
			eni.UnassignPrefix(p)
		}
		if i := s.byID[eni.Instance]; i != nil {
			s.metadataChanged(i, eni)
		}
		return &ec2.UnassignPrivateIpAddressesOutput{}, nil
	})
}
