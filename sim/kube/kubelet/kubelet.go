package kubelet

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
)

// Network is the CNI plugin of a node, as the container runtime calls it.
type Network interface {
	// Add gives a pod a network namespace with an address.
	Add(p *engine.Process, namespace, pod string) (*linux.Namespace, netip.Addr, error)
	// Del takes it away. It is called for a pod without one, too.
	Del(p *engine.Process, namespace, pod string) error
}

// Kubelets is the kubelets of all nodes.
type Kubelets struct {
	cluster *kube.Cluster
	engine  *engine.Engine
	opts    Options
	nodes   map[string]*Node
	pods    map[types.UID]*Pod
	running map[kube.Key]*Pod
}

// Node is one node's kubelet.
type Node struct {
	Name   string
	Root   *linux.Namespace
	CNI    Network
	client *kube.Client
	events *kube.Recorder
	// phase is when within a second the kubelet looks for what is due. Source: pkg/kubelet/kubelet.go, syncLoop (syncTicker), and the PLEG's relist.
	phase time.Duration
	// dead is whether the node has lost its power.
	dead bool
}

// Pod is a pod that a kubelet has.
type Pod struct {
	// Object is the pod as the kubelet last saw it.
	Object    *corev1.Pod
	Node      *Node
	Namespace *linux.Namespace
	Addr      netip.Addr
	Resolv    dns.Config
	// Shared is whether it uses its node's network namespace.
	Shared bool

	kubelets   *Kubelets
	worker     *engine.Process // nil while there is nothing to do
	again      bool            // something has changed since the worker last looked
	sandbox    bool            // it has its network
	started    bool            // its containers have been started once
	begun      time.Duration
	containers []*container
	ending     bool // it is to be stopped
	// graceSeconds is what it has for that; attempt counts how often that was set: each time its containers are stopped anew.
	graceSeconds int64
	attempt      int
	stopping     []*engine.Process
	stopped      bool // all is stopped and gone
	status       statusWriter
}

// New starts kubelets that work on what the cache of pods says.
func New(c *kube.Cluster, pods *kube.Informer[*corev1.Pod], opts Options) *Kubelets {
	opts.Times = opts.Times.withDefaults()
	k := &Kubelets{cluster: c, engine: c.Engine(), opts: opts, nodes: map[string]*Node{}, pods: map[types.UID]*Pod{}, running: map[kube.Key]*Pod{}}
	pods.Handle(func(old, now *corev1.Pod) {
		switch {
		case now != nil:
			k.seen(now)
		case old.Spec.NodeName != "":
			k.removed(old)
		}
	})
	return k
}

// Add puts a node under a kubelet. Its CNI is to be set before pods are started.
func (k *Kubelets) Add(name string, root *linux.Namespace) *Node {
	n := &Node{Name: name, Root: root, client: k.cluster.As(kube.Caller{User: "system:node:" + name, UserAgent: "kubelet"}), events: k.cluster.Recorder("kubelet", name)}
	n.phase = time.Duration(k.engine.Rand("kubelet: phase").Int64N(int64(time.Second)))
	k.nodes[name] = n
	return n
}

// Running is the pod of a key whose containers have been started, nil if there is none (yet).
func (k *Kubelets) Running(key kube.Key) *Pod { return k.running[key] }

// seen takes what the API server says of a pod.
func (k *Kubelets) seen(o *corev1.Pod) {
	n := k.nodes[o.Spec.NodeName]
	if n == nil || n.dead {
		return
	}
	pod := k.pods[o.UID]
	if pod == nil {
		if o.Status.Phase == corev1.PodSucceeded || o.Status.Phase == corev1.PodFailed {
			return
		}
		pod = &Pod{Object: o, Node: n, kubelets: k, begun: k.engine.Now(), Shared: o.Spec.HostNetwork}
		pod.Resolv = k.resolv(o)
		for i := range o.Spec.Containers {
			pod.containers = append(pod.containers, &container{pod: pod, spec: &o.Spec.Containers[i]})
		}
		k.pods[o.UID] = pod
	}
	before := pod.Object
	pod.Object = o
	if o.DeletionTimestamp != nil {
		pod.end(*o.DeletionGracePeriodSeconds)
		return
	}
	if pod.worker == nil && before != o && gates(before) == gates(o) {
		return // the kubelet's own words, or what concerns others
	}
	pod.wake()
}

// removed takes the word that a pod is no longer in the API: what still runs of it is stopped.
func (k *Kubelets) removed(o *corev1.Pod) {
	pod := k.pods[o.UID]
	if pod == nil || pod.Node.dead {
		return
	}
	if pod.stopped {
		k.forget(pod)
		return
	}
	if g := pod.Object.Spec.TerminationGracePeriodSeconds; g != nil {
		pod.end(*g)
		return
	}
	pod.end(minimumGraceSeconds)
}

func (k *Kubelets) forget(pod *Pod) {
	delete(k.pods, pod.Object.UID)
	if k.running[kube.KeyOf(pod.Object)] == pod {
		delete(k.running, kube.KeyOf(pod.Object))
	}
	pod.Node.events.Forget(pod.Object.UID)
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
