package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// What the index says of pods and nodes is what looking at each would say, whatever pods ask for and whatever becomes of nodes.
func TestIndexAgainstLookingAtAll(t *testing.T) {
	for seed := range uint64(30) {
		c := newCluster(t, seed, 3)
		r := c.e.Rand("test")
		pods := 0
		for range 60 {
			fresh := ""
			switch r.IntN(4) {
			case 0, 1:
				pods++
				fresh = fmt.Sprintf("p%d", pods)
				c.pod(t, fresh, "a", func(s *corev1.PodSpec) {
					switch r.IntN(4) {
					case 0:
						s.NodeSelector = map[string]string{corev1.LabelHostname: fmt.Sprintf("n%d", 1+r.IntN(4))}
					case 1:
						s.NodeSelector = map[string]string{"even": fmt.Sprint(r.IntN(2) == 0), corev1.LabelHostname: fmt.Sprintf("n%d", 1+r.IntN(3))}
					case 2:
						s.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
							{MatchFields: []corev1.NodeSelectorRequirement{{Key: nameField, Operator: corev1.NodeSelectorOpIn, Values: []string{fmt.Sprintf("n%d", 1+r.IntN(4))}}}}}}}}
					}
					if r.IntN(3) == 0 {
						s.Tolerations = []corev1.Toleration{{Key: "odd", Operator: corev1.TolerationOpExists}}
					}
				})
			case 2:
				if all := kube.List[*corev1.Pod](c.c); len(all) > 0 {
					if err := kube.Delete[*corev1.Pod](c.c, kube.KeyOf(all[r.IntN(len(all))])); err != nil {
						t.Fatal(err)
					}
				}
			case 3:
				n, err := kube.Get[*corev1.Node](c.c, kube.Key{Name: fmt.Sprintf("n%d", 1+r.IntN(3))})
				if err != nil {
					t.Fatal(err)
				}
				n = n.DeepCopy()
				if n.Spec.Taints = nil; r.IntN(2) == 0 {
					n.Spec.Taints = []corev1.Taint{{Key: "odd", Effect: corev1.TaintEffectNoSchedule}}
				}
				n.Spec.Unschedulable = r.IntN(3) == 0
				if _, err := c.c.Update(n); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.e.Run(c.e.Now()+time.Minute, nil); err != nil {
				t.Fatal(err)
			}
			// Those that have no node by now fit nowhere.
			nodes := kube.List[*corev1.Node](c.c)
			on := map[string]int{}
			all := kube.List[*corev1.Pod](c.c)
			for _, p := range all {
				on[p.Spec.NodeName]++
			}
			for _, p := range all {
				if p.Spec.NodeName != "" || p.DeletionTimestamp != nil {
					continue
				}
				reasons := map[string]int{}
				for _, n := range nodes {
					why := turnedAway(p, n)
					switch {
					case why != "":
					case !selected(p, n) || !nodeAffinity(p, n):
						why = noMatch
					case on[n.Name] >= 3:
						why = "Too many pods"
					default:
						t.Fatalf("seed %d: %s fits on %s, and waits", seed, p.Name, n.Name)
					}
					reasons[why]++
				}
				var words []string
				for why, k := range reasons {
					words = append(words, fmt.Sprintf("%d %s", k, why))
				}
				slices.Sort(words)
				// Later changes that cannot help the pod leave its message as it is.
				if want := "0/3 nodes are available: " + strings.Join(words, ", "); p.Name == fresh && c.node(t, fresh) != want {
					t.Fatalf("seed %d: %s: %q, want %q", seed, p.Name, c.node(t, fresh), want)
				}
			}
		}
	}
}
