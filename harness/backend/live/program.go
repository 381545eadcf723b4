package live

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// loadImage puts the workload image into a node's containerd, which takes it as it is.
func (c *cluster) loadImage(ctx context.Context, container string, w *Workload) error {
	if err := c.docker(ctx, bytes.NewReader(w.Archive), io.Discard, "exec", "-i", container, "ctr", "--namespace", "k8s.io", "images", "import", "-"); err != nil {
		return fmt.Errorf("loading %s into %s: %w", w.Ref, container, err)
	}
	return nil
}

// copyProgram puts the workload's program into a container.
func (c *cluster) copyProgram(ctx context.Context, container string, w *Workload) error {
	if err := c.docker(ctx, bytes.NewReader(w.Layer), io.Discard, "cp", "-", container+":/"); err != nil {
		return fmt.Errorf("copying the workload's program into %s: %w", container, err)
	}
	return nil
}
