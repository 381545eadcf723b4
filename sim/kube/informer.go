package kube

import (
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
)

// Informer is a cache of one kind that lags behind the store. Handlers are called when it changes, after the cache has.
type Informer[T Object] struct {
	cluster  *Cluster
	objects  map[Key]T
	indexes  map[string]*index[T]
	handlers []func(old, now T)
	last     time.Duration
}

type index[T Object] struct {
	keys func(T) []string
	by   map[string]map[Key]T
}

// NewInformer returns a cache that is in step with the store now, and from here on lags. Share one among those who may see the same.
func NewInformer[T Object](c *Cluster) *Informer[T] {
	i := &Informer[T]{cluster: c, objects: map[Key]T{}, indexes: map[string]*index[T]{}}
	kind := kindOf(*new(T))
	k := c.kind(kind)
	for key, o := range k.objects {
		i.objects[key] = o.(T)
	}
	lag := c.engine.Rand("kube: watch lag of " + kind)
	k.watchers = append(k.watchers, func(old, now Object) {
		low, high := c.opts.WatchLag[0], c.opts.WatchLag[1]
		at := max(c.engine.Now()+low+time.Duration(lag.Int64N(int64(high-low)+1)), i.last+1)
		i.last = at
		c.engine.At(at, "kube: watch", engine.Func(func() {
			o, _ := old.(T)
			n, _ := now.(T)
			i.apply(o, n, old != nil, now != nil)
		}))
	})
	return i
}

func (i *Informer[T]) apply(old, now T, had, has bool) {
	if had {
		delete(i.objects, KeyOf(old))
		for _, x := range i.indexes {
			x.remove(old)
		}
	}
	if has {
		i.objects[KeyOf(now)] = now
		for _, x := range i.indexes {
			x.add(now)
		}
	}
	cause := i.cluster.engine.Cause()
	for _, h := range i.handlers {
		h(old, now)
		i.cluster.engine.SetCause(cause)
	}
}

// Handle has h called with each change; old is nil for a new object, now for one that is no more. Objects that are there already are told at once.
func (i *Informer[T]) Handle(h func(old, now T)) {
	i.handlers = append(i.handlers, h)
	for _, o := range i.List() {
		h(*new(T), o)
	}
}

// Get is the cached object of a key.
func (i *Informer[T]) Get(k Key) (T, bool) {
	o, ok := i.objects[k]
	return o, ok
}

// List is the cached objects in order of their keys.
func (i *Informer[T]) List() []T { return sorted(i.objects) }

// Index keeps the objects by what keys says of them, for By.
func (i *Informer[T]) Index(name string, keys func(T) []string) {
	x := &index[T]{keys: keys, by: map[string]map[Key]T{}}
	for _, o := range i.objects {
		x.add(o)
	}
	i.indexes[name] = x
}

// By is the objects that an index has under a key, in order of their keys.
func (i *Informer[T]) By(name, key string) []T { return sorted(i.indexes[name].by[key]) }

func (x *index[T]) add(o T) {
	for _, k := range x.keys(o) {
		if x.by[k] == nil {
			x.by[k] = map[Key]T{}
		}
		x.by[k][KeyOf(o)] = o
	}
}

func (x *index[T]) remove(o T) {
	for _, k := range x.keys(o) {
		delete(x.by[k], KeyOf(o))
		if len(x.by[k]) == 0 {
			delete(x.by, k)
		}
	}
}

func sorted[T Object](m map[Key]T) []T {
	out := make([]T, 0, len(m))
	for _, o := range m {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b T) int { return KeyOf(a).Compare(KeyOf(b)) })
	return out
}
