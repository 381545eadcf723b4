package kube

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// How recorders keep Events few. Source: kubernetes/client-go tools/record/events_cache.go (defaultAggregateMaxEvents,
// defaultAggregateIntervalInSeconds, defaultSpamBurst, defaultSpamQPS).
const (
	// similarEvents is from how many different messages of one reason about one object on they are combined, similarTime for how long after the last.
	similarEvents = 10
	similarTime   = 600 * time.Second
	// spamBurst is how many Events a source may write about one object, spamRefill how long it takes until it may write one more.
	spamBurst  = 25
	spamRefill = 300 * time.Second
)

const combined = "(combined from similar events): "

// Recorder writes Events for a component, as client-go's does.
type Recorder struct {
	c       *Cluster
	source  corev1.EventSource
	actor   trace.Name
	objects map[types.UID]*subject
}

// subject is what a recorder has written about an object.
type subject struct {
	ref     corev1.ObjectReference
	seen    map[eventKey]*event
	similar map[eventKey]*similar
	tokens  float64
	filled  time.Duration
}

type eventKey struct{ kind, reason, message string }

// similar is the different messages of one reason.
type similar struct {
	messages map[string]bool
	last     time.Duration
}

// event is an Event, kept small: there are several for each pod.
type event struct {
	source      *corev1.EventSource
	ref         *corev1.ObjectReference
	name        string
	key         eventKey
	first, last time.Duration
	count       int32
}

// Recorder returns the recorder of a component, on a host if it has one.
func (c *Cluster) Recorder(component, host string) *Recorder {
	actor := component
	if host != "" {
		actor += " " + host
	}
	return &Recorder{c: c, source: corev1.EventSource{Component: component, Host: host}, actor: c.log.Name(actor), objects: map[types.UID]*subject{}}
}

// Normal records that something about an object happened as it should.
func (r *Recorder) Normal(o Object, reason, format string, args ...any) {
	r.record(o, corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...))
}

// Warning records that something about an object did not.
func (r *Recorder) Warning(o Object, reason, format string, args ...any) {
	r.record(o, corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...))
}

// Forget drops what the recorder remembers of an object that is no more; its Events stay.
func (r *Recorder) Forget(uid types.UID) { delete(r.objects, uid) }

func (r *Recorder) record(o Object, kind, reason, message string) {
	c, now := r.c, r.c.engine.Now()
	s := r.objects[o.GetUID()]
	if s == nil {
		s = &subject{ref: corev1.ObjectReference{Kind: kindOf(o), Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID(), APIVersion: apiVersion(kindOf(o))},
			seen: map[eventKey]*event{}, similar: map[eventKey]*similar{}, tokens: spamBurst, filled: now}
		r.objects[o.GetUID()] = s
	}
	before := c.engine.Cause()
	c.log.Emit(trace.Record{Kind: trace.Kube, Actor: r.actor, What: c.log.Name(reason), Text: KeyOf(o).String() + ": " + message})
	c.engine.SetCause(before)
	k := eventKey{kind, reason, message}
	g := s.similar[eventKey{kind, reason, ""}]
	if g == nil || now-g.last > similarTime {
		g = &similar{messages: map[string]bool{}}
		s.similar[eventKey{kind, reason, ""}] = g
	}
	g.last = now
	key := k
	if len(g.messages) < similarEvents {
		g.messages[message] = true
	}
	if len(g.messages) >= similarEvents {
		delete(g.messages, message)
		k.message = combined + message
		key.message = combined
	}
	s.tokens = min(spamBurst, s.tokens+float64(now-s.filled)/float64(spamRefill))
	s.filled = now
	if s.tokens < 1 {
		return
	}
	s.tokens--
	if e := s.seen[key]; e != nil {
		e.count++
		e.last, e.key = now, k
		return
	}
	e := &event{source: &r.source, ref: &s.ref, name: fmt.Sprintf("%s.%x", o.GetName(), engine.Epoch.Add(now).UnixNano()), key: k, first: now, last: now, count: 1}
	s.seen[key] = e
	c.events = append(c.events, e)
}

// apiVersion of a kind that Events are about.
func apiVersion(kind string) string {
	switch g := resource(kind).Group; g {
	case "":
		return "v1"
	case "elbv2.k8s.aws":
		return g + "/v1beta1"
	default:
		return g + "/v1"
	}
}

// eventTTL is how long the API server keeps an Event after its last change. Source: kubernetes/kubernetes cmd/kube-apiserver, --event-ttl.
const eventTTL = time.Hour

// Events lists what has been recorded, the oldest first.
func Events(cl *Client) []corev1.Event {
	c := cl.c
	now := c.engine.Now()
	var out []corev1.Event
	for _, e := range c.events {
		if now-e.last > eventTTL {
			continue
		}
		at := func(d time.Duration) metav1.Time {
			return metav1.NewTime(engine.Epoch.Add(d).Truncate(time.Second))
		}
		namespace := e.ref.Namespace
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		out = append(out, corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: e.name, CreationTimestamp: at(e.first)}, InvolvedObject: *e.ref, Source: *e.source,
			Type: e.key.kind, Reason: e.key.reason, Message: e.key.message, FirstTimestamp: at(e.first), LastTimestamp: at(e.last), Count: e.count})
	}
	return out
}
