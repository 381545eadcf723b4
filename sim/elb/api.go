package elb

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

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

// Default attributes of load balancers and of target groups. An attribute that is not here is not modelled; of those that are here, checkAttribute
// says which may be changed.
// Source: aws-sdk-go-v2 service/elasticloadbalancingv2 types.LoadBalancerAttribute, types.TargetGroupAttribute (doc comments);
// Network Load Balancers and Application Load Balancers user guides, "Edit attributes".
var (
	defaultLBAttributes = map[string]string{
		"access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "", "deletion_protection.enabled": "false",
		AttrCrossZone: "false", AttrRoutingPolicy: "any_availability_zone",
	}
	defaultTGAttributes = map[string]string{
		AttrDeregistrationDelay: "300", "deregistration_delay.connection_termination.enabled": "false",
		"proxy_protocol_v2.enabled": "false", "stickiness.enabled": "false", "stickiness.type": "source_ip", AttrCrossZone: "use_load_balancer_configuration",
	}
	defaultALBAttributes = map[string]string{
		"access_logs.s3.enabled": "false", "access_logs.s3.bucket": "", "access_logs.s3.prefix": "", "deletion_protection.enabled": "false",
		AttrCrossZone: "true", AttrIdleTimeout: "60", "client_keep_alive.seconds": "3600", "routing.http.desync_mitigation_mode": "defensive",
		"routing.http.drop_invalid_header_fields.enabled": "false", "routing.http.preserve_host_header.enabled": "false",
		"routing.http.xff_client_port.enabled": "false", "routing.http.xff_header_processing.mode": "append", "routing.http2.enabled": "true", "waf.fail_open.enabled": "false",
	}
	defaultHTTPGroupAttributes = map[string]string{
		AttrDeregistrationDelay: "300", "stickiness.enabled": "false", "stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
		"slow_start.duration_seconds": "0", "load_balancing.algorithm.type": "round_robin", AttrCrossZone: "use_load_balancer_configuration",
	}
)

// defaults are the attributes of a load balancer or of a target group that nobody has changed.
func (lb *LoadBalancer) defaults() map[string]string {
	if lb.Type == Application {
		return defaultALBAttributes
	}
	return defaultLBAttributes
}

func (tg *TargetGroup) defaults() map[string]string {
	if tg.Protocol == "HTTP" {
		return defaultHTTPGroupAttributes
	}
	return defaultTGAttributes
}

// checkAttribute refuses values that are not valid, and changes to what is not modelled.
func checkAttribute(key, value string, defaults map[string]string) error {
	was, ok := defaults[key]
	if !ok && !(key == AttrPreserveClientIP && defaults["proxy_protocol_v2.enabled"] != "") {
		return engine.NotModelled("attribute %s", key)
	}
	bad := func() error { return invalid("Value '%s' is not valid for attribute '%s'", value, key) }
	number := func(low, high int) error {
		if n, err := strconv.Atoi(value); err != nil || n < low || n > high {
			return bad()
		}
		return nil
	}
	switch key {
	case AttrPreserveClientIP:
		if value != "true" && value != "false" {
			return bad()
		}
	case AttrCrossZone:
		if value != "true" && value != "false" && value != was {
			return bad()
		}
		if was == "true" && value != was {
			return invalid("Cross-zone load balancing cannot be turned off for an Application Load Balancer")
		}
		if _, http := defaults["slow_start.duration_seconds"]; http && value == "false" {
			return engine.NotModelled("attribute %s=%s of an Application Load Balancer's target group", key, value)
		}
	case AttrRoutingPolicy:
		if !slices.Contains([]string{"any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"}, value) {
			return bad()
		}
	case AttrDeregistrationDelay: // Source: types.TargetGroupAttribute: from 0 to 3600 seconds.
		return number(0, 3600)
	case AttrIdleTimeout: // Source: types.LoadBalancerAttribute: from 1 to 4000 seconds.
		return number(1, 4000)
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
