// Package report shows outcomes: views of what was recorded and judged. It decides nothing.
//
//	text    for a person; written run by run, never a wall-clock figure in it, so that the same run prints the same bytes
//	json    the document ekslab.run/v1, for programs (DESIGN: command line and result document)
//	junit   JUnit XML: one test suite per run, one test case per expectation
//	github  workflow commands that GitHub Actions turns into annotations
//
// JUnit knows no "inconclusive": such an expectation is an <error>, since the question it asks was not answered and a pipeline must not
// go green over it; an expectation that does not apply, and every one of a run that was skipped, is <skipped>. A run whose verdict no
// expectation of its own carries (a variant that states none) has one more test case, named "verdict", that does.
//
// Values are written the same way everywhere in the text: numbers with six significant digits at most, lists as 1, 2, 2.
package report
