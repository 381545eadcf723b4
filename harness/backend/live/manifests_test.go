package live

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// The objects are those of the scenario, unchanged but for what runs in the containers.
func TestManifests(t *testing.T) {
	plan := planOf(t, "broken", nil)
	for _, o := range plan.Objects {
		text, err := manifest(o, "ekslab/workload:x")
		if err != nil {
			t.Fatal(err)
		}
		switch want := o.Value.(type) {
		case *appsv1.Deployment:
			var got appsv1.Deployment
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			c := got.Spec.Template.Spec.Containers[0]
			if c.Image != "ekslab/workload:x" || strings.Join(c.Command, " ") != "/workload web" || c.ImagePullPolicy != corev1.PullNever || c.Ports[0].ContainerPort != 80 {
				t.Errorf("%s: container %+v", got.Name, c)
			}
			if got.APIVersion != "apps/v1" || got.Kind != "Deployment" || *got.Spec.Replicas != *want.Spec.Replicas || len(got.Spec.Template.Labels) != len(want.Spec.Template.Labels) {
				t.Errorf("%s: %s", got.Name, text)
			}
		case *corev1.Pod:
			var got corev1.Pod
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if c := got.Spec.Containers[0]; strings.Join(c.Command, " ") != "/workload sleep" {
				t.Errorf("the client's container %+v", c)
			}
			if got.Spec.NodeSelector["ekslab/ordinal"] != "1" {
				t.Errorf("node selector %v", got.Spec.NodeSelector)
			}
		}
	}
}

func TestStandIn(t *testing.T) {
	for image, want := range map[string]string{"nginx:latest": "web", "docker.io/nicolaka/netshoot:v0.13": "sleep", "nginx@sha256:0": "web", "nginxinc/nginx-unprivileged": "", "redis": ""} {
		got, ok := standIn(image)
		if got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", image, got, ok)
		}
	}
}

const corefile = `.:53 {
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
    }
    forward . /etc/resolv.conf
    cache 30
    loadbalance
}
`

func TestWithName(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("192.168.160.4"), netip.MustParseAddr("192.168.96.4")}
	got, err := withName(corefile, "lb.elb.eu-west-1.amazonaws.com", addrs)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(corefile, ".:53 {\n", `.:53 {
    hosts { # ekslab
        192.168.96.4 lb.elb.eu-west-1.amazonaws.com
        192.168.160.4 lb.elb.eu-west-1.amazonaws.com
        ttl 60
        fallthrough
    }
`, 1)
	if got != want {
		t.Errorf("got\n%s", got)
	}
	// Once more, with another answer: the old one is gone.
	again, err := withName(got, "lb.elb.eu-west-1.amazonaws.com", addrs[:1])
	if err != nil || strings.Count(again, "hosts") != 1 || strings.Contains(again, "192.168.96.4") {
		t.Errorf("again: %v\n%s", err, again)
	}
	if _, err := withName("example.org {\n}\n", "x", nil); err == nil {
		t.Error("a Corefile without the block is taken")
	}
}
