package observe

import (
	"fmt"
	"strings"
	"time"
)

// chartColumns is the most columns that a chart has, so that it stays on one line of a projector's screen.
const chartColumns = 76

// chart shows who answered over time: one row for each of them, one character for a length of time. A request counts where it was sent; one that
// blocks is drawn on until its answer.
func (r *Rollout) chart() map[string]any {
	end := r.Began
	for _, q := range r.Requests {
		end = max(end, q.Ended)
	}
	step := time.Second
	for (end-r.Began)/step >= chartColumns {
		switch {
		case step < 10*time.Second:
			step += time.Second
		default:
			step += 5 * time.Second
		}
	}
	columns := int((end-r.Began)/step) + 1
	rows := map[string][]byte{}
	mark := func(row string, from, to int, c byte) {
		if rows[row] == nil {
			rows[row] = []byte(strings.Repeat(".", columns))
		}
		for i := from; i <= to && i < columns; i++ {
			if rows[row][i] == '.' || c == '#' {
				rows[row][i] = c
			}
		}
	}
	mark("old pods", 0, -1, '#')
	for i := range r.Requests {
		q := &r.Requests[i]
		at := int((q.Sent - r.Began) / step)
		row := "old pods"
		switch {
		case q.Failed() && q.FromBalancer:
			row = fmt.Sprintf("lost: %d", q.Status)
		case q.Failed():
			row = "lost: no answer"
		case q.Pod == New:
			row = "new pods"
		case q.Pod == Unknown:
			row = "pods"
		}
		if q.Failed() {
			mark(row, at, int((q.Ended-r.Began)/step), '-')
		}
		mark(row, at, at, '#')
	}
	out := map[string]any{}
	for row, b := range rows {
		if strings.Contains(string(b), "#") {
			out[row] = string(b)
		}
	}
	if r.Update >= 0 && (r.Update-r.Began)/step < time.Duration(columns) {
		out["update"] = strings.Repeat(" ", int((r.Update-r.Began)/step)) + "^ one column is " + step.String()
	} else {
		out["update"] = "none; one column is " + step.String()
	}
	return out
}
