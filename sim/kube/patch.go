package kube

import (
	"encoding/json"
	"reflect"

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
	before, err := json.Marshal(old)
	if err != nil {
		return none, err
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, none)
	if err != nil {
		err = apierrors.NewBadRequest(err.Error())
		cl.done(verb, kind, key, err)
		return none, err
	}
	now := old.DeepCopyObject().(T)
	blank(now)
	if err := json.Unmarshal(after, now); err != nil {
		err = apierrors.NewBadRequest(err.Error())
		cl.done(verb, kind, key, err)
		return none, err
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

// blank empties an object, so that it can be read anew.
func blank(o Object) {
	v := reflect.ValueOf(o).Elem()
	v.Set(reflect.Zero(v.Type()))
}
