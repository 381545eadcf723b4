package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxProblems bounds how many mistakes of one input are kept; nobody reads on after that many.
const maxProblems = 100

// Problem is one mistake of a scenario's author, or of a user's setting.
type Problem struct {
	// File as the user named it; empty when the mistake is not in a file, as for --set.
	File string
	// Line and Column count from 1; Line is 0 when the file as a whole is meant, as when it does not exist.
	Line, Column int
	// Message says what is wrong and, where that can be said, what would be right.
	Message string
}

// Error is the problem in the form file:line: message.
func (p Problem) Error() string {
	switch {
	case p.File == "":
		return p.Message
	case p.Line == 0:
		return p.File + ": " + p.Message
	default:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
}

// Problems is an error that lists every mistake that was found, by file and line.
type Problems []Problem

// Error holds one line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(*p))
	for i, problem := range *p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems one by one to errors.Is and errors.As.
func (p *Problems) Unwrap() []error {
	errs := make([]error, len(*p))
	for i, problem := range *p {
		errs[i] = problem
	}
	return errs
}

// place is a place in a file.
type place struct {
	file         string
	line, column int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// findings collects problems.
type findings struct {
	list []Problem
	seen map[Problem]bool
	over int // left out, beyond maxProblems
}

func (f *findings) add(at place, format string, args ...any) {
	if f.full() {
		f.over++ // not worth wording
		return
	}
	f.append(Problem{File: at.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)})
}

// append keeps p unless the same is already known.
func (f *findings) append(problems ...Problem) {
	for _, p := range problems {
		switch {
		case f.seen[p]:
		case f.full():
			f.over++
		default:
			if f.seen == nil {
				f.seen = map[Problem]bool{}
			}
			f.seen[p] = true
			f.list = append(f.list, p)
		}
	}
}

// full says that further problems are counted only, so that what they would say need not be worked out.
func (f *findings) full() bool { return len(f.list) == maxProblems }

func (f *findings) any() bool { return len(f.list) > 0 }

// err returns what was found as *Problems, sorted by place; nil if nothing was.
func (f *findings) err() error {
	if !f.any() {
		return nil
	}
	list := slices.Clone(f.list)
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if f.over > 0 {
		last := list[len(list)-1]
		last.Message = fmt.Sprintf("%d more problems are not listed", f.over)
		list = append(list, last)
	}
	p := Problems(list)
	return &p
}
