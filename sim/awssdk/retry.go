package awssdk

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
)

// Retryer decides whether and when a call is made again. One belongs to one client. Use V1 or V2.
type Retryer struct {
	attempts int
	random   *rand.Rand
	v2       bool
	// quota is v2's token bucket of retries; v1 has none.
	quota int
}

// V1 is the DefaultRetryer of aws-sdk-go with a number of retries; its own default is 3 (DefaultRetryerMaxNumRetries).
func V1(retries int, random *rand.Rand) *Retryer {
	return &Retryer{attempts: retries + 1, random: random}
}

// V2 is the standard retryer of aws-sdk-go-v2 with a number of attempts; its own default is 3 (DefaultMaxAttempts).
func V2(attempts int, random *rand.Rand) *Retryer {
	return &Retryer{attempts: attempts, random: random, v2: true, quota: retryQuota}
}

// The quota of retries: a retry costs five tokens, which a success gives back; a call that succeeds at once gives back one.
// Source: aws-sdk-go-v2 aws/retry/standard.go: DefaultRetryRateTokens, DefaultRetryCost, DefaultNoRetryIncrement.
const (
	retryQuota       = 500
	retryCost        = 5
	noRetryIncrement = 1
)

// maxBackoff is the longest delay of v2. Source: aws-sdk-go-v2 aws/retry/standard.go, DefaultMaxBackoff.
const maxBackoff = 20 * time.Second

// Delays of v1. Source: aws-sdk-go aws/client/default_retryer.go: DefaultRetryerMinRetryDelay and the like.
const (
	minRetryDelay    = 30 * time.Millisecond
	minThrottleDelay = 500 * time.Millisecond
	maxRetryDelay    = 300 * time.Second
)

// throttled says whether an error asks for fewer calls.
// Source: aws-sdk-go aws/request/retryer.go, throttleCodes; aws-sdk-go-v2 aws/retry/standard.go, DefaultThrottleErrorCodes.
func throttled(code string) bool {
	switch code {
	case "RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException",
		"PriorRequestNotComplete", "TransactionInProgressException", "EC2ThrottledException", "ProvisionedThroughputExceededException":
		return true
	}
	return false
}

// temporary says whether an error is the server's and may pass.
func temporary(code string) bool {
	switch code {
	case "InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable", "RequestError", "RequestTimeout":
		return true
	}
	return false
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// delay is how long to wait after an attempt has failed, the first being 1.
func (r *Retryer) delay(attempt int, code string) time.Duration {
	if r.v2 {
		if float64(attempt) > math.Log2(float64(maxBackoff)/float64(time.Second)) {
			return maxBackoff
		}
		return time.Duration(r.random.Float64() * float64(int64(1)<<attempt) * float64(time.Second))
	}
	low := minRetryDelay
	if throttled(code) {
		low = minThrottleDelay
	}
	d := time.Duration(int64(1)<<(attempt-1)) * r.jitter(low)
	if d > maxRetryDelay {
		d = r.jitter(maxRetryDelay / 2)
	}
	return d
}

func (r *Retryer) jitter(d time.Duration) time.Duration {
	return d + time.Duration(r.random.Int64N(int64(d)))
}

// Do makes a call by an SDK's rules on the process that ctx carries, until it succeeds, fails for good, or has been tried often enough.
func Do[I, O, F any](ctx context.Context, r *Retryer, api func(context.Context, *I, ...F) (*O, error), in *I) (*O, error) {
	p := engine.ProcessFrom(ctx)
	spent := 0
	for attempt := 1; ; attempt++ {
		out, err := api(ctx, in)
		code := codeOf(err)
		switch {
		case err == nil:
			if r.v2 {
				r.quota = min(r.quota+max(spent, noRetryIncrement), retryQuota)
			}
			return out, nil
		case attempt >= r.attempts || !throttled(code) && !temporary(code):
			return nil, err
		}
		if r.v2 {
			if r.quota < retryCost {
				return nil, err
			}
			r.quota -= retryCost
			spent = retryCost
		}
		p.Sleep(r.delay(attempt, code))
	}
}
