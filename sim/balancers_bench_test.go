package sim

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A rolling update behind an ALB, with and without readiness gates and a hook: the settling, 200 requests one after the other, and all that
// checks health meanwhile.
func BenchmarkRollingUpdate(b *testing.B) {
	for name, guarded := range map[string]bool{"bare": false, "guarded": true} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				s := newShop()
				s.spec.Seed = uint64(i + 1)
				w, err := New(s.spec, nil)
				if err != nil {
					b.Fatal(err)
				}
				o := s.objects()
				if guarded {
					pod := &o[0].(*appsv1.Deployment).Spec.Template.Spec
					pod.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sleep", "20"}}}}
					w.Do(Change{At: 100 * time.Second, Action: LabelNamespace{Name: "default", Labels: map[string]string{"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}}})
				}
				w.Apply(30*time.Second, o)
				w.Start(Load{Name: "curl", Pace: Serial, At: 4 * time.Minute, Every: 500 * time.Millisecond, Count: 200, Ingress: "default/web", Method: "HEAD"})
				w.Do(Change{At: 4*time.Minute + 10*time.Second, Action: SetImage{Deployment: "default/web", Container: "web", Image: "nginx:1.22.0"}})
				if err := w.Engine.RunWhile(func() bool { return !w.Done() }, nil); err != nil {
					b.Fatal(err)
				}
				w.Close()
			}
		})
	}
}
