package kubelet

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/trace"
)

// statusLatency is what the two calls take with which a status is written; an order of magnitude.
var statusLatency = [2]time.Duration{5 * time.Millisecond, 15 * time.Millisecond}

// statusWriter is a pod's place in the status manager: what is to be written, and when.
type statusWriter struct {
	timer   engine.Timer
	pending bool
}

// report has the pod's status written soon. A later report replaces one that waits.
// Source: kubernetes/kubernetes pkg/kubelet/status/status_manager.go.
func (pod *Pod) report() {
	k := pod.kubelets
	if pod.status.pending || pod.Node.dead {
		return
	}
	pod.status.pending = true
	pod.status.timer = k.engine.After(k.draw("status latency", statusLatency), "kubelet: status", engine.Func(pod.write))
}

// flush writes what waits at once.
func (pod *Pod) flush() {
	if pod.status.pending {
		pod.kubelets.engine.Stop(pod.status.timer)
		pod.write()
	}
}

// write patches the status in the API.
func (pod *Pod) write() {
	k := pod.kubelets
	pod.status.pending = false
	if pod.Node.dead {
		return
	}
	client := pod.Node.client
	o, err := kube.Get[*corev1.Pod](client, kube.KeyOf(pod.Object))
	if err != nil || o.UID != pod.Object.UID {
		return
	}
	now := *o // all but the status stays as it is
	now.Status = *o.Status.DeepCopy()
	pod.fill(&now.Status)
	if reflect.DeepEqual(now.Status, o.Status) {
		return
	}
	if _, err := client.UpdateStatus(&now); err != nil && !apierrors.IsNotFound(err) {
		k.engine.Fail(err)
	}
}

// fill writes what the kubelet knows into a status.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet_pods.go, generateAPIPodStatus; status/generate.go.
func (pod *Pod) fill(s *corev1.PodStatus) {
	k := pod.kubelets
	if s.StartTime == nil {
		t := k.cluster.Now()
		s.StartTime = &t
	}
	host := pod.Node.Root.Device("eth0").Addr().String()
	s.HostIP, s.HostIPs = host, []corev1.HostIP{{IP: host}}
	if pod.Addr.IsValid() {
		s.PodIP = pod.Addr.String()
		s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	}
	s.ContainerStatuses = s.ContainerStatuses[:0:0]
	var unready []string
	any, failed := false, false
	for _, c := range pod.containers {
		cs := c.status()
		s.ContainerStatuses = append(s.ContainerStatuses, cs)
		if !cs.Ready {
			unready = append(unready, cs.Name)
		}
		any = any || c.task != nil
		failed = failed || cs.State.Terminated == nil || cs.State.Terminated.ExitCode != 0
	}
	switch {
	case pod.stopped && failed:
		s.Phase = corev1.PodFailed
	case pod.stopped:
		s.Phase = corev1.PodSucceeded
	case any:
		s.Phase = corev1.PodRunning
	default:
		s.Phase = corev1.PodPending
	}
	containers := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}
	switch {
	case s.Phase == corev1.PodSucceeded || s.Phase == corev1.PodFailed:
		containers.Status, containers.Reason = corev1.ConditionFalse, "PodCompleted"
		if s.Phase == corev1.PodFailed {
			containers.Reason = "PodFailed"
		}
	case len(unready) > 0:
		containers.Status, containers.Reason, containers.Message = corev1.ConditionFalse, "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(unready, " "))
	}
	ready := containers
	ready.Type = corev1.PodReady
	if containers.Status == corev1.ConditionTrue {
		if missing := pod.gatesMissing(s); len(missing) > 0 {
			ready.Status, ready.Reason, ready.Message = corev1.ConditionFalse, "ReadinessGatesNotReady", strings.Join(missing, ", ")
		}
	}
	pod.set(s, corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue})
	pod.set(s, ready)
	pod.set(s, containers)
	pod.set(s, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
}

// set puts a condition in; the time of its last transition stays while its status does.
func (pod *Pod) set(s *corev1.PodStatus, c corev1.PodCondition) {
	for i := range s.Conditions {
		if old := &s.Conditions[i]; old.Type == c.Type {
			c.LastTransitionTime = old.LastTransitionTime
			if old.Status != c.Status {
				c.LastTransitionTime = pod.kubelets.cluster.Now()
			}
			*old = c
			return
		}
	}
	c.LastTransitionTime = pod.kubelets.cluster.Now()
	s.Conditions = append(s.Conditions, c)
}

// gatesMissing says of each readiness gate that is not true why.
// Source: kubernetes/kubernetes pkg/kubelet/status/generate.go, GeneratePodReadyCondition.
func (pod *Pod) gatesMissing(s *corev1.PodStatus) []string {
	var out []string
	for _, g := range pod.Object.Spec.ReadinessGates {
		found := false
		for _, c := range s.Conditions {
			if c.Type != g.ConditionType {
				continue
			}
			if found = true; c.Status != corev1.ConditionTrue {
				out = append(out, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", g.ConditionType, c.Status))
			}
		}
		if !found {
			out = append(out, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", g.ConditionType))
		}
	}
	return out
}

// gates is the state of a pod's readiness gates, to be compared.
func gates(o *corev1.Pod) string {
	out := ""
	for _, g := range o.Spec.ReadinessGates {
		for _, c := range o.Status.Conditions {
			if c.Type == g.ConditionType {
				out += string(c.Type) + "=" + string(c.Status) + ";"
			}
		}
	}
	return out
}

// say records what a kubelet does to a container.
func (k *Kubelets) say(c *container, what, text string) {
	log := k.cluster.Log()
	log.Emit(trace.Record{Kind: trace.Kube, Actor: log.Name("kubelet " + c.pod.Node.Name), What: log.Name(what), Text: kube.KeyOf(c.pod.Object).String() + " " + c.spec.Name + ": " + text})
}
