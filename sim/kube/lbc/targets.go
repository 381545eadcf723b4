package lbc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// targetsTTL is how long the targets of a group are cached; meanwhile only those that are not healthy are asked for again.
// Source: pkg/targetgroupbinding/targets_manager.go, defaultTargetsCacheTTL.
const targetsTTL = 5 * time.Minute

// chunk is how many targets one call names. Source: pkg/targetgroupbinding/targets_manager.go.
const chunk = 200

// target is a target as the controller knows it; health is nil for one that it has changed and not asked for since.
type target struct {
	description elbtypes.TargetDescription
	health      *elbtypes.TargetHealth
}

func uidOf(d *elbtypes.TargetDescription) string {
	return fmt.Sprintf("%s:%d", aws.ToString(d.Id), aws.ToInt32(d.Port))
}

func (t *target) in(state elbtypes.TargetHealthStateEnum) bool {
	return t.health != nil && t.health.State == state
}

// initial and notRegistered are as the controller counts them. Source: pkg/targetgroupbinding/targets_manager_types.go.
func (t *target) initial() bool { return t.in(elbtypes.TargetHealthStateEnumInitial) }

func (t *target) notRegistered() bool {
	return t.in(elbtypes.TargetHealthStateEnumUnused) && t.health.Reason == elbtypes.TargetHealthReasonEnumNotRegistered
}

// cached is the targets of a group.
type cached struct {
	targets []target
	until   time.Duration
}

// list is the targets of a group.
func (x *Controller) list(ctx context.Context, arn string) ([]target, error) {
	now := x.client.Cluster().Engine().Now()
	c := x.targets[arn]
	if c == nil || now >= c.until {
		all, err := x.describe(ctx, arn, nil)
		if err != nil {
			return nil, err
		}
		x.targets[arn] = &cached{all, now + targetsTTL}
		return slices.Clone(all), nil
	}
	var keep []target
	var ask []elbtypes.TargetDescription
	for _, t := range c.targets {
		if t.in(elbtypes.TargetHealthStateEnumHealthy) {
			keep = append(keep, t)
		} else {
			ask = append(ask, t.description)
		}
	}
	if len(ask) > 0 {
		fresh, err := x.describe(ctx, arn, ask)
		if err != nil {
			return nil, err
		}
		for _, t := range fresh {
			if !t.notRegistered() {
				keep = append(keep, t)
			}
		}
	}
	c.targets = keep
	return slices.Clone(keep), nil
}

func (x *Controller) describe(ctx context.Context, arn string, which []elbtypes.TargetDescription) (out []target, err error) {
	answer, err := x.opts.ELBV2.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: aws.String(arn), Targets: which})
	if err != nil {
		return nil, err
	}
	for _, d := range answer.TargetHealthDescriptions {
		out = append(out, target{*d.Target, d.TargetHealth})
	}
	return out, nil
}

// register and deregister make the calls, and remember that they did.
func (x *Controller) register(ctx context.Context, arn string, targets []elbtypes.TargetDescription) error {
	for part := range slices.Chunk(targets, chunk) {
		if _, err := x.opts.ELBV2.RegisterTargets(ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: aws.String(arn), Targets: part}); err != nil {
			return err
		}
		x.changed(arn, part, true)
	}
	return nil
}

func (x *Controller) deregister(ctx context.Context, arn string, targets []elbtypes.TargetDescription) error {
	for part := range slices.Chunk(targets, chunk) {
		if _, err := x.opts.ELBV2.DeregisterTargets(ctx, &elbv2.DeregisterTargetsInput{TargetGroupArn: aws.String(arn), Targets: part}); err != nil {
			return err
		}
		x.changed(arn, part, false)
	}
	return nil
}

// changed forgets the health of targets that were changed, and learns of new ones.
func (x *Controller) changed(arn string, targets []elbtypes.TargetDescription, add bool) {
	c := x.targets[arn]
	if c == nil {
		return
	}
	for i := range targets {
		d := &targets[i]
		at := slices.IndexFunc(c.targets, func(t target) bool { return uidOf(&t.description) == uidOf(d) })
		switch {
		case at >= 0:
			c.targets[at].health = nil
		case add:
			c.targets = append(c.targets, target{description: *d})
		}
	}
}
