// Package sweep runs a scenario over many values of its parameters: "what would have to be true for 1 in 6 calls to hang?"
//
// The points of a sweep are the product of its axes in the order in which they were given, the last one changing fastest. Each point is
// run with a number of seeds and becomes one row: of a number the mean (and with several seeds the least and the greatest), of anything
// else the value, or all that occurred. A seed without a sample counts in neither; how many did is kept.
//
// Every point is resolved before anything runs, so that a value out of bounds at the last point is known at once. Rows come in the order
// of the points whatever finishes first, and are the same on any number of cores. A sweep does not judge.
package sweep
