package scenario

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/harness/observe"
)

const (
	shopDeployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  replicas: 4
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop, tier: web}}
    spec:
      containers:
        - name: shop
          image: registry.example.com/shop:2.1
          env: [{name: MODE, value: production}]
          ports: [{containerPort: 8080, name: http}]
          resources: {requests: {cpu: 100m}}
        - name: metrics
          image: prom/statsd-exporter:v0.24.0
          ports: [{containerPort: 9102, name: metrics}]
`
	shopService = `apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec:
  selector: {app: shop}
  ports: [{name: web, port: 8000, targetPort: http}]
`
	shopIngress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: edge
  namespace: shop
  annotations: {alb.ingress.kubernetes.io/scheme: internet-facing, alb.ingress.kubernetes.io/target-type: ip}
spec:
  ingressClassName: alb
  rules:
    - host: shop.example.com
      http:
        paths:
          - {path: /shop, pathType: Prefix, backend: {service: {name: front, port: {name: web}}}}
`
	shopNLB = `apiVersion: v1
kind: Service
metadata:
  name: front
  namespace: shop
  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip, service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
`
)

// ownFolder writes files into a folder.
func ownFolder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func rollingUpdate(t *testing.T) *Scenario {
	t.Helper()
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("rolling-update-502")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ownPlan(t *testing.T, files map[string]string, variant string, set map[string]string) *Plan {
	t.Helper()
	s, err := rollingUpdate(t).WithManifests(ownFolder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Resolve(variant, set)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func deployment(t *testing.T, p *Plan) *appsv1.Deployment {
	t.Helper()
	for _, o := range p.Objects {
		if d, ok := o.Value.(*appsv1.Deployment); ok {
			return d
		}
	}
	t.Fatal("no Deployment")
	return nil
}

var whole = map[string]string{"a.yaml": shopDeployment, "b.yml": shopService, "c.yaml": shopIngress}

// The user's objects are in place of the scenario's, and what refers to those refers to them.
func TestOwnManifests(t *testing.T) {
	p := ownPlan(t, whole, OwnVariant, nil)
	var keys []string
	for _, o := range p.Objects {
		keys = append(keys, o.Key())
	}
	if want := []string{"Namespace/shop", "Service/shop/front", "Ingress/shop/edge", "Deployment/shop/shop"}; !slices.Equal(keys, want) {
		t.Errorf("objects %v, want %v", keys, want)
	}
	if c := p.Load[0].Curl; c.Ingress != "shop/edge" || c.Path != "/shop" || c.Host != "shop.example.com" || len(p.Load) != 1 {
		t.Errorf("load %+v", c)
	}
	if a := p.Timeline[0]; a.RolloutRestart == nil || a.RolloutRestart.Deployment != "shop/shop" {
		t.Errorf("timeline %+v", a)
	}
	for name, want := range map[string]any{"replicas": int64(4), "maxSurge": "25%", "loadBalancer": "alb", "targetType": "ip", "preStopSeconds": int64(0), "readinessGate": false} {
		if got := p.Params.Get(name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	d := deployment(t, p)
	if c := d.Spec.Template.Spec.Containers; len(c) != 2 || c[0].Image != "registry.example.com/shop:2.1" || len(c[0].Env) != 1 || c[0].Lifecycle != nil || d.Spec.Template.Spec.TerminationGracePeriodSeconds != nil {
		t.Errorf("containers %+v", c)
	}
}

// What is set is put over them, and nothing else.
func TestOwnManifestsWithWhatIsSet(t *testing.T) {
	for _, c := range []struct {
		variant string
		set     map[string]string
		grace   int64
		hook    string
	}{
		{OwnVariant, map[string]string{"preStopSeconds": "15"}, 0, "sleep 15"},
		{OwnVariant, map[string]string{"terminationGracePeriodSeconds": "90"}, 90, ""},
		{"fixed-prestop", nil, 60, "sleep 40"},
		{"fixed-prestop", map[string]string{"preStopSeconds": "20"}, 60, "sleep 20"},
	} {
		spec := deployment(t, ownPlan(t, whole, c.variant, c.set)).Spec
		pod := spec.Template.Spec
		first := pod.Containers[0]
		hook := ""
		if first.Lifecycle != nil {
			hook = first.Lifecycle.PreStop.Exec.Command[2]
		}
		var grace int64
		if g := pod.TerminationGracePeriodSeconds; g != nil {
			grace = *g
		}
		if hook != c.hook || grace != c.grace || *spec.Replicas != 4 || len(pod.Containers) != 2 || pod.Containers[1].Lifecycle != nil || first.Name != "shop" || first.Image != "registry.example.com/shop:2.1" || len(first.Env) != 1 || first.Ports[0].ContainerPort != 8080 {
			t.Errorf("%s %v: hook %q, grace %d, %+v", c.variant, c.set, hook, grace, pod.Containers)
		}
	}
	p := ownPlan(t, whole, OwnVariant, map[string]string{"readinessGate": "true"})
	if n := p.Objects[0].Value.(*corev1.Namespace); n.Labels["elbv2.k8s.aws/pod-readiness-gate-inject"] != "enabled" {
		t.Errorf("labels %v", n.Labels)
	}
	if *deployment(t, ownPlan(t, whole, OwnVariant, map[string]string{"replicas": "7"})).Spec.Replicas != 7 {
		t.Error("replicas were set in vain")
	}
}

// Manifests come in many forms.
func TestOwnManifestsInOtherForms(t *testing.T) {
	exported := strings.Replace(shopNLB, "metadata:\n", "metadata:\n  uid: 0f\n  resourceVersion: \"7\"\n  creationTimestamp: \"2026-01-01T00:00:00Z\"\n", 1)
	exported = strings.Replace(exported, "spec:\n", "spec:\n  clusterIP: 172.20.1.2\n  clusterIPs: [172.20.1.2]\n", 1) + "status: {loadBalancer: {ingress: [{hostname: x}]}}\n"
	list := "apiVersion: v1\nkind: List\nitems:\n"
	for _, o := range []string{shopDeployment, shopService, shopIngress} {
		for i, line := range strings.Split(strings.TrimSuffix(o, "\n"), "\n") {
			list += map[bool]string{true: "- ", false: "  "}[i == 0] + line + "\n"
		}
	}
	json := `{"apiVersion":"v1","kind":"Service","metadata":{"name":"front","namespace":"shop"},"spec":{"selector":{"app":"shop"},"ports":[{"name":"web","port":8000,"targetPort":"http"}]}}`
	for _, c := range []struct {
		name     string
		files    map[string]string
		balancer string
	}{
		{"one file with documents, some of them empty", map[string]string{"all.yaml": "---\n" + shopDeployment + "---\n---\n# nothing\n---\n" + shopService + "---\n" + shopIngress}, "alb"},
		{"a List", map[string]string{"list.yaml": list}, "alb"},
		{"JSON", map[string]string{"a.yaml": shopDeployment, "b.json": json, "c.yaml": shopIngress}, "alb"},
		{"files that are no manifests", map[string]string{"a.yaml": shopDeployment, "b.yaml": shopService, "c.yaml": shopIngress, "README.md": "# no", "values.txt": "a: ["}, "alb"},
		{"a Network Load Balancer, as kubectl get -o yaml has it", map[string]string{"a.yaml": shopDeployment, "b.yaml": exported}, "nlb"},
		{"with its namespace", map[string]string{"0.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {elbv2.k8s.aws/pod-readiness-gate-inject: enabled}}\n", "a.yaml": shopDeployment, "b.yaml": shopNLB}, "nlb"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := ownPlan(t, c.files, OwnVariant, nil)
			if got := p.Params.Get("loadBalancer"); got != c.balancer || len(p.Load) != 1 {
				t.Errorf("%v, %d loads", got, len(p.Load))
			}
			if c.files["0.yaml"] != "" && p.Params.Get("readinessGate") != true {
				t.Error("the label of the namespace was not seen")
			}
			for _, o := range p.Objects {
				if s, ok := o.Value.(*corev1.Service); ok && s.Spec.ClusterIP != "" {
					t.Errorf("the cluster IP %s of another cluster", s.Spec.ClusterIP)
				}
			}
		})
	}
}

// What is wrong is said with its place, before anything runs.
func TestBadOwnManifests(t *testing.T) {
	with := func(file, text string) map[string]string {
		files := map[string]string{}
		for k, v := range whole {
			files[k] = v
		}
		if text == "" {
			delete(files, file)
		} else {
			files[file] = text
		}
		return files
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"two Deployments", with("d.yaml", strings.Replace(shopDeployment, "name: shop, n", "name: other, n", 1)), []string{"d.yaml:1: ", "has 2 objects of kind Deployment", "shop/shop (", "a.yaml:1)", "leave the others out"}},
		{"no Deployment", with("a.yaml", ""), []string{"has no Deployment"}},
		{"no Service", with("b.yml", ""), []string{"a.yaml:1: ", "has no Service in front of Deployment shop"}},
		{"no load balancer", with("c.yaml", ""), []string{"b.yml:1: ", "is of type ClusterIP and there is no Ingress"}},
		{"an unknown field", with("b.yml", strings.Replace(shopService, "selector:", "selectors:", 1)), []string{"b.yml:5: ", `unknown field "selectors"`, `did you mean "selector"?`}},
		{"a wrong type", with("a.yaml", strings.Replace(shopDeployment, "replicas: 4", "replicas: four", 1)), []string{"a.yaml:5: ", "spec.replicas: want a whole number"}},
		{"YAML that is none", with("b.yml", "kind: [Service\n"), []string{"b.yml:", "not valid YAML"}},
		{"a kind that is not modelled", with("h.yaml", "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: shop}\n"), []string{"h.yaml:2: ", "kind HorizontalPodAutoscaler of autoscaling/v2 is not modelled"}},
		{"another namespace", with("b.yml", strings.Replace(shopService, "namespace: shop", "namespace: web", 1)), []string{"b.yml:1: ", "a Service selects pods of its own namespace"}},
		{"a selector that selects nothing", with("b.yml", strings.Replace(shopService, "app: shop", "app: shopp", 1)), []string{"b.yml:5: ", "selects app=shopp", "the labels app=shop,tier=web"}},
		{"an Ingress to another Service", with("c.yaml", strings.Replace(shopIngress, "name: front", "name: api", 1)), []string{"c.yaml:13: ", "path /shop goes to Service api"}},
		{"a port that is not there", with("c.yaml", strings.Replace(shopIngress, "{name: web}", "{number: 81}", 1)), []string{"c.yaml:13: ", "goes to port 81 of Service front"}},
		{"a word that is a boolean", with("a.yaml", strings.Replace(shopDeployment, "value: production", "value: yes", 1)), []string{"a.yaml:13: ", "yes is true to Kubernetes"}},
		{"nothing", map[string]string{"README.md": "# none"}, []string{"the folder has no manifest"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rollingUpdate(t).WithManifests(ownFolder(t, c.files))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %q in it", err, want)
				}
			}
		})
	}
	for dir, want := range map[string]string{filepath.Join(t.TempDir(), "none"): "there is no such folder", "own_test.go": "this is a file"} {
		if _, err := rollingUpdate(t).WithManifests(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// A scenario says itself which of its objects others may stand in for.
func TestManifestsAreReplacedOnlyWhereAScenarioAllowsIt(t *testing.T) {
	c, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("nlb-hairpin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WithManifests(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not supported by scenario nlb-hairpin") {
		t.Errorf("%v", err)
	}
	if err := rollingUpdate(t).Validate(observe.All()); err != nil {
		t.Error(err)
	}
}
