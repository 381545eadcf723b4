package workload

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ekslab/ekslab/sim/linux"
)

// Signal is a signal by its number.
type Signal int

// Signals. Source: signal(7).
const (
	SIGQUIT Signal = 3
	SIGKILL Signal = 9
	SIGTERM Signal = 15
)

func (s Signal) String() string {
	switch s {
	case SIGQUIT:
		return "SIGQUIT"
	case SIGKILL:
		return "SIGKILL"
	case SIGTERM:
		return "SIGTERM"
	}
	return fmt.Sprintf("signal %d", int(s))
}

// Task is a container's first process. The program that starts sets its fields; the container runtime signals it.
type Task struct {
	// StopSignal is the image's STOPSIGNAL. Zero means SIGTERM.
	StopSignal Signal
	// Executables are the names of what can be run in the container.
	Executables []string
	// OnSignal handles all signals but SIGKILL. Nil means that any of them ends the process.
	OnSignal func(Signal)
	// OnExit is called when the process has ended and its sockets are closed.
	OnExit func(code int)

	closers []func()
	exited  bool
}

// Signal sends a signal to the process.
func (t *Task) Signal(s Signal) {
	switch {
	case t.exited:
	case s == SIGKILL || t.OnSignal == nil:
		t.Exit(128 + int(s))
	default:
		t.OnSignal(s)
	}
}

// Exit ends the process with a code: the kernel closes its sockets.
func (t *Task) Exit(code int) {
	if t.exited {
		return
	}
	t.exited = true
	for _, c := range t.closers {
		c()
	}
	t.closers = nil
	if t.OnExit != nil {
		t.OnExit(code)
	}
}

// Exited says whether the process has ended.
func (t *Task) Exited() bool { return t.exited }

// AtExit has close called when the process ends.
func (t *Task) AtExit(close func()) { t.closers = append(t.closers, close) }

// Server is a listening socket of a process with the connections that came by it, in the order in which they came.
type Server struct {
	listener *linux.Listener
	conns    []*linux.Conn
}

// Listen opens a listening socket that ends, with its connections, when the process does.
func (t *Task) Listen(n *linux.Namespace, port uint16, accept func(*Server, *linux.Conn)) (*Server, error) {
	s := &Server{}
	l, err := n.Listen(netip.Addr{}, port, func(c *linux.Conn) {
		s.conns = append(s.conns, c)
		accept(s, c)
	})
	if err != nil {
		return nil, err
	}
	s.listener = l
	t.AtExit(func() {
		l.Close()
		for _, c := range s.conns {
			c.Close()
		}
	})
	return s, nil
}

// Forget is told of a connection that the program has closed.
func (s *Server) Forget(c *linux.Conn) {
	s.conns = slices.DeleteFunc(s.conns, func(x *linux.Conn) bool { return x == c })
}
