package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ekslab/ekslab/harness/backend/live/tap"
)

// taps are captures in network namespaces: tcpdump on all interfaces, run by the router, which can enter them.
type taps struct {
	cluster *cluster
	router  string
	vpc     string
	places  []tapPlace
}

// tapPlace is a network namespace to capture in.
type tapPlace struct {
	// name is what packets are said to be captured in: a node's first label, a pod's namespace/name, or router.
	name string
	// enter is how nsenter is told of the namespace; empty is the router's own.
	enter string
}

// folderOfTaps is in the router.
const folderOfTaps = "/captures"

// start begins all captures and returns when they capture.
func (t *taps) start(ctx context.Context) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("mkdir -p %s; cd %s", folderOfTaps, folderOfTaps)
	for i, place := range t.places {
		enter := ""
		if place.enter != "" {
			enter = "nsenter " + place.enter + " -- "
		}
		// Root keeps its rights (-Z), since the files are in a folder of root's.
		p("%stcpdump -Z root -i any -n -U -s 0 -B 8192 --time-stamp-precision=nano -w %d.pcap 'tcp and net %s' 2>%d.log & echo $! >%d.pid", enter, i, t.vpc, i, i)
	}
	// tcpdump says so when it listens.
	p("for i in $(seq 0 %d); do n=0; until grep -q listening $i.log; do n=$((n+1)); [ $n -lt 100 ] || { cat $i.log >&2; exit 1; }; sleep 0.1; done; done", len(t.places)-1)
	if _, err := t.cluster.sh(ctx, t.router, b.String()); err != nil {
		return fmt.Errorf("captures: %w", err)
	}
	return nil
}

// stop ends the captures and fetches them into a folder.
func (t *taps) stop(ctx context.Context, dir string) ([]tap.Packet, []string, error) {
	script := fmt.Sprintf("cd %s; for f in *.pid; do kill -INT $(cat $f) 2>/dev/null || true; done; n=0; for f in *.pid; do while [ -d /proc/$(cat $f) ] && [ $n -lt 100 ]; do n=$((n+1)); sleep 0.1; done; done", folderOfTaps)
	if _, err := t.cluster.sh(ctx, t.router, script); err != nil {
		return nil, nil, fmt.Errorf("captures: %w", err)
	}
	captures := make([][]tap.Packet, len(t.places))
	errs := make([]error, len(t.places))
	files := make([]string, len(t.places))
	var all sync.WaitGroup
	for i, place := range t.places {
		files[i] = filepath.Join(dir, strings.ReplaceAll(place.name, "/", "_")+".pcap")
		all.Go(func() { captures[i], errs[i] = t.fetch(ctx, i, place, files[i]) })
	}
	all.Wait()
	return tap.Merge(captures...), files, errors.Join(errs...)
}

func (t *taps) fetch(ctx context.Context, i int, place tapPlace, file string) ([]tap.Packet, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	err = t.cluster.docker(ctx, nil, f, "exec", t.router, "cat", fmt.Sprintf("%s/%d.pcap", folderOfTaps, i))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	enter := []string{"exec", t.router}
	if place.enter != "" {
		enter = append(append(enter, "nsenter"), append(strings.Fields(place.enter), "--")...)
	}
	out, err := t.cluster.output(ctx, append(enter, "ip", "-o", "link")...)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return tap.Read(bytes.NewReader(data), place.name, interfacesOf(string(out)))
}

// interfacesOf reads `ip -o link`: "2: eth1@if3: <BROADCAST,...".
func interfacesOf(text string) map[int]string {
	out := map[int]string{}
	for line := range strings.Lines(text) {
		var index int
		var name string
		if n, _ := fmt.Sscanf(line, "%d: %s", &index, &name); n == 2 {
			name, _, _ = strings.Cut(strings.TrimSuffix(name, ":"), "@")
			out[index] = name
		}
	}
	return out
}

// podNamespace is how nsenter is told of a pod's network namespace, whose file is in the node's container.
func (c *cluster) podNamespace(ctx context.Context, n *node, namespace, pod string) (string, error) {
	// ctr is in every node; crictl is not.
	out, err := c.sh(ctx, n.container, fmt.Sprintf(`for id in $(ctr -n k8s.io containers ls -q 'labels."io.kubernetes.pod.name"==%s,labels."io.cri-containerd.kind"==sandbox'); do ctr -n k8s.io containers info $id; done`, pod))
	if err != nil {
		return "", err
	}
	for sandboxes := json.NewDecoder(bytes.NewReader(out)); sandboxes.More(); {
		var sandbox struct {
			Labels map[string]string
			Spec   struct {
				Linux struct {
					Namespaces []struct{ Type, Path string } `json:"namespaces"`
				} `json:"linux"`
			}
		}
		if err := sandboxes.Decode(&sandbox); err != nil {
			return "", fmt.Errorf("the sandbox of pod %s/%s: %w", namespace, pod, err)
		}
		if sandbox.Labels["io.kubernetes.pod.namespace"] != namespace {
			continue
		}
		for _, ns := range sandbox.Spec.Linux.Namespaces {
			if ns.Type == "network" && ns.Path != "" {
				// /var/run is a link to /run, which would be followed on the wrong side.
				return fmt.Sprintf("--net=/proc/%d/root%s", n.pid, strings.Replace(ns.Path, "/var/run/", "/run/", 1)), nil
			}
		}
	}
	return "", fmt.Errorf("pod %s/%s has no network namespace of its own", namespace, pod)
}

// settleCaptures is how long captures go on when the last call has ended, so that its last packets are in.
const settleCaptures = 2 * time.Second
