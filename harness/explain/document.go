package explain

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/trace"
)

// Document is an explanation. It is the JSON of `ekslab explain -o json`.
type Document struct {
	Schema   string `json:"schema"`
	Scenario string `json:"scenario"`
	Variant  string `json:"variant"`
	Backend  string `json:"backend"`
	Seed     uint64 `json:"seed"`
	// Failed is whether there was anything to explain; if not, Whys is empty and Packets shows a call that went well.
	Failed bool `json:"failed"`
	// Symptom is what the person at the client saw.
	Symptom string `json:"symptom"`
	Whys    []Why  `json:"whys"`
	// Packets is one connection's first packets, on every interface that they crossed.
	Packets []Crossing `json:"packets"`
	// Command reproduces the run.
	Command string `json:"command"`
}

// Why is one link of the chain.
type Why struct {
	Question string             `json:"question"`
	Answer   string             `json:"answer"`
	Evidence []observe.Evidence `json:"evidence"`
}

// Crossing is a packet on an interface.
type Crossing struct {
	ID           uint64 `json:"id"`
	Microseconds int64  `json:"microseconds"` // since the first
	Interface    string `json:"interface"`
	Out          bool   `json:"out"`
	Packet       string `json:"packet"`
	TTL          int    `json:"ttl"`
	MSS          int    `json:"mss,omitempty"`
	Note         string `json:"note,omitempty"`
}

// Schema of the document.
const Schema = "ekslab.explain/v1"

type palette struct{ bold, dim, ask, reset string }

// Text writes the explanation for a person to read.
func (d *Document) Text(w io.Writer, color bool) error {
	var c palette
	if color {
		c = palette{bold: "\x1b[1m", dim: "\x1b[2m", ask: "\x1b[36m", reset: "\x1b[0m"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s · %s%s  seed %d\n\n", c.bold, d.Scenario, d.Variant, c.reset, d.Seed)
	fmt.Fprintf(&b, "%s\n", wrap(d.Symptom, "", 100))
	for i, y := range d.Whys {
		fmt.Fprintf(&b, "\n%s%d. %s%s\n%s\n", c.ask, i+1, y.Question, c.reset, wrap(y.Answer, "   ", 100))
		for _, e := range y.Evidence {
			fmt.Fprintf(&b, "%s     #%-6d %s  %s: %s%s\n", c.dim, e.ID, trace.Clock(seconds(e.Seconds)), e.Actor, e.Text, c.reset)
		}
	}
	if len(d.Packets) > 0 {
		fmt.Fprintf(&b, "\n%sOne round of packets%s, on every interface they crossed (µs since the first)\n", c.bold, c.reset)
		width := 0
		for _, p := range d.Packets {
			width = max(width, len(p.Interface))
		}
		for _, p := range d.Packets {
			way := "in "
			if p.Out {
				way = "out"
			}
			fmt.Fprintf(&b, "%8d  %-*s %s  ttl %-3d  %s%s\n", p.Microseconds, width, p.Interface, way, p.TTL, p.Packet, note(p.Note, c))
		}
	}
	fmt.Fprintf(&b, "\nReproduce: %s\n", d.Command)
	_, err := io.WriteString(w, b.String())
	return err
}

func note(s string, c palette) string {
	if s == "" {
		return ""
	}
	return "  " + c.dim + "← " + s + c.reset
}

func seconds(s float64) time.Duration { return time.Duration(s*1e6+0.5) * time.Microsecond }

// wrap breaks text at spaces into lines of a width, each behind an indent.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := 0
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case line == 0:
			b.WriteString(indent + word)
			line = len(indent) + n
		case line+1+n > width:
			b.WriteString("\n" + indent + word)
			line = len(indent) + n
		default:
			b.WriteString(" " + word)
			line += 1 + n
		}
	}
	return b.String()
}
