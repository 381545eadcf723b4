package ec2

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
)

// CreateSecurityGroup makes a security group that lets everything out and nothing in.
func (s *Service) CreateSecurityGroup(ctx context.Context, in *ec2.CreateSecurityGroupInput, _ ...func(*ec2.Options)) (*ec2.CreateSecurityGroupOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateSecurityGroup", in, func(in *ec2.CreateSecurityGroupInput) (*ec2.CreateSecurityGroupOutput, error) {
		if err := engine.Only(in, "GroupName", "Description", "VpcId", "TagSpecifications"); err != nil {
			return nil, err
		}
		name := aws.ToString(in.GroupName)
		switch {
		case name == "" || aws.ToString(in.Description) == "":
			return nil, apiError("MissingParameter", "The request must contain the parameters groupName and groupDescription")
		case len(name) > 255:
			return nil, apiError("InvalidParameterValue", "Value (%s) for parameter GroupName is invalid. Character sets beyond 255 are not supported", name)
		case aws.ToString(in.VpcId) != s.vpc.ID:
			return nil, apiError("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", aws.ToString(in.VpcId))
		}
		for _, g := range s.vpc.SecurityGroups() {
			if g.Name == name {
				return nil, apiError("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, s.vpc.ID)
			}
		}
		tags := map[string]string{}
		for _, t := range in.TagSpecifications {
			if t.ResourceType != types.ResourceTypeSecurityGroup {
				return nil, apiError("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation", t.ResourceType)
			}
			for _, tag := range t.Tags {
				tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
		}
		g := s.vpc.AddSecurityGroup(name, tags)
		return &ec2.CreateSecurityGroupOutput{GroupId: aws.String(string(g.ID)), Tags: sdkTags(tags)}, nil
	})
}
