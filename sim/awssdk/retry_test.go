package awssdk

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
)

type in struct{}
type out struct{}

// calls makes a call that fails with an error a number of times, and says how often it was made, how long that took and what came of it.
func calls(t *testing.T, r func(e *engine.Engine) *Retryer, code string, failures int) (made int, took time.Duration, err error) {
	e := engine.New(engine.Options{Seed: 3})
	e.Go("test", func(p *engine.Process) {
		_, err = Do(engine.WithProcess(context.Background(), p), r(e), func(context.Context, *in, ...int) (*out, error) {
			if made++; made > failures {
				return &out{}, nil
			}
			return nil, &smithy.GenericAPIError{Code: code, Message: "no"}
		}, &in{})
		took = e.Now()
	})
	if err := e.Run(24*time.Hour, nil); err != nil {
		t.Fatal(err)
	}
	return made, took, err
}

func v1(n int) func(*engine.Engine) *Retryer {
	return func(e *engine.Engine) *Retryer { return V1(n, e.Rand("sdk")) }
}

func v2(n int) func(*engine.Engine) *Retryer {
	return func(e *engine.Engine) *Retryer { return V2(n, e.Rand("sdk")) }
}

func TestRetries(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name     string
		retryer  func(*engine.Engine) *Retryer
		code     string
		failures int
		made     int
		fails    bool
		least    time.Duration
		most     time.Duration
	}{
		{"v1: throttled once, 0.5 to 1 s", v1(3), "RequestLimitExceeded", 1, 2, false, s / 2, s},
		{"v1: throttled for good with the default of 3 retries: 7 times 0.5 to 1 s", v1(3), "RequestLimitExceeded", 99, 4, true, 7 * s / 2, 7 * s},
		{"v1: 10 retries, as ipamd has", v1(10), "RequestLimitExceeded", 99, 11, true, 511 * s / 2, 1023 * s},
		{"v1: an error of the server, 30 to 60 ms", v1(3), "InternalError", 2, 3, false, 90 * time.Millisecond, 180 * time.Millisecond},
		{"v1: an error that will not pass", v1(10), "InsufficientFreeAddressesInSubnet", 99, 1, true, 0, 0},
		{"v2: three attempts by default", v2(3), "RequestLimitExceeded", 99, 3, true, 0, 6 * s},
		{"v2: ten attempts", v2(10), "RequestLimitExceeded", 99, 10, true, s, (2 + 4 + 8 + 16 + 5*20) * s},
		{"v2: an error that will not pass", v2(10), "PrivateIpAddressLimitExceeded", 99, 1, true, 0, 0},
		{"v2: throttled once", v2(10), "RequestLimitExceeded", 1, 2, false, 0, 2 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, took, err := calls(t, c.retryer, c.code, c.failures)
			if made != c.made || (err != nil) != c.fails || took < c.least || took > c.most {
				t.Errorf("%d calls in %v, then %v", made, took, err)
			}
			var api smithy.APIError
			if err != nil && (!errors.As(err, &api) || api.ErrorCode() != c.code) {
				t.Errorf("the error became %v", err)
			}
		})
	}
}

// The quota of v2: 500 tokens, five for a retry; calls that fail use it up, and then nothing is tried again until calls succeed.
func TestRetryQuota(t *testing.T) {
	e := engine.New(engine.Options{Seed: 3})
	e.Go("test", func(p *engine.Process) {
		ctx := engine.WithProcess(context.Background(), p)
		r := V2(3, e.Rand("sdk"))
		made := 0
		call := func(failing bool) int {
			made = 0
			_, _ = Do(ctx, r, func(context.Context, *in, ...int) (*out, error) {
				made++
				if failing {
					return nil, &smithy.GenericAPIError{Code: "RequestLimitExceeded"}
				}
				return &out{}, nil
			}, &in{})
			return made
		}
		for i := range 50 { // two retries each
			if n := call(true); n != 3 {
				t.Fatalf("call %d was made %d times", i, n)
			}
		}
		if n := call(true); n != 1 {
			t.Errorf("with the quota used up a call is made %d times", n)
		}
		for range 5 {
			call(false)
		}
		if n := call(true); n != 2 {
			t.Errorf("after five successes a call is made %d times, of which the second is what they gave back", n)
		}
	})
	if err := e.Run(24*time.Hour, nil); err != nil {
		t.Fatal(err)
	}
}
