package workload

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
)

// site is a web server in a container, and a client beside it.
type site struct {
	t      *testing.T
	e      *engine.Engine
	task   *Task
	client *linux.Namespace
	addr   netip.AddrPort
	ended  time.Duration // -1 while it runs
}

func newSite(t *testing.T, image string, env ...string) *site {
	e := engine.New(engine.Options{Seed: 1})
	t.Cleanup(e.Close)
	var serial uint64
	k := linux.NewKernel(e, trace.New(e), "host", linux.DefaultSysctls(), &serial, linux.KernelOptions{})
	server, client := k.NewNamespace("server"), k.NewNamespace("client")
	a, b := server.AddDevice("eth0", 9001), client.AddDevice("eth0", 9001)
	linux.Pair(a, b)
	for i, x := range []struct {
		ns *linux.Namespace
		d  *linux.Device
	}{{server, a}, {client, b}} {
		x.ns.AddAddr(x.d, netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}))
		x.ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("10.0.0.0/24")}, x.d)
	}
	s := &site{t: t, e: e, client: client, addr: netip.MustParseAddrPort("10.0.0.1:80"), task: NewTask(e), ended: -1}
	s.task.Exited = func(int) { s.ended = e.Now() }
	spec := &corev1.Container{Name: "web", Image: image}
	for _, x := range env {
		name, value, _ := strings.Cut(x, "=")
		spec.Env = append(spec.Env, corev1.EnvVar{Name: name, Value: value})
	}
	program, err := Standard().Find(image)
	if err == nil {
		err = program(Container{Spec: spec, Namespace: server, Task: s.task})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) run(d time.Duration) {
	s.t.Helper()
	if err := s.e.Run(s.e.Now()+d, nil); err != nil {
		s.t.Fatal(err)
	}
}

// visit is a connection of the client, and what came over it.
type visit struct {
	*linux.Conn
	got    string
	opened bool
	eof    bool
	err    error
}

func (s *site) open() *visit {
	s.t.Helper()
	c, err := s.client.Dial(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	v := &visit{Conn: c}
	c.OnConnect = func(err error) { v.opened, v.err = err == nil, err }
	c.OnData = func(b []byte) { v.got += string(b) }
	c.OnEOF = func() { v.eof = true }
	c.OnError = func(err error) { v.err = err }
	s.run(time.Millisecond)
	return v
}

// ask sends a request and waits a moment. It returns what came for it.
func (s *site) ask(v *visit, method, path, header string) string {
	s.t.Helper()
	v.got = ""
	v.Write(fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path, header))
	s.run(time.Millisecond)
	return v.got
}

// One connection serves many requests; what is asked for by name is answered as it should be.
func TestWebServerAnswers(t *testing.T) {
	s := newSite(t, "nginx:1.22.0", EnvStatus+"=/healthz=500")
	v := s.open()
	for _, c := range []struct{ method, path, header, want string }{
		{"GET", "/", "", "200 OK"},
		{"GET", "/?a=b", "", "200 OK"},
		{"HEAD", "/", "", "200 OK"},
		{"GET", "/healthz", "", "500 Internal Server Error"},
		{"GET", "/nowhere", "", "404 Not Found"},
		{"GET", "/", "Connection: close\r\n", "200 OK"},
	} {
		got := s.ask(v, c.method, c.path, c.header)
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.HasPrefix(head, "HTTP/1.1 "+c.want+"\r\n") || !strings.Contains(head, "Server: nginx/1.22.0") {
			t.Errorf("%+v: %q", c, head)
		}
		if (len(body) == 0) != (c.method == "HEAD") || c.method != "HEAD" && !strings.Contains(head, fmt.Sprintf("Content-Length: %d", len(body))) {
			t.Errorf("%+v: %d bytes of %q", c, len(body), head)
		}
	}
	if !v.eof {
		t.Error("the connection was to be closed")
	}
}

// A connection that is idle for too long is closed, whether it had a request before or never.
func TestWebServerClosesIdleConnections(t *testing.T) {
	s := newSite(t, "nginx", EnvIdleSeconds+"=5")
	used, unused := s.open(), s.open()
	s.ask(used, "GET", "/", "")
	s.run(4900 * time.Millisecond)
	if used.eof || unused.eof {
		t.Error("closed before its time")
	}
	s.run(200 * time.Millisecond)
	if !used.eof || unused.eof {
		t.Errorf("after 5 s: %v %v", used.eof, unused.eof)
	}
	s.run(time.Minute)
	if !unused.eof {
		t.Error("still open after a minute without a request")
	}
}

// By SIGQUIT nginx takes no new connection, closes what is idle and answers what is in hand, and then is gone. By SIGTERM it is gone at once, and so is
// what was in hand.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		image    string
		env      []string
		signal   Signal
		answered bool
		ended    time.Duration // after the signal; -1 for not within a minute
		open     bool          // whether a new connection is taken
	}{
		{"nginx", []string{EnvRequestSeconds + "=3"}, SIGQUIT, true, 2 * time.Second, false},
		{"nginx", []string{EnvRequestSeconds + "=3"}, SIGTERM, false, 0, false},
		{"ekslab/web", []string{EnvRequestSeconds + "=3"}, SIGTERM, true, 2 * time.Second, false},
		{"nginx", []string{EnvRequestSeconds + "=3", EnvStopSeconds + "=10"}, SIGQUIT, true, 10 * time.Second, false},
		{"nginx", []string{EnvRequestSeconds + "=3", EnvIgnoreStopSignal + "=true"}, SIGQUIT, true, -1, true},
		{"nginx", []string{EnvRequestSeconds + "=3", EnvIgnoreStopSignal + "=true"}, SIGKILL, false, 0, false},
		{"nginx", []string{EnvRequestSeconds + "=3"}, "SIGHUP", true, -1, true},
	} {
		s := newSite(t, c.image, c.env...)
		idle, busy := s.open(), s.open()
		s.ask(idle, "GET", "/", "")
		s.run(4 * time.Second)
		s.ask(busy, "GET", "/", "")
		s.run(time.Second)
		at := s.e.Now()
		s.task.Signal(c.signal)
		s.run(10 * time.Millisecond)
		if idle.eof == c.open {
			t.Errorf("%+v: the idle connection's end is %v", c, idle.eof)
		}
		if late := s.open(); late.opened != c.open || !c.open && late.err != linux.ECONNREFUSED {
			t.Errorf("%+v: a new connection: %v %v", c, late.opened, late.err)
		}
		s.run(30 * time.Second)
		if answered := strings.HasPrefix(busy.got, "HTTP/1.1 200"); answered != c.answered {
			t.Errorf("%+v: answered %v: %q", c, answered, busy.got)
		}
		took := s.ended
		if took >= 0 {
			took -= at
		}
		if d := took - c.ended; d < -5*time.Millisecond || d > 5*time.Millisecond {
			t.Errorf("%+v: ended after %v", c, took)
		}
	}
}
