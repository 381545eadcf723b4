package live

import (
	"context"
	"os"
	"path/filepath"

	kind "sigs.k8s.io/kind/pkg/cluster"
)

// keep saves what a failed run leaves to look at, if that is wanted: captures and what happened, the logs of the nodes and the state of the cluster.
func (r *run) keep(ctx context.Context) {
	if r.b.opts.Artifacts == "" {
		return
	}
	dir := filepath.Join(r.b.opts.Artifacts, prefix+r.id)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return
	}
	_ = os.CopyFS(dir, os.DirFS(r.dir))
	if r.cluster == nil {
		return
	}
	for name, args := range map[string][]string{
		"pods.txt":    {"get", "pods", "--all-namespaces", "-o", "wide"},
		"nodes.txt":   {"describe", "nodes"},
		"events.txt":  {"get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"},
		"service.txt": {"get", "services,endpointslices", "--all-namespaces", "-o", "yaml"},
	} {
		if out, err := r.cluster.kubectl(ctx, nil, args...); err == nil {
			_ = os.WriteFile(filepath.Join(dir, name), out, 0o644)
		}
	}
	if r.router != "" {
		if out, err := r.cluster.sh(ctx, r.router, "nft list ruleset; ip addr; ip route; conntrack -L 2>&1"); err == nil {
			_ = os.WriteFile(filepath.Join(dir, "router.txt"), out, 0o644)
		}
	}
	_ = kind.NewProvider(kind.ProviderWithDocker()).CollectLogs(r.name(""), filepath.Join(dir, "nodes"))
	r.b.opts.Log.Info("kept what there is to look at", "folder", dir)
}
