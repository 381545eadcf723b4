package scenario

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ekslab/ekslab/harness/observe"
)

// vocab is the vocabulary of these tests.
var vocab = observe.Vocabulary{
	"connections": {Name: "connections", Type: "number"},
	"hungRatio":   {Name: "hungRatio", Type: "number"},
	"nodeName":    {Name: "nodeName", Type: "string"},
	"nodes":       {Name: "nodes", Type: "list"},
	"byAddress":   {Name: "byAddress", Type: "map"},
	"ended":       {Name: "ended", Type: "bool"},
	"unlisted":    {Name: "unlisted", Type: "number"},
}

// minimal is the least that a scenario needs.
const minimal = `apiVersion: ekslab/v1alpha1
kind: Scenario
metadata: {area: elb, name: small, title: A small scenario}
world:
  region: eu-west-1
  cluster: {name: lab, version: "1.22", serviceCIDR: 10.100.0.0/16}
  vpc:
    cidr: 192.168.0.0/16
    subnets: [{name: a, zone: eu-west-1a, cidr: 192.168.0.0/19}]
  nodeGroups: [{name: ng, subnet: a, instanceType: m5.large, size: 1}]
  addOns: {vpc-cni: {}, kube-proxy: {mode: iptables}, coredns: {replicas: 1, nodeGroup: ng}}
  loadBalancerController: in-tree
variants:
  broken: {}
observations: [connections]
expect:
  broken:
    - name: some
      meaning: There are calls.
      that: obs.connections > 0
`

// full has something of everything. Tables change a line of it; line numbers stand in steps of ten for the reader.
const full = `apiVersion: ekslab/v1alpha1
kind: Scenario
metadata:
  area: elb
  name: full
  title: A scenario with everything
source:
  articles: [21]
  pages: ["https://example.org/21"]
symptoms: [it hangs] # 10
parameters:
  sizes: {type: list, items: {type: int, min: 0, max: 9}, minItems: 1, maxItems: 3, default: [1, 2], doc: Nodes per zone.}
  zone: {type: int, default: 1, min: 1, max: 3, doc: A zone.}
  kind: {type: enum, values: [instance, ip], default: instance, doc: Target type.}
  controller: {type: enum, values: [in-tree, lbc], default: '${params.kind == "ip" ? "lbc" : "in-tree"}', doc: Controller.}
  preserve: {type: bool, default: null, doc: Preserve.}
  every: {type: duration, default: 500ms, min: 1ms, max: 1h, doc: Interval.}
  share: {type: number, default: 0.5, min: 0, max: 1, doc: Share.}
  delay: {type: range, items: {type: int, min: 0}, default: [1, 5], unit: s, doc: Delay.}
  label: {type: string, default: x, doc: A label.} # 20
rules:
  - {that: params.zone <= size(params.sizes), otherwise: zone is a position in sizes}
  - {that: '!(params.kind == "ip" && params.controller == "in-tree")', otherwise: ip needs lbc}
let:
  nodes: sum(params.sizes)
  kept: 'params.preserve == null ? params.kind == "instance" : params.preserve'
world:
  region: eu-west-1
  cluster: {name: lab, version: "1.22", serviceCIDR: 10.100.0.0/16}
  vpc: # 30
    cidr: 192.168.0.0/16
    subnets:
      - {name: a, zone: eu-west-1a, cidr: 192.168.0.0/19, public: true}
      - {name: b, zone: eu-west-1b, cidr: 192.168.32.0/19, when: size(params.sizes) > 1}
  nodeGroups:
    - {name: ng-a, subnet: a, instanceType: m5.large, size: '${params.sizes[0]}', addresses: [192.168.18.190]}
    - {name: ng-b, subnet: b, instanceType: m5.large, size: '${params.sizes[1]}', when: size(params.sizes) > 1}
  kernel:
    sysctls: {net.ipv4.tcp_syn_retries: '${params.zone * 2}'}
  addOns: # 40
    vpc-cni: {}
    kube-proxy: {mode: iptables}
    coredns: {replicas: 2, nodeGroup: '${["ng-a", "ng-b"][params.zone - 1]}'}
  loadBalancerController: '${params.controller}'
manifests: [web.yaml]
patches:
  - target: Deployment/web/web
    patch: {spec: {replicas: '${let.nodes}'}}
  - target: Service/web/web
    when: let.kept # 50
    patch: {metadata: {annotations: {preserve: '${string(let.kept)}', text: 'n=${let.nodes} $${HOME}'}}}
settle: 5m
timeline:
  - at: 1m
    when: params.preserve != null
    modifyTargetGroupAttributes: {service: web/web, attributes: {preserve_client_ip.enabled: '${string(params.preserve == true)}'}}
load:
  - name: calls
    at: 2m
    pod: web/client # 60
    count: 100
    every: '${params.every}'
    curl: {service: web/web, address: loadBalancer, fallback: sequential}
variants:
  broken: {doc: As it is.}
  fixed-off: {doc: Off., set: {preserve: false}}
  fixed-ip: {doc: By address., set: {kind: ip}}
observations: [connections, hungRatio, nodeName, nodes, byAddress, ended]
headline: [hungRatio]
golden: {zone: 2, variant: fixed-off} # 70
expect:
  "*":
    - name: some
      meaning: There are calls.
      that: obs.connections > 0
  broken:
    - name: share
      meaning: The share is that of one node.
      when: let.kept
      that: near(obs.hungRatio, 1.0 / double(let.nodes), obs.connections) # 80
  fixed-*:
    - name: none
      meaning: No call hangs.
      that: obs.hungRatio == 0
`

const web = `apiVersion: v1
kind: Namespace
metadata:
  name: web
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: web # 10
spec:
  replicas: 3
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: nginx # 20
          image: nginx:latest
          resources:
            requests: {cpu: 0.5, memory: 64Mi}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: web
spec: # 30
  type: LoadBalancer
  ports: [{port: 80, targetPort: http}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: web}
spec:
  containers: [{name: c, image: busybox}]
`

// folderOf is a file system with a scenario's files at its root.
func folderOf(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func loadText(scenario, manifest string) (*Scenario, error) {
	return Load(folderOf(map[string]string{"scenario.yaml": scenario, "web.yaml": manifest}), ".")
}

// mustLoad loads a scenario that is right as far as Load can tell.
func mustLoad(t testing.TB, scenario string) *Scenario {
	t.Helper()
	s, err := loadText(scenario, web)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return s
}

// replaced is text with old, which must be there, replaced by new.
func replaced(t testing.TB, text, old, new string) string {
	t.Helper()
	if old == "" {
		return text
	}
	if !strings.Contains(text, old) {
		t.Fatalf("the text to change, %q, is not in the fixture", old)
	}
	return strings.Replace(text, old, new, 1)
}

// wantErr checks that err is *Problems with just these lines.
func wantErr(t *testing.T, err error, want ...string) {
	t.Helper()
	if len(want) == 0 {
		if err != nil {
			t.Errorf("unexpected error: %v", err)
		}
		return
	}
	if err == nil {
		t.Fatalf("no error; want\n%s", strings.Join(want, "\n"))
	}
	var problems *Problems
	if !errors.As(err, &problems) {
		t.Fatalf("the error is a %T, want *Problems: %v", err, err)
	}
	if got := err.Error(); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
