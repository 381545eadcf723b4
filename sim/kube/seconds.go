package kube

import "time"

// endless is more seconds than any run has, and few enough that they can be added to any time.
const endless = 100 * 365 * 24 * 60 * 60

// Seconds is a number of seconds of an object's field. The API server takes any number; one that no run sees the end of is as good as any other such.
func Seconds(n int64) time.Duration {
	return time.Duration(min(max(n, -endless), endless)) * time.Second
}
