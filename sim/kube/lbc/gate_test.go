package lbc

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// The patch is the one that the controller has the library make.
func TestConditionPatch(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}}
	for _, c := range []corev1.PodCondition{
		{Type: "t", Status: corev1.ConditionTrue},
		{Type: "t", Status: corev1.ConditionFalse, Reason: "R", Message: "m", LastTransitionTime: metav1.NewTime(time.Unix(1, 0))},
	} {
		before, _ := json.Marshal(corev1.Pod{})
		after, _ := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{c}}})
		want, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := conditionPatch(pod, c)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal(want, &b) != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
