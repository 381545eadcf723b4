package kubelet

import (
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// report writes the status of a pod, if it has changed. Conditions of others are left alone.
func (k *Kubelets) report(w *Pod) {
	n := w.Node
	pod, err := kube.Get[*corev1.Pod](n.client, kube.KeyOf(w.Object))
	if err != nil || pod.UID != w.Object.UID || n.dead {
		return
	}
	now := pod.DeepCopy()
	s := &now.Status
	s.Phase = corev1.PodPending
	start := metav1.NewTime(engine.Epoch.Add(w.startTime.Truncate(syncTick)))
	s.StartTime = &start
	s.HostIP = n.Root.Device("eth0").Addr().String()
	if w.Addr.IsValid() {
		s.PodIP = w.Addr.String()
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	s.ContainerStatuses = make([]corev1.ContainerStatus, len(w.containers))
	var unready []string
	for i, c := range w.containers {
		if c.task != nil {
			s.Phase = corev1.PodRunning
		}
		started := c.started && c.running()
		ready := c.ready && c.running()
		if !ready {
			unready = append(unready, c.spec.Name)
		}
		s.ContainerStatuses[i] = corev1.ContainerStatus{Name: c.spec.Name, Image: c.spec.Image, Ready: ready, Started: &started, RestartCount: c.restarts, State: c.state, LastTerminationState: c.last}
	}
	k.conditions(now, unready)
	if reflect.DeepEqual(pod.Status, now.Status) {
		return
	}
	if _, err := n.client.UpdateStatus(now); err != nil {
		k.cluster.Engine().Fail(err)
	}
}

// conditions writes those that are the kubelet's.
// Source: kubernetes/kubernetes pkg/kubelet/status/generate.go (GenerateContainersReadyCondition, GeneratePodReadyCondition).
func (k *Kubelets) conditions(pod *corev1.Pod, unready []string) {
	t := k.cluster.Now()
	set := func(c corev1.PodConditionType, reason, message string) {
		want := corev1.PodCondition{Type: c, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastTransitionTime: t}
		if reason != "" {
			want.Status = corev1.ConditionFalse
		}
		at := slices.IndexFunc(pod.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == c })
		if at < 0 {
			pod.Status.Conditions = append(pod.Status.Conditions, want)
			return
		}
		if pod.Status.Conditions[at].Status == want.Status {
			want.LastTransitionTime = pod.Status.Conditions[at].LastTransitionTime
		}
		pod.Status.Conditions[at] = want
	}
	set(corev1.PodInitialized, "", "")
	reason, message := "", ""
	if len(unready) > 0 {
		reason, message = "ContainersNotReady", "containers with unready status: ["+strings.Join(unready, " ")+"]"
	}
	gateReason, gateMessage := reason, message
	if reason == "" {
		var not []string
		for _, g := range pod.Spec.ReadinessGates {
			at := slices.IndexFunc(pod.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == g.ConditionType })
			switch {
			case at < 0:
				not = append(not, `corresponding condition of pod readiness gate "`+string(g.ConditionType)+`" does not exist.`)
			case pod.Status.Conditions[at].Status != corev1.ConditionTrue:
				not = append(not, `the status of pod readiness gate "`+string(g.ConditionType)+`" is not "True", but `+string(pod.Status.Conditions[at].Status))
			}
		}
		if len(not) > 0 {
			gateReason, gateMessage = "ReadinessGatesNotReady", strings.Join(not, ", ")
		}
	}
	set(corev1.PodReady, gateReason, gateMessage)
	set(corev1.ContainersReady, reason, message)
	set(corev1.PodScheduled, "", "")
}
