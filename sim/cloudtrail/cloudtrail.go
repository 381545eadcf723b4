// Package cloudtrail records the calls of AWS APIs, and makes them take their time.
//
// Models: one event per call with caller, parameters, answer or error code, in the shape of a CloudTrail record; the latency of a call.
// Does not model: delivery delay to S3, data events, regions.
// Source: AWS CloudTrail User Guide, "CloudTrail record contents".
package cloudtrail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/trace"
)

// Event is one call.
type Event struct {
	// Record is the call's place in the trace.
	Record       trace.ID
	Time         time.Duration
	Source, Name string // such as elasticloadbalancing.amazonaws.com and CreateLoadBalancer
	Caller       iam.Caller
	Request      any
	Response     any
	ErrorCode    string
	ErrorMessage string
}

// Log is the account's trail. Use New.
type Log struct {
	engine  *engine.Engine
	trace   *trace.Log
	events  []Event
	latency time.Duration
	actions map[string]time.Duration
}

// defaultLatency is an order of magnitude for a control plane call within a region.
const defaultLatency = 80 * time.Millisecond

// New returns an empty trail. A call takes latency, half of it before it has effect; zero means the default, 80 ms.
func New(e *engine.Engine, log *trace.Log, latency time.Duration) *Log {
	if latency == 0 {
		latency = defaultLatency
	}
	return &Log{engine: e, trace: log, latency: latency}
}

// SetLatency says how long calls of single actions take.
func (l *Log) SetLatency(byAction map[string]time.Duration) { l.actions = byAction }

func (l *Log) latencyOf(name string) time.Duration {
	if d, ok := l.actions[name]; ok {
		return d
	}
	return l.latency
}

// Rest is how long the answer to a call of an action is under way after the call has had its effect, for a caller that waits for it.
func (l *Log) Rest(ctx context.Context, name string) time.Duration {
	if engine.ProcessFrom(ctx) == nil {
		return 0
	}
	d := l.latencyOf(name)
	return d - d/2
}

// Events lists the calls so far, in the order in which they had effect.
func (l *Log) Events() []Event { return l.events }

// Do makes one call: it waits half the latency on the process that ctx carries, if any, runs fn, records what came of it, and waits the
// other half. A request that ends in an error of fn changes nothing but the log. The record of the call is the cause of what follows.
func Do[I, O any](ctx context.Context, l *Log, source, name string, in *I, fn func(*I) (*O, error)) (*O, error) {
	caller := iam.From(ctx)
	p := engine.ProcessFrom(ctx)
	latency := l.latencyOf(name)
	if p != nil {
		p.Sleep(latency / 2)
	}
	// The record comes before the effects, so that they can refer to it; a failing call has none.
	id := l.trace.Emit(trace.Record{Kind: trace.AWS, Actor: l.trace.Name(caller.Name), What: l.trace.Name(name), Text: summary(in)})
	out, err := fn(in)
	ev := Event{Record: id, Time: l.engine.Now(), Source: source, Name: name, Caller: caller, Request: in, Response: out}
	if err != nil {
		if errors.Is(err, engine.ErrNotModelled) {
			l.engine.Fail(fmt.Errorf("%s: %w", name, err))
		}
		ev.Response = nil
		ev.ErrorCode, ev.ErrorMessage = "InternalFailure", err.Error()
		var api smithy.APIError
		if errors.As(err, &api) {
			ev.ErrorCode, ev.ErrorMessage = api.ErrorCode(), api.ErrorMessage()
		}
		l.trace.Emit(trace.Record{Kind: trace.AWS, Actor: l.trace.Name(caller.Name), What: l.trace.Name(name), Text: "failed: " + ev.ErrorMessage, Reason: l.trace.Name(ev.ErrorCode)})
	}
	l.events = append(l.events, ev)
	l.engine.SetCause(id)
	if p != nil {
		p.Sleep(latency - latency/2)
	}
	return out, err
}

// summary is a request in one line: its JSON without what is not set.
func summary(in any) string {
	b, err := json.Marshal(in)
	if err != nil {
		return ""
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		return ""
	}
	b, _ = json.Marshal(compact(v))
	if s := string(b); s != "{}" && s != "null" {
		return s
	}
	return ""
}

func compact(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if x = compact(x); x == nil || x == "" {
				delete(v, k)
			} else {
				v[k] = x
			}
		}
	case []any:
		for i := range v {
			v[i] = compact(v[i])
		}
	}
	return v
}
