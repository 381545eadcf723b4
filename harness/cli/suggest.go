package cli

import (
	"fmt"
	"strings"
)

// unknown is the message for a word that is none of the known ones: what was likely meant, or what there is.
func unknown(kind, word string, known []string) string {
	message := fmt.Sprintf("unknown %s %q", kind, word)
	if near := nearest(word, known); near != "" {
		return message + fmt.Sprintf("; did you mean %q?", near)
	}
	return message + "; there is " + strings.Join(known, ", ")
}

// nearest returns the known word most like word, or "" when none is alike: at most a third of its letters mistyped, or one the
// beginning, the end or a part (between dashes) of the other.
func nearest(word string, known []string) string {
	word = strings.ToLower(word)
	if word == "" || len(word) > 64 {
		return ""
	}
	best, distance := "", max(len(word)/3, 1)+1
	for _, k := range known {
		d := editDistance(word, strings.ToLower(k))
		if d > 1 && len(word) >= 3 && strings.Contains(strings.ToLower(k), word) {
			d = 1
		}
		if d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete, replace or swap with their neighbour to turn a into b.
func editDistance(a, b string) int {
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, replace)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
