//go:build !unix

package simulated

import (
	"testing"
	"time"
)

// cpuTime is not known here; wall time has to do.
func cpuTime(testing.TB) time.Duration { return time.Duration(time.Now().UnixNano()) }
