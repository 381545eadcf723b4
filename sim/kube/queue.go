package kube

import (
	"time"

	"github.com/ekslab/ekslab/sim/engine"
)

// Backoff is how long a key that failed waits: Base, then twice as long each time, at most Max.
type Backoff struct{ Base, Max time.Duration }

// ControllerBackoff is what controllers use unless they say otherwise.
// Source: kubernetes/client-go util/workqueue/default_rate_limiters.go, DefaultControllerRateLimiter.
var ControllerBackoff = Backoff{5 * time.Millisecond, 1000 * time.Second}

// Queue hands keys to a reconciler, one at a time: a key that is added while it waits is handed once; one that is added while it is worked on is
// handed again afterwards.
type Queue struct {
	engine    *engine.Engine
	name      string
	processes []*engine.Process
	waiting   map[Key]engine.Timer // keys that come later, each once
	order     []Key
	dirty     map[Key]engine.Cause
	working   map[Key]bool
	failures  map[Key]int
	backoff   Backoff
	reconcile func(p *engine.Process, k Key) error
}

// NewQueue returns a queue whose reconciler runs as a process of that name. A key whose reconcile fails comes again after a back-off.
func NewQueue(e *engine.Engine, name string, b Backoff, reconcile func(p *engine.Process, k Key) error) *Queue {
	q := &Queue{engine: e, dirty: map[Key]engine.Cause{}, working: map[Key]bool{}, failures: map[Key]int{}, backoff: b, reconcile: reconcile, name: name, waiting: map[Key]engine.Timer{}}
	return q.Workers(1)
}

// Workers makes at least n processes work on keys at the same time, on each key only one of them.
func (q *Queue) Workers(n int) *Queue {
	for len(q.processes) < n {
		q.processes = append(q.processes, q.engine.Go(q.name, q.run))
	}
	return q
}

// Add asks for a key to be reconciled. The current cause is that of the work.
func (q *Queue) Add(k Key) {
	if _, ok := q.dirty[k]; ok {
		return
	}
	q.dirty[k] = q.engine.Cause()
	if !q.working[k] {
		q.order = append(q.order, k)
		for _, p := range q.processes {
			p.Wake()
		}
	}
}

// AddAfter asks for a key to be reconciled later. The earliest time that was asked for counts.
// Source: kubernetes/client-go util/workqueue/delaying_queue.go.
func (q *Queue) AddAfter(k Key, d time.Duration) {
	if t, ok := q.waiting[k]; ok && q.engine.Pending(t) {
		if t.When() <= q.engine.Now()+d {
			return
		}
		q.engine.Stop(t)
	}
	q.waiting[k] = q.engine.After(d, "kube: requeue", engine.Func(func() {
		delete(q.waiting, k)
		q.Add(k)
	}))
}

func (q *Queue) run(p *engine.Process) {
	for {
		if len(q.order) == 0 {
			p.Wait(-1)
			continue
		}
		k := q.order[0]
		q.order = q.order[1:]
		q.engine.SetCause(q.dirty[k])
		delete(q.dirty, k)
		q.working[k] = true
		err := q.reconcile(p, k)
		delete(q.working, k)
		if err != nil {
			d := min(q.backoff.Base<<min(q.failures[k], 30), q.backoff.Max)
			q.failures[k]++
			q.AddAfter(k, d)
		} else {
			delete(q.failures, k)
		}
		if _, again := q.dirty[k]; again {
			q.order = append(q.order, k)
		}
	}
}
