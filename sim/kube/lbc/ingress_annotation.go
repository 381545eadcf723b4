package lbc

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Annotations of an Ingress. Source: docs/guide/ingress/annotations.md.
const (
	ingressPrefix          = "alb.ingress.kubernetes.io/"
	ingressClassAnnotation = "kubernetes.io/ingress.class"

	ingressName            = ingressPrefix + "load-balancer-name"
	ingressScheme          = ingressPrefix + "scheme"
	ingressListenPorts     = ingressPrefix + "listen-ports"
	ingressInboundCIDRs    = ingressPrefix + "inbound-cidrs"
	ingressLBAttrs         = ingressPrefix + "load-balancer-attributes"
	ingressIPAddressType   = ingressPrefix + "ip-address-type"
	ingressTargetType      = ingressPrefix + "target-type"
	ingressProtocol        = ingressPrefix + "backend-protocol"
	ingressProtocolVersion = ingressPrefix + "backend-protocol-version"
	ingressTGAttrs         = ingressPrefix + "target-group-attributes"
	ingressCheckPort       = ingressPrefix + "healthcheck-port"
	ingressCheckProtocol   = ingressPrefix + "healthcheck-protocol"
	ingressCheckPath       = ingressPrefix + "healthcheck-path"
	ingressCheckInterval   = ingressPrefix + "healthcheck-interval-seconds"
	ingressCheckTimeout    = ingressPrefix + "healthcheck-timeout-seconds"
	ingressHealthy         = ingressPrefix + "healthy-threshold-count"
	ingressUnhealthy       = ingressPrefix + "unhealthy-threshold-count"
	ingressSuccessCodes    = ingressPrefix + "success-codes"
)

// targetGroupAnnotations may be on a Service as well, where they count before the Ingress's.
var (
	targetGroupAnnotations = []string{ingressTargetType, ingressProtocol, ingressProtocolVersion, ingressTGAttrs, ingressCheckPort, ingressCheckProtocol, ingressCheckPath, ingressCheckInterval, ingressCheckTimeout,
		ingressHealthy, ingressUnhealthy, ingressSuccessCodes}
	ingressAnnotations = append([]string{ingressName, ingressScheme, ingressListenPorts, ingressInboundCIDRs, ingressLBAttrs, ingressIPAddressType}, targetGroupAnnotations...)
)

// refuseIngress says what of an Ingress is not modelled.
func refuseIngress(ing *networkingv1.Ingress) error {
	if err := refuseAnnotations(ing.Annotations, ingressPrefix, ingressAnnotations); err != nil {
		return err
	}
	for _, c := range []struct{ key, only string }{{ingressIPAddressType, "ipv4"}, {ingressProtocol, "HTTP"}, {ingressProtocolVersion, "HTTP1"}} {
		if v := text(ing.Annotations, c.key, c.only); v != c.only {
			return engine.NotModelled("annotation %s: %s", c.key, v)
		}
	}
	_, err := listenPorts(ing)
	return err
}

// listenPorts are the ports of an Ingress's listeners, which all speak HTTP. Source: pkg/ingress/model_build_listener.go.
func listenPorts(ing *networkingv1.Ingress) ([]int32, error) {
	raw, ok := ing.Annotations[ingressListenPorts]
	if !ok {
		return []int32{80}, nil
	}
	var entries []map[string]int32
	if err := json.Unmarshal([]byte(raw), &entries); err != nil {
		return nil, fmt.Errorf("failed to parse listen-ports configuration: `%s`: %w", raw, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("empty listen-ports configuration: `%s`", raw)
	}
	var ports []int32
	for _, e := range entries {
		for protocol, port := range e {
			switch {
			case protocol == "HTTPS":
				return nil, engine.NotModelled("annotation %s: HTTPS", ingressListenPorts)
			case protocol != "HTTP":
				return nil, fmt.Errorf("listen protocol must be HTTP or HTTPS: %v", protocol)
			case port < 1 || port > 65535:
				return nil, fmt.Errorf("listen port must be within [1, 65535]: %v", port)
			}
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	return ports, nil
}

// inboundCIDRs are who may call the load balancer. Source: pkg/ingress/model_build_listener.go, default 0.0.0.0/0.
func inboundCIDRs(ing *networkingv1.Ingress) (out []string, err error) {
	for _, part := range strings.Split(text(ing.Annotations, ingressInboundCIDRs, "0.0.0.0/0"), ",") {
		c, err := netip.ParsePrefix(strings.TrimSpace(part))
		if err != nil {
			return nil, fmt.Errorf("invalid %s settings on Ingress: %s: %w", ingressInboundCIDRs, part, err)
		}
		if c.Addr().Is4() {
			out = append(out, c.String())
		}
	}
	return out, nil
}

// ingressOfClass says whether an Ingress is this controller's: by spec.ingressClassName, or by the annotation that it replaced.
// Source: pkg/ingress/class_annotation_matcher.go; the chart's IngressClass is named alb.
func (x *Controller) ingressOfClass(ing *networkingv1.Ingress) bool {
	if class, ok := ing.Annotations[ingressClassAnnotation]; ok {
		return class == "alb"
	}
	if ing.Spec.IngressClassName == nil {
		return false
	}
	for _, c := range x.classes.List() {
		if c.Name == *ing.Spec.IngressClassName {
			return c.Spec.Controller == "ingress.k8s.aws/alb"
		}
	}
	return false
}
