package kube

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// Object is any object that the API serves.
type Object interface {
	runtime.Object
	metav1.Object
}

// Key is an object's place within its kind.
type Key struct{ Namespace, Name string }

func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// KeyOf is the key of an object.
func KeyOf(o metav1.Object) Key { return Key{o.GetNamespace(), o.GetName()} }

func (k Key) compare(o Key) int {
	if k.Namespace != o.Namespace {
		if k.Namespace < o.Namespace {
			return -1
		}
		return 1
	}
	switch {
	case k.Name < o.Name:
		return -1
	case k.Name > o.Name:
		return 1
	}
	return 0
}

// Options are what may be left at their zero values.
type Options struct {
	// ServiceCIDR is where cluster IPs come from. The zero Prefix means 10.100.0.0/16, EKS's default where the VPC is not in 10.0.0.0/8.
	ServiceCIDR netip.Prefix
	// WatchLag is how long after a write a watcher sees it, drawn anew for each write and watcher; the order is kept. Zero means 1 to 5 ms.
	WatchLag [2]time.Duration
}

// Cluster is the API server and its store. Use New.
type Cluster struct {
	engine  *engine.Engine
	log     *trace.Log
	opts    Options
	version uint64
	uids    uint64
	kinds   map[string]*collection
	ips     map[netip.Addr]bool
	ports   map[int32]bool
	audit   []AuditEvent
	events  []*event
	// webhooks in the order in which they are called.
	webhooks []Webhook
}

// collection is all objects of a kind.
type collection struct {
	kind     string
	objects  map[Key]Object
	watchers []func(old, now Object)
}

// New returns an API server with the namespaces that every cluster has.
func New(e *engine.Engine, log *trace.Log, opts Options) *Cluster {
	if !opts.ServiceCIDR.IsValid() {
		opts.ServiceCIDR = netip.MustParsePrefix("10.100.0.0/16")
	}
	if opts.WatchLag[1] == 0 {
		opts.WatchLag = [2]time.Duration{time.Millisecond, 5 * time.Millisecond}
	}
	c := &Cluster{engine: e, log: log, opts: opts, kinds: map[string]*collection{}, ips: map[netip.Addr]bool{}, ports: map[int32]bool{}}
	for _, n := range []string{"default", "kube-node-lease", "kube-public", "kube-system"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}}
		c.stamp(ns)
		c.kind("Namespace").objects[KeyOf(ns)] = ns
	}
	return c
}

// Engine is the engine of the cluster's world.
func (c *Cluster) Engine() *engine.Engine { return c.engine }

// Log is the trace of the cluster's world.
func (c *Cluster) Log() *trace.Log { return c.log }

func (c *Cluster) kind(name string) *collection {
	k := c.kinds[name]
	if k == nil {
		k = &collection{kind: name, objects: map[Key]Object{}}
		c.kinds[name] = k
	}
	return k
}

// kindOf is the kind of a typed object, such as Pod.
func kindOf(o any) string { return reflect.TypeOf(o).Elem().Name() }

// resource is a kind's name in errors and the audit log.
func resource(kind string) schema.GroupResource {
	group := ""
	switch kind {
	case "Deployment", "ReplicaSet":
		group = "apps"
	case "EndpointSlice":
		group = "discovery.k8s.io"
	case "Ingress", "IngressClass":
		group = "networking.k8s.io"
	case "TargetGroupBinding":
		group = "elbv2.k8s.aws"
	}
	plural := map[string]string{"EndpointSlice": "endpointslices", "Ingress": "ingresses", "IngressClass": "ingressclasses"}[kind]
	if plural == "" {
		plural = lower(kind) + "s"
	}
	return schema.GroupResource{Group: group, Resource: plural}
}

func lower(s string) string {
	b := []byte(s)
	for i, x := range b {
		if x >= 'A' && x <= 'Z' {
			b[i] = x + 'a' - 'A'
		}
	}
	return string(b)
}

// namespaced says whether objects of a kind are in namespaces.
func namespaced(kind string) bool {
	return kind != "Namespace" && kind != "Node" && kind != "IngressClass"
}

// Now is the current time as objects write it: to the second.
// Source: apimachinery pkg/apis/meta/v1/time.go, Time.MarshalJSON (RFC 3339 without a fraction).
func (c *Cluster) Now() metav1.Time {
	return metav1.NewTime(engine.Epoch.Add(c.engine.Now()).Truncate(time.Second))
}

// stamp gives a new object what the API server gives it.
func (c *Cluster) stamp(o Object) {
	c.uids++
	h := sha256.Sum256(fmt.Appendf(nil, "%d/%d", c.engine.Seed(), c.uids))
	h[6], h[8] = h[6]&0x0f|0x40, h[8]&0x3f|0x80 // a random UUID's version and variant
	o.SetUID(types.UID(fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])))
	o.SetCreationTimestamp(c.Now())
	o.SetGeneration(1)
	c.bump(o)
}

func (c *Cluster) bump(o Object) {
	c.version++
	o.SetResourceVersion(strconv.FormatUint(c.version, 10))
}

// AuditEvent is one changing call, as the audit log has it.
type AuditEvent struct {
	Time            time.Duration
	User, UserAgent string
	Verb, Resource  string
	Key             Key
	Code            int
}

// Audit lists the changing calls so far.
func (c *Cluster) Audit() []AuditEvent { return c.audit }

// Caller is who makes calls.
type Caller struct{ User, UserAgent string }

// Client makes calls for a caller.
type Client struct {
	c       *Cluster
	caller  Caller
	process *engine.Process
}

// As returns a client for a caller.
func (c *Cluster) As(caller Caller) *Client { return &Client{c: c, caller: caller} }

// Cluster is where the client's calls go.
func (cl *Client) Cluster() *Cluster { return cl.c }

// done records a changing call.
func (cl *Client) done(verb, kind string, key Key, err error) {
	code := 200
	if verb == "create" {
		code = 201
	}
	reason := ""
	if err != nil {
		code = 500
		if s, ok := err.(apierrors.APIStatus); ok {
			code, reason = int(s.Status().Code), string(s.Status().Reason)
		}
	}
	c := cl.c
	c.audit = append(c.audit, AuditEvent{Time: c.engine.Now(), User: cl.caller.User, UserAgent: cl.caller.UserAgent, Verb: verb, Resource: resource(kind).String(), Key: key, Code: code})
	c.log.Emit(trace.Record{Kind: trace.Kube, Actor: c.log.Name(cl.caller.User), What: c.log.Name(verb + " " + kind), Text: key.String(), Reason: c.log.Name(reason)})
}

// Create stores a new object and returns it as stored, or AlreadyExists, NotFound for its namespace, or Invalid.
func (cl *Client) Create(o Object) (Object, error) {
	c, kind := cl.c, kindOf(o)
	o = o.DeepCopyObject().(Object)
	if o.GetName() == "" && o.GetGenerateName() != "" {
		o.SetName(c.generateName(kind, o))
	}
	if namespaced(kind) && o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	key := KeyOf(o)
	err := cl.admit(kind, o)
	if err == nil {
		err = c.create(kind, key, o)
	}
	cl.done("create", kind, key, err)
	if err != nil {
		return nil, err
	}
	c.notify(kind, nil, o)
	return o, nil
}

func (c *Cluster) create(kind string, key Key, o Object) error {
	if err := Refuse(o); err != nil {
		return err
	}
	k := c.kind(kind)
	if namespaced(kind) && c.kind("Namespace").objects[Key{Name: key.Namespace}] == nil {
		return apierrors.NewNotFound(resource("Namespace"), key.Namespace)
	}
	if k.objects[key] != nil {
		return apierrors.NewAlreadyExists(resource(kind), key.Name)
	}
	if err := c.defaults(o); err != nil {
		return err
	}
	c.stamp(o)
	k.objects[key] = o
	return nil
}

// nameAlphabet is what generated names end in: five of these. Source: apimachinery pkg/util/rand, alphanums.
const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"

func (c *Cluster) generateName(kind string, o Object) string {
	r := c.engine.Rand("kube: names of " + kind)
	for {
		b := []byte(o.GetGenerateName())
		for range 5 {
			b = append(b, nameAlphabet[r.IntN(len(nameAlphabet))])
		}
		if c.kind(kind).objects[Key{o.GetNamespace(), string(b)}] == nil {
			return string(b)
		}
	}
}

// Update writes an object's metadata and spec; its status stays as stored. It returns Conflict if the object's resourceVersion is set and not the
// latest.
func (cl *Client) Update(o Object) (Object, error) { return cl.update("update", o, false) }

// UpdateStatus writes an object's status alone.
func (cl *Client) UpdateStatus(o Object) (Object, error) {
	return cl.update("update status of", o, true)
}

func (cl *Client) update(verb string, o Object, status bool) (Object, error) {
	c, kind, key := cl.c, kindOf(o), KeyOf(o)
	k := c.kind(kind)
	old := k.objects[key]
	var err error
	switch {
	case old == nil:
		err = apierrors.NewNotFound(resource(kind), key.Name)
	case o.GetResourceVersion() != "" && o.GetResourceVersion() != old.GetResourceVersion():
		err = apierrors.NewConflict(resource(kind), key.Name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	if err != nil {
		cl.done(verb, kind, key, err)
		return nil, err
	}
	now := o.DeepCopyObject().(Object)
	keepOther(old, now, status)
	now.SetUID(old.GetUID())
	now.SetCreationTimestamp(old.GetCreationTimestamp())
	now.SetResourceVersion(old.GetResourceVersion())
	if reflect.DeepEqual(old, now) {
		cl.done(verb, kind, key, nil)
		return old, nil // a write that changes nothing makes no new version
	}
	if !status {
		err := Refuse(now)
		if _, ok := now.(*appsv1.Deployment); ok && err == nil {
			err = c.defaults(now)
		}
		if err != nil {
			cl.done(verb, kind, key, err)
			return nil, err
		}
	}
	if svc, ok := now.(*corev1.Service); ok && !status {
		if err := c.serviceUpdate(old.(*corev1.Service), svc); err != nil {
			cl.done(verb, kind, key, err)
			return nil, err
		}
	}
	if !status && !reflect.DeepEqual(fieldOf(old, "Spec"), fieldOf(now, "Spec")) {
		now.SetGeneration(old.GetGeneration() + 1)
	}
	c.bump(now)
	if t := now.GetDeletionTimestamp(); t != nil && len(now.GetFinalizers()) == 0 && (now.GetDeletionGracePeriodSeconds() == nil || *now.GetDeletionGracePeriodSeconds() == 0) {
		c.remove(k, key, old)
		cl.done(verb, kind, key, nil)
		c.notify(kind, old, nil)
		return now, nil
	}
	k.objects[key] = now
	cl.done(verb, kind, key, nil)
	c.notify(kind, old, now)
	return now, nil
}

// keepOther keeps of the old object what a write of the status, or of all but the status, does not touch.
func keepOther(old, now Object, status bool) {
	o, n := reflect.ValueOf(old).Elem(), reflect.ValueOf(now).Elem()
	if f := n.FieldByName("Status"); f.IsValid() && !status {
		f.Set(o.FieldByName("Status"))
	}
	if status {
		kept := old.DeepCopyObject().(Object)
		reflect.ValueOf(kept).Elem().FieldByName("Status").Set(n.FieldByName("Status"))
		if d, ok := now.(*appsv1.Deployment); ok { // the deployment controller writes its revision this way
			kept.SetAnnotations(d.Annotations)
		}
		n.Set(reflect.ValueOf(kept).Elem())
	}
}

func fieldOf(o Object, name string) any {
	if f := reflect.ValueOf(o).Elem().FieldByName(name); f.IsValid() {
		return f.Interface()
	}
	return nil
}

// remove takes an object out of the store, and gives back what was allocated for it.
func (c *Cluster) remove(k *collection, key Key, o Object) {
	delete(k.objects, key)
	if s, ok := o.(*corev1.Service); ok {
		c.release(s)
	}
}

// Get reads an object from the store, or NotFound.
func Get[T Object](cl *Client, key Key) (T, error) {
	kind := kindOf(*new(T))
	if o, ok := cl.c.kind(kind).objects[key].(T); ok {
		return o, nil
	}
	return *new(T), apierrors.NewNotFound(resource(kind), key.Name)
}

// List reads all objects of a kind from the store, in order of their keys.
func List[T Object](cl *Client) []T {
	k := cl.c.kind(kindOf(*new(T)))
	out := make([]T, 0, len(k.objects))
	for _, o := range k.objects {
		out = append(out, o.(T))
	}
	slices.SortFunc(out, func(a, b T) int { return KeyOf(a).compare(KeyOf(b)) })
	return out
}

func (c *Cluster) notify(kind string, old, now Object) {
	for _, w := range c.kind(kind).watchers {
		w(old, now)
	}
}
