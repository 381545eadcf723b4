package ec2

import (
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/vpc"
)

// DescribeSecurityGroups lists security groups. Filters: vpc-id, group-id, group-name, tag:KEY, tag-key.
func (s *Service) DescribeSecurityGroups(ctx context.Context, in *ec2.DescribeSecurityGroupsInput, _ ...func(*ec2.Options)) (*ec2.DescribeSecurityGroupsOutput, error) {
	return do(ctx, s, "DescribeSecurityGroups", in, len(in.Filters) == 0, func(in *ec2.DescribeSecurityGroupsInput) (*ec2.DescribeSecurityGroupsOutput, error) {
		if err := engine.Only(in, "Filters", "GroupIds"); err != nil {
			return nil, err
		}
		out := &ec2.DescribeSecurityGroupsOutput{}
		for _, id := range in.GroupIds {
			if s.vpc.SecurityGroup(vpc.SecurityGroupID(id)) == nil {
				return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
			}
		}
		for _, g := range s.vpc.SecurityGroups() {
			if len(in.GroupIds) > 0 && !slices.Contains(in.GroupIds, string(g.ID)) {
				continue
			}
			ok, err := matches(in.Filters, func(name string) ([]string, bool) {
				switch name {
				case "vpc-id":
					return []string{s.vpc.ID}, true
				case "group-id":
					return []string{string(g.ID)}, true
				case "group-name":
					return []string{g.Name}, true
				}
				return tagValues(g.Tags, name)
			})
			if err != nil {
				return nil, err
			}
			if ok {
				sg := types.SecurityGroup{GroupId: aws.String(string(g.ID)), GroupName: aws.String(g.Name), VpcId: aws.String(s.vpc.ID), Tags: sdkTags(g.Tags)}
				for _, p := range g.Ingress {
					sg.IpPermissions = append(sg.IpPermissions, sdkPermission(p))
				}
				out.SecurityGroups = append(out.SecurityGroups, sg)
			}
		}
		return out, nil
	})
}

func sdkPermission(p vpc.Permission) types.IpPermission {
	out := types.IpPermission{IpProtocol: aws.String("-1")}
	if p.Proto != 0 {
		out.IpProtocol = aws.String(p.Proto.String())
		out.FromPort, out.ToPort = aws.Int32(int32(p.FromPort)), aws.Int32(int32(p.ToPort))
	}
	if p.CIDR.IsValid() {
		out.IpRanges = []types.IpRange{{CidrIp: aws.String(p.CIDR.String()), Description: aws.String(p.Description)}}
	} else {
		out.UserIdGroupPairs = []types.UserIdGroupPair{{GroupId: aws.String(string(p.Group)), Description: aws.String(p.Description)}}
	}
	return out
}

// AuthorizeSecurityGroupIngress adds rules to a security group: all of them, or none and an error.
func (s *Service) AuthorizeSecurityGroupIngress(ctx context.Context, in *ec2.AuthorizeSecurityGroupIngressInput, _ ...func(*ec2.Options)) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
	return do(ctx, s, "AuthorizeSecurityGroupIngress", in, false, func(in *ec2.AuthorizeSecurityGroupIngressInput) (*ec2.AuthorizeSecurityGroupIngressOutput, error) {
		if err := engine.Only(in, "GroupId", "IpPermissions"); err != nil {
			return nil, err
		}
		g := s.vpc.SecurityGroup(vpc.SecurityGroupID(aws.ToString(in.GroupId)))
		if g == nil {
			return nil, apiError("InvalidGroup.NotFound", "The security group '%s' does not exist", aws.ToString(in.GroupId))
		}
		var add []vpc.Permission
		for _, ip := range in.IpPermissions {
			ps, err := permissions(ip)
			if err != nil {
				return nil, err
			}
			for _, p := range ps {
				if slices.ContainsFunc(g.Ingress, func(o vpc.Permission) bool { return samePermission(o, p) }) {
					return nil, apiError("InvalidPermission.Duplicate", "the specified rule already exists")
				}
				p.Origin = s.engine.Cause()
				add = append(add, p)
			}
		}
		g.Ingress = append(g.Ingress, add...)
		return &ec2.AuthorizeSecurityGroupIngressOutput{Return: aws.Bool(true)}, nil
	})
}

func samePermission(a, b vpc.Permission) bool {
	return a.Proto == b.Proto && a.FromPort == b.FromPort && a.ToPort == b.ToPort && a.CIDR == b.CIDR && a.Group == b.Group
}

// permissions reads one IpPermission, which may name several sources.
func permissions(ip types.IpPermission) ([]vpc.Permission, error) {
	p := vpc.Permission{FromPort: int(aws.ToInt32(ip.FromPort)), ToPort: int(aws.ToInt32(ip.ToPort))}
	switch aws.ToString(ip.IpProtocol) {
	case "-1":
		p.FromPort, p.ToPort = 0, 0
	case "tcp", "6":
		p.Proto = packet.TCP
	case "udp", "17":
		p.Proto = packet.UDP
	case "icmp", "1":
		p.Proto = packet.ICMP
	default:
		return nil, engine.NotModelled("IpProtocol %s", aws.ToString(ip.IpProtocol))
	}
	if len(ip.Ipv6Ranges) > 0 || len(ip.PrefixListIds) > 0 {
		return nil, engine.NotModelled("IpPermission with IPv6 ranges or prefix lists")
	}
	var out []vpc.Permission
	for _, r := range ip.IpRanges {
		c, err := netip.ParsePrefix(aws.ToString(r.CidrIp))
		if err != nil {
			return nil, apiError("InvalidParameterValue", "CIDR block %s is malformed", aws.ToString(r.CidrIp))
		}
		q := p
		q.CIDR, q.Description = c.Masked(), aws.ToString(r.Description)
		out = append(out, q)
	}
	for _, g := range ip.UserIdGroupPairs {
		q := p
		q.Group, q.Description = vpc.SecurityGroupID(aws.ToString(g.GroupId)), aws.ToString(g.Description)
		out = append(out, q)
	}
	return out, nil
}
