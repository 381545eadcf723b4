// Package iam says who calls an AWS API.
//
// Models: the principal and the client of a call, carried by its context.
// Does not model yet: policies and their evaluation; every principal may do everything.
package iam

import "context"

// Caller is who makes a call, as CloudTrail's userIdentity and userAgent show it.
type Caller struct {
	// ARN of the principal, such as arn:aws:sts::111122223333:assumed-role/eksClusterRole/session.
	ARN string
	// Type is CloudTrail's userIdentity.type: AssumedRole, IAMUser, AWSService.
	Type      string
	UserAgent string
	// Name is short, for people: "in-tree cloud provider", "operator".
	Name string
}

type callerKey struct{}

// WithCaller returns a context whose calls are c's.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller that ctx carries. A call without one is a mistake in the simulator: there is no anonymous AWS API.
func From(ctx context.Context) Caller {
	c, ok := ctx.Value(callerKey{}).(Caller)
	if !ok {
		panic("iam: an AWS call without a caller")
	}
	return c
}
