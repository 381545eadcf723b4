package workload

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// Signal is a signal by its name, such as SIGTERM.
type Signal string

// Signals.
const (
	SIGTERM Signal = "SIGTERM"
	SIGQUIT Signal = "SIGQUIT"
	SIGKILL Signal = "SIGKILL"
	SIGINT  Signal = "SIGINT"
)

// killed is the exit code of a process that SIGKILL ended: 128 and the signal's number.
const killed = 137

// Task is a container's first process. A program fills in how it takes signals and what can be executed beside it. What it has opened is closed by the
// kernel when it ends.
type Task struct {
	// StopSignal is the image's STOPSIGNAL; empty means SIGTERM.
	StopSignal Signal
	// NoShell is whether the image has no shell, nor anything else that could be executed.
	NoShell bool
	// OnSignal takes signals. The kernel gives the first process of a PID namespace only those that it handles, so a nil OnSignal ignores all of them
	// but SIGKILL, which is never passed on. Source: Linux kernel/signal.c, sig_task_ignored (SIGNAL_UNKILLABLE).
	OnSignal func(Signal)
	// Exited is told the exit code, once.
	Exited func(code int)

	engine    *engine.Engine
	listeners []*linux.Listener
	conns     map[*linux.Conn]uint64
	opened    uint64
	beside    []*engine.Process // what runs beside it
	ended     bool
}

// NewTask returns a task that has not started.
func NewTask(e *engine.Engine) *Task { return &Task{engine: e, conns: map[*linux.Conn]uint64{}} }

// Listen opens a port in a namespace for the task. Accept gets each connection; the task holds it until Release.
func (t *Task) Listen(ns *linux.Namespace, port uint16, accept func(*linux.Conn)) error {
	l, err := ns.Listen(netip.Addr{}, port, func(c *linux.Conn) {
		t.opened++
		t.conns[c] = t.opened
		accept(c)
	})
	if err != nil {
		return err
	}
	t.listeners = append(t.listeners, l)
	return nil
}

// StopListening closes the task's listening sockets.
func (t *Task) StopListening() {
	for _, l := range t.listeners {
		l.Close()
	}
	t.listeners = nil
}

// Release lets go of a connection that the program has closed, or that has ended.
func (t *Task) Release(c *linux.Conn) { delete(t.conns, c) }

// Connections are the task's open connections, in the order in which they were opened.
func (t *Task) Connections() []*linux.Conn {
	out := make([]*linux.Conn, 0, len(t.conns))
	for c := range t.conns {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *linux.Conn) int { return int(t.conns[a]) - int(t.conns[b]) })
	return out
}

// Ended says whether the task has ended.
func (t *Task) Ended() bool { return t.ended }

// Exit ends the task: the kernel closes its sockets, as close does.
func (t *Task) Exit(code int) {
	if t.ended {
		return
	}
	t.ended = true
	t.StopListening()
	for _, c := range t.Connections() {
		c.Close()
	}
	clear(t.conns)
	for _, p := range t.beside {
		p.Wake()
	}
	if t.Exited != nil {
		t.Exited(code)
	}
}

// Signal sends the task a signal.
func (t *Task) Signal(s Signal) {
	switch {
	case t.ended:
	case s == SIGKILL:
		t.Exit(killed)
	case t.OnSignal != nil:
		t.OnSignal(s)
	}
}

// ExecError is why a command could not be started in a container.
type ExecError string

func (e ExecError) Error() string { return string(e) }

// Exec runs a command in the container beside the task, on the process p, and returns its exit code. It ends early when the task does, with the code
// of a killed process. Commands are sleep, true, false, nginx -s and kill of
// the first process, alone or in a script for sh -c; any other ends the run as not modelled.
func (t *Task) Exec(p *engine.Process, command []string) (int, error) {
	if len(command) == 0 {
		return 0, ExecError("no command")
	}
	script, err := parse(command)
	if err != nil {
		return 0, err
	}
	if t.NoShell {
		return 0, ExecError(`OCI runtime exec failed: exec failed: unable to start container process: exec: "` + command[0] + `": stat ` + command[0] + `: no such file or directory: unknown`)
	}
	code := 0
	for _, c := range script {
		switch c.name {
		case "true":
			code = 0
		case "false":
			code = 1
		case "sleep":
			t.sleep(p, c.wait)
			code = 0
		case "signal": // what sends one returns at once
			code = 0
			t.Signal(c.signal)
		}
		if t.ended {
			return killed, nil
		}
	}
	return code, nil
}

// sleep waits, but no longer than the task lives.
func (t *Task) sleep(p *engine.Process, d time.Duration) {
	t.beside = append(t.beside, p)
	defer func() { t.beside = slices.DeleteFunc(t.beside, func(x *engine.Process) bool { return x == p }) }()
	for until := t.engine.Now() + d; !t.ended && t.engine.Now() < until; {
		p.Wait(until - t.engine.Now())
	}
}

// step is one command of a script.
type step struct {
	name   string
	wait   time.Duration
	signal Signal
}

// parse reads a command line: a script of steps, one after the other.
func parse(command []string) ([]step, error) {
	words := command
	name := base(command[0])
	if name == "sh" || name == "bash" || name == "ash" {
		if len(command) != 3 || command[1] != "-c" {
			return nil, engine.NotModelled("command %q", command)
		}
		var out []step
		for _, part := range strings.FieldsFunc(command[2], func(r rune) bool { return r == ';' || r == '\n' }) {
			for _, part := range strings.Split(part, "&&") {
				if words = strings.Fields(part); len(words) == 0 {
					continue
				}
				s, err := simple(words)
				if err != nil {
					return nil, err
				}
				out = append(out, s)
			}
		}
		return out, nil
	}
	s, err := simple(words)
	return []step{s}, err
}

func simple(words []string) (step, error) {
	switch name := base(words[0]); {
	case name == "sleep" && len(words) == 2:
		d, err := seconds(words[1])
		return step{name: name, wait: d}, err
	case name == "nginx" && len(words) == 3 && words[1] == "-s" && words[2] == "quit":
		return step{name: "signal", signal: SIGQUIT}, nil
	case name == "nginx" && len(words) == 3 && words[1] == "-s" && words[2] == "stop":
		return step{name: "signal", signal: SIGTERM}, nil
	case name == "kill" && len(words) == 3 && words[2] == "1":
		sig := strings.TrimPrefix(strings.TrimPrefix(words[1], "-"), "SIG")
		if sig == "TERM" || sig == "QUIT" || sig == "INT" {
			return step{name: "signal", signal: Signal("SIG" + sig)}, nil
		}
	case (name == "true" || name == "false") && len(words) == 1:
		return step{name: name}, nil
	}
	return step{}, engine.NotModelled("command %q", words)
}

// base is the last part of a path.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// seconds reads sleep's argument: a number with an optional unit.
func seconds(s string) (time.Duration, error) {
	if s == "infinity" {
		return forever, nil
	}
	text := s
	if last := s[len(s)-1]; last >= '0' && last <= '9' || last == '.' {
		text += "s"
	}
	days := strings.HasSuffix(text, "d")
	if days {
		text = strings.TrimSuffix(text, "d") + "h"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, engine.NotModelled("sleep %s", s)
	}
	if days {
		d *= 24
	}
	return d, nil
}

// forever is longer than any run.
const forever = 100 * 365 * 24 * time.Hour
