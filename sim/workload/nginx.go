package workload

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// Sizes of nginx's own pages. Source: nginx docs/html/index.html; src/http/ngx_http_special_response.c (404).
const (
	welcomeBytes  = 615
	notFoundBytes = 153
)

// Timeouts of the image. Source: docker-nginx's nginx.conf (keepalive_timeout 65); nginx ngx_http_core_module (client_header_timeout 60s).
const (
	nginxKeepAlive     = 65 * time.Second
	nginxHeaderTimeout = 60 * time.Second
)

// nginxVersions are the versions behind tags that move, as of October 2022. Source: docker-library/official-images library/nginx of that time.
var nginxVersions = map[string]string{"": "1.23.1", "latest": "1.23.1", "mainline": "1.23.1", "1": "1.23.1", "1.23": "1.23.1", "stable": "1.22.0", "1.22": "1.22.0", "1.21": "1.21.6", "1.20": "1.20.2"}

// nginxServer is one running nginx.
type nginxServer struct {
	x       Container
	app     App
	version string
	server  *Server
	quits   bool
	open    []*nginxConn
}

// nginx listens on port 80, whatever containerPort says, as its image does.
func nginx(x Container) error {
	if len(x.Spec.Command)+len(x.Spec.Args) > 0 {
		return engine.NotModelled("nginx with a command of its own")
	}
	app, err := ReadApp(x.Spec)
	if err != nil {
		return err
	}
	n := &nginxServer{x: x, app: app}
	t := x.Task
	t.StopSignal, t.OnSignal, t.Executables = SIGQUIT, n.signal, []string{"sh", "bash", "sleep", "nginx", "true", "kill"}
	tag := tagOf(x.Spec.Image)
	if base, ok := strings.CutSuffix(tag, "alpine"); ok {
		tag = strings.TrimSuffix(base, "-")
		t.Executables = slices.DeleteFunc(t.Executables, func(s string) bool { return s == "bash" })
	}
	if app.NoShell {
		t.Executables = nil
	}
	if n.version, err = nginxVersion(tag); err != nil {
		return err
	}
	if app.StartDelay > 0 {
		x.Namespace.Engine().After(app.StartDelay, "nginx: start", engine.Func(func() {
			if t.Exited() || n.quits {
				return
			}
			if err := n.listen(); err != nil {
				t.Exit(1)
			}
		}))
		return nil
	}
	return n.listen()
}

func nginxVersion(tag string) (string, error) {
	if v, ok := nginxVersions[tag]; ok {
		return v, nil
	}
	if strings.Count(tag, ".") == 2 && strings.Trim(tag, "0123456789.") == "" {
		return tag, nil
	}
	return "", engine.NotModelled("image nginx:%s", tag)
}

func (n *nginxServer) listen() (err error) {
	n.server, err = n.x.Task.Listen(n.x.Namespace, 80, n.accept)
	return err
}

// signal is what the master process does: SIGQUIT closes the listening sockets and the idle connections and waits for requests, SIGTERM
// ends at once. Source: nginx docs control.html; src/os/unix/ngx_process_cycle.c, ngx_worker_process_cycle.
func (n *nginxServer) signal(s Signal) {
	e := n.x.Namespace.Engine()
	if n.app.IgnoresStop {
		return
	}
	if d := n.app.StopDelay; d > 0 {
		if !n.quits {
			n.quits = true
			e.After(d, "nginx: stop", engine.Func(func() { n.stop(s) }))
		}
		return
	}
	n.stop(s)
}

func (n *nginxServer) stop(s Signal) {
	if s != SIGQUIT {
		n.x.Task.Exit(0)
		return
	}
	n.quits, n.app.StopDelay = true, 0
	if n.server != nil {
		n.server.listener.Close()
	}
	for _, c := range slices.Clone(n.open) {
		if c.idle {
			c.close()
		}
	}
	n.drained()
}

// drained ends the process when it is to quit and no connection is left.
func (n *nginxServer) drained() {
	if n.quits && n.app.StopDelay == 0 && len(n.open) == 0 {
		n.x.Task.Exit(0)
	}
}

// nginxConn is a connection to nginx. A new one is not idle until it has had a request. Source: nginx src/http/ngx_http_request.c,
// ngx_http_set_keepalive.
type nginxConn struct {
	server *nginxServer
	conn   *linux.Conn
	buffer []byte
	busy   bool
	idle   bool
	gone   bool
	eof    bool // the client sends no more
	timer  engine.Timer
}

func (n *nginxServer) accept(_ *Server, conn *linux.Conn) {
	c := &nginxConn{server: n, conn: conn}
	n.open = append(n.open, c)
	conn.OnData = func(b []byte) {
		c.buffer = append(c.buffer, b...)
		c.next()
	}
	conn.OnEOF = func() {
		if c.eof = true; !c.busy {
			c.close()
		}
	}
	conn.OnError = func(error) { c.close() }
	c.arm(nginxHeaderTimeout)
}

// arm closes the connection unless something happens before.
func (c *nginxConn) arm(d time.Duration) {
	e := c.server.x.Namespace.Engine()
	e.Stop(c.timer)
	before := e.SetCause(0)
	c.timer = e.After(d, "nginx: connection timeout", c)
	e.SetCause(before)
}

// Fire is the timeout of a connection that waits for a request. The engine calls it.
func (c *nginxConn) Fire() { c.close() }

func (c *nginxConn) close() {
	if c.gone {
		return
	}
	c.gone = true
	n := c.server
	n.x.Namespace.Engine().Stop(c.timer)
	c.conn.Close()
	n.server.Forget(c.conn)
	n.open = slices.DeleteFunc(n.open, func(x *nginxConn) bool { return x == c })
	n.drained()
}

// next answers the request that the buffer begins with, if it is there in full.
func (c *nginxConn) next() {
	if c.busy || c.gone {
		return
	}
	head, rest, ok := bytes.Cut(c.buffer, []byte("\r\n\r\n"))
	if !ok {
		return
	}
	c.buffer = rest
	c.busy, c.idle = true, false
	e := c.server.x.Namespace.Engine()
	e.Stop(c.timer)
	request := string(head)
	if d := c.server.app.RequestDuration; d > 0 {
		e.After(d, "nginx: answer", engine.Func(func() { c.answer(request) }))
		return
	}
	c.answer(request)
}

func (c *nginxConn) answer(request string) {
	n := c.server
	if c.gone || n.x.Task.Exited() {
		return
	}
	line, headers, _ := strings.Cut(request, "\r\n")
	method, rest, _ := strings.Cut(line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	path, _, _ := strings.Cut(target, "?")
	keep := proto != "HTTP/1.0"
	for _, h := range strings.Split(headers, "\r\n") {
		if k, v, _ := strings.Cut(h, ":"); strings.EqualFold(k, "connection") {
			keep = strings.EqualFold(strings.TrimSpace(v), "keep-alive")
		}
	}
	c.conn.Write(n.response(method, path, keep))
	c.busy = false
	if !keep || c.eof || n.quits && n.app.StopDelay == 0 {
		c.close()
		return
	}
	c.idle = true
	c.arm(n.app.KeepAlive)
	c.next()
}

// response is an answer as nginx writes it.
func (n *nginxServer) response(method, path string, keep bool) []byte {
	status, size := "200 OK", welcomeBytes
	switch code := n.app.Status[path]; {
	case code != 0:
		status, size = fmt.Sprintf("%d %s", code, reasonPhrase(code)), notFoundBytes
	case path != "/" && path != "/index.html":
		status, size = "404 Not Found", notFoundBytes
	case method != "GET" && method != "HEAD":
		status, size = "405 Not Allowed", notFoundBytes
	}
	connection := "close"
	if keep {
		connection = "keep-alive"
	}
	out := "HTTP/1.1 " + status + "\r\nServer: nginx/" + n.version + "\r\nContent-Type: text/html\r\nContent-Length: " + strconv.Itoa(size) + "\r\nConnection: " + connection + "\r\n"
	if status == "200 OK" {
		out += "Accept-Ranges: bytes\r\n"
	}
	out += "\r\n"
	if method != "HEAD" {
		out += strings.Repeat(" ", size)
	}
	return []byte(out)
}
