package scenario

import (
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
)

// SetImage is kubectl set image.
type SetImage struct {
	// The Deployment, as namespace/name.
	Deployment string `yaml:"deployment"`
	// Name of the container; the first one if left out.
	Container string `yaml:"container,omitempty"`
	// The new image.
	Image string `yaml:"image"`
}

// RolloutRestart is kubectl rollout restart.
type RolloutRestart struct {
	// The Deployment, as namespace/name.
	Deployment string `yaml:"deployment"`
}

// LabelNamespace is kubectl label namespace.
type LabelNamespace struct {
	// Name of the namespace.
	Name string `yaml:"name"`
	// Labels to set.
	Labels map[string]string `yaml:"labels"`
}

// CrashNode is a node that loses power.
type CrashNode struct {
	// The Deployment, as namespace/name, the node of whose first pod it is.
	Deployment string `yaml:"deployment"`
}

// deployment is the Deployment that an action is about; empty if it is about none.
func (a *Action) deployment() string {
	switch {
	case a.SetImage != nil:
		return a.SetImage.Deployment
	case a.RolloutRestart != nil:
		return a.RolloutRestart.Deployment
	case a.CrashNode != nil:
		return a.CrashNode.Deployment
	}
	return ""
}

// checkRollout holds the verbs of a rollout against the manifests, and fills in what may be left out.
func checkRollout(plan *Plan, found *findings) {
	deployments := map[string]*appsv1.Deployment{}
	var names, namespaces []string
	for _, o := range plan.Objects {
		if d, ok := o.Value.(*appsv1.Deployment); ok {
			name := d.Namespace + "/" + d.Name
			deployments[name] = d
			names = append(names, name)
		}
		if o.Kind == "Namespace" {
			namespaces = append(namespaces, o.Value.GetName())
		}
	}
	for i := range plan.Timeline {
		a := &plan.Timeline[i]
		at := place{file: a.File, line: a.Line}
		if l := a.LabelNamespace; l != nil && !slices.Contains(append(namespaces, "default", "kube-system"), l.Name) {
			found.add(at, "the manifests have no Namespace %q%s", shorten(l.Name), targetHint(l.Name, namespaces))
		}
		if a.Patch != nil {
			a.Patch.check(at, plan, found)
		}
		name := a.deployment()
		if name == "" {
			continue
		}
		d := deployments[name]
		if d == nil {
			found.add(at, "the manifests have no Deployment %q%s", shorten(name), targetHint(name, names))
			continue
		}
		if s := a.SetImage; s != nil {
			var containers []string
			for _, c := range d.Spec.Template.Spec.Containers {
				containers = append(containers, c.Name)
			}
			switch {
			case len(containers) == 0:
			case s.Container == "":
				s.Container = containers[0]
			case !slices.Contains(containers, s.Container):
				found.add(at, "Deployment %s has no container %q%s; it has %s", name, shorten(s.Container), withoutMark(didYouMean(s.Container, containers)), strings.Join(containers, ", "))
			}
		}
	}
}

// PatchObject is kubectl patch.
type PatchObject struct {
	// The Deployment, Service or Ingress, as Kind/namespace/name.
	Target string `yaml:"target"`
	// Strategic merge patch, as kubectl patch takes it: containers are told apart by their names.
	Patch Fragment `yaml:"patch"`
}

// Fragment is a part of a Kubernetes object.
type Fragment struct {
	// JSON is the fragment.
	JSON []byte

	tree *node
}

func (f *Fragment) decodeTree(d *decoder, n *node, path string) {
	if n.kind != objectNode {
		d.want(n, path, "a mapping")
		return
	}
	f.tree = n
	if !d.form {
		f.JSON = n.json()
	}
}

// patchable are the kinds that kubectl patch is modelled for.
var patchable = []string{"Deployment", "Service", "Ingress"}

// check holds a patch against the object that it is for.
func (p *PatchObject) check(at place, plan *Plan, found *findings) {
	kind, _, _ := strings.Cut(p.Target, "/")
	var keys []string
	for _, o := range plan.Objects {
		if slices.Contains(patchable, o.Kind) {
			keys = append(keys, o.Key())
		}
	}
	if !slices.Contains(keys, p.Target) {
		found.add(at, "the manifests have no %q to patch%s", shorten(p.Target), targetHint(p.Target, keys))
		return
	}
	for _, k := range objectKinds {
		if k.kind == kind && p.Patch.tree != nil {
			form := decoder{found: found, tag: "json", form: true}
			form.decode(p.Patch.tree, reflect.ValueOf(k.make()).Elem(), "")
		}
	}
}
