package engine

import (
	"context"
	"time"
)

// Paced drives an engine by a wall clock: an event fires when as much wall time has passed as virtual time. It is the one place
// under sim/ that knows a clock. Outside callers enter through Do.
type Paced struct {
	engine *Engine
	door   chan call
}

type call struct {
	fn   func()
	done chan struct{}
}

// NewPaced returns a driver of e. Run must be running for Do to return.
func NewPaced(e *Engine) *Paced { return &Paced{engine: e, door: make(chan call)} }

// Do runs fn within the world, between two events, and returns when it has run, or with ctx's error.
func (p *Paced) Do(ctx context.Context, fn func()) error {
	c := call{fn, make(chan struct{})}
	select {
	case p.door <- c:
		<-c.done
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run paces the engine until ctx ends or the engine fails. It returns the engine's error, or ctx's.
func (p *Paced) Run(ctx context.Context) error {
	e := p.engine
	started, base := time.Now(), e.now
	virtual := func() time.Duration { return base + time.Since(started) }
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if err := e.Run(virtual(), nil); err != nil {
			return err
		}
		wait := time.Hour
		if e.settleTop() {
			wait = e.heap[0].at - virtual()
		}
		timer.Reset(max(wait, 0))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case c := <-p.door:
			if err := e.Run(virtual(), nil); err != nil {
				close(c.done)
				return err
			}
			e.cause = 0
			c.fn()
			close(c.done)
		}
	}
}
