package run

import "github.com/ekslab/ekslab/harness/expect"

// Exit codes of the command line, in order of precedence: usage before anything runs, then interrupted, fails, undecided, success.
const (
	ExitSuccess     = 0   // every expectation that applies holds
	ExitFails       = 1   // an expectation fails
	ExitUsage       = 2   // the command line or a scenario is wrong; nothing ran
	ExitUndecided   = 3   // inconclusive, or nothing but skips is left
	ExitInterrupted = 130 // ended by the user; what was finished is reported
)

// ExitCode is the exit code for outcomes.
func ExitCode(outcomes []Outcome, interrupted bool) int {
	count := map[expect.Status]int{}
	for _, o := range outcomes {
		count[o.Verdict.Status]++
	}
	switch {
	case interrupted:
		return ExitInterrupted
	case count[expect.Fails] > 0:
		return ExitFails
	case count[expect.Inconclusive] > 0, count[expect.Holds] == 0:
		return ExitUndecided
	}
	return ExitSuccess
}
