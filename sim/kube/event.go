package kube

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// How a recorder holds back. Source: kubernetes/client-go tools/record/events_cache.go (defaultAggregateMaxEvents,
// defaultAggregateIntervalInSeconds, defaultSpamBurst, defaultSpamQPS).
const (
	aggregateMax      = 10
	aggregateInterval = 600 * time.Second
	spamBurst         = 25
	spamRefill        = 300 * time.Second // until one more event may be sent
)

// events are kept small, since a large cluster has several for each pod; Events makes objects of them.
type events struct {
	all      []*event
	byObject map[eventSource]*objectEvents
	watchers []func(*corev1.Event)
	serial   uint64
}

type eventSource struct {
	component, host string
	uid             types.UID
}

// objectEvents is what a recorder remembers about one object.
type objectEvents struct {
	about    corev1.ObjectReference
	tokens   float64
	refilled time.Duration
	recent   []*event
	groups   []aggregate
}

// aggregate is the events that differ in their message alone.
type aggregate struct {
	kind, reason string
	messages     []string
	last         time.Duration
}

type event struct {
	source                            eventSource
	object                            *objectEvents
	kind, reason, message, path, name string
	first, last                       time.Duration
	count                             int32
	aggregated                        bool
}

// Recorder tells of what happens to objects by Event objects, as client-go's: the same event again raises a count, many that differ in
// their message alone become one, and who has much to say is held back.
type Recorder struct {
	c               *Cluster
	component, host string
}

// Recorder returns a recorder of a component; host may be empty.
func (c *Cluster) Recorder(component, host string) *Recorder { return &Recorder{c, component, host} }

// Event records that something happened to an object; kind is Normal or Warning.
func (r *Recorder) Event(o Object, kind, reason, message string) {
	r.About(o, "", kind, reason, message)
}

// Eventf is Event with a format.
func (r *Recorder) Eventf(o Object, kind, reason, format string, args ...any) {
	r.About(o, "", kind, reason, fmt.Sprintf(format, args...))
}

// About is Event for a part of an object, such as spec.containers{web}.
func (r *Recorder) About(o Object, path, kind, reason, message string) {
	x := &r.c.events
	now := r.c.engine.Now()
	source := eventSource{r.component, r.host, o.GetUID()}
	about := x.byObject[source]
	if about == nil {
		if x.byObject == nil {
			x.byObject = map[eventSource]*objectEvents{}
		}
		about = &objectEvents{about: reference(o), tokens: spamBurst}
		x.byObject[source] = about
	}
	group := about.group(kind, reason, message, now)
	if group {
		message, path = "(combined from similar events): "+message, ""
	}
	at := slices.IndexFunc(about.recent, func(e *event) bool {
		return e.kind == kind && e.reason == reason && e.path == path && e.aggregated == group && (group || e.message == message)
	})
	about.tokens = min(spamBurst, about.tokens+float64(now-about.refilled)/float64(spamRefill))
	about.refilled = now
	var e *event
	if at >= 0 {
		e = about.recent[at]
		e.message, e.last = message, now
		e.count++ // the recorder counts what it then may not send
	} else {
		x.serial++
		e = &event{source: source, object: about, kind: kind, reason: reason, message: message, path: path, first: now, last: now, count: 1, aggregated: group,
			name: fmt.Sprintf("%s.%x", o.GetName(), engine.Epoch.Add(now).UnixNano()+int64(x.serial))}
		about.recent = append(about.recent, e)
	}
	if about.tokens < 1 {
		if at < 0 {
			about.recent = about.recent[:len(about.recent)-1]
		}
		return
	}
	about.tokens--
	if at < 0 {
		x.all = append(x.all, e)
	}
	cause := r.c.engine.Cause()
	r.c.log.Emit(trace.Record{Kind: trace.Kube, Actor: r.c.log.Name(r.actor()), What: r.c.log.Name("event of " + about.about.Kind), Text: KeyOf(o).String() + ": " + message, Reason: r.c.log.Name(reason)})
	for _, w := range x.watchers {
		w(e.made())
	}
	r.c.engine.SetCause(cause)
}

func (r *Recorder) actor() string {
	if r.host == "" {
		return r.component
	}
	return r.component + " " + r.host
}

// group says whether an event goes into one for all that are like it.
func (o *objectEvents) group(kind, reason, message string, now time.Duration) bool {
	at := slices.IndexFunc(o.groups, func(a aggregate) bool { return a.kind == kind && a.reason == reason })
	if at < 0 {
		o.groups = append(o.groups, aggregate{kind: kind, reason: reason})
		at = len(o.groups) - 1
	}
	a := &o.groups[at]
	if now-a.last > aggregateInterval {
		a.messages = nil
	}
	if a.last = now; !slices.Contains(a.messages, message) {
		a.messages = append(a.messages, message)
	}
	if len(a.messages) < aggregateMax {
		return false
	}
	a.messages = a.messages[1:]
	return true
}

func reference(o Object) corev1.ObjectReference {
	kind := kindOf(o)
	version := "v1"
	if g := resource(kind).Group; g != "" {
		version = g + "/v1"
	}
	return corev1.ObjectReference{Kind: kind, APIVersion: version, Namespace: o.GetNamespace(), Name: o.GetName(), UID: o.GetUID()}
}

func (e *event) made() *corev1.Event {
	about := e.object.about
	about.FieldPath = e.path
	namespace := about.Namespace
	if namespace == "" {
		namespace = "default"
	}
	at := func(d time.Duration) metav1.Time { return metav1.NewTime(engine.Epoch.Add(d.Truncate(time.Second))) }
	return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: e.name, CreationTimestamp: at(e.first)}, InvolvedObject: about,
		Reason: e.reason, Message: e.message, Type: e.kind, Count: e.count, FirstTimestamp: at(e.first), LastTimestamp: at(e.last),
		Source: corev1.EventSource{Component: e.source.component, Host: e.source.host}, ReportingController: e.source.component, ReportingInstance: e.source.host}
}

// Events lists the Event objects, oldest first. They are not removed after an hour, as an API server does (--event-ttl).
func (c *Cluster) Events() []*corev1.Event {
	out := make([]*corev1.Event, len(c.events.all))
	for i, e := range c.events.all {
		out[i] = e.made()
	}
	return out
}

// WatchEvents has h called with each Event that is created or counted up, at once.
func (c *Cluster) WatchEvents(h func(*corev1.Event)) {
	c.events.watchers = append(c.events.watchers, h)
}
