package kube

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// A patch of the status touches what it names, merges conditions by their type, and makes a new version only if it changes something.
func TestPatchStatus(t *testing.T) {
	e := engine.New(engine.Options{})
	c := New(e, trace.New(e), Options{})
	cl := c.As(Caller{User: "test"})
	key := Key{Namespace: "default", Name: "p"}
	if _, err := cl.Create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "nginx"}}}}); err != nil {
		t.Fatal(err)
	}
	pod, _ := Get[*corev1.Pod](cl, key)
	pod = pod.DeepCopy()
	pod.Status.PodIP = "10.0.0.1"
	pod.Status.Conditions = []corev1.PodCondition{{Type: "a", Status: corev1.ConditionTrue, Reason: "R", Message: "m", LastTransitionTime: metav1.NewTime(time.Unix(100, 0).UTC())}, {Type: "b", Status: corev1.ConditionTrue}}
	if _, err := cl.UpdateStatus(pod); err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		patch   string
		changes bool
		want    string // condition a
		b       corev1.ConditionStatus
	}{
		{`{"status":{"conditions":[{"type":"a","status":"True"}]}}`, false, "True R m since=true", corev1.ConditionTrue},
		{`{"status":{"conditions":[{"type":"b","status":"False"}]}}`, true, "True R m since=true", corev1.ConditionFalse},
		{`{"status":{"conditions":[{"type":"a","status":"False","message":"n","lastTransitionTime":null}]}}`, true, "False R n since=false", corev1.ConditionFalse},
		{`{"status":{"conditions":[{"type":"a","status":"False","message":"n","lastTransitionTime":null}]}}`, false, "False R n since=false", corev1.ConditionFalse},
	} {
		before, _ := Get[*corev1.Pod](cl, key)
		if _, err := PatchStatus[*corev1.Pod](cl, key, []byte(s.patch)); err != nil {
			t.Fatal(err)
		}
		after, _ := Get[*corev1.Pod](cl, key)
		a := after.Status.Conditions[0]
		if got := fmt.Sprintf("%s %s %s since=%v", a.Status, a.Reason, a.Message, !a.LastTransitionTime.IsZero()); got != s.want {
			t.Errorf("%s: %s, want %s", s.patch, got, s.want)
		}
		if after.Status.Conditions[1].Status != s.b || after.Status.PodIP != "10.0.0.1" || after.Spec.Containers[0].Image != "nginx" {
			t.Errorf("%s: %+v", s.patch, after)
		}
		if changed := before.ResourceVersion != after.ResourceVersion; changed != s.changes {
			t.Errorf("%s: a new version: %v", s.patch, changed)
		}
	}
	if _, err := PatchStatus[*corev1.Pod](cl, key, []byte(`{"metadata":{"uid":"other"},"status":{"podIP":"1.2.3.4"}}`)); err == nil {
		t.Error("a patch that names another uid is applied")
	}
}
