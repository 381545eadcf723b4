package kubelet

import (
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/workload"
)

// When a kubelet comes back to a pod after an error: after backOffPeriod, lengthened by up to half at random, at its next look at the queue.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (backOffPeriod; syncLoop's syncTicker), pod_workers.go (completeWork,
// workerBackOffPeriodJitterFactor).
const (
	backOffPeriod = 10 * time.Second
	backOffJitter = backOffPeriod / 2
	syncTick      = time.Second
)

// sandboxShare is the part of a pod's start that comes before its sandbox; the rest is pulling, creating and starting containers and seeing
// that they run. Model choice: nobody measures the parts.
const sandboxShare = 0.3

// container is a container as the kubelet knows it.
type container struct {
	spec    *corev1.Container
	task    *workload.Task
	state   corev1.ContainerState
	last    corev1.ContainerState
	ready   bool
	started bool
	// restarts counts how often it was started again.
	restarts int32
}

func (c *container) running() bool { return c.task != nil && !c.task.Exited() }

// start brings a pod up. If it is to end meanwhile, start stops it.
// Source: kubernetes/kubernetes pkg/kubelet/kubelet.go (SyncPod), kuberuntime/kuberuntime_manager.go (SyncPod).
func (k *Kubelets) start(p *engine.Process, w *Pod) {
	pod, e := w.Object, k.cluster.Engine()
	for i := range pod.Spec.Containers {
		w.containers = append(w.containers, &container{spec: &pod.Spec.Containers[i], state: waiting("ContainerCreating", "")})
	}
	k.report(w)
	low, high := k.opts.PodStart[0], k.opts.PodStart[1]
	takes := low + time.Duration(e.Rand("kubelet: pod start").Int64N(int64(high-low)+1))
	first := time.Duration(float64(takes) * sandboxShare)
	if k.pause(p, w, first) && k.network(p, w) && k.pause(p, w, takes-first) {
		w.worker = nil
		k.run(w)
		return
	}
	k.stop(p, w)
}

// pause waits, and says whether the pod is still to run.
func (k *Kubelets) pause(p *engine.Process, w *Pod, d time.Duration) bool {
	until := k.cluster.Engine().Now() + d
	for w.grace == 0 && !w.Node.dead {
		left := until - k.cluster.Engine().Now()
		if left <= 0 {
			return true
		}
		p.Wait(left)
	}
	return false
}

// network makes the pod's sandbox, again and again if need be. It says whether the pod has one and is still to run.
func (k *Kubelets) network(p *engine.Process, w *Pod) bool {
	n, pod, e := w.Node, w.Object, k.cluster.Engine()
	w.Resolv = k.resolv(pod)
	if pod.Spec.HostNetwork {
		w.Namespace, w.Addr, w.Shared = n.Root, n.Root.Device("eth0").Addr(), true
		return true
	}
	for {
		ns, a, err := n.CNI.Add(p, pod.Namespace, pod.Name)
		if err == nil {
			w.Namespace, w.Addr, w.sandbox = ns, a, true
			return w.grace == 0 && !n.dead
		}
		if errors.Is(err, engine.ErrNotModelled) {
			e.Fail(err)
		}
		if w.grace != 0 || n.dead {
			return false
		}
		n.events.Eventf(pod, corev1.EventTypeWarning, "FailedCreatePodSandBox", "Failed to create pod sandbox: %v", sandboxError(pod, err))
		d := backOffPeriod + time.Duration(e.Rand("kubelet: back-off").Int64N(int64(backOffJitter)))
		at := (e.Now() + d + syncTick - 1).Truncate(syncTick)
		if !k.pause(p, w, at-e.Now()) {
			return false
		}
	}
}

// sandboxError is what the container runtime makes of the plugin's error.
// Source: containerd pkg/cri/server/sandbox_run.go.
func sandboxError(pod *corev1.Pod, err error) error {
	id := kube.KeyOf(pod).Name + "_" + pod.Namespace
	return fmt.Errorf(`rpc error: code = Unknown desc = failed to setup network for sandbox "%s": plugin type="aws-cni" name="aws-cni" failed (add): %w`, id, err)
}

// run starts the containers of a pod that has its network.
func (k *Kubelets) run(w *Pod) {
	k.running[kube.KeyOf(w.Object)] = w
	for _, c := range w.containers {
		k.launch(w, c)
	}
	k.report(w)
}

func (k *Kubelets) launch(w *Pod, c *container) {
	n, e := w.Node, k.cluster.Engine()
	path := "spec.containers{" + c.spec.Name + "}"
	t := &workload.Task{}
	program, err := k.opts.Images.Find(c.spec.Image)
	if err == nil {
		err = checkHook(c.spec)
	}
	if err == nil {
		c.task = t
		t.OnExit = func(code int) { k.exited(w, c, t, code) }
		err = program(workload.Container{Pod: w.Object, Spec: c.spec, Namespace: w.Namespace, Task: t})
	}
	if err != nil {
		e.Fail(fmt.Errorf("Pod %v, container %s: %w", kube.KeyOf(w.Object), c.spec.Name, err))
		return
	}
	if t.Exited() {
		return
	}
	n.events.About(w.Object, path, corev1.EventTypeNormal, "Started", "Started container "+c.spec.Name)
	c.state = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: k.cluster.Now()}}
	c.ready, c.started = c.spec.ReadinessProbe == nil && c.spec.StartupProbe == nil, c.spec.StartupProbe == nil
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}
