// Package run drives scenarios over a backend: one job is one scenario in one variant with one seed.
//
// It hands each plan to the backend, times it, and hands the recording to the judge (harness/expect); it decides nothing itself. Jobs run on
// as many goroutines as asked for, and their outcomes are delivered one at a time in the order of the jobs, so that nothing a reader
// sees depends on which job was faster.
//
// When its context ends, jobs that have not begun are skipped, those under way end at once with what they recorded, and everything that
// was finished is delivered. A backend that panics has broken an invariant of its own: its job is inconclusive and carries the stack.
package run
