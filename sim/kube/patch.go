package kube

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// PatchStatus applies a strategic merge patch to the status subresource of an object, as PATCH with application/strategic-merge-patch+json does. A patch
// that names metadata.uid is refused if the object has another. It returns the object as stored, or NotFound, Conflict, or BadRequest.
// Source: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
func PatchStatus[T Object](cl *Client, key Key, patch []byte) (T, error) {
	return patched[T](cl, "patch status of", key, patch, true)
}

// Patch applies a strategic merge patch to an object; its status stays.
func Patch[T Object](cl *Client, key Key, patch []byte) (T, error) {
	return patched[T](cl, "patch", key, patch, false)
}

func patched[T Object](cl *Client, verb string, key Key, patch []byte, status bool) (T, error) {
	var none T
	kind := kindOf(none)
	old, err := Get[T](cl, key)
	if err == nil {
		var named struct {
			Metadata struct{ UID types.UID }
		}
		if err = json.Unmarshal(patch, &named); err != nil {
			err = apierrors.NewBadRequest(err.Error())
		} else if named.Metadata.UID != "" && named.Metadata.UID != old.GetUID() {
			err = apierrors.NewConflict(resource(kind), key.Name, errUID{named.Metadata.UID, old.GetUID()})
		}
	}
	if err != nil {
		cl.done(verb, kind, key, err)
		return none, err
	}
	// A patch of the status reads and writes nothing but the fields that it names: the rest need not go through JSON.
	base := old
	named := func(string) bool { return true }
	if status {
		base = reflect.New(reflect.TypeOf(old).Elem()).Interface().(T)
		named = fieldsOf(patch)
		copyFields(statusOf(base), statusOf(old), named)
	}
	before, err := json.Marshal(base)
	if err != nil {
		return none, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, none)
	if err != nil {
		err = apierrors.NewBadRequest(err.Error())
		cl.done(verb, kind, key, err)
		return none, err
	}
	read := reflect.New(reflect.TypeOf(old).Elem()).Interface().(T)
	if err := json.Unmarshal(after, read); err != nil {
		err = apierrors.NewBadRequest(err.Error())
		cl.done(verb, kind, key, err)
		return none, err
	}
	// Compared as JSON: times that were read anew are equal only by what they say.
	if again, err := json.Marshal(read); err == nil && bytes.Equal(again, before) {
		cl.done(verb, kind, key, nil)
		return old, nil // a write that changes nothing makes no new version
	}
	now := read
	if status {
		now = shallow(old)
		copyFields(statusOf(now), statusOf(read), named)
	}
	o, err := cl.update(verb, now, status)
	if err != nil {
		return none, err
	}
	return o.(T), nil
}

type errUID struct{ want, is types.UID }

func (e errUID) Error() string {
	return "Precondition failed: UID in precondition: " + string(e.want) + ", UID in object meta: " + string(e.is)
}

func statusOf(o Object) reflect.Value { return reflect.ValueOf(o).Elem().FieldByName("Status") }

// fieldsOf says of a field of the status, by its name in JSON, whether a patch is about it. A directive of the patch makes it about all.
func fieldsOf(patch []byte) func(name string) bool {
	var p struct{ Status map[string]json.RawMessage }
	all := json.Unmarshal(patch, &p) != nil
	for k := range p.Status {
		all = all || strings.HasPrefix(k, "$")
	}
	return func(name string) bool { return all || p.Status[name] != nil }
}

// copyFields copies the fields of a status that are named.
func copyFields(to, from reflect.Value, named func(string) bool) {
	for i := range from.NumField() {
		if name, _, _ := strings.Cut(from.Type().Field(i).Tag.Get("json"), ","); named(name) {
			to.Field(i).Set(from.Field(i))
		}
	}
}

// shallow is a copy of an object that shares what is below it, for one who writes none of that.
func shallow[T Object](o T) T {
	out := reflect.New(reflect.TypeOf(o).Elem())
	out.Elem().Set(reflect.ValueOf(o).Elem())
	return out.Interface().(T)
}
