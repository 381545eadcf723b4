// Package awssdk is what an AWS SDK does around a call: it tries again.
//
// Models: the default retryer of aws-sdk-go (v1) and the standard one of aws-sdk-go-v2: which errors are tried again, how often, after how long, and
// v2's retry quota.
// Does not model: timeouts, adaptive mode, clock skew.
// Sources: aws/aws-sdk-go aws/client/default_retryer.go, aws/request/retryer.go; aws/aws-sdk-go-v2 aws/retry.
package awssdk
