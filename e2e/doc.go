// Package e2e holds what needs a real cluster: the same scenario files as the simulator's, on kind.
//
// Nothing here runs in `go test` unless the kind backend can run on the machine; where it cannot, each test is skipped and says what is missing.
package e2e
