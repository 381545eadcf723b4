package scenario

import (
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	kjson "k8s.io/apimachinery/pkg/util/json"
)

// podWithEverything uses each way in which the types of k8s.io/api read JSON: embedded structs, types that decode
// themselves, bytes, pointers, named strings, maps by named strings, null.
const podWithEverything = `apiVersion: v1
kind: Pod
metadata:
  name: everything
  namespace: default
  creationTimestamp: "2022-10-07T08:47:48Z"
  deletionTimestamp: null
  finalizers: [a, b]
  annotations: {number: "1", empty: ""}
  managedFields: [{manager: kubectl, operation: Apply, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:x": {}}}}]
spec:
  restartPolicy: Always
  terminationGracePeriodSeconds: 0
  hostNetwork: false
  shareProcessNamespace: true
  nodeSelector: {a: b}
  tolerations: [{key: a, operator: Exists, effect: NoSchedule, tolerationSeconds: 300}]
  securityContext: {runAsUser: 1000, fsGroup: 0, sysctls: [{name: net.ipv4.tcp_syn_retries, value: "6"}]}
  readinessGates: []
  volumes:
    - {name: empty, emptyDir: {sizeLimit: 1Gi}}
    - {name: config, configMap: {name: c, defaultMode: 0644, items: [{key: a, path: b}]}}
    - {name: both, projected: {sources: [{serviceAccountToken: {path: t, expirationSeconds: 3600}}]}}
  containers:
    - name: c
      image: nginx:latest
      command: [sh, -c, "sleep 1"]
      env: [{name: A, value: "1"}, {name: B, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
      ports: [{containerPort: 80, protocol: TCP}]
      resources: {requests: {cpu: 0.10, memory: 64Mi, hugepages-2Mi: 4}, limits: {cpu: "1"}}
      readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 10}
      livenessProbe: {tcpSocket: {port: 8080}, initialDelaySeconds: 1}
      startupProbe: {grpc: {port: 1, service: null}}
      lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
      stdin: true
status: {}
`

const otherObjects = `apiVersion: v1
kind: Secret
metadata: {name: s}
type: Opaque
data: {a: aGVsbG8=, b: ""}
stringData: {c: plain}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
immutable: true
data: {1: "one", script: "echo ${HOME} $HOME", long: "a\nb\n"}
binaryData: {d: AAEC}
---
apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}, {port: 443, targetPort: https, name: https, appProtocol: null}]
  ipFamilyPolicy: SingleStack
  internalTrafficPolicy: Local
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: a}
automountServiceAccountToken: false
imagePullSecrets: [{name: x}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 0
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  selector: {matchExpressions: [{key: a, operator: In, values: [b]}]}
  template: {metadata: {labels: {a: b}}, spec: {containers: []}}
`

// Our decoder, which knows the places of mistakes, reads what Kubernetes' own reads.
func TestManifestsDecodeAsKubernetesDoes(t *testing.T) {
	for _, text := range []string{podWithEverything, otherObjects, web} {
		found := &findings{}
		for _, m := range readManifests("x.yaml", []byte(text), found) {
			o, ok := m.decode(found)
			if !ok {
				t.Errorf("%s: %v", m.key, found.err())
				continue
			}
			want := m.kind.make()
			if err := kjson.Unmarshal(m.tree.json(), want); err != nil {
				t.Fatal(err)
			}
			if m.kind.namespaced && want.GetNamespace() == "" {
				want.SetNamespace(corev1.NamespaceDefault)
			}
			if !reflect.DeepEqual(o.Value, want) {
				t.Errorf("%s:\n%+v\nwant\n%+v", m.key, o.Value, want)
			}
		}
		if err := found.err(); err != nil {
			t.Error(err)
		}
	}
}

// Where the two cannot agree on a mistake's words, they agree that there is one.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{podWithEverything, otherObjects, web} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, message := unreadable(text); message != "" {
			return
		}
		found := &findings{}
		for _, m := range readManifests("x.yaml", text, found) {
			o, ok := m.decode(found)
			for _, p := range found.list {
				if p.File != "x.yaml" || p.Line < 1 || p.Message == "" {
					t.Errorf("a problem without a place: %+v", p)
				}
			}
			if !ok {
				continue
			}
			want := m.kind.make()
			if err := kjson.Unmarshal(m.tree.json(), want); err != nil {
				t.Fatalf("Kubernetes refuses what is accepted here: %v", err)
			}
			if m.kind.namespaced && want.GetNamespace() == "" {
				want.SetNamespace(corev1.NamespaceDefault)
			}
			if !reflect.DeepEqual(o.Value, want) {
				t.Errorf("%+v\nwant\n%+v", o.Value, want)
			}
		}
	})
}
