package kube

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the API server does not take is refused in its words.
func TestValidate(t *testing.T) {
	labels := map[string]string{"app": "web"}
	type change func(*appsv1.DeploymentSpec, *corev1.Container)
	sleep := func(s string) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", s}}}
	}
	rolling := func(surge, unavailable intstr.IntOrString) change {
		return func(d *appsv1.DeploymentSpec, _ *corev1.Container) {
			d.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable}
		}
	}
	number, text := intstr.FromInt32, intstr.FromString
	grace := func(n int64) *int64 { return &n }
	deadline := func(n int32) *int32 { return &n }
	for _, c := range []struct {
		change change
		want   string // empty: taken
	}{
		{func(*appsv1.DeploymentSpec, *corev1.Container) {}, ""},
		{rolling(number(0), number(0)), "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0\": may not be 0 when `maxSurge` is 0"},
		{rolling(text("0%"), number(0)), "may not be 0 when `maxSurge` is 0"},
		{rolling(text("1%"), number(0)), ""}, // of 10 that is one
		{rolling(text("25"), number(1)), "maxSurge: Invalid value: \"25\": a valid percent string must be"},
		{rolling(text("x%"), number(1)), "maxSurge"},
		{rolling(number(-1), number(1)), "maxSurge: Invalid value: -1: must be greater than or equal to 0"},
		{rolling(text("200%"), number(1)), ""}, // twice as many is allowed
		{rolling(number(1), text("101%")), "must not be greater than 100%"},
		{func(d *appsv1.DeploymentSpec, _ *corev1.Container) {
			d.Strategy = appsv1.DeploymentStrategy{Type: "Recreate", RollingUpdate: &appsv1.RollingUpdateDeployment{}}
		}, "may not be specified when strategy `type` is 'Recreate'"},
		{func(d *appsv1.DeploymentSpec, _ *corev1.Container) { d.Strategy.Type = "BlueGreen" }, "supported values: \"Recreate\", \"RollingUpdate\""},
		{func(d *appsv1.DeploymentSpec, _ *corev1.Container) { d.MinReadySeconds = -1 }, "minReadySeconds"},
		{func(d *appsv1.DeploymentSpec, _ *corev1.Container) {
			d.MinReadySeconds, d.ProgressDeadlineSeconds = 60, deadline(60)
		}, "must be greater than minReadySeconds"},
		{func(d *appsv1.DeploymentSpec, _ *corev1.Container) {
			d.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
		}, "`selector` does not match template `labels`"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: sleep("1").Exec, Sleep: &corev1.SleepAction{Seconds: 1}}}
		}, "spec.template.spec.containers[0].lifecycle.preStop.sleep: Forbidden: may not specify more than 1 handler type"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}
		}, "must specify a handler type"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 31}}}
		}, "must be non-negative and less than terminationGracePeriodSeconds (30)"},
		{func(d *appsv1.DeploymentSpec, c *corev1.Container) {
			d.Template.Spec.TerminationGracePeriodSeconds = grace(31)
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 31}}}
		}, ""},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: sleep("40")}
		}, ""}, // longer than the grace period: nobody objects
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			s := corev1.SIGQUIT
			c.Lifecycle = &corev1.Lifecycle{StopSignal: &s}
		}, "may not be set for containers with unspecified OS in pod"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: number(80)}}, TerminationGracePeriodSeconds: grace(1)}
		}, "must not be set for readinessProbes"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: number(0)}}, SuccessThreshold: 2}
		}, "livenessProbe.successThreshold: Invalid value: 2: must be 1"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) {
			c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: text("no port name")}}}
		}, "startupProbe.httpGet.port"},
		{func(_ *appsv1.DeploymentSpec, c *corev1.Container) { c.Image = "" }, "image: Required value"},
	} {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"}, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx"}}}}}}
		c.change(&d.Spec, &d.Spec.Template.Spec.Containers[0])
		err := Refuse(d)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("refused: %v", err)
		case c.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}
