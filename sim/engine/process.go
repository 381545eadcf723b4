package engine

import (
	"context"
	"iter"
	"time"
)

// Process is straight-line code that waits in virtual time. It runs as a coroutine: only ever one at a time, resumed by events.
type Process struct {
	engine  *Engine
	name    string
	resume  func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	timer   Timer
	parked  bool
	waiting bool
	woken   bool
	done    bool
}

type processStopped struct{}

// Go starts fn as a process at the current time, after the event that runs now.
func (e *Engine) Go(name string, fn func(p *Process)) *Process {
	p := &Process{engine: e, name: name}
	p.resume, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			p.done = true
			delete(e.procs, p)
			if r := recover(); r != nil {
				if _, ok := r.(processStopped); !ok {
					panic(r)
				}
			}
		}()
		p.yield = yield
		fn(p)
	})
	e.procs[p] = struct{}{}
	p.parked = true
	p.timer = e.After(0, name, p)
	return p
}

// Fire resumes the process; the engine calls it.
func (p *Process) Fire() {
	if p.done || !p.parked {
		return
	}
	p.parked = false
	p.resume()
}

// Name is the name that Go was given.
func (p *Process) Name() string { return p.name }

// Engine is the engine that runs the process.
func (p *Process) Engine() *Engine { return p.engine }

// Sleep waits for d of virtual time. The cause of what follows is what it was before.
func (p *Process) Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	p.timer = p.engine.After(d, p.name, p)
	p.park()
}

// Wait parks the process until Wake, or until timeout has passed; a negative timeout means none. It returns false on timeout.
func (p *Process) Wait(timeout time.Duration) bool {
	p.timer = Timer{}
	if timeout >= 0 {
		p.timer = p.engine.After(timeout, p.name, p)
	}
	p.waiting, p.woken = true, false
	p.park()
	p.waiting = false
	return p.woken
}

// Wake resumes a process that is parked in Wait, within an event of its own at the current time. It does nothing if the process isn't waiting.
func (p *Process) Wake() {
	if !p.waiting || p.woken || p.done {
		return
	}
	p.woken = true
	p.engine.Stop(p.timer)
	p.timer = p.engine.After(0, p.name, p)
}

func (p *Process) park() {
	p.parked = true
	if !p.yield(struct{}{}) {
		panic(processStopped{})
	}
}

// Close stops every process and drops what is scheduled. The engine must not be used afterwards.
func (e *Engine) Close() {
	for len(e.procs) > 0 {
		for p := range e.procs { // the order is of no effect: a stopped process does nothing but unwind
			delete(e.procs, p)
			p.stop()
		}
	}
	e.heap, e.slots, e.free = nil, nil, nil
}

type processKey struct{}

// WithProcess returns a context that carries p, so that an SDK-shaped call knows who waits for its answer.
func WithProcess(ctx context.Context, p *Process) context.Context {
	return context.WithValue(ctx, processKey{}, p)
}

// ProcessFrom returns the process that ctx carries, or nil.
func ProcessFrom(ctx context.Context) *Process {
	p, _ := ctx.Value(processKey{}).(*Process)
	return p
}
