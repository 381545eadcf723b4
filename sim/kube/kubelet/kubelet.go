// Package kubelet models the kubelet of each node: it starts the pods that are bound to its node, and says so in their status.
//
// Models: the network of a pod by the CNI plugin, hostNetwork, starting containers after a while, resolv.conf by DNS policy, readiness of pods
// without probes.
// Does not model yet: probes, stopping pods, restarts, volumes, init containers, image pulls. Asking for them ends the run with engine.ErrNotModelled.
// Source: kubernetes/kubernetes pkg/kubelet.
package kubelet

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/workload"
)

// Options are what kubelets share; zero fields have defaults.
type Options struct {
	Images workload.Images
	// ClusterDNS and NodeDNS are nameservers: of pods, and of the nodes themselves. Domain is the nodes' search domain.
	ClusterDNS, NodeDNS netip.Addr
	Domain              string
	// PodStart is how long a pod takes from being bound to its containers running, drawn uniformly. Zero means 2.2 to 3.3 s, as with an image
	// that is on the node.
	PodStart [2]time.Duration
}

// Kubelets is the kubelets of all nodes.
type Kubelets struct {
	cluster *kube.Cluster
	opts    Options
	nodes   map[string]*Node
	running map[kube.Key]*Pod
}

// Node is one node's kubelet.
type Node struct {
	Name   string
	Root   *linux.Namespace
	CNI    *cni.Host
	client *kube.Client
}

// Pod is a pod that runs.
type Pod struct {
	Object    *corev1.Pod
	Node      *Node
	Namespace *linux.Namespace
	Addr      netip.Addr
	Resolv    dns.Config
	// Shared is whether it uses its node's network namespace.
	Shared bool
}

// New starts kubelets that work on what the cache of pods says.
func New(c *kube.Cluster, pods *kube.Informer[*corev1.Pod], opts Options) *Kubelets {
	if opts.PodStart[1] == 0 {
		opts.PodStart = [2]time.Duration{2200 * time.Millisecond, 3300 * time.Millisecond}
	}
	k := &Kubelets{cluster: c, opts: opts, nodes: map[string]*Node{}, running: map[kube.Key]*Pod{}}
	pods.Handle(func(old, now *corev1.Pod) {
		if now == nil {
			return
		}
		n := k.nodes[now.Spec.NodeName]
		if n == nil || old != nil && old.Spec.NodeName == now.Spec.NodeName && now.DeletionTimestamp == nil {
			return
		}
		if now.DeletionTimestamp != nil {
			c.Engine().Fail(engine.NotModelled("Pod %v: stopping a running pod", kube.KeyOf(now)))
			return
		}
		c.Engine().Go("kubelet "+n.Name, func(p *engine.Process) { k.start(p, n, now) })
	})
	return k
}

// Add puts a node under a kubelet. Its CNI is to be set before pods are started.
func (k *Kubelets) Add(name string, root *linux.Namespace) *Node {
	n := &Node{Name: name, Root: root, client: k.cluster.As(kube.Caller{User: "system:node:" + name})}
	k.nodes[name] = n
	return n
}

// Running is the pod of a key, nil if it does not run (yet).
func (k *Kubelets) Running(key kube.Key) *Pod { return k.running[key] }

func (k *Kubelets) start(p *engine.Process, n *Node, pod *corev1.Pod) {
	e := k.cluster.Engine()
	low, high := k.opts.PodStart[0], k.opts.PodStart[1]
	p.Sleep(low + time.Duration(e.Rand("kubelet: pod start").Int64N(int64(high-low)+1)))
	run := &Pod{Object: pod, Node: n, Namespace: n.Root, Addr: n.Root.Device("eth0").Addr(), Shared: pod.Spec.HostNetwork}
	if !pod.Spec.HostNetwork {
		ns, a, err := n.CNI.Add(p, pod.Namespace, pod.Name)
		if err != nil {
			if errors.Is(err, engine.ErrNotModelled) {
				e.Fail(err)
			}
			k.cluster.Log().Say(trace.Kube, "kubelet "+n.Name, "FailedCreatePodSandBox", kube.KeyOf(pod).String()+": "+err.Error())
			return
		}
		run.Namespace, run.Addr = ns, a
	}
	run.Resolv = k.resolv(pod)
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		program, err := k.opts.Images.Find(c.Image)
		if err == nil {
			err = program(workload.Container{Pod: pod, Spec: c, Namespace: run.Namespace})
		}
		if err != nil {
			e.Fail(fmt.Errorf("Pod %v, container %s: %w", kube.KeyOf(pod), c.Name, err))
			return
		}
	}
	k.running[kube.KeyOf(pod)] = run
	k.report(n, run)
}

// resolv is what the container finds in /etc/resolv.conf.
// Source: kubernetes/kubernetes pkg/kubelet/network/dns/dns.go: pods with hostNetwork and ClusterFirst fall back to Default.
func (k *Kubelets) resolv(pod *corev1.Pod) dns.Config {
	policy := pod.Spec.DNSPolicy
	if policy == corev1.DNSDefault || policy == corev1.DNSClusterFirst && pod.Spec.HostNetwork {
		return dns.Config{Nameserver: k.opts.NodeDNS, Search: []string{k.opts.Domain}, NDots: 1}
	}
	return dns.Config{Nameserver: k.opts.ClusterDNS, Search: []string{pod.Namespace + ".svc.cluster.local", "svc.cluster.local", "cluster.local", k.opts.Domain}, NDots: 5}
}

// report writes the status of a pod that runs. Without a readiness probe it is ready at once.
func (k *Kubelets) report(n *Node, run *Pod) {
	pod, err := kube.Get[*corev1.Pod](n.client, kube.KeyOf(run.Object))
	if err != nil {
		return
	}
	now := pod.DeepCopy()
	s := &now.Status
	t := k.cluster.Now()
	s.Phase, s.StartTime = corev1.PodRunning, &t
	s.HostIP = n.Root.Device("eth0").Addr().String()
	s.PodIP = run.Addr.String()
	s.PodIPs = []corev1.PodIP{{IP: s.PodIP}}
	for _, c := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: c, Status: corev1.ConditionTrue, LastTransitionTime: t})
	}
	yes := true
	for _, c := range pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: true, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: t}}})
	}
	if _, err := n.client.UpdateStatus(now); err != nil {
		k.cluster.Engine().Fail(err)
	}
}
