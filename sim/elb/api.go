package elb

import (
	"fmt"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// source is the service's name in CloudTrail.
const source = "elasticloadbalancing.amazonaws.com"

// Options of SDK calls have no effect here.
type sdkOptions = func(*elbv2.Options)

// defaultLBAttributes of a Network Load Balancer, and of its target groups.
// Source: aws-sdk-go-v2 service/elasticloadbalancingv2 types.LoadBalancerAttribute, types.TargetGroupAttribute (doc comments);
// Network Load Balancers user guide, "Edit attributes".
var defaultLBAttributes = map[string]string{
	"access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "", "deletion_protection.enabled": "false",
	AttrCrossZone: "false", AttrRoutingPolicy: "any_availability_zone",
}

var defaultTGAttributes = map[string]string{
	"deregistration_delay.timeout_seconds": "300", "deregistration_delay.connection_termination.enabled": "false",
	"proxy_protocol_v2.enabled": "false", "stickiness.enabled": "false", "stickiness.type": "source_ip", AttrCrossZone: "use_load_balancer_configuration",
}

// unmodelledValues are attributes that may be named with their default, but not changed to what is not modelled.
func checkAttribute(key, value string, defaults map[string]string) error {
	was, ok := defaults[key]
	if !ok && key != AttrPreserveClientIP {
		return engine.NotModelled("attribute %s", key)
	}
	switch key {
	case AttrPreserveClientIP:
		if value != "true" && value != "false" {
			return invalid("Value '%s' is not valid for attribute '%s'", value, key)
		}
	case AttrCrossZone:
		if value != "true" && value != "false" && value != was {
			return invalid("Value '%s' is not valid for attribute '%s'", value, key)
		}
	case AttrRoutingPolicy:
		if !slices.Contains([]string{"any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"}, value) {
			return invalid("Value '%s' is not valid for attribute '%s'", value, key)
		}
	case "deregistration_delay.timeout_seconds":
	default:
		if value != was {
			return engine.NotModelled("attribute %s=%s", key, value)
		}
	}
	return nil
}

// invalid is ELBv2's ValidationError.
func invalid(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}

// id mints the 16 hexadecimal digits that ARNs and names end in.
func (s *Service) id() string {
	return fmt.Sprintf("%016x", s.engine.Rand("elb: ids").Uint64())
}

func (s *Service) arn(resource string) string {
	return fmt.Sprintf("arn:aws:elasticloadbalancing:%s:%s:%s", s.region, s.accountID, resource)
}

func (s *Service) loadBalancer(arn *string) (*LoadBalancer, error) {
	for _, lb := range s.lbs {
		if lb.ARN == aws.ToString(arn) {
			return lb, nil
		}
	}
	return nil, &types.LoadBalancerNotFoundException{Message: aws.String("One or more load balancers not found")}
}

func (s *Service) targetGroup(arn *string) (*TargetGroup, error) {
	for _, tg := range s.groups {
		if tg.ARN == aws.ToString(arn) {
			return tg, nil
		}
	}
	return nil, &types.TargetGroupNotFoundException{Message: aws.String("One or more target groups not found")}
}

// origin is the record of the call that is being made.
func (s *Service) origin() trace.ID { return s.engine.Cause() }

func tagMap(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return out
}

// sortedKeys makes what is listed from a map the same every time.
func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
