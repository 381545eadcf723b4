// Package trace is the append-only record of what happened in a world. Golden files, explanations, captures, timelines and the
// evidence of a verdict are all views of it.
//
// A record says when, where, what, about which packet or object, and which earlier record led to it (its cause), so that a
// chain can be walked from a failed request to its root. It may also refer to the record that set up what it relied on: a packet's route
// refers to the moment the route was installed.
//
// The log itself keeps nothing but a running SHA-256 over compact binary records, which is the world's traceHash. Who wants the records
// attaches a sink; a sink that wants to keep a packet copies it.
package trace
