package simulated

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/ekslab/ekslab/sim/trace"
)

// Each explanation has the links that its case has, and no others; each link stands on records of the run.
func TestExplain(t *testing.T) {
	const (
		long     = "Why did that take"
		noAnswer = "Why did no SYN-ACK come from"
		wayBack  = "Why does the answer come from"
		past     = "Why does the answer go to the client itself"
		kept     = "Why did the SYN still carry"
		choice   = "Why did the load balancer send it there"
		target   = "Why is"
	)
	for _, c := range []struct {
		name, variant, set string
		questions          []string
		says               []string // somewhere in the answers or their evidence
	}{
		{"the pod's own node", "broken", "", []string{long, noAnswer, wayBack, past, choice, target},
			[]string{"7 times, at 0, 1, 3, 7, 15, 31, 63 s", "ETIMEDOUT", "SKB_DROP_REASON_NO_SOCKET", "dev enie348bef9edc scope link", "ip route add", "in-tree cloud provider made the target group", "RegisterTargets with 5 targets", "reset by the peer"}},
		{"preserved because it was asked for", "broken", "controller=lbc preserveClientIP=true", []string{long, noAnswer, wayBack, past, choice, target}, []string{"aws-load-balancer-controller"}},
		{"hostNetwork", "broken", "clientHostNetwork=true", []string{long, noAnswer, kept, choice, target}, []string{"SKB_DROP_REASON_IP_LOCAL_SOURCE", "192.168.55.245, which is that host's own"}},
		{"an ip target beside the client", "broken", "targetType=ip preserveClientIP=true backendOnClientNode=one replicas=4 crossZone=true", []string{long, noAnswer, wayBack, past, choice, target}, []string{"aws-load-balancer-controller set it so", "ModifyTargetGroupAttributes"}},
		{"the client itself", "broken", "targetType=ip preserveClientIP=true clientIsBackend=true replicas=4 crossZone=true", []string{long, noAnswer, kept, choice, target}, []string{"nginx-demo/netshoot/eth0", "martian"}},
		{"nothing wrong", "fixed-preserve-off", "", nil, nil},
		{"nothing wrong by cluster IP", "fixed-clusterip", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := map[string]string{"connections": "60"}
			for _, s := range strings.Fields(c.set) {
				k, v, _ := strings.Cut(s, "=")
				set[k] = v
			}
			d, err := (&Backend{}).Explain(t.Context(), plan(t, c.variant, set), 1)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := d.Text(&text, false); err != nil {
				t.Fatal(err)
			}
			if len(d.Whys) != len(c.questions) || d.Failed != (len(c.questions) > 0) {
				t.Fatalf("%d links, want %d:\n%s", len(d.Whys), len(c.questions), &text)
			}
			for i, w := range d.Whys {
				if !strings.HasPrefix(w.Question, c.questions[i]) {
					t.Errorf("link %d asks %q", i+1, w.Question)
				}
				if len(w.Evidence) == 0 {
					t.Errorf("%q stands on nothing", w.Question)
				}
			}
			for _, s := range c.says {
				if !strings.Contains(strings.Join(strings.Fields(text.String()), " "), s) {
					t.Errorf("it does not say %q:\n%s", s, &text)
				}
			}
			if len(d.Packets) == 0 {
				t.Error("no packets")
			}
			if b, err := json.Marshal(d); err != nil || !bytes.Contains(b, []byte(`"schema":"ekslab.explain/v1"`)) {
				t.Errorf("%v %.80s", err, b)
			}
		})
	}
}

// From the record in which the connection failed, causes lead back to the command that the person ran.
func TestACauseChainEndsAtTheCommand(t *testing.T) {
	causes := map[trace.ID]trace.ID{}
	kinds := map[trace.ID]trace.Kind{}
	var failed trace.ID
	w, err := (&Backend{}).build(plan(t, "broken", map[string]string{"connections": "40"}), 1, func(log *trace.Log) {
		log.Attach(trace.All, func(r *trace.Record) {
			causes[r.ID], kinds[r.ID] = r.Cause, r.Kind
			if r.Cause >= r.ID {
				t.Errorf("record %d has a cause that came later", r.ID)
			}
			if failed == 0 && r.Kind == trace.Call && log.String(r.What) == "connect failed" {
				failed = r.ID
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Engine.RunWhile(func() bool { return !w.Done() }, nil); err != nil {
		t.Fatal(err)
	}
	if failed == 0 {
		t.Fatal("nothing failed")
	}
	var path []string
	last := failed
	for id := failed; id != 0; id = causes[id] {
		path = append(path, fmt.Sprint(kinds[id]))
		last = id
	}
	if kinds[last] != trace.Call || len(path) < 10 {
		t.Errorf("the chain has %d records and ends in %v: %v", len(path), kinds[last], path)
	}
	for _, want := range []string{"timer", "dns", "out"} {
		if !strings.Contains(strings.Join(path, " "), want) {
			t.Errorf("no %s on the way: %v", want, path)
		}
	}
}
