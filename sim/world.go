package sim

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/cloudprovider"
	"github.com/ekslab/ekslab/sim/kube/controllers"
	"github.com/ekslab/ekslab/sim/kube/coredns"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
	"github.com/ekslab/ekslab/sim/kube/kubeproxy"
	"github.com/ekslab/ekslab/sim/kube/lbc"
	"github.com/ekslab/ekslab/sim/kube/scheduler"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
	"github.com/ekslab/ekslab/sim/workload"
)

// accountID is AWS's own example account.
const accountID = "111122223333"

// World is a cluster in its VPC. Its parts are there to look at.
type World struct {
	Engine   *engine.Engine
	Log      *trace.Log
	Trail    *cloudtrail.Log
	VPC      *vpc.VPC
	EC2      *ec2.Service
	ELB      *elb.Service
	Kube     *kube.Cluster
	Kubelets *kubelet.Kubelets
	Nodes    []*Node
	Loads    []*LoadRun
	// OnPool is called after each change of what a node's ipamd holds. It may be nil.
	OnPool func(*Node, *ipamd.Agent)

	spec       Spec
	cniVersion ipamd.Version
	byName     map[string]*Node
	serial     uint64
	services   *kube.Informer[*corev1.Service]
	spaces     *kube.Informer[*corev1.Namespace]
	proxies    *kubeproxy.Proxies
	operator   *kube.Client
	lbc        *lbc.Controller
	monitor    *controllers.NodeMonitor
}

// Node is a worker node.
type Node struct {
	Name     string
	Instance *ec2.Instance
	Root     *linux.Namespace
	CNI      *cni.Host
	Kubelet  *kubelet.Node
}

// New builds a world at time 0. Nothing has happened yet but what made its network, nodes and controllers.
// Observe may be nil; it is called before the first record, so that it sees all of them.
func New(spec Spec, observe func(*trace.Log)) (*World, error) {
	w := &World{spec: spec, byName: map[string]*Node{}}
	var err error
	if w.cniVersion, err = ipamd.VersionOf(spec.VPCCNI.Version); err != nil {
		return nil, err
	}
	if _, err := ipamd.ReadSettings(w.cniVersion, ipamd.ManifestEnv(w.cniVersion, spec.VPCCNI.Env)); err != nil {
		return nil, err
	}
	if len(spec.VPC.CIDRs) == 0 {
		return nil, errors.New("the VPC has no CIDR block")
	}
	if err := spec.checkNodes(); err != nil {
		return nil, err
	}
	w.Engine = engine.New(engine.Options{Seed: spec.Seed, ShuffleTies: spec.ShuffleTies})
	w.Log = trace.New(w.Engine)
	if observe != nil {
		observe(w.Log)
	}
	w.Trail = cloudtrail.New(w.Engine, w.Log, 0)
	w.Trail.SetLatency(spec.APILatency)
	w.VPC = vpc.New(w.Engine, w.Log, spec.VPC.CIDRs[0], vpc.Options{})
	for _, c := range spec.VPC.CIDRs[1:] {
		if err := w.VPC.AddCIDR(c); err != nil {
			return nil, err
		}
	}
	subnets, err := w.subnets()
	if err != nil {
		return nil, err
	}
	w.EC2 = ec2.New(w.Engine, w.Log, w.Trail, w.VPC, spec.Region, ec2.Options{Throttle: spec.EC2Throttle})
	w.ELB = elb.New(w.Engine, w.Log, w.Trail, w.VPC, accountID, spec.Region, w.EC2.PrimaryInterface, &w.serial, spec.elbOptions())
	w.Kube = kube.New(w.Engine, w.Log, kube.Options{ServiceCIDR: spec.Cluster.ServiceCIDR})
	w.operator = w.Kube.As(kube.Caller{User: "kubernetes-admin", UserAgent: "kubectl"})
	if err := w.controlPlane(); err != nil {
		return nil, err
	}
	if err := w.nodes(subnets); err != nil {
		return nil, err
	}
	w.names()
	w.nodeAgents()
	w.coreDNS()
	return w, nil
}

// clusterTag is the tag of what belongs to a cluster.
func (w *World) clusterTag() string { return "kubernetes.io/cluster/" + w.spec.Cluster.Name }

func (w *World) subnets() (map[string]*vpc.Subnet, error) {
	subnets := map[string]*vpc.Subnet{}
	for _, s := range w.spec.VPC.Subnets {
		// Source: EKS user guide, "Subnet requirements": the tags that load balancer controllers look for.
		tags := map[string]string{w.clusterTag(): "shared"}
		if s.Public {
			tags["kubernetes.io/role/elb"] = "1"
		} else {
			tags["kubernetes.io/role/internal-elb"] = "1"
		}
		maps.Copy(tags, s.Tags)
		sn, err := w.VPC.AddSubnet(s.Name, s.Zone, s.CIDR, s.Public, tags)
		if err != nil {
			return nil, err
		}
		subnets[s.Name] = sn
	}
	return subnets, nil
}

// controlPlane starts what runs beside the API server.
func (w *World) controlPlane() error {
	c := w.Kube
	pods, nodes := kube.NewInformer[*corev1.Pod](c), kube.NewInformer[*corev1.Node](c)
	deployments, sets := kube.NewInformer[*appsv1.Deployment](c), kube.NewInformer[*appsv1.ReplicaSet](c)
	w.services = kube.NewInformer[*corev1.Service](c)
	w.spaces = kube.NewInformer[*corev1.Namespace](c)
	slices := kube.NewInformer[*discoveryv1.EndpointSlice](c)
	controllers.NewReplicaSets(c, sets, pods)
	controllers.NewDeployments(c, deployments, sets, pods)
	controllers.NewGarbage(c, deployments, sets, pods, w.services, slices)
	controllers.NewDaemonSets(c, kube.NewInformer[*appsv1.DaemonSet](c), pods, nodes)
	controllers.NewNodeLifecycle(c, nodes)
	w.monitor = controllers.NewNodeMonitor(c, pods)
	controllers.NewEndpointSlices(c, w.services, pods, nodes)
	scheduler.New(c, pods, nodes)
	cloudprovider.New(c, w.services, nodes, cloudprovider.Options{ClusterName: w.spec.Cluster.Name, VPCID: w.VPC.ID, ELBV2: w.ELB, EC2: w.EC2})
	if w.spec.LoadBalancerController == LBC {
		if err := w.loadBalancerController(lbc.Caches{Services: w.services, Slices: slices, Nodes: nodes, Pods: pods}); err != nil {
			return err
		}
	}
	images := workload.Standard()
	if w.spec.StandIns {
		images.AddStandIn()
	}
	images["eks/coredns"] = func(x workload.Container) error {
		_, err := coredns.Start(w.Log, x.Namespace, w.VPC.Resolver(), w)
		return err
	}
	images[awsNodeImage] = w.awsNode
	images[kubeProxyImage] = func(workload.Container) error { return nil } // the node's rules are written all the same
	// The nodes' own caches lag for themselves.
	agents := kube.NewInformer[*corev1.Pod](c)
	w.Kubelets = kubelet.New(c, agents, kubelet.Options{Images: images, ClusterDNS: c.DNSAddr(), NodeDNS: w.VPC.Resolver(), Domain: ec2.Domain(w.spec.Region), Times: w.spec.Kubelet})
	w.proxies = kubeproxy.New(c, kube.NewInformer[*corev1.Service](c), slices, kubeproxy.Options{NoMasquerade: w.spec.Switches.NoMasquerade})
	return nil
}

// ClusterIP is the address of a Service by its name, for CoreDNS.
func (w *World) ClusterIP(namespace, name string) (netip.Addr, bool) {
	s, ok := w.services.Get(kube.Key{Namespace: namespace, Name: name})
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s.Spec.ClusterIP)
	return a, err == nil
}

// HasNamespace says whether a namespace exists, for CoreDNS.
func (w *World) HasNamespace(name string) bool {
	_, ok := w.spaces.Get(kube.Key{Name: name})
	return ok
}

// nodes launches the node groups' instances and joins them to the cluster.
func (w *World) nodes(subnets map[string]*vpc.Subnet) error {
	group := w.VPC.AddSecurityGroup("eks-cluster-sg-"+w.spec.Cluster.Name, map[string]string{w.clusterTag(): "owned"})
	group.Ingress = append(group.Ingress, vpc.Permission{Group: group.ID, Description: "the cluster's own"})
	for _, g := range w.spec.NodeGroups {
		sn := subnets[g.Subnet]
		if sn == nil {
			return fmt.Errorf("node group %s: no subnet %q", g.Name, g.Subnet)
		}
		for i := range g.Size {
			var a netip.Addr
			if i < len(g.Addresses) {
				a = g.Addresses[i]
			}
			if err := w.node(&g, i+1, sn, a, group); err != nil {
				return fmt.Errorf("node group %s: %w", g.Name, err)
			}
		}
	}
	return nil
}

func (w *World) node(g *NodeGroup, ordinal int, sn *vpc.Subnet, a netip.Addr, group *vpc.SecurityGroup) error {
	in, err := w.EC2.Launch(g.InstanceType, sn, a, map[string]string{w.clusterTag(): "owned", "eks:nodegroup-name": g.Name}, group)
	if err != nil {
		return err
	}
	host, _, _ := strings.Cut(in.PrivateDNSName, ".")
	kernel := linux.NewKernel(w.Engine, w.Log, host, w.spec.Sysctls, &w.serial, linux.KernelOptions{TimerHZ: w.spec.TimerHZ, Switches: w.spec.Switches.Linux})
	n := &Node{Name: in.PrivateDNSName, Instance: in, Root: kernel.NewNamespace(host)}
	n.Kubelet = w.Kubelets.Add(n.Name, n.Root)
	n.CNI = w.plugin(n, n.Kubelet)
	n.Kubelet.CNI = n.CNI
	w.Nodes = append(w.Nodes, n)
	w.byName[n.Name] = n
	w.proxies.Add(n.Name, n.Root)
	maxPods := g.MaxPods
	if maxPods == 0 {
		maxPods = in.Limits.MaxPods()
	}
	pods := corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(maxPods), resource.DecimalSI)}
	return n.Kubelet.Register(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: map[string]string{
			corev1.LabelHostname: n.Name, corev1.LabelTopologyZone: sn.Zone, corev1.LabelTopologyRegion: w.spec.Region, corev1.LabelInstanceTypeStable: g.InstanceType,
			"eks.amazonaws.com/nodegroup": g.Name,
			// The node's number within its group, so that a manifest can name one node whatever its address.
			"ekslab/ordinal": strconv.Itoa(ordinal),
		}},
		Spec:   corev1.NodeSpec{ProviderID: "aws:///" + sn.Zone + "/" + string(in.ID)},
		Status: corev1.NodeStatus{Capacity: pods, Allocatable: pods, Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: in.Interfaces[0].Primary().String()}}},
	})
}

// names makes the VPC's resolver serve the load balancers' names and the hosts'.
func (w *World) names() {
	r := dns.NewResolver(w.Engine, w.Log, w.VPC)
	r.Serve("elb."+w.spec.Region+".amazonaws.com", w.ELB) // of Network Load Balancers
	r.Serve(w.spec.Region+".elb.amazonaws.com", w.ELB)    // of Application Load Balancers
	w.internet(r)
	hosts := dns.Hosts{}
	for _, n := range w.Nodes {
		hosts[n.Name] = n.Instance.Interfaces[0].Primary()
	}
	r.Serve(ec2.Domain(w.spec.Region), hosts)
}

// coreDNS applies the add-on.
func (w *World) coreDNS() {
	if w.spec.CoreDNS.Replicas == 0 {
		return
	}
	labels := map[string]string{"k8s-app": "kube-dns", "eks.amazonaws.com/component": "coredns"}
	replicas := int32(w.spec.CoreDNS.Replicas)
	spec := corev1.PodSpec{DNSPolicy: corev1.DNSDefault, Containers: []corev1.Container{{Name: "coredns", Image: "eks/coredns:v1.8.7"}}}
	if g := w.spec.CoreDNS.NodeGroup; g != "" {
		spec.NodeSelector = map[string]string{"eks.amazonaws.com/nodegroup": g}
	}
	addOn := w.Kube.As(kube.Caller{User: "eks:addon-manager"})
	w.must(addOn.Create(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns", Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}},
	}))
	w.must(addOn.Create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns", Labels: labels},
		Spec: corev1.ServiceSpec{ClusterIP: w.Kube.DNSAddr().String(), Selector: map[string]string{"k8s-app": "kube-dns"},
			Ports: []corev1.ServicePort{{Name: "dns", Protocol: corev1.ProtocolUDP, Port: dns.Port, TargetPort: intstr.FromInt32(dns.Port)}}},
	}))
}

func (w *World) must(_ kube.Object, err error) {
	if err != nil {
		w.Engine.Fail(err)
	}
}

// applyPause is between two objects that a person applies with one command.
const applyPause = 50 * time.Millisecond

// Apply has a person apply objects at a time, in order.
func (w *World) Apply(at time.Duration, objects Objects) {
	w.Engine.At(at, "kubectl apply", engine.Func(func() {
		w.Engine.Go("kubectl apply", func(p *engine.Process) {
			for _, o := range objects {
				_, err := w.operator.Create(o.(kube.Object))
				if apierrors.IsAlreadyExists(err) { // a Namespace default, the IngressClass that a chart has brought
					_, err = w.operator.Update(o.(kube.Object))
				}
				w.must(nil, err)
				p.Sleep(applyPause)
			}
		})
	}))
}

// Close ends the world. It must not be used afterwards.
func (w *World) Close() { w.Engine.Close() }
