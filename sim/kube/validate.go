package kube

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validate returns Invalid for an object that the API server would not take, as far as pods and their controllers are concerned. It looks at the object
// as it is with its defaults.
// Source: kubernetes/kubernetes pkg/apis/apps/validation/validation.go, pkg/apis/core/validation/validation.go.
func validate(o any) error {
	var errs field.ErrorList
	var group, name string
	spec := field.NewPath("spec")
	switch o := o.(type) {
	case *corev1.Pod:
		o = o.DeepCopy()
		podDefaults(&o.Spec)
		name, errs = o.Name, validatePod(&o.Spec, spec)
	case *appsv1.ReplicaSet:
		o = o.DeepCopy()
		podDefaults(&o.Spec.Template.Spec)
		group, name, errs = "apps", o.Name, validateTemplate(o.Spec.Selector, &o.Spec.Template, spec)
		errs = append(errs, notNegative(o.Spec.Replicas, spec.Child("replicas"))...)
		errs = append(errs, notNegative(&o.Spec.MinReadySeconds, spec.Child("minReadySeconds"))...)
	case *appsv1.Deployment:
		o = o.DeepCopy()
		deploymentDefaults(&o.Spec)
		group, name, errs = "apps", o.Name, validateDeployment(&o.Spec, spec)
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: group, Kind: kindOf(o)}, name, errs)
}

func notNegative(n *int32, at *field.Path) field.ErrorList {
	if n != nil && *n < 0 {
		return field.ErrorList{field.Invalid(at, *n, "must be greater than or equal to 0")}
	}
	return nil
}

func validateDeployment(s *appsv1.DeploymentSpec, at *field.Path) field.ErrorList {
	errs := validateTemplate(s.Selector, &s.Template, at)
	errs = append(errs, notNegative(s.Replicas, at.Child("replicas"))...)
	errs = append(errs, notNegative(&s.MinReadySeconds, at.Child("minReadySeconds"))...)
	errs = append(errs, notNegative(s.RevisionHistoryLimit, at.Child("revisionHistoryLimit"))...)
	if d := s.ProgressDeadlineSeconds; d != nil {
		errs = append(errs, notNegative(d, at.Child("progressDeadlineSeconds"))...)
		if *d <= s.MinReadySeconds {
			errs = append(errs, field.Invalid(at.Child("progressDeadlineSeconds"), *d, "must be greater than minReadySeconds"))
		}
	}
	strategy := at.Child("strategy")
	switch r := s.Strategy.RollingUpdate; s.Strategy.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if r != nil {
			errs = append(errs, field.Forbidden(strategy.Child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'"))
		}
	case appsv1.RollingUpdateDeploymentStrategyType:
		at := strategy.Child("rollingUpdate")
		errs = append(errs, intOrPercent(r.MaxUnavailable, at.Child("maxUnavailable"))...)
		errs = append(errs, intOrPercent(r.MaxSurge, at.Child("maxSurge"))...)
		if isNone(r.MaxUnavailable) && isNone(r.MaxSurge) {
			errs = append(errs, field.Invalid(at.Child("maxUnavailable"), r.MaxUnavailable.String(), "may not be 0 when `maxSurge` is 0"))
		}
		if p := r.MaxUnavailable; p.Type == intstr.String {
			if n, err := intstr.GetScaledValueFromIntOrPercent(p, 100, false); err == nil && n > 100 {
				errs = append(errs, field.Invalid(at.Child("maxUnavailable"), p.StrVal, "must not be greater than 100%"))
			}
		}
	default:
		errs = append(errs, field.NotSupported(strategy.Child("type"), s.Strategy.Type, []appsv1.DeploymentStrategyType{appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType}))
	}
	return errs
}

func isNone(x *intstr.IntOrString) bool {
	n, err := intstr.GetScaledValueFromIntOrPercent(x, 100, true)
	return err == nil && n == 0
}

func intOrPercent(x *intstr.IntOrString, at *field.Path) (errs field.ErrorList) {
	if x.Type == intstr.Int {
		return notNegative(&x.IntVal, at)
	}
	for _, msg := range validation.IsValidPercent(x.StrVal) {
		errs = append(errs, field.Invalid(at, x.StrVal, msg))
	}
	return errs
}

func validateTemplate(s *metav1.LabelSelector, t *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	errs := validatePod(&t.Spec, at.Child("template", "spec"))
	if s == nil {
		return append(errs, field.Required(at.Child("selector"), ""))
	}
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return append(errs, field.Invalid(at.Child("selector"), "{}", "empty selector is invalid"))
	}
	sel, err := metav1.LabelSelectorAsSelector(s)
	switch {
	case err != nil:
		errs = append(errs, field.Invalid(at.Child("selector"), s.String(), "invalid label selector"))
	case !sel.Matches(labels.Set(t.Labels)):
		errs = append(errs, field.Invalid(at.Child("template", "metadata", "labels"), labels.Set(t.Labels).String(), "`selector` does not match template `labels`"))
	}
	return errs
}

func validatePod(s *corev1.PodSpec, at *field.Path) (errs field.ErrorList) {
	if len(s.Containers) == 0 {
		errs = append(errs, field.Required(at.Child("containers"), ""))
	}
	grace := s.TerminationGracePeriodSeconds
	for i := range s.Containers {
		c, at := &s.Containers[i], at.Child("containers").Index(i)
		if c.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
		if c.Image == "" {
			errs = append(errs, field.Required(at.Child("image"), ""))
		}
		if l := c.Lifecycle; l != nil {
			at := at.Child("lifecycle")
			errs = append(errs, lifecycleHandler(l.PostStart, grace, at.Child("postStart"))...)
			errs = append(errs, lifecycleHandler(l.PreStop, grace, at.Child("preStop"))...)
			if l.StopSignal != nil {
				if s.OS == nil {
					errs = append(errs, field.Forbidden(at.Child("stopSignal"), "may not be set for containers with unspecified OS in pod"))
				} else if !strings.HasPrefix(string(*l.StopSignal), "SIG") {
					errs = append(errs, field.NotSupported(at.Child("stopSignal"), *l.StopSignal, []corev1.Signal{corev1.SIGTERM, corev1.SIGQUIT, corev1.SIGINT}))
				}
			}
		}
		errs = append(errs, validateProbe(c.LivenessProbe, true, at.Child("livenessProbe"))...)
		errs = append(errs, validateProbe(c.StartupProbe, true, at.Child("startupProbe"))...)
		errs = append(errs, validateProbe(c.ReadinessProbe, false, at.Child("readinessProbe"))...)
	}
	for i, g := range s.ReadinessGates {
		for _, msg := range validation.IsQualifiedName(string(g.ConditionType)) {
			errs = append(errs, field.Invalid(at.Child("readinessGates").Index(i).Child("conditionType"), g.ConditionType, msg))
		}
	}
	return errs
}

func validateProbe(p *corev1.Probe, restarts bool, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := handlers(at, p.Exec, p.HTTPGet, p.TCPSocket, nil, p.GRPC != nil, nil)
	for _, x := range []struct {
		name string
		n    int32
	}{{"initialDelaySeconds", p.InitialDelaySeconds}, {"timeoutSeconds", p.TimeoutSeconds}, {"periodSeconds", p.PeriodSeconds}, {"successThreshold", p.SuccessThreshold}, {"failureThreshold", p.FailureThreshold}} {
		errs = append(errs, notNegative(&x.n, at.Child(x.name))...)
	}
	t := p.TerminationGracePeriodSeconds
	switch {
	case restarts && p.SuccessThreshold != 1:
		errs = append(errs, field.Invalid(at.Child("successThreshold"), p.SuccessThreshold, "must be 1"))
	case !restarts && t != nil:
		errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), *t, "must not be set for readinessProbes"))
	case t != nil && *t <= 0:
		errs = append(errs, field.Invalid(at.Child("terminationGracePeriodSeconds"), *t, "must be greater than 0"))
	}
	return errs
}

func lifecycleHandler(h *corev1.LifecycleHandler, grace *int64, at *field.Path) field.ErrorList {
	if h == nil {
		return nil
	}
	return handlers(at, h.Exec, h.HTTPGet, h.TCPSocket, h.Sleep, false, grace)
}

// handlers checks that there is one, and what it says.
func handlers(at *field.Path, exec *corev1.ExecAction, http *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction, sleep *corev1.SleepAction, grpc bool, grace *int64) (errs field.ErrorList) {
	n := 0
	add := func(there bool, name string) bool {
		if !there {
			return false
		}
		if n++; n > 1 {
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 handler type"))
		}
		return n == 1
	}
	if add(exec != nil, "exec") && len(exec.Command) == 0 {
		errs = append(errs, field.Required(at.Child("exec", "command"), ""))
	}
	if add(http != nil, "httpGet") {
		errs = append(errs, validatePort(http.Port, at.Child("httpGet", "port"))...)
		if http.Scheme != corev1.URISchemeHTTP && http.Scheme != corev1.URISchemeHTTPS {
			errs = append(errs, field.NotSupported(at.Child("httpGet", "scheme"), http.Scheme, []corev1.URIScheme{corev1.URISchemeHTTP, corev1.URISchemeHTTPS}))
		}
	}
	if add(tcp != nil, "tcpSocket") {
		errs = append(errs, validatePort(tcp.Port, at.Child("tcpSocket", "port"))...)
	}
	add(grpc, "grpc")
	if add(sleep != nil, "sleep") && grace != nil && (sleep.Seconds < 0 || sleep.Seconds > *grace) {
		errs = append(errs, field.Invalid(at.Child("sleep"), sleep.Seconds, fmt.Sprintf("must be non-negative and less than terminationGracePeriodSeconds (%d)", *grace)))
	}
	if n == 0 {
		errs = append(errs, field.Required(at, "must specify a handler type"))
	}
	return errs
}

func validatePort(p intstr.IntOrString, at *field.Path) (errs field.ErrorList) {
	var all []string
	if p.Type == intstr.Int {
		all = validation.IsValidPortNum(p.IntValue())
	} else {
		all = validation.IsValidPortName(p.StrVal)
	}
	for _, msg := range all {
		errs = append(errs, field.Invalid(at, p.String(), msg))
	}
	return errs
}
