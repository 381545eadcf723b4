package explain

import (
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// Tape keeps every record of a run.
type Tape struct {
	log     *trace.Log
	records []entry
}

type entry struct {
	trace.Record
	packet packet.Packet
}

// Record keeps what happens from now on. It must be attached before the first record.
func Record(log *trace.Log) *Tape {
	t := &Tape{log: log}
	log.Attach(trace.All, func(r *trace.Record) {
		e := entry{Record: *r}
		if r.Packet != nil {
			e.packet = *r.Packet
		}
		t.records = append(t.records, e)
	})
	return t
}

// at is the record of an id, nil if there is none.
func (t *Tape) at(id trace.ID) *entry {
	if id == 0 || int(id) > len(t.records) {
		return nil
	}
	e := &t.records[id-1]
	if e.Record.Packet != nil {
		e.Record.Packet = &e.packet
	}
	return e
}

// each calls f for the records from an id on, until it returns false.
func (t *Tape) each(from trace.ID, f func(*entry) bool) {
	for id := max(from, 1); int(id) <= len(t.records); id++ {
		if !f(t.at(id)) {
			return
		}
	}
}

// after lists what a record led to, directly or not, in order, at most limit records.
func (t *Tape) after(id trace.ID, limit int) []*entry {
	led := map[trace.ID]bool{id: true}
	var out []*entry
	t.each(id+1, func(e *entry) bool {
		if led[e.Cause] {
			led[e.ID] = true
			out = append(out, e)
		}
		return len(out) < limit
	})
	return out
}

// evidence is records as a person reads them, each once.
func (t *Tape) evidence(records ...*entry) []observe.Evidence {
	var out []observe.Evidence
	seen := map[trace.ID]bool{}
	for _, e := range records {
		if e == nil || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		out = append(out, observe.Evidence{ID: uint64(e.ID), Seconds: e.Time.Seconds(), Actor: t.log.String(e.Actor), Text: e.Kind.String() + " " + t.log.Body(&e.Record)})
	}
	return out
}
