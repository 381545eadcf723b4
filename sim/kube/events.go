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

// subject is what a recorder has written about an object: a handful of things, in lists.
type subject struct {
	recorder *Recorder
	kind     string
	key      Key
	uid      types.UID
	seen     []*event
	similar  []similar
	tokens   float64
	filled   time.Duration
}

// similar is the different messages of one reason.
type similar struct {
	kind, reason string
	messages     []string
	last         time.Duration
}

// event is an Event, kept small: there are several for each pod.
type event struct {
	subject               *subject
	kind, reason, message string
	combined              bool
	first, last           time.Duration
	count                 int32
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
		s = &subject{recorder: r, kind: kindOf(o), key: KeyOf(o), uid: o.GetUID(), tokens: spamBurst, filled: now}
		r.objects[o.GetUID()] = s
	}
	before := c.engine.Cause()
	c.log.Emit(trace.Record{Kind: trace.Kube, Actor: r.actor, What: c.log.Name(reason), Text: s.key.String() + ": " + message})
	c.engine.SetCause(before)
	together := s.together(kind, reason, message, now)
	s.tokens = min(spamBurst, s.tokens+float64(now-s.filled)/float64(spamRefill))
	s.filled = now
	if s.tokens < 1 {
		return
	}
	s.tokens--
	at := slices.IndexFunc(s.seen, func(e *event) bool {
		return e.kind == kind && e.reason == reason && e.combined == together && (together || e.message == message)
	})
	if at < 0 {
		at = len(s.seen)
		s.seen = append(s.seen, &event{subject: s, kind: kind, reason: reason, combined: together, first: now})
		c.events = append(c.events, s.seen[at])
	}
	e := s.seen[at]
	e.count++
	e.last, e.message = now, message
}

// together says whether a message has joined so many of its reason that they are combined.
func (s *subject) together(kind, reason, message string, now time.Duration) bool {
	at := slices.IndexFunc(s.similar, func(g similar) bool { return g.kind == kind && g.reason == reason })
	if at < 0 {
		at = len(s.similar)
		s.similar = append(s.similar, similar{kind: kind, reason: reason})
	}
	g := &s.similar[at]
	if now-g.last > similarTime {
		g.messages = nil
	}
	g.last = now
	if !slices.Contains(g.messages, message) && len(g.messages) < similarEvents {
		g.messages = append(g.messages, message)
	}
	if len(g.messages) < similarEvents {
		return false
	}
	// One of them makes room, so that the next is combined too.
	g.messages = slices.DeleteFunc(g.messages, func(m string) bool { return m == message })
	return true
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
		about := e.subject
		namespace := about.key.Namespace
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		message := e.message
		if e.combined {
			message = combined + message
		}
		out = append(out, corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("%s.%x", about.key.Name, engine.Epoch.Add(e.first).UnixNano()), CreationTimestamp: at(e.first)},
			InvolvedObject: corev1.ObjectReference{Kind: about.kind, Namespace: about.key.Namespace, Name: about.key.Name, UID: about.uid, APIVersion: apiVersion(about.kind)},
			Source:         about.recorder.source,
			Type:           e.kind, Reason: e.reason, Message: message, FirstTimestamp: at(e.first), LastTimestamp: at(e.last), Count: e.count})
	}
	return out
}
