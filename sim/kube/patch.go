package kube

import (
	"encoding/json"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// Patch applies a strategic merge patch to an object's metadata and spec.
func Patch[T Object](cl *Client, key Key, patch []byte) (T, error) {
	return patched[T](cl, key, patch, false)
}

// PatchStatus applies a strategic merge patch to an object's status: lists such as conditions are merged by their keys, and what the patch
// does not name stays as it was.
func PatchStatus[T Object](cl *Client, key Key, patch []byte) (T, error) {
	return patched[T](cl, key, patch, true)
}

// patched is an Update of the object that the patch makes of the stored one.
// Source: kubernetes/kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go; a uid in the patch is a precondition.
func patched[T Object](cl *Client, key Key, patch []byte, status bool) (T, error) {
	var none T
	kind, verb := kindOf(none), "patch"
	if status {
		verb = "patch status of"
	}
	fail := func(err error) (T, error) {
		cl.done(verb, kind, key, err)
		return none, err
	}
	old, ok := cl.c.kind(kind).objects[key].(T)
	if !ok {
		return fail(apierrors.NewNotFound(resource(kind), key.Name))
	}
	var meta struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(patch, &meta); err != nil {
		return fail(apierrors.NewBadRequest(err.Error()))
	}
	if u := meta.Metadata.UID; u != "" && u != string(old.GetUID()) {
		return fail(apierrors.NewConflict(resource(kind), key.Name, fmt.Errorf("Precondition failed: UID in precondition: %v, UID in object meta: %v", u, old.GetUID())))
	}
	original, err := json.Marshal(old)
	if err != nil {
		return none, err
	}
	merged, err := strategicpatch.StrategicMergePatch(original, patch, old)
	if err != nil {
		return fail(apierrors.NewBadRequest(err.Error()))
	}
	now := old.DeepCopyObject().(T)
	zero(now)
	if err := json.Unmarshal(merged, now); err != nil {
		return fail(apierrors.NewBadRequest(err.Error()))
	}
	o, err := cl.update(verb, now, status)
	if err != nil {
		return none, err
	}
	return o.(T), nil
}

// zero empties an object, since decoding JSON into it leaves what the text does not name.
func zero(o Object) {
	v := reflect.ValueOf(o).Elem()
	v.Set(reflect.Zero(v.Type()))
}
