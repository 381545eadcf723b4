package lbc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// Paths become patterns by their type: exact ones first, then prefixes by their length, then the others as they come.
// Source: pkg/ingress/model_build_listener_rules.go.
func TestPaths(t *testing.T) {
	path := func(p string, typ networkingv1.PathType) networkingv1.HTTPIngressPath {
		out := networkingv1.HTTPIngressPath{Path: p}
		if typ != "" {
			out.PathType = &typ
		}
		return out
	}
	sorted := sortedPaths([]networkingv1.HTTPIngressPath{path("/z*", ""), path("/", networkingv1.PathTypePrefix), path("/long/er", networkingv1.PathTypePrefix), path("/b", networkingv1.PathTypeExact), path("/a*", networkingv1.PathTypeImplementationSpecific), path("/a", networkingv1.PathTypeExact), path("/shop/", networkingv1.PathTypePrefix)})
	var got []string
	for _, p := range sorted {
		patterns, err := pathPatterns(p)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Join(patterns, " "))
	}
	if want := "/b|/a|/long/er /long/er/*|/shop /shop/*|/*|/z*|/a*"; strings.Join(got, "|") != want {
		t.Errorf("%s, want %s", strings.Join(got, "|"), want)
	}
	for _, typ := range []networkingv1.PathType{networkingv1.PathTypeExact, networkingv1.PathTypePrefix} {
		if _, err := pathPatterns(path("/a*", typ)); err == nil {
			t.Errorf("%s with a wildcard is taken", typ)
		}
	}
}

// What an annotation asks for is done, or refused by its name.
func TestAnnotationsOfAnIngress(t *testing.T) {
	ing := func(key, value string) *networkingv1.Ingress {
		return &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{"alb.ingress.kubernetes.io/" + key: value, "other.io/x": "y"}}}
	}
	for _, c := range []struct {
		key, value string
		modelled   bool
		valid      bool
	}{
		{"scheme", "internet-facing", true, true}, {"listen-ports", `[{"HTTP": 80}, {"HTTP": 8080}]`, true, true}, {"listen-ports", `[{"HTTPS": 443}]`, false, false}, {"listen-ports", `80`, true, false},
		{"listen-ports", `[{"HTTP": 0}]`, true, false}, {"listen-ports", `[]`, true, false}, {"listen-ports", `[{"TCP": 80}]`, true, false},
		{"certificate-arn", "arn", false, false}, {"group.name", "g", false, false}, {"actions.x", "{}", false, false}, {"ssl-redirect", "443", false, false}, {"backend-protocol", "HTTPS", false, false}, {"backend-protocol", "HTTP", true, true},
		{"backend-protocol-version", "GRPC", false, false}, {"ip-address-type", "dualstack", false, false}, {"healthcheck-interval-seconds", "5", true, true}, {"succes-codes", "200", false, false},
	} {
		err := Refuse(ing(c.key, c.value))
		if modelled := !errors.Is(err, engine.ErrNotModelled); modelled != c.modelled || (err == nil) != c.valid {
			t.Errorf("%s=%s: %v", c.key, c.value, err)
		}
		if !c.modelled && !strings.Contains(fmt.Sprint(err), "alb.ingress.kubernetes.io/"+c.key) {
			t.Errorf("%s: refused without its name: %v", c.key, err)
		}
	}
	class := "service.k8s.aws/nlb"
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"service.beta.kubernetes.io/aws-load-balancer-ssl-cert": "arn"}}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: &class}}
	if err := Refuse(svc); !errors.Is(err, engine.ErrNotModelled) || !strings.Contains(err.Error(), "ssl-cert") {
		t.Errorf("a Service's annotation: %v", err)
	}
	svc.Spec.LoadBalancerClass = nil // it is the in-tree provider's, who reads what it wants
	if err := Refuse(svc); err != nil {
		t.Errorf("a Service of another controller: %v", err)
	}
}
