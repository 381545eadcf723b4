// Package cli is the command line: it reads arguments, finds scenarios, hands plans to a backend, outcomes to reports, and turns the
// result into an exit code. It decides nothing that is not about talking to a person or a pipeline.
//
// Exit codes: 2 for a mistake on the command line or in a scenario, before anything runs; else 130 when the user ended it; else 1 when an
// expectation fails; else 3 when one is inconclusive, nothing but skips is left, or a result could not be written; else 0.
//
// Everything it touches is handed in: arguments, streams, environment, backends. What a command needs of them it takes from Config, so
// that a test runs the very program that main does.
//
// Results go to standard output or to whole files: a file is written under another name beside its place and renamed when it is
// complete, so that nobody reads half of one. An interrupted run still writes its documents, which then say what was interrupted, but no
// capture or trace, of which half would be missing. Progress and complaints go to standard error.
package cli
