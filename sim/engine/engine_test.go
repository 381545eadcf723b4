package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestOrderIsByTimeThenByScheduling(t *testing.T) {
	e := New(Options{})
	var got []string
	say := func(s string) Func { return func() { got = append(got, s) } }
	e.After(2, "", say("c"))
	e.After(1, "", say("a"))
	e.After(1, "", say("b"))
	e.After(3, "", Func(func() { e.After(0, "", say("e")); got = append(got, "d") }))
	stopped := e.After(1, "", say("never"))
	if !e.Stop(stopped) || e.Stop(stopped) {
		t.Error("Stop must answer true once")
	}
	if err := e.Run(10, nil); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(got, ""); s != "abcde" {
		t.Errorf("order %q", s)
	}
	if e.Now() != 10 || e.Events() != 5 {
		t.Errorf("now %v after %d events", e.Now(), e.Events())
	}
}

// A slot is used again after its event; the old timer must not reach the new one.
func TestStoppedTimerDoesNotReachItsSuccessor(t *testing.T) {
	e := New(Options{})
	old := e.After(1, "", Func(func() {}))
	e.Stop(old)
	ran := false
	e.After(2, "", Func(func() { ran = true }))
	if e.Stop(old) || e.Pending(old) {
		t.Error("the old timer is still alive")
	}
	e.Run(3, nil)
	if !ran {
		t.Error("the new event was lost")
	}
}

func TestQueueAgainstSorting(t *testing.T) {
	e := New(Options{Seed: 7})
	r := e.Rand("test")
	type ev struct {
		at time.Duration
		n  int
	}
	var want, got []ev
	for i := range 5000 {
		x := ev{time.Duration(r.IntN(300)), i}
		want = append(want, x)
		tm := e.At(x.at, "", Func(func() { got = append(got, x) }))
		if r.IntN(4) == 0 {
			e.Stop(tm)
			want = want[:len(want)-1]
		}
	}
	slices.SortStableFunc(want, func(a, b ev) int { return int(a.at - b.at) })
	e.Run(1000, nil)
	if !slices.Equal(want, got) {
		t.Error("the queue's order differs from a stable sort")
	}
}

func TestShuffledTiesKeepTime(t *testing.T) {
	run := func(shuffle bool, seed uint64) string {
		e := New(Options{Seed: seed, ShuffleTies: shuffle})
		var b strings.Builder
		for i := range 8 {
			e.At(5, "", Func(func() { fmt.Fprint(&b, i) }))
		}
		e.At(4, "", Func(func() { b.WriteString("first ") }))
		e.Run(9, nil)
		return b.String()
	}
	if got := run(false, 1); got != "first 01234567" {
		t.Error(got)
	}
	a, b := run(true, 1), run(true, 2)
	if a == b || !strings.HasPrefix(a, "first ") || len(a) != len(b) {
		t.Errorf("%q %q", a, b)
	}
}

func TestStreamsAreIndependent(t *testing.T) {
	a, b := New(Options{Seed: 3}), New(Options{Seed: 3})
	b.Rand("other").Uint64()
	if a.Rand("x").Uint64() != b.Rand("x").Uint64() {
		t.Error("a draw in one stream shifted another")
	}
	if New(Options{Seed: 3}).Rand("x").Uint64() == New(Options{Seed: 4}).Rand("x").Uint64() {
		t.Error("the seed has no effect")
	}
}

func TestBounds(t *testing.T) {
	e := New(Options{MaxEvents: 10})
	var again func()
	again = func() { e.After(1, "again", Func(again)) }
	again()
	err := e.Run(time.Hour, nil)
	if !errors.Is(err, ErrBound) || !strings.Contains(err.Error(), "again") {
		t.Errorf("%v", err)
	}
	e = New(Options{MaxTime: time.Second})
	e.After(time.Minute, "late", Func(func() {}))
	if err := e.Run(time.Hour, nil); !errors.Is(err, ErrBound) {
		t.Errorf("%v", err)
	}
	e = New(Options{})
	e.After(1, "", Func(func() { e.Fail(NotModelled("proto %d", 3)) }))
	if err := e.Run(2, nil); !errors.Is(err, ErrNotModelled) {
		t.Errorf("%v", err)
	}
}

func TestAPanicSaysHowTheWorldCameToIt(t *testing.T) {
	for name, boom := range map[string]func(e *Engine){
		"in an event":     func(e *Engine) { e.After(3, "boom", Func(func() { panic("oh") })) },
		"in a process":    func(e *Engine) { e.Go("boom", func(p *Process) { p.Sleep(3); panic("oh") }) },
		"as an invariant": func(e *Engine) { e.After(3, "boom", Func(func() { e.Broken("oh") })) },
	} {
		e := New(Options{Seed: 42})
		boom(e)
		func() {
			defer func() {
				s := fmt.Sprint(recover())
				if !strings.Contains(s, "oh") || !strings.Contains(s, "seed 42, virtual time 3ns") || strings.Count(s, "the last events") != 1 || !strings.Contains(s, "boom") {
					t.Errorf("%s: %s", name, s)
				}
			}()
			e.Run(10, nil)
		}()
	}
}

func TestCauseFollowsScheduling(t *testing.T) {
	e := New(Options{})
	var got []Cause
	e.SetCause(7)
	e.After(1, "", Func(func() {
		got = append(got, e.Cause())
		e.SetCause(9)
		e.After(1, "", Func(func() { got = append(got, e.Cause()) }))
	}))
	e.SetCause(0)
	e.After(1, "", Func(func() { got = append(got, e.Cause()) }))
	e.Run(5, nil)
	if !slices.Equal(got, []Cause{7, 0, 9}) {
		t.Errorf("%v", got)
	}
}

func TestProcessSleepsWaitsAndIsWoken(t *testing.T) {
	e := New(Options{})
	var log []string
	say := func(format string, a ...any) {
		log = append(log, fmt.Sprintf("%d %s", e.Now(), fmt.Sprintf(format, a...)))
	}
	p := e.Go("p", func(p *Process) {
		p.Sleep(5)
		say("slept")
		say("woken %v", p.Wait(10))
		say("woken %v", p.Wait(10))
		say("woken %v", p.Wait(-1))
		p.Wait(-1)
		say("never")
	})
	e.After(8, "", Func(p.Wake))
	e.After(30, "", Func(func() { p.Wake(); p.Wake() }))
	if err := e.Run(100, nil); err != nil {
		t.Fatal(err)
	}
	e.Close()
	want := "5 slept; 8 woken true; 18 woken false; 30 woken true"
	if got := strings.Join(log, "; "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPacedKeepsTheWallClockAndHasOneDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := New(Options{})
		p := NewPaced(e)
		began := time.Now()
		var fired time.Duration
		e.After(3*time.Second, "", Func(func() { fired = time.Since(began) }))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() {
			time.Sleep(5 * time.Second)
			p.Do(ctx, func() {
				if e.Now() != 5*time.Second {
					t.Errorf("the door opened at %v", e.Now())
				}
			})
		}()
		if err := p.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if fired != 3*time.Second {
			t.Errorf("fired after %v", fired)
		}
	})
}

type tick struct {
	e    *Engine
	step time.Duration
}

func (k *tick) Fire() { k.e.After(k.step, "tick", k) }

// BenchmarkEngine fires events from a queue in which 1,000 are always pending.
func BenchmarkEngine(b *testing.B) {
	e := New(Options{})
	for i := range 1000 {
		e.After(time.Duration(i), "tick", &tick{e, time.Duration(900 + i%200)})
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	e.RunWhile(func() bool { n++; return n <= b.N }, nil)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
