package live

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/backend/live/process"
)

// Labels of everything that a run makes in Docker. The containers of a cluster carry kind's own label in their place, with a name of ours.
const (
	labelRun   = "io.ekslab.run"
	labelOwner = "io.ekslab.owner"
	labelKind  = "io.x-k8s.kind.cluster"
)

// prefix of the names of clusters, containers, networks and folders.
const prefix = "ekslab-"

// runName is the form of a name of ours: the prefix and the run's id, and for parts of a run what they are.
var runName = regexp.MustCompile(`^ekslab-([0-9a-f]{10})(-.*)?$`)

// newRunID makes the id of a run.
func newRunID() string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// folder is where a run keeps its files: kubeconfig and captures. Who owns the run stands in a file of its own, written before anything is made.
func folder(tempDir, run string) string { return filepath.Join(tempDir, prefix+run) }

const ownerFile = "owner"

// left is one thing that a run made and that is still there.
type left struct {
	// what is container, network, volume or folder.
	what, id, name string
	run, owner     string
}

func (l left) String() string { return l.what + " " + l.name }

// stale picks what belongs to runs whose process is gone. A thing that does not say who owns it (the containers of a cluster cannot) belongs to
// whoever owns the rest of its run; if nothing says who that is, its owner is gone, since the record of it is made first and removed last.
func stale(all []left, alive func(owner string) bool) (out []left) {
	owners := map[string]string{}
	for _, l := range all {
		if l.owner != "" {
			owners[l.run] = l.owner
		}
	}
	for _, l := range all {
		owner := owners[l.run]
		if owner == "" || !alive(owner) {
			out = append(out, l)
		}
	}
	return out
}

// find lists everything that any run of ekslab has made and that is still there, in the order in which it has to be removed.
func (b *Backend) find(ctx context.Context) ([]left, error) {
	var all []left
	seen := map[string]bool{}
	add := func(what string, out []byte) {
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimRight(line, "\n"), "\t")
			if len(f) != 5 || seen[f[0]] {
				continue
			}
			l := left{what: what, id: f[0], name: f[1], run: f[2], owner: f[3]}
			if m := runName.FindStringSubmatch(f[4]); l.run == "" && m != nil {
				l.run = m[1]
			}
			if l.run == "" {
				continue // a cluster of someone else
			}
			seen[l.id] = true
			all = append(all, l)
		}
	}
	// What a line says: id, name, run, owner, and a name from which the run follows where no label says it.
	const labelled = "\t{{.Label \"" + labelRun + "\"}}\t{{.Label \"" + labelOwner + "\"}}\t"
	const container = "{{.ID}}\t{{.Names}}" + labelled + "{{.Label \"" + labelKind + "\"}}"
	const volume = "{{.Name}}\t{{.Name}}" + labelled + "-"
	const network = "{{.ID}}\t{{.Name}}" + labelled + "-"
	for _, q := range []struct {
		what string
		args []string
	}{
		{"container", []string{"ps", "-a", "--no-trunc", "--filter", "label=" + labelRun, "--format", container}},
		{"container", []string{"ps", "-a", "--no-trunc", "--filter", "label=" + labelKind, "--format", container}},
		{"volume", []string{"volume", "ls", "--filter", "label=" + labelRun, "--format", volume}},
		{"network", []string{"network", "ls", "--no-trunc", "--filter", "label=" + labelRun, "--format", network}},
	} {
		out, err := b.output(ctx, q.args...)
		if err != nil {
			return nil, err
		}
		add(q.what, out)
	}
	entries, err := os.ReadDir(b.opts.TempDir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		m := runName.FindStringSubmatch(e.Name())
		if m == nil || m[2] != "" || !e.IsDir() {
			continue
		}
		path := filepath.Join(b.opts.TempDir, e.Name())
		owner, _ := os.ReadFile(filepath.Join(path, ownerFile))
		all = append(all, left{what: "folder", id: path, name: path, run: m[1], owner: strings.TrimSpace(string(owner))})
	}
	return all, nil
}

// remove removes things, and says which it has removed.
func (b *Backend) remove(ctx context.Context, things []left) (removed []string, err error) {
	// Docker stops the containers of one command side by side; what that leaves is asked for one by one, for the sake of what is said of it.
	var containers []string
	for _, l := range things {
		if l.what == "container" {
			containers = append(containers, l.id)
		}
	}
	together := len(containers) > 1
	if together {
		_, err := b.output(ctx, append([]string{"rm", "--force", "--volumes"}, containers...)...)
		together = err == nil
	}
	var failed []string
	unfinished := map[string]bool{} // runs that something is left of
	for _, l := range things {
		if l.what == "folder" && unfinished[l.run] {
			continue // whose the rest is stands in it
		}
		var err error
		switch l.what {
		case "container":
			if together {
				break
			}
			_, err = b.output(ctx, "rm", "--force", "--volumes", l.id)
		case "network":
			_, err = b.output(ctx, "network", "rm", l.id)
		case "volume":
			_, err = b.output(ctx, "volume", "rm", "--force", l.id)
		case "folder":
			err = os.RemoveAll(l.id)
		}
		if err != nil && !strings.Contains(strings.ToLower(err.Error()), "no such") && !strings.Contains(err.Error(), "already in progress") {
			failed = append(failed, fmt.Sprintf("%v: %v", l, err))
			unfinished[l.run] = true
			continue
		}
		removed = append(removed, l.String())
	}
	if len(failed) > 0 {
		return removed, fmt.Errorf("could not remove %s", strings.Join(failed, "; "))
	}
	return removed, nil
}

// Clean removes what runs left behind whose process is gone, and nothing else.
func (b *Backend) Clean(ctx context.Context) ([]string, error) {
	return b.sweep(ctx, true, func(all []left) []left { return stale(all, process.Alive) })
}

// cleanRun removes all that one run has made. It is called in the end of each run; cut says that commands were cut off in their middle.
func (b *Backend) cleanRun(ctx context.Context, run string, cut bool) error {
	_, err := b.sweep(ctx, cut, func(all []left) []left {
		return slices.DeleteFunc(all, func(l left) bool { return l.run != run })
	})
	return err
}

// afterwards is how long Docker may go on with a command whose sender was cut off: a container may appear when all seemed to be removed.
const afterwards = 1500 * time.Millisecond

// sweepRounds bounds how often that is looked for.
const sweepRounds = 6

// sweep removes what is picked of everything there is, until there is no more. Cut says that commands of Docker were cut off, so that more may come.
func (b *Backend) sweep(ctx context.Context, cut bool, pick func([]left) []left) (removed []string, err error) {
	var failure error
	for range sweepRounds {
		all, err := b.find(ctx)
		if err != nil {
			return removed, err
		}
		picked := pick(all)
		if len(picked) == 0 {
			return removed, nil
		}
		var names []string
		names, failure = b.remove(ctx, picked)
		for _, n := range names {
			if !slices.Contains(removed, n) {
				removed = append(removed, n)
			}
		}
		if !cut && failure == nil {
			continue
		}
		select {
		case <-time.After(b.afterwards):
		case <-ctx.Done():
			return removed, ctx.Err()
		}
	}
	return removed, failure
}

// labels are the arguments of docker that mark something as a run's.
func labels(run, owner string) []string {
	return []string{"--label", labelRun + "=" + run, "--label", labelOwner + "=" + owner}
}

// atoi reads a number that Docker wrote.
func atoi(b []byte) (int, error) { return strconv.Atoi(strings.TrimSpace(string(b))) }
