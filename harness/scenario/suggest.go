package scenario

import (
	"fmt"
	"strings"
)

// didYouMean ends a message about an unknown name with the candidate that was probably meant: `; did you mean "x"?`, or nothing.
func didYouMean(name string, candidates []string) string {
	if best := nearest(name, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// nearest returns the candidate most like name; empty if none is like it.
func nearest(name string, candidates []string) string {
	const longest = 64 // keeps the table small for hostile input
	if name == "" || len(name) > longest {
		return ""
	}
	low := strings.ToLower(name)
	best, bestDistance := "", 1+max(1, len(name)/3)
	for _, c := range candidates {
		if len(c) > longest {
			continue
		}
		lc := strings.ToLower(c)
		d := distance(low, lc)
		if d > 1 && len(low) >= 3 && len(lc) >= 3 && (strings.HasPrefix(lc, low) || strings.HasSuffix(lc, low) || strings.HasPrefix(low, lc)) {
			d = 1 // half a name, or one with something added, is a likely slip, too
		}
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with a neighbour to make b of a.
func distance(a, b string) int {
	var before []int
	last, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, make([]int, len(b)+1)
	}
	return last[len(b)]
}
