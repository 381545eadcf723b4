package workload

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
)

// pair is two hosts on a cable: a client, and a server on port 80.
type pair struct {
	*testing.T
	e              *engine.Engine
	log            *trace.Log
	client, server *linux.Namespace
	cable          *linux.Device
	conns          []*linux.Conn
	heads          []string
	// serve gets each request; nil answers with 200.
	serve func(c *linux.Conn, request string)
	l     *linux.Listener
}

var serverAddr = netip.MustParseAddr("10.0.0.2")

func newPair(t *testing.T) *pair {
	p := &pair{T: t, e: engine.New(engine.Options{Seed: 1})}
	p.log = trace.New(p.e)
	var serial uint64
	host := func(name, addr string) (*linux.Namespace, *linux.Device) {
		ns := linux.NewKernel(p.e, p.log, name, linux.DefaultSysctls(), &serial, linux.KernelOptions{}).NewNamespace(name)
		d := ns.AddDevice("eth0", 1500)
		ns.AddAddr(d, netip.MustParseAddr(addr))
		ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, d)
		return ns, d
	}
	var a, b *linux.Device
	p.client, a = host("client", "10.0.0.1")
	p.server, b = host("server", serverAddr.String())
	linux.Pair(a, b)
	p.cable = b
	var err error
	if p.l, err = p.server.Listen(netip.Addr{}, 80, func(c *linux.Conn) {
		p.conns = append(p.conns, c)
		c.OnEOF = func() { c.Close() }
		c.OnData = func(b []byte) {
			p.heads = append(p.heads, string(b))
			if p.serve != nil {
				p.serve(c, string(b))
				return
			}
			body := "hello"
			if strings.HasPrefix(string(b), "HEAD") {
				body = ""
			}
			c.Write([]byte("HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: 5\r\n\r\n" + body))
		}
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.e.Close)
	return p
}

func (p *pair) curl(c Curl) (r *Result) {
	p.Helper()
	if c.Host == "" {
		c.Host = serverAddr.String()
	}
	c.Port = 80
	p.e.Go("curl", func(pr *engine.Process) {
		r = c.Run(pr, p.log, "client", p.client, dns.Config{Nameserver: serverAddr, NDots: 1})
	})
	if err := p.e.Run(p.e.Now()+10*time.Minute, nil); err != nil {
		p.Fatal(err)
	}
	return r
}

// What curl says by its exit code follows from what the other side did.
// Source: curl include/curl/curl.h, lib/transfer.c, lib/http.c.
func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name     string
		cmd      Curl
		prepare  func(*pair)
		exit     int
		code     int
		min, max time.Duration
	}{
		{"answered", Curl{}, func(*pair) {}, ExitOK, 200, 0, time.Second},
		{"answered, without a body", Curl{Head: true}, func(*pair) {}, ExitOK, 200, 0, time.Second},
		{"an error of the server is an answer", Curl{}, func(p *pair) {
			p.serve = func(c *linux.Conn, _ string) { c.Write([]byte("HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n")) }
		}, ExitOK, 502, 0, time.Second},
		{"no such name, since no resolver answers", Curl{Host: "nobody.example"}, func(*pair) {}, ExitCouldNotResolve, 0, 0, time.Minute},
		{"nothing listens", Curl{}, func(p *pair) { p.l.Close() }, ExitCouldNotConnect, 0, 0, time.Second},
		{"no answer to the SYN, until --max-time", Curl{MaxTime: 5 * time.Second}, func(p *pair) { p.cable.Up = false }, ExitOperationTimeout, 0, 5 * time.Second, 5 * time.Second},
		{"no answer to the SYN, until the kernel gives up", Curl{}, func(p *pair) { p.cable.Up = false }, ExitOperationTimeout, 0, 127 * time.Second, 140 * time.Second},
		{"no answer to the request, until --max-time", Curl{MaxTime: 5 * time.Second}, func(p *pair) { p.serve = func(*linux.Conn, string) {} }, ExitOperationTimeout, 0, 5 * time.Second, 5 * time.Second},
		{"closed without an answer", Curl{}, func(p *pair) { p.serve = func(c *linux.Conn, _ string) { c.Close() } }, ExitGotNothing, 0, 0, time.Second},
		{"reset without an answer", Curl{}, func(p *pair) { p.serve = func(c *linux.Conn, _ string) { c.Abort() } }, ExitReceiveError, 0, 0, time.Second},
		{"closed within the body", Curl{}, func(p *pair) {
			p.serve = func(c *linux.Conn, _ string) {
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"))
				c.Close()
			}
		}, ExitPartialFile, 200, 0, time.Second},
		{"reset within the body", Curl{}, func(p *pair) {
			p.serve = func(c *linux.Conn, _ string) {
				c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"))
				c.Abort()
			}
		}, ExitReceiveError, 200, 0, time.Second},
		{"a body that ends with the connection", Curl{}, func(p *pair) {
			p.serve = func(c *linux.Conn, _ string) { c.Write([]byte("HTTP/1.1 200 OK\r\n\r\nhe")); c.Close() }
		}, ExitOK, 200, 0, time.Second},
		{"chunks", Curl{}, func(p *pair) {
			p.serve = func(c *linux.Conn, _ string) {
				c.Write([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n"))
			}
		}, ExitOK, 200, 0, time.Second},
	} {
		p := newPair(t)
		c.prepare(p)
		r := p.curl(c.cmd)
		if r == nil || r.Exit != c.exit || r.HTTPCode != c.code || r.Ended-r.Began < c.min || r.Ended-r.Began > c.max {
			t.Errorf("%s: %+v, want exit %d, HTTP %d after %v to %v", c.name, r, c.exit, c.code, c.min, c.max)
		}
	}
	p := newPair(t)
	r := p.curl(Curl{Head: true, Path: "/x"})
	if r.Server != "test" || r.Remote != netip.AddrPortFrom(serverAddr, 80) || !r.Local.IsValid() || !strings.HasPrefix(p.heads[0], "HEAD /x HTTP/1.1\r\nHost: 10.0.0.2\r\n") {
		t.Errorf("%+v of %q", r, p.heads)
	}
}

// A run with many URLs keeps its connection. One that is found closed is opened anew; a request whose connection dies without a byte is sent again, unless
// the connection was new.
func TestSession(t *testing.T) {
	p := newPair(t)
	var results []*Result
	step := func(do func(s *Session, pr *engine.Process)) {
		t.Helper()
		results, p.heads = nil, nil
		p.conns = nil
		p.e.Go("session", func(pr *engine.Process) {
			s := &Session{Curl: Curl{Host: serverAddr.String(), Port: 80}, Log: p.log, Who: "client", Namespace: p.client}
			do(s, pr)
			s.Close()
		})
		if err := p.e.Run(p.e.Now()+time.Minute, nil); err != nil {
			t.Fatal(err)
		}
	}
	get := func(s *Session, pr *engine.Process) { results = append(results, s.Do(pr)) }
	expect := func(name string, conns, requests int, reused []bool, exits ...int) {
		t.Helper()
		for i, r := range results {
			if r.Exit != exits[i] || r.Reused != reused[i] {
				t.Errorf("%s: request %d: %+v, want exit %d, reused %v", name, i, r, exits[i], reused[i])
			}
		}
		if len(p.conns) != conns || len(p.heads) != requests || len(results) != len(exits) {
			t.Errorf("%s: %d connections and %d requests, want %d and %d", name, len(p.conns), len(p.heads), conns, requests)
		}
	}
	step(func(s *Session, pr *engine.Process) { get(s, pr); pr.Sleep(time.Second); get(s, pr); get(s, pr) })
	expect("kept", 1, 3, []bool{false, true, true}, 0, 0, 0)
	step(func(s *Session, pr *engine.Process) {
		get(s, pr)
		p.conns[0].Close()
		pr.Sleep(time.Second)
		get(s, pr)
	})
	expect("closed while idle", 2, 2, []bool{false, false}, 0, 0)
	dying := func(c *linux.Conn, _ string) {
		if len(p.heads) == 2 {
			c.Close()
			return
		}
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	}
	p.serve = dying
	step(func(s *Session, pr *engine.Process) { get(s, pr); get(s, pr) })
	expect("closed on the second request", 2, 3, []bool{false, false}, 0, 0)
	p.serve = func(c *linux.Conn, _ string) {
		if len(p.heads) == 2 {
			c.Write([]byte("HTTP/1.1"))
			c.Close()
			return
		}
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	}
	step(func(s *Session, pr *engine.Process) { get(s, pr); get(s, pr) })
	expect("closed within the second answer", 1, 2, []bool{false, true}, 0, ExitReceiveError)
	p.serve = func(c *linux.Conn, _ string) { c.Close() }
	step(func(s *Session, pr *engine.Process) { get(s, pr) })
	expect("closed on the first request", 1, 1, []bool{false}, ExitGotNothing)
	p.serve = func(c *linux.Conn, _ string) {
		c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	}
	step(func(s *Session, pr *engine.Process) { get(s, pr); get(s, pr) })
	expect("the server keeps nothing", 2, 2, []bool{false, false}, 0, 0)
}
