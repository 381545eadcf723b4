package kubelet

import (
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/workload"
)

// Options are what kubelets share; zero fields have defaults.
type Options struct {
	Images workload.Images
	// ClusterDNS and NodeDNS are nameservers: of pods, and of the nodes themselves. Domain is the nodes' search domain.
	ClusterDNS, NodeDNS netip.Addr
	Domain              string
	Timing
}

// Timing is how long the container runtime takes. It differs between runtimes and nodes; zero fields have defaults, and a negative duration
// means none.
type Timing struct {
	// PodStart is how long a pod takes from being bound to its containers running, without its sandbox's network, drawn uniformly.
	// Zero means 2.2 to 3.3 s, as measured with an image that is on the node.
	PodStart [2]time.Duration
	// ContainerStop is from the kubelet's call to stop a container to the signal. Zero means 50 ms.
	ContainerStop time.Duration
	// NetnsTeardown is from the end of a pod's last container to the end of its network namespace. Zero means 1.3 s.
	NetnsTeardown time.Duration
}

func (t *Timing) defaults() {
	if t.PodStart[1] == 0 {
		t.PodStart = [2]time.Duration{2200 * time.Millisecond, 3300 * time.Millisecond}
	}
	if t.ContainerStop == 0 {
		t.ContainerStop = 50 * time.Millisecond
	}
	if t.NetnsTeardown == 0 {
		t.NetnsTeardown = 1300 * time.Millisecond
	}
}

// Kubelets is the kubelets of all nodes.
type Kubelets struct {
	cluster *kube.Cluster
	opts    Options
	nodes   map[string]*Node
	pods    map[types.UID]*Pod
	running map[kube.Key]*Pod
}

// Node is one node's kubelet.
type Node struct {
	Name string
	Root *linux.Namespace
	CNI  *cni.Host

	client *kube.Client
	events *kube.Recorder
	dead   bool
}

// Pod is a pod that a kubelet sees to.
type Pod struct {
	// Object is the pod as the kubelet knows it.
	Object    *corev1.Pod
	Node      *Node
	Namespace *linux.Namespace
	Addr      netip.Addr
	Resolv    dns.Config
	// Shared is whether it uses its node's network namespace.
	Shared bool

	containers []*container
	startTime  time.Duration
	sandbox    bool
	// worker is the process that starts the pod, or stops it; nil while neither goes on.
	worker *engine.Process
	// grace is for how long the pod may take to stop, in seconds; zero while it is not asked to.
	grace   int64
	attempt int
	removed bool // from the API, by force
}

// New starts kubelets that work on what the cache of pods says.
func New(c *kube.Cluster, pods *kube.Informer[*corev1.Pod], opts Options) *Kubelets {
	opts.Timing.defaults()
	k := &Kubelets{cluster: c, opts: opts, nodes: map[string]*Node{}, pods: map[types.UID]*Pod{}, running: map[kube.Key]*Pod{}}
	pods.Handle(k.changed)
	return k
}

// Add puts a node under a kubelet.
func (k *Kubelets) Add(name string, root *linux.Namespace, host *cni.Host) *Node {
	n := &Node{Name: name, Root: root, CNI: host, client: k.cluster.As(kube.Caller{User: "system:node:" + name}), events: k.cluster.Recorder("kubelet", name)}
	k.nodes[name] = n
	return n
}

// Running is the pod of a key, nil if its containers do not run (yet).
func (k *Kubelets) Running(key kube.Key) *Pod { return k.running[key] }

// changed is the watch of a node's pods. Source: kubernetes/kubernetes pkg/kubelet/kubelet.go, syncLoopIteration.
func (k *Kubelets) changed(old, now *corev1.Pod) {
	if now == nil {
		if w := k.pods[old.UID]; w != nil {
			w.removed = true
			k.terminate(w, 0)
		}
		return
	}
	n := k.nodes[now.Spec.NodeName]
	if n == nil || n.dead {
		return
	}
	w := k.pods[now.UID]
	if w == nil {
		w = &Pod{Object: now, Node: n, startTime: k.cluster.Engine().Now()}
		k.pods[now.UID] = w
		w.worker = k.cluster.Engine().Go("kubelet "+n.Name, func(p *engine.Process) { k.start(p, w) })
	}
	w.Object = now
	if now.DeletionTimestamp != nil {
		k.terminate(w, *now.DeletionGracePeriodSeconds)
		return
	}
	if old != nil && k.running[kube.KeyOf(now)] == w && old.ResourceVersion != now.ResourceVersion {
		k.report(w) // a readiness gate may have changed
	}
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
