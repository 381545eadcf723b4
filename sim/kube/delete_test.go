package kube

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

func newTestClient(t *testing.T) (*engine.Engine, *Client) {
	e := engine.New(engine.Options{Seed: 1})
	t.Cleanup(e.Close)
	return e, New(e, trace.New(e), Options{}).As(Caller{User: "test"})
}

func testPod(name, node string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
}

func mustCreate(t *testing.T, cl *Client, o Object) Object {
	t.Helper()
	out, err := cl.Create(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Deleting a pod that a kubelet has gives it time; a later deletion may shorten that, never lengthen it; without time, or without a kubelet, it is gone at
// once. Preconditions hold or nothing happens.
func TestDeletePod(t *testing.T) {
	seconds := func(n int64) *int64 { return &n }
	uid := types.UID("another")
	for _, c := range []struct {
		why   string
		node  string
		phase corev1.PodPhase
		opts  []metav1.DeleteOptions
		// left is the grace period that is written, -1 if the pod is gone.
		left int64
		err  func(error) bool
	}{
		{"its own grace period", "n", "", []metav1.DeleteOptions{{}}, 30, nil},
		{"what is asked for", "n", "", []metav1.DeleteOptions{{GracePeriodSeconds: seconds(5)}}, 5, nil},
		{"shortened", "n", "", []metav1.DeleteOptions{{}, {GracePeriodSeconds: seconds(7)}}, 7, nil},
		{"not lengthened", "n", "", []metav1.DeleteOptions{{GracePeriodSeconds: seconds(7)}, {GracePeriodSeconds: seconds(60)}}, 7, nil},
		{"deleted twice", "n", "", []metav1.DeleteOptions{{}, {}}, 30, nil},
		{"no time", "n", "", []metav1.DeleteOptions{{GracePeriodSeconds: seconds(0)}}, -1, nil},
		{"in the end", "n", "", []metav1.DeleteOptions{{}, {GracePeriodSeconds: seconds(0)}}, -1, nil},
		{"not bound", "", "", []metav1.DeleteOptions{{}}, -1, nil},
		{"it has ended", "n", corev1.PodSucceeded, []metav1.DeleteOptions{{}}, -1, nil},
		{"another pod of the name", "n", "", []metav1.DeleteOptions{{Preconditions: &metav1.Preconditions{UID: &uid}}}, 0, apierrors.IsConflict},
		{"less than no time", "n", "", []metav1.DeleteOptions{{GracePeriodSeconds: seconds(-1)}}, 0, apierrors.IsBadRequest},
	} {
		e, cl := newTestClient(t)
		p := mustCreate(t, cl, testPod("web", c.node)).(*corev1.Pod)
		if c.phase != "" {
			now := p.DeepCopy()
			now.Status.Phase = c.phase
			if _, err := cl.UpdateStatus(now); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Run(10*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, o := range c.opts {
			err = DeleteWith[*corev1.Pod](cl, KeyOf(p), o)
		}
		if c.err == nil && err != nil || c.err != nil && !c.err(err) {
			t.Errorf("%s: %v", c.why, err)
		}
		got, err := Get[*corev1.Pod](cl, KeyOf(p))
		switch {
		case c.left < 0:
			if err == nil {
				t.Errorf("%s: it is still there", c.why)
			}
		case err != nil:
			t.Errorf("%s: %v", c.why, err)
		case c.err != nil:
			if got.DeletionTimestamp != nil {
				t.Errorf("%s: it is being deleted", c.why)
			}
		default:
			if want := engine.Epoch.Add(10*time.Second + time.Duration(c.left)*time.Second); *got.DeletionGracePeriodSeconds != c.left || !got.DeletionTimestamp.Time.Equal(want) {
				t.Errorf("%s: %d s, until %v, want %d s, until %v", c.why, *got.DeletionGracePeriodSeconds, got.DeletionTimestamp, c.left, want)
			}
		}
	}
}

// A webhook changes what it is asked about, and only that. When it fails, its policy decides.
func TestWebhooks(t *testing.T) {
	for _, c := range []struct {
		why            string
		label          string
		hook           Webhook
		mutated, takes bool
	}{
		{"chosen", "on", Webhook{}, true, true},
		{"another namespace", "off", Webhook{}, false, true},
		{"another kind", "on", Webhook{Kind: "Service"}, false, true},
		{"another object", "on", Webhook{ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}, false, true},
		{"fails", "on", Webhook{Mutate: func(*corev1.Namespace, Object) error { return errors.New("broken") }}, false, false},
		{"fails, and may", "on", Webhook{FailurePolicy: admissionregistrationv1.Ignore, Mutate: func(*corev1.Namespace, Object) error { return errors.New("broken") }}, false, true},
		{"refuses", "on", Webhook{FailurePolicy: admissionregistrationv1.Ignore, Mutate: func(*corev1.Namespace, Object) error { return Denied{"no"} }}, false, false},
		{"too slow", "on", Webhook{Latency: 11 * time.Second}, false, false},
		{"slow", "on", Webhook{Latency: 9 * time.Second}, true, true},
	} {
		e, cl := newTestClient(t)
		h := c.hook
		h.Name, h.NamespaceSelector = "w", &metav1.LabelSelector{MatchLabels: map[string]string{"inject": "on"}}
		if h.Kind == "" {
			h.Kind = "Pod"
		}
		if h.Mutate == nil {
			h.Mutate = func(_ *corev1.Namespace, o Object) error { o.SetLabels(map[string]string{"mutated": "yes"}); return nil }
		}
		if err := cl.Cluster().AddWebhook(h); err != nil {
			t.Fatal(err)
		}
		mustCreate(t, cl, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"inject": c.label}}})
		var o Object
		var err error
		took := time.Duration(-1)
		e.Go("test", func(p *engine.Process) {
			pod := testPod("web", "")
			pod.Namespace = "ns"
			o, err = cl.On(p).Create(pod)
			took = e.Now()
		})
		if err := e.Run(time.Minute, nil); err != nil {
			t.Fatal(err)
		}
		if (err == nil) != c.takes || err == nil && (o.GetLabels()["mutated"] == "yes") != c.mutated {
			t.Errorf("%s: %v, %v", c.why, o, err)
		}
		if want := min(h.Latency, 10*time.Second); took != want {
			t.Errorf("%s: it took %v, want %v", c.why, took, want)
		}
	}
}

// Events that say the same are counted; of many that say nearly the same the later ones are combined; who says too much about one object is not listened
// to for a while.
func TestEvents(t *testing.T) {
	e, cl := newTestClient(t)
	pod := mustCreate(t, cl, testPod("web", ""))
	r := cl.Cluster().Recorder("kubelet", "n1")
	for range 3 {
		r.Warning(pod, "BackOff", "Back-off")
		if err := e.Run(e.Now()+time.Minute, nil); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		r.Normal(pod, "Made", "number %d", i)
	}
	for i := range 40 {
		r.Warning(pod, "Chatter", "again %d", i%2)
	}
	var got []string
	for _, x := range Events(cl) {
		got = append(got, fmt.Sprintf("%s %d %s", x.Reason, x.Count, x.Message))
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"BackOff 3 Back-off", "Made 1 number 0", "Made 1 number 8", "Made 3 (combined from similar events): number 11"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	n := int32(0)
	for _, x := range Events(cl) {
		n += x.Count
	}
	if n != 25 {
		t.Errorf("%d were written at once, want 25", n)
	}
	if first := Events(cl)[0]; !first.LastTimestamp.After(first.FirstTimestamp.Time) || first.Source.Host != "n1" || first.InvolvedObject.Kind != "Pod" {
		t.Errorf("%+v", first)
	}
	if err := e.Run(e.Now()+2*time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	if left := Events(cl); len(left) != 0 {
		t.Errorf("%d Events after two hours", len(left))
	}
}
