package workload

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// webServer is a web server at work.
type webServer struct {
	Nginx
	task   *Task
	engine *engine.Engine
	// body of an answer with status 200, and of any other.
	body, other []byte
	// leaving is when it has been asked to end: it takes no new connection, and closes each after the request in hand.
	leaving bool
	leaves  time.Duration // not before then
	conns   map[*linux.Conn]*webConn
}

// webConn is a connection to a web server.
type webConn struct {
	server   *webServer
	conn     *linux.Conn
	got      []byte
	busy     bool // a request is in hand
	requests int
	close    bool // after the request in hand
	timer    engine.Timer
}

// serve opens the ports.
func (s *webServer) serve(ns *linux.Namespace, ports []uint16) error {
	s.conns = map[*linux.Conn]*webConn{}
	for _, port := range ports {
		if err := s.task.Listen(ns, port, s.accept); err != nil {
			return err
		}
	}
	return nil
}

func (s *webServer) accept(conn *linux.Conn) {
	c := &webConn{server: s, conn: conn}
	s.conns[conn] = c
	conn.OnData = c.data
	conn.OnEOF = c.eof
	conn.OnError = func(error) { c.end() }
	// Until the first request comes.
	c.arm(headerTimeout)
}

// end lets go of the connection.
func (c *webConn) end() {
	s := c.server
	s.engine.Stop(c.timer)
	delete(s.conns, c.conn)
	s.task.Release(c.conn)
	s.leave()
}

func (c *webConn) arm(d time.Duration) {
	c.server.engine.Stop(c.timer)
	before := c.server.engine.SetCause(0)
	c.timer = c.server.engine.After(d, "workload: idle connection", c)
	c.server.engine.SetCause(before)
}

// Fire closes a connection that has been idle for too long. The engine calls it.
func (c *webConn) Fire() {
	c.conn.Close()
	c.end()
}

func (c *webConn) eof() {
	if c.busy { // the answer is still sent: the client may only have closed its side
		c.close = true
		return
	}
	c.conn.Close()
	c.end()
}

func (c *webConn) data(b []byte) {
	c.got = append(c.got, b...)
	if !c.busy {
		c.next()
	}
}

// next takes the next request in hand, if it has arrived whole.
func (c *webConn) next() {
	s := c.server
	head, rest, ok := bytes.Cut(c.got, []byte("\r\n\r\n"))
	if !ok {
		return
	}
	c.got = rest
	s.engine.Stop(c.timer)
	c.requests++
	line, headers, _ := strings.Cut(string(head), "\r\n")
	method, rest2, _ := strings.Cut(line, " ")
	path, version, _ := strings.Cut(rest2, " ")
	closes := version != "HTTP/1.1"
	for _, h := range strings.Split(headers, "\r\n") {
		name, value, _ := strings.Cut(h, ":")
		if strings.EqualFold(name, "Connection") {
			closes = strings.EqualFold(strings.TrimSpace(value), "close")
		}
	}
	c.busy, c.close = true, c.close || closes || c.requests >= keepAliveRequests
	if s.AnswerTime == 0 {
		c.answer(method, path)
		return
	}
	s.engine.After(s.AnswerTime, "workload: request", engine.Func(func() {
		if s.conns[c.conn] == c {
			c.answer(method, path)
		}
	}))
}

func (c *webConn) answer(method, path string) {
	s := c.server
	path, _, _ = strings.Cut(path, "?")
	status, ok := s.Statuses[path]
	if !ok {
		status = http.StatusNotFound
		if s.AnyPath || path == "/" || path == "/index.html" {
			status = http.StatusOK
		}
	}
	body := s.other
	if status == http.StatusOK {
		body = s.body
	}
	c.close = c.close || s.leaving
	connection := "keep-alive"
	if c.close {
		connection = "close"
	}
	out := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nServer: %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n", status, http.StatusText(status), s.Server, len(body), connection)
	if method != http.MethodHead {
		out = append(out, body...)
	}
	c.busy = false
	c.conn.Write(out)
	if c.close {
		c.conn.Close()
		c.end()
		return
	}
	c.arm(s.KeepaliveTimeout)
	c.next()
}

// signal takes a signal: SIGQUIT has it finish what is in hand, the others end it at once.
func (s *webServer) signal(sig Signal) {
	switch {
	case sig == SIGQUIT || s.Graceful || s.StopTime > 0:
		s.quit()
	case sig == SIGTERM || sig == SIGINT:
		s.task.Exit(0)
	}
}

// quit closes the port and what is idle, and ends when the last request is answered. A connection that was just opened is waited for.
// Source: nginx src/os/unix/ngx_process_cycle.c (ngx_close_listening_sockets, ngx_close_idle_connections): idle are those kept alive.
func (s *webServer) quit() {
	if s.leaving {
		return
	}
	s.leaving, s.leaves = true, s.engine.Now()+s.StopTime
	s.task.StopListening()
	for _, conn := range s.task.Connections() {
		if c := s.conns[conn]; !c.busy && c.requests > 0 {
			conn.Close()
			s.engine.Stop(c.timer)
			delete(s.conns, conn)
			s.task.Release(conn)
		}
	}
	if s.StopTime > 0 {
		s.engine.After(s.StopTime, "workload: the work of ending", engine.Func(s.leave))
	}
	s.leave()
}

// leave ends the program if it is to, and nothing is left to do.
func (s *webServer) leave() {
	if s.leaving && len(s.conns) == 0 && s.engine.Now() >= s.leaves {
		s.task.Exit(0)
	}
}
