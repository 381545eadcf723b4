// Package live is the backend "kind": the same scenarios on a real Kubernetes in Docker.
//
// State: it knows what it needs of the machine and says so; it does not yet run anything. Check therefore never succeeds, a run on it is
// skipped with the reason, and no command can mistake it for a pass.
//
// It looks for the Docker API where Docker's own clients do (DOCKER_HOST, else the default socket or, on Windows, the default pipe) by
// opening a connection: a docker command on PATH without a daemon behind it is no help.
package live
