package lbc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// ours says whether a Service is this controller's.
func ours(s *corev1.Service) bool {
	if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return false
	}
	t := s.Annotations[annotationType]
	return t == "external" || t == "nlb-ip" || s.Spec.LoadBalancerClass != nil && *s.Spec.LoadBalancerClass == loadBalancerClass
}

var notAlphanumeric = regexp.MustCompile("[^a-zA-Z0-9]")

// nameOf is k8s-NAMESPACE-NAME-HASH, of 8, 8 and 10 characters.
// Source: pkg/service and pkg/ingress, model_build_load_balancer.go, model_build_target_group.go.
func nameOf(namespace, name string, parts ...string) string {
	cut := func(s string, n int) string {
		s = notAlphanumeric.ReplaceAllString(s, "")
		return s[:min(len(s), n)]
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "")))
	return fmt.Sprintf("k8s-%s-%s-%s", cut(namespace, 8), cut(name, 8), hex.EncodeToString(sum[:])[:10])
}

// reconcileService makes a Service's Network Load Balancer.
func (x *Controller) reconcileService(p *engine.Process, k kube.Key) error {
	svc, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil || !ours(svc) || x.done[k] {
		return nil
	}
	if err := Refuse(svc); err != nil {
		return x.fail(fmt.Errorf("service %v: %w", k, err))
	}
	if len(svc.Spec.Ports) != 1 || svc.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
		return x.fail(engine.NotModelled("Service %v: other than one TCP port", k))
	}
	// Source: pkg/service/model_build_load_balancer.go, buildLoadBalancerScheme.
	scheme := text(svc.Annotations, annotationScheme, "internal")
	if scheme != "internal" && scheme != "internet-facing" {
		x.say(svc, "FailedBuildModel", "Failed build model due to unknown scheme: %v", scheme)
		return fmt.Errorf("unknown scheme: %v", scheme)
	}
	targetType := svc.Annotations[annotationTargetType]
	switch targetType {
	case "":
		targetType = targetTypeInstance
		if svc.Annotations[annotationType] == "nlb-ip" {
			targetType = targetTypeIP
		}
	case targetTypeInstance, targetTypeIP:
	default:
		x.say(svc, "FailedBuildModel", "Failed build model due to unsupported target type %q", targetType)
		return fmt.Errorf("unsupported target type %q", targetType)
	}
	ctx := engine.WithProcess(x.ctx, p)
	tags := []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String(x.opts.ClusterName)}, {Key: aws.String("service.k8s.aws/stack"), Value: aws.String(k.String())}}
	if err := x.serviceStack(ctx, svc, scheme, targetType, tags); err != nil {
		x.say(svc, "FailedDeployModel", "Failed deploy model due to %v", err)
		return err
	}
	x.say(svc, reconciled, "Successfully reconciled")
	return nil
}

func (x *Controller) serviceStack(ctx context.Context, svc *corev1.Service, scheme, targetType string, tags []elbtypes.Tag) error {
	k := kube.KeyOf(svc)
	tg, err := x.serviceTargetGroup(ctx, svc, targetType, tags)
	if err != nil {
		return err
	}
	subnets, err := x.subnets(ctx, scheme)
	if err != nil {
		return err
	}
	in := &elbv2.CreateLoadBalancerInput{Name: aws.String(text(svc.Annotations, annotationName, nameOf(svc.Namespace, svc.Name, x.opts.ClusterName, string(svc.UID), scheme))), Type: elbtypes.LoadBalancerTypeEnumNetwork, Scheme: elbtypes.LoadBalancerSchemeEnum(scheme), Tags: tags}
	lb, err := x.loadBalancer(ctx, in, subnets, svc.Annotations[annotationLBAttrs])
	if err != nil {
		return err
	}
	if _, err := x.opts.ELBV2.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: lb.LoadBalancerArn}); err != nil {
		return err
	}
	if _, err := x.opts.ELBV2.CreateListener(ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancerArn, Port: aws.Int32(svc.Spec.Ports[0].Port), Protocol: elbtypes.ProtocolEnumTcp, Tags: tags,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: tg.TargetGroupArn}}}); err != nil {
		return err
	}
	if err := x.createBinding(k.Namespace, tg, targetType, ServiceReference{svc.Name, intstr.FromInt32(svc.Spec.Ports[0].Port)}, x.serviceNetworking(svc, scheme, targetType, subnets)); err != nil {
		return err
	}
	x.done[k] = true
	latest, err := kube.Get[*corev1.Service](x.client, k)
	if err != nil {
		return err
	}
	now := latest.DeepCopy()
	now.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{Hostname: aws.ToString(lb.DNSName)}}
	_, err = x.client.UpdateStatus(now)
	return err
}

// serviceTargetGroup makes a Service's target group. Source: pkg/service/model_build_target_group.go; pkg/service/model_builder.go (defaults).
func (x *Controller) serviceTargetGroup(ctx context.Context, svc *corev1.Service, targetType string, tags []elbtypes.Tag) (tg elbtypes.TargetGroup, err error) {
	port, a := &svc.Spec.Ports[0], svc.Annotations
	in := &elbv2.CreateTargetGroupInput{VpcId: aws.String(x.opts.VPCID), Protocol: elbtypes.ProtocolEnumTcp, TargetType: elbtypes.TargetTypeEnum(targetType), Tags: tags,
		HealthCheckProtocol: elbtypes.ProtocolEnumTcp, HealthCheckPort: aws.String("traffic-port"), HealthCheckIntervalSeconds: aws.Int32(10), HealthCheckTimeoutSeconds: aws.Int32(10),
		HealthyThresholdCount: aws.Int32(3), UnhealthyThresholdCount: aws.Int32(3)}
	path := "/"
	if targetType == targetTypeInstance {
		in.Port = aws.Int32(port.NodePort)
		if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
			in.HealthCheckProtocol, path, in.HealthCheckPort = elbtypes.ProtocolEnumHttp, "/healthz", aws.String(fmt.Sprint(svc.Spec.HealthCheckNodePort))
			in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount = aws.Int32(6), aws.Int32(2), aws.Int32(2)
		}
	} else {
		in.Port = aws.Int32(max(1, port.TargetPort.IntVal))
	}
	in.HealthCheckProtocol = elbtypes.ProtocolEnum(strings.ToUpper(text(a, annotationCheck+"protocol", string(in.HealthCheckProtocol))))
	if in.HealthCheckProtocol != elbtypes.ProtocolEnumTcp {
		in.HealthCheckPath = aws.String(text(a, annotationCheck+"path", path))
	}
	in.HealthCheckPort = aws.String(text(a, annotationCheck+"port", *in.HealthCheckPort))
	for _, n := range []struct {
		key string
		to  **int32
	}{{"interval", &in.HealthCheckIntervalSeconds}, {"timeout", &in.HealthCheckTimeoutSeconds}, {"healthy-threshold", &in.HealthyThresholdCount}, {"unhealthy-threshold", &in.UnhealthyThresholdCount}} {
		v, err := number(a, annotationCheck+n.key, **n.to)
		if err != nil {
			return tg, err
		}
		*n.to = aws.Int32(v)
	}
	in.Name = aws.String(nameOf(svc.Namespace, svc.Name, x.opts.ClusterName, string(svc.UID), fmt.Sprint(*in.Port), fmt.Sprint(port.Port), targetType, "TCP", string(in.HealthCheckProtocol), fmt.Sprint(*in.HealthCheckIntervalSeconds)))
	return x.targetGroup(ctx, in, a[annotationTGAttrs], "proxy_protocol_v2.enabled=false")
}

// serviceNetworking says who must reach the targets. Clients' addresses that are preserved come from anywhere in the VPC, or of the internet;
// otherwise packets come from the load balancer's subnets, as health checks do.
// Source: pkg/service/model_build_target_group.go, buildTargetGroupBindingNetworking.
func (x *Controller) serviceNetworking(svc *corev1.Service, scheme, targetType string, subnets []ec2types.Subnet) *TargetGroupBindingNetworking {
	port := svc.Spec.Ports[0].TargetPort
	if targetType == targetTypeInstance {
		port = intstr.FromInt32(svc.Spec.Ports[0].NodePort)
	}
	_, attrs, _ := attributes(svc.Annotations[annotationTGAttrs])
	preserved := targetType == targetTypeInstance
	if v, ok := attrs["preserve_client_ip.enabled"]; ok {
		preserved = v == "true"
	}
	var own []NetworkingPeer
	for _, s := range subnets {
		own = append(own, NetworkingPeer{CIDR: aws.ToString(s.CidrBlock)})
	}
	from := own
	if preserved {
		from = []NetworkingPeer{{CIDR: "0.0.0.0/0"}}
		if scheme == "internal" {
			from = []NetworkingPeer{{CIDR: x.opts.VPCCIDR.String()}}
		}
	}
	n := &TargetGroupBindingNetworking{Ingress: []NetworkingIngressRule{{From: from, Ports: []intstr.IntOrString{port}}}}
	check := port
	if targetType == targetTypeInstance && svc.Spec.HealthCheckNodePort != 0 {
		check = intstr.FromInt32(svc.Spec.HealthCheckNodePort)
	}
	if v, err := strconv.ParseInt(svc.Annotations[annotationCheck+"port"], 10, 32); err == nil {
		check = intstr.FromInt32(int32(v))
	}
	if check != port {
		n.Ingress = append(n.Ingress, NetworkingIngressRule{From: own, Ports: []intstr.IntOrString{check}})
	}
	return n
}
