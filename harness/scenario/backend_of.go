package scenario

import (
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// BackendOf is the name of the Service that an Ingress sends a path to, for whatever host: that of the longest path that it begins with, else the
// default backend; empty for none.
func BackendOf(ing *networkingv1.Ingress, path string) string {
	if path == "" {
		path = "/"
	}
	name, longest := "", -1
	if b := ing.Spec.DefaultBackend; b != nil && b.Service != nil {
		name = b.Service.Name
	}
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for _, p := range r.HTTP.Paths {
			prefix := strings.TrimSuffix(strings.TrimSuffix(p.Path, "*"), "/")
			exact := p.PathType != nil && *p.PathType == networkingv1.PathTypeExact
			fits := path == p.Path || !exact && (path == prefix || strings.HasPrefix(path, prefix+"/"))
			if fits && len(p.Path) > longest && p.Backend.Service != nil {
				name, longest = p.Backend.Service.Name, len(p.Path)
			}
		}
	}
	return name
}
