package live

import (
	"context"
	"fmt"
	"strings"
)

// whyNotReady looks into the log of the kubelet of the first node that is not there for what is known to end one.
func (c *cluster) whyNotReady(ctx context.Context, t *topology, notReady func(*node) bool) string {
	for _, n := range t.nodes {
		if !notReady(n) {
			continue
		}
		out, err := c.sh(ctx, n.container, "journalctl -u kubelet -n 200 --no-pager -o cat | grep -m1 -o 'inotify_init: too many open files' || true")
		if err == nil && len(out) > 0 {
			return fmt.Sprintf("; the kubelet of %s says %s: other clusters on this machine use them up; sudo sysctl fs.inotify.max_user_instances=512", n.name, strings.TrimSpace(string(out)))
		}
	}
	return ""
}
