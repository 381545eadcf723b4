package sim

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/kube/kubelet"
	"github.com/ekslab/ekslab/sim/vpc"
	"github.com/ekslab/ekslab/sim/workload"
)

// Images of the node agents' add-ons, without the registry of the Region.
const (
	awsNodeImage   = "amazon-k8s-cni"
	kubeProxyImage = "eks/kube-proxy"
)

// nodeAgents applies the add-ons that run a pod on every node: vpc-cni and kube-proxy.
// Sources: aws/amazon-vpc-cni-k8s config/master/aws-k8s-cni.yaml; the kube-proxy DaemonSet of an EKS cluster.
func (w *World) nodeAgents() {
	addOn := w.Kube.As(kube.Caller{User: "eks:addon-manager"})
	tenPercent := intstr.FromString("10%")
	ten := int64(10)
	everywhere := []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	set := func(name string, spec corev1.PodSpec) *appsv1.DaemonSet {
		labels := map[string]string{"k8s-app": name}
		spec.HostNetwork, spec.PriorityClassName, spec.Tolerations, spec.ServiceAccountName = true, "system-node-critical", everywhere, name
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: labels}, Spec: appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &tenPercent}},
			Template:       corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}}}
	}
	var env []corev1.EnvVar
	vars := ipamd.ManifestEnv(w.cniVersion, w.spec.VPCCNI.Env)
	for _, k := range sortedKeys(vars) {
		env = append(env, corev1.EnvVar{Name: k, Value: vars[k]})
	}
	w.must(addOn.Create(set("aws-node", corev1.PodSpec{TerminationGracePeriodSeconds: &ten, Containers: []corev1.Container{{Name: "aws-node", Image: awsNodeImage + ":" + w.cniVersion.Name, Env: env}}})))
	w.must(addOn.Create(set("kube-proxy", corev1.PodSpec{Containers: []corev1.Container{{Name: "kube-proxy", Image: kubeProxyImage + ":v" + w.spec.Cluster.Version}}})))
}

// The liveness probe of aws-node, by which a container is restarted whose daemon has ended, and what a restart waits.
// Sources: aws/amazon-vpc-cni-k8s config/master/aws-k8s-cni.yaml (initialDelaySeconds; period and threshold are Kubernetes' defaults);
// kubernetes/kubernetes pkg/kubelet/kubelet.go (MaxContainerBackOff, backOffPeriod).
const (
	livenessDelay     = 60 * time.Second
	livenessPeriod    = 10 * time.Second
	livenessThreshold = 3
	restartBackoff    = 10 * time.Second
	maxRestartBackoff = 300 * time.Second
)

// awsNode is the container aws-node of one pod: it runs the daemon, and is restarted when that has ended.
type awsNode struct {
	world    *World
	host     *cni.Host
	env      map[string]string
	pod      kube.Key
	began    time.Duration
	restarts int
	gone     bool
}

// awsNode is the program of aws-node's image.
func (w *World) awsNode(x workload.Container) error {
	n := w.byName[x.Pod.Spec.NodeName]
	if n == nil {
		return fmt.Errorf("aws-node on an unknown node %q", x.Pod.Spec.NodeName)
	}
	c := &awsNode{world: w, host: n.CNI, env: map[string]string{}, pod: kube.KeyOf(x.Pod)}
	for _, v := range x.Spec.Env {
		c.env[v.Name] = v.Value
	}
	n.awsNode = c
	return c.start()
}

func (c *awsNode) start() error {
	c.began = c.world.Engine.Now()
	return c.host.StartAgent(c.world.cniVersion, c.env, c.exited)
}

// exited has the container restarted: at once when it ends with the daemon, else when the liveness probe has failed often enough; and not before the
// back-off of restarts is over.
func (c *awsNode) exited(error) {
	e := c.world.Engine
	ends := e.Now()
	if !c.world.cniVersion.ConfigAtOnce {
		ends = c.began + livenessDelay + (livenessThreshold-1)*livenessPeriod
	}
	wait := min(restartBackoff<<min(c.restarts, 10), maxRestartBackoff)
	c.restarts++
	e.At(max(ends, e.Now())+wait, "kubelet: restart of aws-node", engine.Func(func() {
		if c.gone {
			return
		}
		if err := c.start(); err != nil {
			e.Fail(err)
		}
	}))
}

// stop ends the container for good.
func (c *awsNode) stop() {
	if !c.gone {
		c.gone = true
		c.host.StopAgent()
	}
}

// plugin sets up the CNI plugin of a node, and what its daemon has to do with: the API server and the metadata service.
func (w *World) plugin(n *Node, k *kubelet.Node) *cni.Host {
	in := n.Instance
	nodeKey := kube.Key{Name: n.Name}
	reader := w.Kube.As(kube.Caller{User: "system:serviceaccount:kube-system:aws-node"})
	configs := map[string]ipamd.ENIConfig{}
	for _, c := range w.spec.VPCCNI.ENIConfigs {
		configs[c.Name] = ipamd.ENIConfig{Subnet: w.subnetID(c.Subnet)}
	}
	return cni.New(n.Root, in.Interfaces[0], cni.Options{InstanceID: in.ID, VPC: w.VPC, Configured: k.NetworkReady, Agent: ipamd.Options{
		Name: n.Name, InstanceID: in.ID, Interfaces: in.Limits.Interfaces, Addresses: in.Limits.Addresses, Nitro: in.Limits.Nitro(), EC2: w.EC2,
		Caller:   iam.Caller{ARN: "arn:aws:sts::" + accountID + ":assumed-role/ekslab-node/" + string(in.ID), Type: "AssumedRole", Name: "aws-node on " + n.Root.Name},
		Metadata: w.metadata(in.ID),
		Node: func() (ipamd.Node, error) {
			o, err := kube.Get[*corev1.Node](reader, nodeKey)
			if err != nil {
				return ipamd.Node{}, err
			}
			out := ipamd.Node{MaxPods: int(o.Status.Capacity.Pods().Value()), Labels: o.Labels, Annotations: o.Annotations}
			for _, t := range o.Spec.Taints {
				out.Cordoned = out.Cordoned || t.Key == corev1.TaintNodeUnschedulable && t.Effect == corev1.TaintEffectNoSchedule
			}
			return out, nil
		},
		ENIConfig: func(name string) (ipamd.ENIConfig, bool) { c, ok := configs[name]; return c, ok },
		Changed: func(a *ipamd.Agent) {
			if w.OnPool != nil {
				w.OnPool(n, a)
			}
		},
	}})
}

func (w *World) subnetID(name string) vpc.SubnetID {
	for _, s := range w.VPC.Subnets() {
		if s.Name == name {
			return s.ID
		}
	}
	return ""
}

// metadata is the instance metadata service as a node sees it.
func (w *World) metadata(id vpc.InstanceID) func() ec2.Metadata {
	return func() ec2.Metadata { return w.EC2.Metadata(id) }
}
