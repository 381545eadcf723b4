package lbc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
)

// requeueDuration is how long a binding waits whose pods are not healthy in its target group yet.
// Source: pkg/targetgroupbinding/resource_manager.go, defaultTargetHealthRequeueDuration; since v2.10 --targetgroupbinding-requeue-duration.
const requeueDuration = 15 * time.Second

// errRequeue asks for another try after the queue's back-off; nothing has failed. Source: pkg/runtime, RequeueNeeded.
var errRequeue = errors.New("requeue needed")

// bind makes the targets of a binding what they should be: it finds out what there is, deregisters, registers, and tells pods.
// Source: pkg/targetgroupbinding/resource_manager.go, reconcileWithIPTargetType, reconcileWithInstanceTargetType.
func (x *Controller) bind(p *engine.Process, k kube.Key) error {
	b, ok := x.tgbs.Get(k)
	if !ok {
		return nil
	}
	ctx := engine.WithProcess(x.ctx, p)
	if *b.Spec.TargetType == targetTypeInstance {
		return x.bindNodes(ctx, k, b)
	}
	return x.bindPods(ctx, k, b)
}

func (x *Controller) bindPods(ctx context.Context, k kube.Key, b *TargetGroupBinding) error {
	endpoints, potential, err := x.podEndpoints(b)
	if err != nil {
		return err
	}
	gate := b.ConditionType()
	checkpoint := checkpointOf(endpoints)
	if x.ways.checkpoints && !potential && x.checkpoints[k] == checkpoint {
		return nil
	}
	arn := b.Spec.TargetGroupARN
	targets, err := x.list(ctx, arn)
	if err != nil {
		return err
	}
	matched, fresh, gone := match(endpoints, targets)
	if err := x.network(ctx, b, endpoints); err != nil {
		return err
	}
	if x.ways.checkpoints && len(fresh)+len(gone) > 0 {
		delete(x.checkpoints, k)
	}
	if err := x.deregister(ctx, arn, gone); err != nil {
		return err
	}
	if err := x.register(ctx, arn, descriptions(fresh)); err != nil {
		return err
	}
	again, initial := false, len(fresh) > 0
	for _, m := range matched {
		more, err := x.patchCondition(m.endpoint.pod, gate, m.target.health)
		if err != nil {
			return err
		}
		again, initial = again || more, initial || m.target.initial()
	}
	for i := range fresh {
		more, err := x.patchCondition(fresh[i].pod, gate, &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumInitial, Reason: elbtypes.TargetHealthReasonEnumRegistrationInProgress, Description: aws.String("Target registration is in progress")})
		if err != nil {
			return err
		}
		again = again || more
	}
	switch {
	case again && initial, (again || potential) && x.ways.requeuesAfter:
		x.bindings.AddAfter(k, requeueDuration)
		return nil
	case again, potential:
		return errRequeue
	}
	if x.ways.checkpoints {
		x.checkpoints[k] = checkpoint
	}
	x.say(b, reconciled, "Successfully reconciled")
	return nil
}

func (x *Controller) bindNodes(ctx context.Context, k kube.Key, b *TargetGroupBinding) error {
	endpoints, err := x.nodeEndpoints(b)
	if err != nil {
		return err
	}
	checkpoint := checkpointOf(endpoints)
	if x.ways.checkpoints && x.checkpoints[k] == checkpoint {
		return nil
	}
	arn := b.Spec.TargetGroupARN
	targets, err := x.list(ctx, arn)
	if err != nil {
		return err
	}
	_, fresh, gone := match(endpoints, targets)
	if err := x.network(ctx, b, endpoints); err != nil {
		return err
	}
	if err := x.deregister(ctx, arn, gone); err != nil {
		return err
	}
	if err := x.register(ctx, arn, descriptions(fresh)); err != nil {
		return err
	}
	x.checkpoints[k] = checkpoint
	x.say(b, reconciled, "Successfully reconciled")
	return nil
}

// pair is an endpoint that is registered.
type pair struct {
	endpoint endpoint
	target   target
}

// match compares endpoints, which are in order, with targets that are not draining.
func match(endpoints []endpoint, targets []target) (matched []pair, fresh []endpoint, gone []elbtypes.TargetDescription) {
	byUID := map[string]target{}
	var order []endpoint
	for _, t := range targets {
		if !t.in(elbtypes.TargetHealthStateEnumDraining) {
			uid := uidOf(&t.description)
			byUID[uid] = t
			order = append(order, endpoint{id: aws.ToString(t.description.Id), port: aws.ToInt32(t.description.Port)})
		}
	}
	wanted := map[string]bool{}
	for _, e := range endpoints {
		wanted[e.uid()] = true
		if t, ok := byUID[e.uid()]; ok {
			matched = append(matched, pair{e, t})
		} else {
			fresh = append(fresh, e)
		}
	}
	for _, e := range sorted(order) {
		if !wanted[e.uid()] {
			gone = append(gone, byUID[e.uid()].description)
		}
	}
	return matched, fresh, gone
}

// descriptions name targets to RegisterTargets: by id and port alone, within the VPC.
func descriptions(endpoints []endpoint) (out []elbtypes.TargetDescription) {
	for _, e := range endpoints {
		out = append(out, elbtypes.TargetDescription{Id: aws.String(e.id), Port: aws.Int32(e.port)})
	}
	return out
}

// checkpointOf stands for a set of endpoints, so that a reconcile that would find nothing new can be left out.
// Source: pkg/targetgroupbinding/utils.go of v2.10, calculateTGBReconcileCheckpoint.
func checkpointOf(endpoints []endpoint) string {
	uids := make([]string, 0, len(endpoints))
	for i := range endpoints {
		uids = append(uids, endpoints[i].uid())
	}
	sum := sha256.Sum256([]byte(strings.Join(uids, ",")))
	return fmt.Sprintf("%x", sum[:8])
}
