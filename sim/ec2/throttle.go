package ec2

import (
	"context"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/cloudtrail"
)

// rate is a token bucket: how many tokens it holds, and how many come back each second.
type rate struct{ capacity, perSecond float64 }

// Request token buckets: one for each account, Region and action.
// Source: Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API: Request token bucket sizes and refill rates" (2025).
var (
	rateNonMutating = rate{100, 20}
	// rateUnfiltered is for some Describe calls that have neither a filter nor a page size.
	rateUnfiltered        = rate{50, 10}
	rateMutating          = rate{50, 5}
	rateResourceIntensive = rate{50, 5}
)

// unfiltered lists the actions that have a smaller bucket for calls without filter and page size.
var unfiltered = map[string]bool{"DescribeInstances": true, "DescribeInstanceStatus": true, "DescribeNetworkInterfaces": true, "DescribeSecurityGroups": true,
	"DescribeSnapshots": true, "DescribeSpotInstanceRequests": true, "DescribeVolumes": true}

// uncategorized lists the actions of this package that have limits of their own.
var uncategorized = map[string]rate{"AssignPrivateIpAddresses": {100, 5}, "UnassignPrivateIpAddresses": {100, 5}, "CreateNetworkInterface": {100, 5}, "DeleteNetworkInterface": {100, 5},
	"ModifyNetworkInterfaceAttribute": {100, 5}, "CreateTags": {100, 10}, "DeleteTags": {100, 10}, "AuthorizeSecurityGroupIngress": rateResourceIntensive, "RevokeSecurityGroupIngress": rateResourceIntensive}

// bucket is a token bucket in use.
type bucket struct {
	rate
	tokens float64
	at     time.Duration
}

// take takes a token, if there is one.
func (b *bucket) take(now time.Duration) bool {
	b.tokens = min(b.capacity, b.tokens+b.perSecond*(now-b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// admit takes a token from the bucket of a call, or says RequestLimitExceeded.
func (s *Service) admit(action string, isPlain bool) error {
	if !s.opts.Throttle {
		return nil
	}
	r, ok := uncategorized[action]
	name := action
	switch {
	case ok:
	case isPlain && unfiltered[action]:
		r, name = rateUnfiltered, action+", unfiltered and unpaginated"
	case strings.HasPrefix(action, "Describe"):
		r = rateNonMutating
	default:
		r = rateMutating
	}
	b := s.buckets[name]
	if b == nil {
		b = &bucket{rate: r, tokens: r.capacity, at: s.engine.Now()}
		s.buckets[name] = b
	}
	if b.take(s.engine.Now()) {
		return nil
	}
	return apiError("RequestLimitExceeded", "Request limit exceeded.")
}

// do makes a call of the API: it is throttled, recorded and takes its time.
func do[I, O any](ctx context.Context, s *Service, action string, in *I, isPlain bool, fn func(*I) (*O, error)) (*O, error) {
	return cloudtrail.Do(ctx, s.trail, source, action, in, func(in *I) (*O, error) {
		if err := s.admit(action, isPlain); err != nil {
			return nil, err
		}
		return fn(in)
	})
}
