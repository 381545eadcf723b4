package workload

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
)

// Command is a command that runs in a container beside its first process: a few of a shell's, one after the other.
type Command struct{ steps []step }

type step struct {
	program string
	sleep   time.Duration
	signal  Signal
}

// ErrNoExecutable is what the container runtime says of a command that is not in the image.
type ErrNoExecutable string

func (e ErrNoExecutable) Error() string {
	return `exec: "` + string(e) + `": executable file not found in $PATH`
}

// ReadCommand reads what a hook or a probe executes. What is not modelled is an error that wraps engine.ErrNotModelled.
func ReadCommand(argv []string) (*Command, error) {
	if len(argv) == 0 {
		return nil, engine.NotModelled("an empty command")
	}
	c := &Command{}
	if name := base(argv[0]); name == "sh" || name == "bash" {
		if len(argv) != 3 || argv[1] != "-c" {
			return nil, engine.NotModelled("command %q", argv)
		}
		c.steps = append(c.steps, step{program: name})
		for _, line := range strings.FieldsFunc(strings.ReplaceAll(argv[2], "&&", ";"), func(r rune) bool { return r == ';' || r == '\n' }) {
			if fields := strings.Fields(line); len(fields) > 0 {
				s, err := readStep(fields)
				if err != nil {
					return nil, err
				}
				c.steps = append(c.steps, s)
			}
		}
		return c, nil
	}
	s, err := readStep(argv)
	c.steps = []step{s}
	return c, err
}

func readStep(argv []string) (step, error) {
	s := step{program: base(argv[0])}
	switch {
	case s.program == "true" && len(argv) == 1:
		return s, nil
	case s.program == "sleep" && len(argv) == 2:
		d, ok := sleepTime(argv[1])
		if s.sleep = d; ok {
			return s, nil
		}
	case s.program == "nginx" && slices.Equal(argv[1:], []string{"-s", "quit"}):
		s.signal = SIGQUIT
		return s, nil
	case s.program == "nginx" && slices.Equal(argv[1:], []string{"-s", "stop"}):
		s.signal = SIGTERM
		return s, nil
	}
	return s, engine.NotModelled("command %q", argv)
}

// sleepTime reads an operand of sleep: a number, with s, m, h or d behind it.
func sleepTime(s string) (time.Duration, bool) {
	unit := time.Second
	if s == "" {
		return 0, false
	}
	if i := strings.IndexByte("smhd", s[len(s)-1]); len(s) > 1 && i >= 0 {
		unit = []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}[i]
		s = s[:len(s)-1]
	}
	f, err := strconv.ParseFloat(s, 64)
	return time.Duration(f * float64(unit)), err == nil && f >= 0 && f < 1e6
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Exec runs a command in the container of t. Done is called with how it ended, unless the process of the container ends before: then it is
// called with an error. Stop ends the command without that.
func (t *Task) Exec(e *engine.Engine, c *Command, done func(error)) (stop func()) {
	x := &execution{task: t, engine: e, steps: c.steps, done: done}
	t.AtExit(func() { x.end(errKilled) })
	x.timer = e.After(0, "exec", x)
	return func() { x.end(nil) }
}

type killed struct{}

func (killed) Error() string { return "command terminated with exit code 137" }

var errKilled = killed{}

type execution struct {
	task   *Task
	engine *engine.Engine
	steps  []step
	done   func(error)
	timer  engine.Timer
	over   bool
}

// Fire runs the next step. The engine calls it.
func (x *execution) Fire() {
	for len(x.steps) > 0 {
		s := x.steps[0]
		x.steps = x.steps[1:]
		if !slices.Contains(x.task.Executables, s.program) {
			x.finish(ErrNoExecutable(s.program))
			return
		}
		if s.signal != 0 {
			x.task.Signal(s.signal)
			if x.over {
				return
			}
		}
		if s.sleep > 0 {
			x.timer = x.engine.After(s.sleep, "exec: sleep", x)
			return
		}
	}
	x.finish(nil)
}

func (x *execution) finish(err error) {
	if x.over {
		return
	}
	x.over = true
	x.done(err)
}

// end stops the command; a nil error tells nobody.
func (x *execution) end(err error) {
	if x.over {
		return
	}
	x.engine.Stop(x.timer)
	if err == nil {
		x.over = true
		return
	}
	x.finish(err)
}
