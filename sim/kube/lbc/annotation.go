package lbc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Annotations of a Service. Source: docs/guide/service/annotations.md.
const (
	prefix               = "service.beta.kubernetes.io/aws-load-balancer-"
	annotationType       = prefix + "type"
	annotationScheme     = prefix + "scheme"
	annotationTargetType = prefix + "nlb-target-type"
	annotationTGAttrs    = prefix + "target-group-attributes"
	annotationLBAttrs    = prefix + "attributes"
	annotationName       = prefix + "name"
	annotationCheck      = prefix + "healthcheck-" // and one of protocol, port, path, interval, timeout, healthy-threshold, unhealthy-threshold
	loadBalancerClass    = "service.k8s.aws/nlb"
)

// serviceAnnotations are those that are modelled.
var serviceAnnotations = []string{annotationType, annotationScheme, annotationTargetType, annotationTGAttrs, annotationLBAttrs, annotationName,
	annotationCheck + "protocol", annotationCheck + "port", annotationCheck + "path", annotationCheck + "interval", annotationCheck + "timeout", annotationCheck + "healthy-threshold", annotationCheck + "unhealthy-threshold"}

// Refuse returns an error that wraps engine.ErrNotModelled for an Ingress or a Service that asks the controller for what is not modelled.
func Refuse(o any) error {
	var err error
	switch o := o.(type) {
	case *corev1.Service:
		if ours(o) {
			err = refuseAnnotations(o.Annotations, prefix, serviceAnnotations)
			if err == nil {
				err = refuseAnnotations(o.Annotations, ingressPrefix, targetGroupAnnotations)
			}
		}
	case *networkingv1.Ingress:
		err = refuseIngress(o)
	}
	return err
}

func refuseAnnotations(annotations map[string]string, prefix string, modelled []string) error {
	keys := make([]string, 0, len(annotations))
	for a := range annotations {
		keys = append(keys, a)
	}
	slices.Sort(keys)
	for _, a := range keys {
		if strings.HasPrefix(a, prefix) && !slices.Contains(modelled, a) {
			return engine.NotModelled("annotation %s", a)
		}
	}
	return nil
}

// attributes reads an annotation of the form key=value,key=value.
func attributes(annotation string) (keys []string, values map[string]string, err error) {
	values = map[string]string{}
	for _, part := range strings.Split(annotation, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return nil, nil, fmt.Errorf("failed to parse stringMap annotation: %s", annotation)
		}
		keys = append(keys, k)
		values[k] = v
	}
	slices.Sort(keys)
	return keys, values, nil
}

// number reads an annotation that is a number; the default is for one that is missing.
func number(annotations map[string]string, key string, otherwise int32) (int32, error) {
	text, ok := annotations[key]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("failed to parse int64 annotation, %s: %s: %w", key, text, err)
	}
	return int32(n), nil
}

// text reads an annotation; the default is for one that is missing.
func text(annotations map[string]string, key, otherwise string) string {
	if v, ok := annotations[key]; ok {
		return v
	}
	return otherwise
}
