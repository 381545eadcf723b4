// Package e2e holds what needs a real cluster: the same scenario files as the simulator's, on kind.
//
// Nothing here runs unless EKSLAB_E2E is set, as `make e2e` does: `make test` starts no container. Where the kind backend cannot run, each test is
// skipped and says what is missing.
package e2e
