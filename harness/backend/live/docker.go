package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// DockerCommand runs the docker command with the arguments until it ends or ctx does. Its error carries what the command said.
type DockerCommand func(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error

// RunDocker is the docker command on PATH. kind uses that command as well, so both find the same Docker, whatever its context and host.
func RunDocker(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	c := exec.CommandContext(ctx, "docker", args...)
	var stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = stdin, stdout, &stderr
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var exit *exec.ExitError
	if said := strings.TrimSpace(stderr.String()); errors.As(err, &exit) && said != "" {
		return errors.New(said)
	}
	return fmt.Errorf("docker %s: %w", strings.Join(args, " "), err)
}

func (i *Images) output(ctx context.Context, args ...string) ([]byte, error) {
	var out bytes.Buffer
	err := i.opts.Docker(ctx, nil, &out, args...)
	return out.Bytes(), err
}
