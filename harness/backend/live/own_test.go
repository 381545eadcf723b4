package live

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekslab/ekslab/harness/backend/live/process"
)

func TestStale(t *testing.T) {
	alive := func(owner string) bool { return owner == "living" }
	all := []left{
		{what: "container", name: "a-node", run: "a"},                    // of a cluster: it cannot say whose it is,
		{what: "network", name: "a-net", run: "a", owner: "living"},      // but its run's network can
		{what: "container", name: "b-node", run: "b"},                    //
		{what: "folder", name: "b-folder", run: "b", owner: "dead"},      //
		{what: "container", name: "b-router", run: "b", owner: "dead"},   //
		{what: "container", name: "c-node", run: "c"},                    // nothing is left that says whose: the record is removed last
		{what: "container", name: "doctor", run: "doctor"},               //
		{what: "container", name: "a-router", run: "a", owner: "living"}, //
	}
	var got []string
	for _, l := range stale(all, alive) {
		got = append(got, l.name)
	}
	if want := []string{"b-node", "b-folder", "b-router", "c-node", "doctor"}; !slices.Equal(got, want) {
		t.Errorf("stale: %v, want %v", got, want)
	}
}

// dockerOf answers as Docker does, from what it is said to hold, and notes what it is asked to remove.
type dockerOf struct {
	containers, kinds, volumes, networks string
	removed                              []string
	// busy is how often a network cannot be removed yet.
	busy int
}

func (d *dockerOf) run(_ context.Context, _ io.Reader, stdout io.Writer, args ...string) error {
	line := strings.Join(args, " ")
	answer := ""
	switch {
	case strings.HasPrefix(line, "ps -a --no-trunc --filter label=io.ekslab.run"):
		answer = d.containers
	case strings.HasPrefix(line, "ps -a --no-trunc --filter label=io.x-k8s.kind.cluster"):
		answer = d.kinds
	case strings.HasPrefix(line, "volume ls"):
		answer = d.volumes
	case strings.HasPrefix(line, "network ls"):
		answer = d.networks
	case strings.HasPrefix(line, "network rm") && d.busy > 0:
		d.busy--
		return errors.New("network has active endpoints")
	default:
		d.removed = append(d.removed, line)
		for _, list := range []*string{&d.containers, &d.kinds, &d.volumes, &d.networks} { // what is removed is not listed any more
			*list = linesOf(*list, func(id string) bool { return !slices.Contains(args, id) })
		}
	}
	_, err := io.Copy(stdout, bytes.NewBufferString(answer))
	return err
}

// linesOf keeps the lines whose first field is kept.
func linesOf(text string, keep func(id string) bool) (out string) {
	for line := range strings.Lines(text) {
		if id, _, _ := strings.Cut(line, "\t"); keep(id) {
			out += line
		}
	}
	return out
}

// Clean removes what dead runs have left; other people's clusters, other tools' containers and what a living process uses stay.
func TestClean(t *testing.T) {
	dir := t.TempDir()
	for run, owner := range map[string]string{"aaaaaaaaaa": process.Self(), "bbbbbbbbbb": "another boot/1/2/3"} {
		if err := os.Mkdir(filepath.Join(dir, "ekslab-"+run), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ekslab-"+run, ownerFile), []byte(owner), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, other := range []string{"ekslab-workload-123", "ekslab-mine", "other"} {
		if err := os.Mkdir(filepath.Join(dir, other), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := &dockerOf{
		containers: "1\tekslab-aaaaaaaaaa-router\taaaaaaaaaa\t" + process.Self() + "\t\n2\tekslab-bbbbbbbbbb-router\tbbbbbbbbbb\tanother boot/1/2/3\t\n",
		kinds: "3\tekslab-bbbbbbbbbb-worker\t\t\tekslab-bbbbbbbbbb\n4\tekslab-aaaaaaaaaa-worker\t\t\tekslab-aaaaaaaaaa\n" +
			"5\tkind-control-plane\t\t\tkind\n6\tekslab-mine-control-plane\t\t\tekslab-mine\n7\tekslab-cccccccccc-worker2\t\t\tekslab-cccccccccc\n",
		busy:     1, // a container that a dead run's docker command had under way
		networks: "8\tekslab-bbbbbbbbbb\tbbbbbbbbbb\tanother boot/1/2/3\t-\n",
	}
	b := New(Options{Docker: d.run, TempDir: dir})
	b.afterwards = time.Millisecond
	removed, err := b.Clean(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"container ekslab-bbbbbbbbbb-router", "container ekslab-bbbbbbbbbb-worker", "container ekslab-cccccccccc-worker2", "network ekslab-bbbbbbbbbb", "folder " + filepath.Join(dir, "ekslab-bbbbbbbbbb")}; !slices.Equal(removed, want) {
		t.Errorf("removed %v", removed)
	}
	if want := []string{"rm --force --volumes 2 3 7", "network rm 8"}; !slices.Equal(d.removed, want) {
		t.Errorf("asked Docker to %v", d.removed)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 4 {
		t.Errorf("left %v", left)
	}
}
