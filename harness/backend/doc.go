// Package backend is the seam between the harness and what runs a scenario.
//
// A Backend takes a plan, whose values are all concrete, drives it to its end and returns what it recorded. It never judges: the judge
// (harness/expect) reads the finished recording and cannot reach a backend. simulated/ and live/ implement it; both speak the vocabulary
// of harness/observe.
//
// What a backend lacks on a machine it says before anything runs (Check); the report then says skipped, because, and never passed.
package backend
