package sim

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/cni"
	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/ec2"
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
	w.must(addOn.Create(set("aws-node", corev1.PodSpec{TerminationGracePeriodSeconds: &ten, Containers: []corev1.Container{{Name: "aws-node", Image: awsNodeImage + ":" + w.cniVersion.Name, Env: env, LivenessProbe: probe(60), ReadinessProbe: probe(1)}}})))
	w.must(addOn.Create(set("kube-proxy", corev1.PodSpec{Containers: []corev1.Container{{Name: "kube-proxy", Image: kubeProxyImage + ":v" + w.spec.Cluster.Version}}})))
}

// healthProbe is the command of aws-node's probes. Its arguments differ by version, and do not matter here.
const healthProbe = "/app/grpc-health-probe"

// probe is a probe of aws-node; what the manifest leaves out is Kubernetes' default.
func probe(initialDelay int32) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{healthProbe}}}, InitialDelaySeconds: initialDelay, TimeoutSeconds: 10, PeriodSeconds: 10, SuccessThreshold: 1, FailureThreshold: 3}
}

// awsNode is the program of aws-node's image: it runs the daemon. A daemon that does not start ends the container only in a version whose entry point waits
// for it; else the liveness probe has it restarted. A shell as the first process ignores SIGTERM, a program in Go ends.
func (w *World) awsNode(x workload.Container) error {
	n := w.byName[x.Pod.Spec.NodeName]
	if n == nil {
		return fmt.Errorf("aws-node on an unknown node %q", x.Pod.Spec.NodeName)
	}
	env := map[string]string{}
	for _, v := range x.Spec.Env {
		env[v.Name] = v.Value
	}
	task, host := x.Task, n.CNI
	told := task.Exited
	task.Exited = func(code int) {
		host.StopAgent()
		told(code)
	}
	task.Command = func(command []string) (int, bool) {
		if command[0] != healthProbe {
			return 0, false
		}
		if host.Serving() {
			return 0, true
		}
		return 1, true
	}
	if w.cniVersion.EndsOnSIGTERM {
		task.OnSignal = func(s workload.Signal) { task.Exit(2) }
	}
	return host.StartAgent(w.cniVersion, env, func(error) {
		if w.cniVersion.ConfigAtOnce {
			task.Exit(1)
		}
	})
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
