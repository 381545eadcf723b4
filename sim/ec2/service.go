package ec2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// source is the service's name in CloudTrail.
const source = "ec2.amazonaws.com"

// Service is the account's EC2. Use New.
type Service struct {
	engine    *engine.Engine
	log       *trace.Log
	trail     *cloudtrail.Log
	vpc       *vpc.VPC
	region    string
	instances []*Instance
	byID      map[vpc.InstanceID]*Instance
	opts      Options
	buckets   map[string]*bucket
	// attachments by id; loose are the interfaces that were made here and are attached to nothing.
	attachments map[string]*vpc.Interface
	loose       []*vpc.Interface
}

// Options are what may be left at their zero values.
type Options struct {
	// Throttle puts calls under the request limits of an account.
	Throttle bool
	// MetadataLag is how long a change takes until the instance metadata service shows it, drawn uniformly. Zero means 0.3 to 1.5 s, an order of
	// magnitude: AWS documents none, and the VPC CNI plugin polls for it, at first after 100 ms, up to 12 times.
	MetadataLag [2]time.Duration
	// Detachment is how long an interface takes to be detached, drawn uniformly. Zero means 0.5 to 1.8 s: the VPC CNI plugin takes 2 s to be enough
	// (pkg/awsutils/awsutils.go, freeENI).
	Detachment [2]time.Duration
}

// New returns a service without instances.
func New(e *engine.Engine, log *trace.Log, trail *cloudtrail.Log, v *vpc.VPC, region string, opts Options) *Service {
	if opts.MetadataLag[1] == 0 {
		opts.MetadataLag = [2]time.Duration{300 * time.Millisecond, 1500 * time.Millisecond}
	}
	if opts.Detachment[1] == 0 {
		opts.Detachment = [2]time.Duration{500 * time.Millisecond, 1800 * time.Millisecond}
	}
	return &Service{engine: e, log: log, trail: trail, vpc: v, region: region, byID: map[vpc.InstanceID]*Instance{}, opts: opts, buckets: map[string]*bucket{}, attachments: map[string]*vpc.Interface{}}
}

// Instance is an EC2 instance that runs.
type Instance struct {
	ID             vpc.InstanceID
	Type           string
	PrivateDNSName string
	Limits         Limits
	// Interfaces are the attached ones in the order in which they were attached, the primary first.
	Interfaces []*vpc.Interface
	Tags       map[string]string

	metadata metadata
}

// Launch starts an instance in a subnet, with a primary address: the one asked for, or any if that is the zero Addr.
func (s *Service) Launch(instanceType string, subnet *vpc.Subnet, primary netip.Addr, tags map[string]string, groups ...*vpc.SecurityGroup) (*Instance, error) {
	l, err := LimitsOf(instanceType)
	if err != nil {
		return nil, err
	}
	in := &Instance{ID: vpc.InstanceID(s.vpc.NewID("i")), Type: instanceType, Limits: l, Tags: tags}
	eni, err := subnet.AddInterface("primary of "+string(in.ID), primary, groups...)
	if err != nil {
		return nil, err
	}
	s.attach(in, eni, 0)
	eni.DeleteOnTermination = true
	in.metadata.interfaces = []InterfaceMetadata{metadataOf(eni)}
	in.PrivateDNSName = "ip-" + strings.ReplaceAll(eni.Primary().String(), ".", "-") + "." + Domain(s.region)
	s.instances = append(s.instances, in)
	s.byID[in.ID] = in
	return in, nil
}

// Domain is the domain of private host names in a Region. Source: Amazon VPC User Guide, "DHCP option sets in Amazon VPC".
func Domain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// Instance is the instance of an id, or nil.
func (s *Service) Instance(id string) *Instance { return s.byID[vpc.InstanceID(id)] }

// PrimaryInterface is the primary network interface of an instance, or nil.
func (s *Service) PrimaryInterface(id string) *vpc.Interface {
	if in := s.Instance(id); in != nil {
		return in.Interfaces[0]
	}
	return nil
}

func apiError(code, format string, args ...any) error {
	return &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// matches says whether something passes filters; values gives what it has under a filter's name, and false for a name that is not modelled.
func matches(filters []types.Filter, values func(name string) ([]string, bool)) (bool, error) {
	for _, f := range filters {
		have, ok := values(aws.ToString(f.Name))
		if !ok {
			return false, engine.NotModelled("filter %s", aws.ToString(f.Name))
		}
		if !slices.ContainsFunc(f.Values, func(v string) bool { return slices.Contains(have, v) }) {
			return false, nil
		}
	}
	return true, nil
}

// tagValues answers filters tag:KEY and tag-key.
func tagValues(tags map[string]string, name string) ([]string, bool) {
	if k, ok := strings.CutPrefix(name, "tag:"); ok {
		if v, has := tags[k]; has {
			return []string{v}, true
		}
		return nil, true
	}
	if name == "tag-key" {
		var keys []string
		for k := range tags {
			keys = append(keys, k)
		}
		return keys, true
	}
	return nil, false
}

func sdkTags(tags map[string]string) []types.Tag {
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]types.Tag, len(keys))
	for i, k := range keys {
		out[i] = types.Tag{Key: aws.String(k), Value: aws.String(tags[k])}
	}
	return out
}

var _ interface {
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
} = (*Service)(nil)
