package simulated

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/harness/scenario"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

var update = flag.Bool("update", false, "rewrite golden files")

// maxGoldenLines keeps golden traces readable.
const maxGoldenLines = 2000

// goldenTrace is the trace of a small run, without the packets that no call led to (health checks) and those of DNS, whose answers are records of their own.
func goldenTrace(t *testing.T, p *scenario.Plan) []byte {
	t.Helper()
	var out bytes.Buffer
	led := map[trace.ID]bool{}
	packets := trace.Hops | trace.Set(trace.Socket)
	w, err := (&Backend{}).build(p, 1, func(log *trace.Log) {
		log.Attach(trace.All, func(r *trace.Record) {
			if r.Kind == trace.Call || led[r.Cause] {
				led[r.ID] = true
			}
			if !packets.Has(r.Kind) || led[r.ID] && (r.Packet == nil || r.Packet.Proto != packet.UDP) {
				out.WriteString(log.Line(r) + "\n")
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if len(p.Load) == 0 {
		err = w.Engine.Run(end(p), nil)
	} else {
		err = w.Engine.RunWhile(func() bool { return !w.Done() }, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&out, "%d events, %s\n", w.Engine.Events(), w.Log.Hash())
	return out.Bytes()
}

// The golden file shows that something changed; whether it is right is for the expectations.
func TestGolden(t *testing.T) {
	catalog, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.Golden == nil {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			p, err := s.Resolve(s.Golden.Variant, s.Golden.Settings())
			if err != nil {
				t.Fatal(err)
			}
			got, again := goldenTrace(t, p), goldenTrace(t, p)
			if !bytes.Equal(got, again) {
				t.Fatal("two runs differ")
			}
			if n := bytes.Count(got, []byte("\n")); n > maxGoldenLines {
				t.Errorf("%d lines; at most %d are readable", n, maxGoldenLines)
			}
			file := filepath.Join("..", "..", "..", "scenarios", s.Area, s.Name, "trace.golden")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the trace differs from %s; if you can explain why, make golden rewrites it.\n%s", file, firstDifference(string(want), string(got)))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\n  was %s\n  is  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("%d lines, were %d", len(g), len(w))
}
