package scenario

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"go.yaml.in/yaml/v3"
)

// KubernetesObject is an object of the Kubernetes API, one of the types of k8s.io/api.
type KubernetesObject interface {
	runtime.Object
	metav1.Object
}

// Object is one object of a scenario's manifests, with the patches applied.
type Object struct {
	// Value has its type's own fields; switch on *corev1.Service and so on. A namespace that was left out is filled in.
	Value KubernetesObject
	// Kind, as in Service.
	Kind string
	// After is how long after the first objects it is applied.
	After time.Duration
	// File and Line say where the manifest begins.
	File string
	Line int

	tree *node
}

// Key names the object as patches do: Kind/namespace/name, or Kind/name without a namespace.
func (o Object) Key() string {
	if o.Value.GetNamespace() == "" {
		return o.Kind + "/" + o.Value.GetName()
	}
	return o.Kind + "/" + o.Value.GetNamespace() + "/" + o.Value.GetName()
}

// YAML is the object as a manifest that kubectl takes: what was written and patched, and nothing else.
func (o Object) YAML() ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(o.tree.yaml()); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// objectKind is a kind of object that the backends have.
type objectKind struct {
	apiVersion, kind string
	namespaced       bool
	make             func() KubernetesObject
}

var objectKinds = []objectKind{
	{"v1", "Namespace", false, func() KubernetesObject { return &corev1.Namespace{} }},
	{"v1", "Pod", true, func() KubernetesObject { return &corev1.Pod{} }},
	{"v1", "Service", true, func() KubernetesObject { return &corev1.Service{} }},
	{"v1", "ConfigMap", true, func() KubernetesObject { return &corev1.ConfigMap{} }},
	{"v1", "Secret", true, func() KubernetesObject { return &corev1.Secret{} }},
	{"v1", "ServiceAccount", true, func() KubernetesObject { return &corev1.ServiceAccount{} }},
	{"apps/v1", "Deployment", true, func() KubernetesObject { return &appsv1.Deployment{} }},
	{"networking.k8s.io/v1", "Ingress", true, func() KubernetesObject { return &networkingv1.Ingress{} }},
}

// supportedKinds lists the kinds for a message.
func supportedKinds() string {
	var list []string
	for _, k := range objectKinds {
		list = append(list, k.apiVersion+" "+k.kind)
	}
	return strings.Join(list, ", ")
}

// manifest is an object as its file has it.
type manifest struct {
	tree *node
	kind objectKind
	// key is the object's name before any patch.
	key string
	// when is the condition of its file; nil for none. It is applied after so long.
	when  *node
	after time.Duration
}

// readManifests reads the objects of a manifest file.
func readManifests(file string, data []byte, found *findings) (list []manifest) {
	documents := parseYAML(file, data, found)
	if documents == nil && !found.any() {
		found.add(place{file: file, line: 1, column: 1}, "the file has no object")
	}
	for _, tree := range documents {
		refuseOldBooleans(tree, found)
		if m, ok := newManifest(tree, found); ok {
			list = append(list, m)
		}
	}
	return list
}

func newManifest(tree *node, found *findings) (m manifest, ok bool) {
	if tree.kind != objectNode {
		found.add(tree.at, "want a Kubernetes object, have %s", tree.describe())
		return m, false
	}
	m.tree = tree
	apiVersion, ok1 := requiredText(tree, tree, "apiVersion", found)
	kind, ok2 := requiredText(tree, tree, "kind", found)
	if !ok1 || !ok2 {
		return m, false
	}
	i := slices.IndexFunc(objectKinds, func(k objectKind) bool { return k.apiVersion == apiVersion && k.kind == kind })
	if i < 0 {
		at := tree.get("kind").at
		for _, k := range objectKinds {
			if k.kind == kind {
				found.add(tree.get("apiVersion").at, "%s is of %s, not of %q", kind, k.apiVersion, shorten(apiVersion))
				return m, false
			}
		}
		found.add(at, "kind %s of %s is not modelled; the supported kinds are %s", shorten(kind), shorten(apiVersion), supportedKinds())
		return m, false
	}
	m.kind = objectKinds[i]
	metadata := tree.get("metadata")
	if metadata == nil || metadata.kind != objectNode {
		found.add(tree.at, "the %s has no metadata", kind)
		return m, false
	}
	name, ok := requiredText(metadata, metadata, "name", found)
	if !ok {
		return m, false
	}
	m.key = kind + "/" + name
	if m.kind.namespaced {
		m.key = kind + "/" + namespaceOf(metadata) + "/" + name
	}
	return m, true
}

func namespaceOf(metadata *node) string {
	if n := metadata.get("namespace"); n != nil && n.text != "" && n.kind == textNode {
		return n.text
	}
	return metav1.NamespaceDefault
}

func requiredText(in, or *node, key string, found *findings) (string, bool) {
	n := in.get(key)
	if n == nil || n.kind != textNode || n.text == "" {
		at := or.at
		if n != nil {
			at = n.at
		}
		found.add(at, "the object's %s is missing or no text", key)
		return "", false
	}
	return n.text, true
}

// refuseOldBooleans finds words that Kubernetes' YAML takes for true or false and newer YAML for text, so that a
// manifest means the same wherever it is applied.
func refuseOldBooleans(n *node, found *findings) {
	switch n.kind {
	case textNode:
		if n.quoted {
			return
		}
		switch strings.ToLower(n.text) {
		case "y", "yes", "on":
			found.add(n.at, "%s is true to Kubernetes and text to others: write true, or %q in quotes", n.text, n.text)
		case "n", "no", "off":
			found.add(n.at, "%s is false to Kubernetes and text to others: write false, or %q in quotes", n.text, n.text)
		}
	case listNode:
		for _, item := range n.items {
			refuseOldBooleans(item, found)
		}
	case objectNode:
		for _, f := range n.fields {
			refuseOldBooleans(f.value, found)
		}
	}
}

// decode makes the object of the tree, which may have been patched since it was read.
func (m manifest) decode(found *findings) (Object, bool) {
	before := len(found.list)
	o := Object{Value: m.kind.make(), Kind: m.kind.kind, After: m.after, File: m.tree.at.file, Line: m.tree.at.line, tree: m.tree}
	d := decoder{found: found, tag: "json"}
	d.decode(m.tree, reflect.ValueOf(o.Value).Elem(), "")
	if m.kind.namespaced {
		if o.Value.GetNamespace() == "" {
			o.Value.SetNamespace(metav1.NamespaceDefault)
		}
	} else if o.Value.GetNamespace() != "" {
		found.add(m.tree.get("metadata").get("namespace").at, "a %s has no namespace", m.kind.kind)
	}
	return o, len(found.list) == before
}

// decodeManifests makes the objects, and finds those that are there twice.
func decodeManifests(list []manifest, found *findings) (objects []Object) {
	first := map[string]place{}
	for _, m := range list {
		o, ok := m.decode(found)
		if !ok {
			continue
		}
		key := o.Key()
		if at, twice := first[key]; twice {
			found.add(m.tree.at, "%s is there twice, first at %s", key, at)
			continue
		}
		first[key] = m.tree.at
		objects = append(objects, o)
	}
	return objects
}
