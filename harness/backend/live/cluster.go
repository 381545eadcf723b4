package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kind "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/log"
)

// clusterConfig is the cluster of a topology in kind's terms: one control plane and the workers, whose names are those of EC2 instances.
//
// kubeadm is told of no pod subnet. The controller manager then gives nodes no ranges, and kube-proxy gets no clusterCIDR, as in EKS: a pod's packet
// that comes in from outside is external traffic to it.
func clusterConfig(t *topology) *v1alpha4.Cluster {
	c := &v1alpha4.Cluster{
		TypeMeta: v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"},
		Networking: v1alpha4.Networking{
			IPFamily: v1alpha4.IPv4Family, DisableDefaultCNI: true, ServiceSubnet: t.service.String(), KubeProxyMode: v1alpha4.IPTablesProxyMode,
		},
		KubeadmConfigPatches: []string{
			"kind: ClusterConfiguration\nnetworking: {podSubnet: \"\"}\n",
			// Without these a machine with cgroup v1, or one that withholds CAP_SYS_RESOURCE, cannot run a kubelet; elsewhere they change nothing.
			"kind: KubeletConfiguration\nfailCgroupV1: false\noomScoreAdj: 0\n",
			"kind: KubeProxyConfiguration\noomScoreAdj: 0\nconntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}\n",
		},
		Nodes: []v1alpha4.Node{{Role: v1alpha4.ControlPlaneRole}},
	}
	for _, n := range t.nodes {
		c.Nodes = append(c.Nodes, v1alpha4.Node{
			Role: v1alpha4.WorkerRole,
			Labels: map[string]string{
				"topology.kubernetes.io/region": t.region,
				"topology.kubernetes.io/zone":   n.zone,
				"eks.amazonaws.com/nodegroup":   n.group,
				"ekslab/ordinal":                strconv.Itoa(n.ordinal),
			},
			KubeadmConfigPatches: []string{"kind: JoinConfiguration\nnodeRegistration: {name: " + n.name + "}\n"},
		})
	}
	return c
}

// worker is the name that kind gives the container of worker i.
func worker(cluster string, i int) string {
	if i == 0 {
		return cluster + "-worker"
	}
	return fmt.Sprintf("%s-worker%d", cluster, i+1)
}

// networkVariable names the Docker network of a cluster to kind, which takes it from the environment alone.
// Source: kubernetes-sigs/kind pkg/cluster/internal/providers/docker/provider.go.
const networkVariable = "KIND_EXPERIMENTAL_DOCKER_NETWORK"

// creating is held while a cluster is made, since the environment is the whole process's.
var creating sync.Mutex

// cluster is a Kubernetes that runs.
type cluster struct {
	name   string
	docker DockerCommand
}

func (c *cluster) controlPlane() string { return c.name + "-control-plane" }

// createCluster makes the cluster of a topology. kind's calls take no context: when ctx ends, the containers are removed under its hands, which ends it.
func createCluster(ctx context.Context, docker DockerCommand, name, network, image, dir string, t *topology) (*cluster, error) {
	creating.Lock()
	defer creating.Unlock()
	before, was := os.LookupEnv(networkVariable)
	if err := os.Setenv(networkVariable, network); err != nil {
		return nil, err
	}
	defer func() {
		if was {
			_ = os.Setenv(networkVariable, before)
		} else {
			_ = os.Unsetenv(networkVariable)
		}
	}()
	said := &tail{}
	provider := kind.NewProvider(kind.ProviderWithDocker(), kind.ProviderWithLogger(said))
	kubeconfig := filepath.Join(dir, "kubeconfig")
	done := make(chan error, 1)
	go func() {
		done <- provider.Create(name, kind.CreateWithV1Alpha4Config(clusterConfig(t)), kind.CreateWithNodeImage(image), kind.CreateWithKubeconfigPath(kubeconfig),
			kind.CreateWithRetain(true), kind.CreateWithDisplayUsage(false), kind.CreateWithDisplaySalutation(false))
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		for ended := false; !ended; {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			_ = removeCluster(clean, docker, name)
			cancel()
			select {
			case <-done:
				ended = true
			case <-time.After(time.Second):
			}
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("kind could not make the cluster: %w%s", err, said)
	}
	c := &cluster{name: name, docker: docker}
	for i, n := range t.nodes {
		n.container = worker(name, i)
		out, err := c.output(ctx, "inspect", "--format", "{{.State.Pid}}", n.container)
		if err != nil {
			return nil, err
		}
		if n.pid, err = atoi(out); err != nil || n.pid == 0 {
			return nil, fmt.Errorf("node container %s does not run", n.container)
		}
	}
	return c, nil
}

func removeCluster(ctx context.Context, docker DockerCommand, name string) error {
	var out bytes.Buffer
	if err := docker(ctx, nil, &out, "ps", "-aq", "--filter", "label="+labelKind+"="+name); err != nil {
		return err
	}
	ids := strings.Fields(out.String())
	if len(ids) == 0 {
		return nil
	}
	return docker(ctx, nil, io.Discard, append([]string{"rm", "--force", "--volumes"}, ids...)...)
}

func (c *cluster) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := c.docker(ctx, nil, &out, args...)
	return out.Bytes(), err
}

// sh runs a shell script in a container, which stops at the first command that fails.
func (c *cluster) sh(ctx context.Context, container, script string) ([]byte, error) {
	var out bytes.Buffer
	if err := c.docker(ctx, strings.NewReader("set -e\n"+script), &out, "exec", "-i", container, "sh", "-s"); err != nil {
		return nil, fmt.Errorf("in %s: %w", container, err)
	}
	return out.Bytes(), nil
}

// kubectl runs kubectl where there is one of the cluster's own version: in its control plane.
func (c *cluster) kubectl(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	var out bytes.Buffer
	all := []string{"exec", "-i", c.controlPlane(), "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"}
	if err := c.docker(ctx, stdin, &out, append(all, args...)...); err != nil {
		return nil, fmt.Errorf("kubectl %s: %w", strings.Join(args[:min(len(args), 3)], " "), err)
	}
	return out.Bytes(), nil
}

// get reads an object or a list of objects.
func (c *cluster) get(ctx context.Context, into any, args ...string) error {
	out, err := c.kubectl(ctx, nil, append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// poll asks again and again until met, the time is up or ctx ends. What is waited for is said with why it is not there yet.
func poll(ctx context.Context, what string, atMost, every time.Duration, met func(context.Context) (ok bool, why string, err error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, atMost, errTooLong)
	defer cancel()
	last := ""
	for {
		ok, why, err := met(ctx)
		if err == nil && ok {
			return nil
		}
		if err != nil && ctx.Err() == nil {
			why = err.Error()
		}
		if why != "" {
			last = why
		}
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errTooLong) {
				return fmt.Errorf("waited %v for %s: %s", atMost, what, last)
			}
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

var errTooLong = errors.New("it takes too long")

// tail keeps the last that kind logged, for when it fails.
type tail struct {
	mutex sync.Mutex
	lines []string
}

var _ log.Logger = (*tail)(nil)

const tailLines = 20

func (t *tail) add(format string, args ...any) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
}

func (t *tail) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.lines) == 0 {
		return ""
	}
	return "\n  " + strings.Join(t.lines, "\n  ")
}

// Warn and the like are kind's logger.
func (t *tail) Warn(message string)               { t.add("%s", message) }
func (t *tail) Warnf(format string, args ...any)  { t.add(format, args...) }
func (t *tail) Error(message string)              { t.add("%s", message) }
func (t *tail) Errorf(format string, args ...any) { t.add(format, args...) }
func (t *tail) V(log.Level) log.InfoLogger        { return t }
func (t *tail) Info(message string)               { t.add("%s", message) }
func (t *tail) Infof(format string, args ...any)  { t.add(format, args...) }
func (t *tail) Enabled() bool                     { return true }
