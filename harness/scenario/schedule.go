package scenario

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Step is one item of a parameter of the type schedule: from a time on, item number Key of something is Count.
type Step struct {
	Key, Count int64
	At         time.Duration
}

// String is the step as --set takes it: key:count@seconds.
func (s Step) String() string {
	return fmt.Sprintf("%d:%d@%s", s.Key, s.Count, strconv.FormatFloat(s.At.Seconds(), 'f', -1, 64))
}

// cel is the step in expressions: key and count are whole numbers, at is a duration.
func (s Step) cel() map[string]any {
	return map[string]any{"key": s.Key, "count": s.Count, "at": s.At}
}

const (
	// noSteps is how an empty schedule is written.
	noSteps = "none"
	// maxSteps bounds the length of a schedule, and longestStep its end.
	maxSteps    = 1000
	longestStep = 30 * 24 * time.Hour
)

// schedulePattern is key:count@seconds; an item counts from 1.
var schedulePattern = regexp.MustCompile(`^([1-9][0-9]{0,8}):([0-9]{1,9})@([0-9]{1,9}(?:\.[0-9]{1,3})?)$`)

// parseSchedule reads steps, divided by commas. They are put in order of time; those of one time stay in the order in which they were given.
func parseSchedule(text string) (any, error) {
	steps := []any{}
	if text == noSteps || text == "" {
		return steps, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		m := schedulePattern.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			return nil, errNotAllowed
		}
		key, _ := strconv.ParseInt(m[1], 10, 64) // the pattern leaves nothing that overflows
		count, _ := strconv.ParseInt(m[2], 10, 64)
		seconds, _ := strconv.ParseFloat(m[3], 64)
		if seconds > longestStep.Seconds() || len(steps) == maxSteps {
			return nil, errNotAllowed
		}
		step := Step{Key: key, Count: count, At: time.Duration(math.Round(seconds*1000)) * time.Millisecond}
		for _, s := range steps {
			if s := s.(Step); s.Key == key && s.At == step.At {
				return nil, errNotAllowed
			}
		}
		steps = append(steps, step)
	}
	slices.SortStableFunc(steps, func(a, b any) int { return int(max(min(a.(Step).At-b.(Step).At, 1), -1)) })
	return steps, nil
}

// scheduleNode reads a schedule as YAML has it: text, or a list of texts.
func scheduleNode(n *node) (any, error) {
	switch n.kind {
	case textNode:
		return parseSchedule(n.text)
	case listNode:
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			if item.kind != textNode || item.text == "" {
				return nil, errNotAllowed
			}
			parts[i] = item.text
		}
		return parseSchedule(strings.Join(parts, ","))
	}
	return nil, errNotAllowed
}
