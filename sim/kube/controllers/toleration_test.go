package controllers

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestToleration(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	const key = corev1.TaintNodeUnreachable
	for _, c := range []struct {
		name    string
		pod     corev1.Pod
		want    time.Duration
		forever bool
	}{
		{name: "says nothing", want: 300 * time.Second},
		{name: "its own time", pod: tolerating(corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: seconds(20)}), want: 20 * time.Second},
		{name: "the shortest counts", pod: tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(50)}, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(30)}), want: 30 * time.Second},
		{name: "at once", pod: tolerating(corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, TolerationSeconds: seconds(-1)})},
		{name: "all taints for ever", pod: tolerating(corev1.Toleration{Operator: corev1.TolerationOpExists}), forever: true},
		{name: "another effect", pod: tolerating(corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule}), want: 300 * time.Second},
		{name: "another taint", pod: tolerating(corev1.Toleration{Key: "spot", Operator: corev1.TolerationOpExists}), want: 300 * time.Second},
		{name: "a value that the taint has not", pod: tolerating(corev1.Toleration{Key: key, Value: "x", TolerationSeconds: seconds(1)}), want: 300 * time.Second},
		{name: "of a DaemonSet", pod: corev1.Pod{ObjectMeta: metav1.ObjectMeta{OwnerReferences: []metav1.OwnerReference{{Kind: "DaemonSet", Controller: func() *bool { b := true; return &b }()}}}}, forever: true},
	} {
		if got, forever := toleration(&c.pod); got != c.want && !forever || forever != c.forever {
			t.Errorf("%s: %v %v, want %v %v", c.name, got, forever, c.want, c.forever)
		}
	}
}

func tolerating(t ...corev1.Toleration) corev1.Pod {
	return corev1.Pod{Spec: corev1.PodSpec{Tolerations: t}}
}
