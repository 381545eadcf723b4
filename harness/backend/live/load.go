package live

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/scenario"
)

// callLine is a line of the client, which its own package describes.
type callLine struct {
	Call         int
	Began, Ended int64
	HTTP, Exit   int
	Message      string
	Attempts     []struct {
		Local, Remote string
		Began, Ended  int64
		Error         string
	}
}

// load makes the calls of a plan: it runs the client in the pod as `kubectl exec` does, and reads what the client says of each call. When ctx ends it
// returns what has ended by then.
func (c *cluster) load(ctx context.Context, l *scenario.Client, host string, port uint16, progress func(done int)) ([]callLine, error) {
	namespace, pod := cutKey(l.Pod)
	args := []string{"exec", c.controlPlane(), "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "exec", "-n", namespace, pod, "--",
		workloadPath, "client", "-host", host, "-port", strconv.Itoa(int(port)), "-count", strconv.Itoa(l.Count), "-every", l.Every.String(),
		"-max-time", l.Curl.MaxTime.String(), "-fallback", l.Curl.Fallback}
	in, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := c.docker(ctx, nil, out, args...)
		_ = out.CloseWithError(io.EOF)
		ended <- err
	}()
	var calls []callLine
	lines := bufio.NewScanner(in)
	var bad error
	for lines.Scan() {
		var line callLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			bad = fmt.Errorf("the client in pod %s said %.80q", l.Pod, lines.Text())
			continue
		}
		calls = append(calls, line)
		progress(len(calls))
	}
	err := <-ended
	if ctx.Err() != nil {
		return calls, nil
	}
	if err != nil {
		return calls, fmt.Errorf("the client in pod %s: %w", l.Pod, err)
	}
	return calls, errors.Join(bad, lines.Err())
}

// calls are the client's lines as the observations take them, in times since an epoch.
func calls(lines []callLine, epoch time.Time) (out []observe.Call) {
	since := func(nanoseconds int64) time.Duration { return time.Duration(nanoseconds - epoch.UnixNano()) }
	for _, l := range lines {
		c := observe.Call{Began: since(l.Began), Ended: since(l.Ended), HTTPCode: l.HTTP, ExitCode: l.Exit}
		if len(l.Attempts) > 0 {
			a := l.Attempts[0]
			c.FirstLocal, _ = netip.ParseAddrPort(a.Local)
			c.FirstRemote, _ = netip.ParseAddrPort(a.Remote)
			c.FirstBegan, c.FirstEnded = since(a.Began), since(a.Ended)
			if a.Error != "GAVEUP" {
				c.FirstError = a.Error
			}
		}
		out = append(out, c)
	}
	return out
}
