package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/scenario"
)

// workloadPath is the program in the workload image, and in the router.
const workloadPath = "/workload"

// standIns are the commands of the workload image that stand in for images, by the image's repository. What a scenario says of these images it says of
// a web server that answers on port 80, and of a pod that commands are run in.
var standIns = map[string]string{"nginx": "web", "nicolaka/netshoot": "sleep"}

// standIn is what stands in for an image.
func standIn(image string) (command string, ok bool) {
	command, ok = standIns[strings.TrimPrefix(repository(image), "docker.io/")]
	return command, ok
}

// podSpec is the pod that an object makes, nil if it makes none.
func podSpec(o scenario.KubernetesObject) *corev1.PodSpec {
	switch o := o.(type) {
	case *corev1.Pod:
		return &o.Spec
	case *appsv1.Deployment:
		return &o.Spec.Template.Spec
	}
	return nil
}

// manifest is an object as it is applied: unchanged but for images, which the workload image stands in for.
func manifest(o scenario.Object, workload string) ([]byte, error) {
	tree := map[string]any{}
	text, err := json.Marshal(o.Value)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, err
	}
	gvk := o.Value.GetObjectKind().GroupVersionKind()
	tree["apiVersion"], tree["kind"] = gvk.GroupVersion().String(), o.Kind
	delete(tree, "status")
	spec, _ := tree["spec"].(map[string]any)
	if o.Kind == "Deployment" {
		template, _ := spec["template"].(map[string]any)
		spec, _ = template["spec"].(map[string]any)
	}
	containers, _ := spec["containers"].([]any)
	for _, c := range containers {
		c, _ := c.(map[string]any)
		image, _ := c["image"].(string)
		command, ok := standIn(image)
		if !ok {
			return nil, fmt.Errorf("%s:%d: nothing stands in for image %s", o.File, o.Line, image)
		}
		c["image"], c["imagePullPolicy"], c["command"] = workload, "Never", []string{workloadPath, command}
		delete(c, "args")
	}
	return json.Marshal(tree)
}

// apply applies the objects in their order. A pod is scheduled before what comes after it, since that may be placed by where it is.
func (c *cluster) apply(ctx context.Context, objects []scenario.Object, workload string) error {
	for _, o := range objects {
		text, err := manifest(o, workload)
		if err != nil {
			return err
		}
		if _, err := c.kubectl(ctx, bytes.NewReader(text), "apply", "-f", "-"); err != nil {
			return fmt.Errorf("%s:%d: %w", o.File, o.Line, err)
		}
		if p, ok := o.Value.(*corev1.Pod); ok {
			if err := c.waitFor(ctx, p.Namespace, "pod/"+p.Name, "PodScheduled"); err != nil {
				return err
			}
		}
	}
	for _, o := range objects {
		switch v := o.Value.(type) {
		case *corev1.Pod:
			if err := c.waitFor(ctx, v.Namespace, "pod/"+v.Name, "Ready"); err != nil {
				return err
			}
		case *appsv1.Deployment:
			if v.Spec.Replicas == nil || *v.Spec.Replicas > 0 {
				if err := c.rollout(ctx, v.Namespace, "deployment/"+v.Name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// patience is how long one object may take.
const patience = 3 * time.Minute

func (c *cluster) waitFor(ctx context.Context, namespace, object, condition string) error {
	_, err := c.kubectl(ctx, nil, "wait", "-n", namespace, object, "--for=condition="+condition, "--timeout="+patience.String())
	return err
}

func (c *cluster) rollout(ctx context.Context, namespace, object string) error {
	_, err := c.kubectl(ctx, nil, "rollout", "status", "-n", namespace, object, "--timeout="+patience.String())
	return err
}

// serveName makes the cluster's DNS answer for a name, in the place of the VPC's resolver that it would ask, and puts CoreDNS where the world has it.
func (c *cluster) serveName(ctx context.Context, t *topology, name string, addrs []netip.Addr) error {
	var config corev1.ConfigMap
	if err := c.get(ctx, &config, "-n", "kube-system", "configmap", "coredns"); err != nil {
		return err
	}
	corefile, err := withName(config.Data["Corefile"], name, addrs)
	if err != nil {
		return err
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"Corefile": corefile}})
	if err != nil {
		return err
	}
	if _, err := c.kubectl(ctx, nil, "patch", "-n", "kube-system", "configmap", "coredns", "--type=merge", "-p", string(patch)); err != nil {
		return err
	}
	spec := map[string]any{}
	if g := t.coreDNS.NodeGroup; g != "" {
		spec["nodeSelector"] = map[string]string{"kubernetes.io/os": "linux", "eks.amazonaws.com/nodegroup": g}
	}
	// A new annotation makes new pods, which read the file at once and have no old answer in a cache.
	template := map[string]any{"metadata": map[string]any{"annotations": map[string]string{"ekslab/corefile": digest([]byte(corefile))[:12]}}, "spec": spec}
	patch, err = json.Marshal(map[string]any{"spec": map[string]any{"replicas": t.coreDNS.Replicas, "template": template}})
	if err != nil {
		return err
	}
	if _, err := c.kubectl(ctx, nil, "patch", "-n", "kube-system", "deployment", "coredns", "--type=merge", "-p", string(patch)); err != nil {
		return err
	}
	return c.rollout(ctx, "kube-system", "deployment/coredns")
}

// The part of a Corefile that is ours.
const (
	hostsBegin = "    hosts { # ekslab\n"
	hostsEnd   = "    }\n"
	hostsAfter = ".:53 {\n"
)

// withName is a Corefile that answers for a name, and for no other name than before.
func withName(corefile, name string, addrs []netip.Addr) (string, error) {
	if head, rest, ok := strings.Cut(corefile, hostsBegin); ok {
		_, rest, _ = strings.Cut(rest, hostsEnd)
		corefile = head + rest
	}
	head, rest, ok := strings.Cut(corefile, hostsAfter)
	if !ok {
		return "", fmt.Errorf("the Corefile has no block %q", strings.TrimSpace(hostsAfter))
	}
	var b strings.Builder
	b.WriteString(head + hostsAfter + hostsBegin)
	for _, a := range slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare) {
		fmt.Fprintf(&b, "        %v %s\n", a, name)
	}
	// The TTL is that of the VPC's resolver. Source: Network Load Balancers user guide, "DNS name".
	b.WriteString("        ttl 60\n        fallthrough\n" + hostsEnd + rest)
	return b.String(), nil
}
