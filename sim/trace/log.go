package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/packet"
)

// Log receives the records of one world. Use New.
type Log struct {
	engine *engine.Engine
	last   ID
	names  []string
	index  map[string]Name
	sinks  []sink
	sum    hash.Hash
	buffer []byte
	// scratch is the record that is being handed out, so that emitting one does not allocate.
	scratch Record
}

type sink struct {
	kinds Kinds
	take  func(*Record)
}

const bufferBytes = 1 << 14

// New returns an empty log of e's world.
func New(e *engine.Engine) *Log {
	return &Log{engine: e, names: []string{""}, index: map[string]Name{"": 0}, sum: sha256.New(), buffer: make([]byte, 0, bufferBytes)}
}

// Attach has take called with each record of these kinds, as it happens. Attached sinks do not change the world or its hash.
func (l *Log) Attach(kinds Kinds, take func(*Record)) { l.sinks = append(l.sinks, sink{kinds, take}) }

// Name returns the number of s, a string that many records will carry.
func (l *Log) Name(s string) Name {
	if n, ok := l.index[s]; ok {
		return n
	}
	n := Name(len(l.names))
	l.names = append(l.names, s)
	l.index[s] = n
	l.buffer = append(l.buffer, 0)
	l.text(s)
	return n
}

// String is the string that n stands for.
func (l *Log) String(n Name) string { return l.names[n] }

// Records is the number of records so far.
func (l *Log) Records() uint64 { return uint64(l.last) }

// Emit appends r, and makes it the cause of what follows in this event. It returns r's number.
func (l *Log) Emit(record Record) ID {
	r := &l.scratch
	*r = record
	l.last++
	r.ID, r.Time = l.last, l.engine.Now()
	if r.Cause == 0 {
		r.Cause = l.engine.Cause()
	}
	l.engine.SetCause(r.ID)
	l.hash(r)
	for i := range l.sinks {
		if s := &l.sinks[i]; s.kinds.Has(r.Kind) {
			s.take(r)
		}
	}
	return r.ID
}

// Say appends a record that is not about a packet.
func (l *Log) Say(kind Kind, actor, what, text string) ID {
	return l.Emit(Record{Kind: kind, Actor: l.Name(actor), What: l.Name(what), Text: text})
}

// Hash is the running hash over all records and names so far, as "sha256:…".
func (l *Log) Hash() string {
	l.flush()
	return "sha256:" + hex.EncodeToString(l.sum.Sum(nil))
}

func (l *Log) flush() {
	l.sum.Write(l.buffer)
	l.buffer = l.buffer[:0]
}

// hash adds r in a compact form in which every field has one reading.
func (l *Log) hash(r *Record) {
	b := l.buffer
	b = append(b, byte(r.Kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(r.Time))
	b = binary.AppendUvarint(b, uint64(r.Cause))
	b = binary.AppendUvarint(b, uint64(r.Ref))
	b = binary.AppendUvarint(b, uint64(r.Actor))
	b = binary.AppendUvarint(b, uint64(r.What))
	b = binary.AppendUvarint(b, uint64(r.Reason))
	if p := r.Packet; p != nil {
		b = append(b, 1)
		b = appendTuple(b, p.Src.As4(), p.Dst.As4(), p)
		if r.Kind == NAT {
			t := packet.Packet{SrcPort: r.Before.SrcPort, DstPort: r.Before.DstPort, Proto: r.Before.Proto}
			b = appendTuple(b, r.Before.Src.As4(), r.Before.Dst.As4(), &t)
		}
	} else {
		b = append(b, 0)
	}
	l.buffer = b
	l.text(r.Text)
	if len(l.buffer) > bufferBytes-512 {
		l.flush()
	}
}

func appendTuple(b []byte, src, dst [4]byte, p *packet.Packet) []byte {
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = append(b, byte(p.SrcPort), byte(p.SrcPort>>8), byte(p.DstPort), byte(p.DstPort>>8), byte(p.Proto), p.TTL, byte(p.Flags), byte(p.MSS), byte(p.MSS>>8), byte(p.ID), byte(p.ID>>8))
	b = binary.LittleEndian.AppendUint32(b, p.Seq)
	b = binary.LittleEndian.AppendUint32(b, p.Ack)
	return binary.AppendUvarint(b, uint64(p.PayloadLen()))
}

func (l *Log) text(s string) {
	l.buffer = binary.AppendUvarint(l.buffer, uint64(len(s)))
	l.buffer = append(l.buffer, s...)
}
