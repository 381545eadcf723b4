package controllers

import (
	"github.com/ekslab/ekslab/sim/kube"
)

// expectations are what a controller has asked for and its cache does not show yet. Until it does, the controller asks for no more.
// Source: kubernetes/kubernetes pkg/controller/controller_utils.go, UIDTrackingControllerExpectations.
type expectations struct {
	creations map[kube.Key]int
	deletions map[kube.Key]map[kube.Key]bool
}

func newExpectations() expectations {
	return expectations{map[kube.Key]int{}, map[kube.Key]map[kube.Key]bool{}}
}

func (x *expectations) satisfied(owner kube.Key) bool {
	return x.creations[owner] == 0 && len(x.deletions[owner]) == 0
}

func (x *expectations) created(owner kube.Key) {
	if x.creations[owner] > 1 {
		x.creations[owner]--
	} else {
		delete(x.creations, owner)
	}
}

func (x *expectations) expectDeletion(owner, pod kube.Key) {
	if x.deletions[owner] == nil {
		x.deletions[owner] = map[kube.Key]bool{}
	}
	x.deletions[owner][pod] = true
}

func (x *expectations) deleted(owner, pod kube.Key) {
	delete(x.deletions[owner], pod)
	if len(x.deletions[owner]) == 0 {
		delete(x.deletions, owner)
	}
}

func (x *expectations) forget(owner kube.Key) {
	delete(x.creations, owner)
	delete(x.deletions, owner)
}
