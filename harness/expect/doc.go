// Package expect judges recordings: it compares what was observed with what a scenario expects, and what two backends observed with
// each other. It reads a finished recording and cannot reach a backend.
//
// The rule is that too little evidence is inconclusive and never a pass. An expectation is
//
//	notApplicable  when its `when` is false for the values of the plan
//	inconclusive   when it reads an observation without a sample, when near() has too few samples to tell a right share from a wrong
//	               one, when it cannot be evaluated, and always when the run was interrupted
//	holds, fails   otherwise
//
// A run fails when an expectation fails, is inconclusive when one is, or when none applies, and holds otherwise. One that could not
// begin is skipped, with the reason; it neither holds nor fails.
package expect
