package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Cause identifies the record of the trace that led to something; zero is the beginning of the world.
type Cause uint64

// Handler is what an event does. Types that fire often implement it, so that scheduling them does not allocate.
type Handler interface{ Fire() }

// Func makes a function a Handler.
type Func func()

// Fire calls f.
func (f Func) Fire() { f() }

// Options bound and seed a world. The zero value is usable.
type Options struct {
	// Seed of every random stream. Zero is a seed like any other.
	Seed uint64
	// MaxEvents ends a run with ErrBound. Zero means the default, 2,000,000,000.
	MaxEvents uint64
	// MaxTime ends a run with ErrBound. Zero means the default, 366 days of virtual time.
	MaxTime time.Duration
	// ShuffleTies runs events that are due at the same time in a random order instead of the order in which they were scheduled.
	// Expectations have to hold either way.
	ShuffleTies bool
}

// Epoch is the wall-clock time that virtual time 0 is shown as: in timestamps of objects, captures and answers of APIs. It decides nothing.
var Epoch = time.Date(2022, 10, 7, 8, 0, 0, 0, time.UTC)

const (
	defaultMaxEvents = 2_000_000_000
	defaultMaxTime   = 366 * 24 * time.Hour
)

// Engine holds the clock and the queue. Use New.
type Engine struct {
	opts   Options
	now    time.Duration
	cause  Cause
	seq    uint64
	fired  uint64
	heap   []entry
	slots  []slot
	free   []int32
	random map[string]*rand.Rand
	ties   *rand.Rand
	failed error
	procs  map[*Process]struct{}
	recent [16]happened
}

type entry struct {
	at    time.Duration
	order uint64
	slot  int32
	gen   uint32
}

type slot struct {
	handler Handler
	label   string
	cause   Cause
	gen     uint32
}

type happened struct {
	at    time.Duration
	label string
}

// New returns an engine at time 0.
func New(opts Options) *Engine {
	if opts.MaxEvents == 0 {
		opts.MaxEvents = defaultMaxEvents
	}
	if opts.MaxTime == 0 {
		opts.MaxTime = defaultMaxTime
	}
	e := &Engine{opts: opts, random: map[string]*rand.Rand{}, procs: map[*Process]struct{}{}}
	if opts.ShuffleTies {
		e.ties = e.Rand("engine: ties")
	}
	return e
}

// Now is the virtual time since the world began.
func (e *Engine) Now() time.Duration { return e.now }

// Events is the number of events that have fired.
func (e *Engine) Events() uint64 { return e.fired }

// Seed is the seed of the world.
func (e *Engine) Seed() uint64 { return e.opts.Seed }

// Cause is the record that led to what runs now.
func (e *Engine) Cause() Cause { return e.cause }

// SetCause makes c the cause of what is scheduled and recorded from here to the end of the event.
// It returns the cause before, so that a caller that branches can put it back.
func (e *Engine) SetCause(c Cause) (before Cause) {
	before, e.cause = e.cause, c
	return before
}

// Rand returns the named stream. Streams are independent of each other and of the order in which they are first asked for.
func (e *Engine) Rand(stream string) *rand.Rand {
	if r, ok := e.random[stream]; ok {
		return r
	}
	h := sha256.Sum256(binary.LittleEndian.AppendUint64([]byte(stream+"\x00"), e.opts.Seed))
	r := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(h[:8]), binary.LittleEndian.Uint64(h[8:16])))
	e.random[stream] = r
	return r
}

// Timer is a scheduled event. The zero Timer is one that is not pending.
type Timer struct {
	at   time.Duration
	slot int32
	gen  uint32
}

// When is the time at which the timer fires, or fired.
func (t Timer) When() time.Duration { return t.at }

// After schedules h in d from now; a negative d means now. Label names the event in messages about broken invariants and
// costs nothing: use a constant.
func (e *Engine) After(d time.Duration, label string, h Handler) Timer {
	if d < 0 {
		d = 0
	}
	return e.At(e.now+d, label, h)
}

// At schedules h at a time, which must not have passed.
func (e *Engine) At(at time.Duration, label string, h Handler) Timer {
	if at < e.now {
		panic(fmt.Sprintf("engine: %q scheduled for %v, in the past%s", label, at, e.situation()))
	}
	var i int32
	if n := len(e.free); n > 0 {
		i = e.free[n-1]
		e.free = e.free[:n-1]
	} else {
		i = int32(len(e.slots))
		e.slots = append(e.slots, slot{gen: 1})
	}
	s := &e.slots[i]
	s.handler, s.label, s.cause = h, label, e.cause
	e.seq++
	order := e.seq
	if e.ties != nil {
		order = e.ties.Uint64()
	}
	e.push(entry{at: at, order: order, slot: i, gen: s.gen})
	return Timer{at: at, slot: i, gen: s.gen}
}

// Stop cancels t. It returns false if t had fired or was stopped before.
func (e *Engine) Stop(t Timer) bool {
	if !e.Pending(t) {
		return false
	}
	e.release(t.slot)
	return true
}

// Pending says whether t has yet to fire.
func (e *Engine) Pending(t Timer) bool { return t.gen != 0 && e.slots[t.slot].gen == t.gen }

func (e *Engine) release(i int32) {
	s := &e.slots[i]
	s.handler = nil
	s.gen++
	if s.gen == 0 {
		s.gen = 1
	}
	e.free = append(e.free, i)
}

// Fail ends the run with err after the current event. The first call counts.
func (e *Engine) Fail(err error) {
	if e.failed == nil {
		e.failed = fmt.Errorf("%v: %w", e.now, err)
	}
}

// Run fires every event that is due until a time, in order, and leaves the clock there. It ends early, with the clock at the
// last event, when Fail was called, a bound is reached, or interrupted (which may be nil) returns true; it asks every 1024 events.
func (e *Engine) Run(until time.Duration, interrupted func() bool) error {
	defer e.situate()
	for e.failed == nil {
		if !e.settleTop() || e.heap[0].at > until {
			e.now = max(e.now, until)
			return nil
		}
		if e.fired&1023 == 0 && interrupted != nil && interrupted() {
			return nil
		}
		if err := e.step(); err != nil {
			return err
		}
	}
	return e.failed
}

// RunWhile is Run until a condition no longer holds, which it asks before each event.
func (e *Engine) RunWhile(condition func() bool, interrupted func() bool) error {
	defer e.situate()
	for e.failed == nil {
		if !condition() || !e.settleTop() {
			return nil
		}
		if e.fired&1023 == 0 && interrupted != nil && interrupted() {
			return nil
		}
		if err := e.step(); err != nil {
			return err
		}
	}
	return e.failed
}

// settleTop drops stopped events from the top of the queue and says whether one is left.
func (e *Engine) settleTop() bool {
	for len(e.heap) > 0 {
		if top := &e.heap[0]; e.slots[top.slot].gen == top.gen {
			return true
		}
		e.pop()
	}
	return false
}

// step fires the first event of the queue, which settleTop has seen to.
func (e *Engine) step() error {
	top := e.pop()
	if top.at > e.opts.MaxTime {
		return fmt.Errorf("virtual time %v: %w%s", e.opts.MaxTime, ErrBound, e.situation())
	}
	if e.fired >= e.opts.MaxEvents {
		return fmt.Errorf("%d events: %w%s", e.fired, ErrBound, e.situation())
	}
	s := &e.slots[top.slot]
	h := s.handler
	e.now, e.cause = top.at, s.cause
	e.recent[e.fired&15] = happened{top.at, s.label}
	e.fired++
	e.release(top.slot)
	h.Fire()
	return nil
}

const situationMark = "the last events:"

// situation says for a panic or an error how the world came here.
func (e *Engine) situation() string {
	out := fmt.Sprintf("\nseed %d, virtual time %v, event %d; "+situationMark, e.opts.Seed, e.now, e.fired)
	for i := e.fired - min(e.fired, uint64(len(e.recent))); i < e.fired; i++ {
		h := e.recent[i&15]
		out += fmt.Sprintf("\n  %v %s", h.at, h.label)
	}
	return out
}

// situate adds to a panic how the world came to it, so that it can be had again.
func (e *Engine) situate() {
	r := recover()
	if r == nil {
		return
	}
	if s, ok := r.(string); !ok || !strings.Contains(s, situationMark) {
		r = fmt.Sprint(r, e.situation())
	}
	panic(r)
}

// Broken panics about an invariant that does not hold, with the seed, the time and the last events.
func (e *Engine) Broken(format string, args ...any) {
	panic("broken invariant: " + fmt.Sprintf(format, args...) + e.situation())
}
