package elb

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// Each code that the load balancer makes itself follows from what a target's sockets and packets do.
// Source: Application Load Balancers user guide, "Troubleshoot your Application Load Balancers".
func TestWhatAnALBAnswersItself(t *testing.T) {
	respond := func(text string) func(*albRig) {
		return func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte(text)) }
		}
	}
	settled := func(change func(*albRig)) func(*albRig) {
		return func(r *albRig) { r.register("one"); r.run(30 * time.Second); change(r) }
	}
	for _, c := range []struct {
		name      string
		opts      Options
		prepare   func(*albRig)
		meanwhile func(*albRig) // a second after the request
		code      string
		reason    string
		min, max  time.Duration
	}{
		{"the target answers", Options{}, settled(func(*albRig) {}), nil, "200", "", 0, time.Second},
		{"nothing listens: SYN is reset", Options{}, settled(func(r *albRig) { r.hosts["one"].listener.Close() }), nil, "502", whyRefused, 0, time.Second},
		{"the host is gone: SYN is not answered", Options{}, settled(func(r *albRig) { r.hosts["one"].ns.Device("eth0").Up = false }), nil, "504", whyConnect, 10 * time.Second, 10100 * time.Millisecond},
		{"a router says that the host is unreachable", Options{}, settled(func(r *albRig) {
			a, err := r.hosts["one"].eni.Assign(netip.Addr{}) // an address of the interface that no namespace behind it has
			r.must(err)
			_, err = r.elb.RegisterTargets(r.ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: &r.tg.ARN, Targets: []types.TargetDescription{{Id: aws.String(a.String())}}})
			r.must(err)
			r.deregister("one")
			r.run(time.Minute)
		}), nil, "502", whyUnreachable, 0, time.Second},
		{"the target resets the connection during a request", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Abort() } }), nil, "502", whyReset, 0, time.Second},
		{"the target closes the connection during a request", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Close() } }), nil, "502", whyClosed, 0, time.Second},
		{"the target closes the connection within the head", Options{}, settled(func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte("HTTP/1.1 200 OK\r\nSer")); c.Close() }
		}), nil, "502", whyClosed, 0, time.Second},
		{"no HTTP", Options{}, settled(respond("SSH-2.0-OpenSSH\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a header without colon", Options{}, settled(respond("HTTP/1.1 200 OK\r\nServer\r\n\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a status that is no number", Options{}, settled(respond("HTTP/1.1 2x0 OK\r\n\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a chunk that is none", Options{}, settled(respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"silence after the request: the idle timeout", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(*linux.Conn, []byte) {} }), nil, "504", whyIdle, 60 * time.Second, 60100 * time.Millisecond},
		{"nothing is registered", Options{}, func(r *albRig) { r.run(30 * time.Second) }, nil, "503", whyNoTarget, 0, time.Second},
		{"all are initial", Options{}, func(r *albRig) { r.register("one"); r.run(time.Second) }, nil, "503", whyNoTarget, 0, time.Second},
		{"all are initial, and those serve", Options{ALBServesInitial: true}, func(r *albRig) { r.register("one"); r.run(time.Second) }, nil, "200", "", 0, time.Second},
		{"all are unhealthy: fail open", Options{}, settled(func(r *albRig) { r.hosts["one"].status = "500 No"; r.run(time.Minute) }), nil, "500", "", 0, time.Second},
		{"all are draining, and the nodes know", Options{}, settled(func(r *albRig) { r.deregister("one"); r.run(9 * time.Second) }), nil, "503", whyNoTarget, 0, time.Second},
		{"all are draining, and the nodes do not know yet", Options{}, settled(func(r *albRig) { r.deregister("one"); r.run(7 * time.Second) }), nil, "200", "", 0, time.Second},
		{"deregistered during a request, which ends in time", Options{}, settled(func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) {
				r.e.After(20*time.Second, "", engine.Func(func() { c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) }))
			}
		}), func(r *albRig) { r.deregister("one") }, "200", "", 20 * time.Second, 21 * time.Second},
		{"deregistered while the node connects to it, without a delay", Options{}, settled(func(r *albRig) {
			_, err := r.elb.ModifyTargetGroupAttributes(r.ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &r.tg.ARN, Attributes: []types.TargetGroupAttribute{{Key: aws.String(AttrDeregistrationDelay), Value: aws.String("0")}}})
			r.must(err)
			r.deregister("one")
			r.run(5 * time.Second)
			r.hosts["one"].ns.Device("eth0").Up = false
		}), nil, "504", whyConnect, 10 * time.Second, 10100 * time.Millisecond},
		{"deregistered during a request, which is not over after the delay", Options{}, settled(func(r *albRig) {
			_, err := r.elb.ModifyTargetGroupAttributes(r.ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &r.tg.ARN, Attributes: []types.TargetGroupAttribute{{Key: aws.String(AttrDeregistrationDelay), Value: aws.String("30")}}})
			r.must(err)
			r.hosts["one"].serve = func(*linux.Conn, []byte) {}
		}), func(r *albRig) { r.deregister("one") }, "502", whyDelayOver, 31 * time.Second, 31100 * time.Millisecond},
	} {
		r := newALBRig(t, c.opts, "one")
		c.prepare(r)
		k := r.call(0, get)
		r.run(time.Second)
		if c.meanwhile != nil {
			c.meanwhile(r)
		}
		r.run(2 * time.Minute)
		if k.status() != c.code || k.answered < c.min || k.answered > c.max {
			t.Errorf("%s: %q after %v, want %s after %v to %v", c.name, k.got, k.answered, c.code, c.min, c.max)
		}
		log := r.lb.AccessLog
		if len(log) != 1 || log[0].Reason != c.reason || fmt.Sprint(log[0].ELBStatusCode) != c.code || (c.reason == "") != strings.HasPrefix(fmt.Sprint(log[0].TargetStatusCode), c.code) {
			t.Errorf("%s: access log %+v", c.name, log)
		}
		if own := strings.Contains(k.got, "Server: awselb/2.0"); own != (c.reason != "") {
			t.Errorf("%s: answered by itself: %v: %q", c.name, own, k.got)
		}
		metric := "HTTPCode_ELB_" + c.code + "_Count"
		if c.reason == "" {
			metric = "HTTPCode_Target_" + c.code[:1] + "XX_Count"
		}
		if r.lb.Metrics[metric] != 1 {
			t.Errorf("%s: %s: %v", c.name, metric, r.lb.Metrics)
		}
		r.e.Close()
	}
}

// A connection to a target is used again. If the target closes it while a request is on its way to it, the client gets 502; if the load balancer has
// seen it closed, it opens another.
func TestKeptConnections(t *testing.T) {
	for _, c := range []struct {
		before time.Duration // how long before the target closes its idle connection the request arrives at the node
		code   string
		dials  int
	}{
		{time.Second, "200", 1},             // in time: the connection serves
		{20 * time.Microsecond, "502", 1},   // the FIN and the request cross each other
		{-500 * time.Microsecond, "200", 2}, // the FIN has come
	} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		h := r.hosts["one"]
		h.conns = nil
		k := r.call(0, get)
		r.run(time.Second)
		if k.status() != "200" || len(h.conns) != 1 {
			t.Fatalf("first: %q over %d connections", k.got, len(h.conns))
		}
		conn := h.conns[0]
		k.got = ""
		const way = 64 * time.Microsecond // of a packet from the client to the node, in the same zone
		closes := r.e.Now() + 2*time.Second
		r.e.At(closes, "", engine.Func(func() { conn.Close() }))
		r.run(2*time.Second - c.before - way)
		k.conn.Write([]byte(get))
		r.run(3 * time.Second)
		dials := 0
		for _, o := range h.conns {
			if o.Remote().Addr() == r.lb.ALBNodes[0].Addr && len(h.seen) > 0 {
				dials++
			}
		}
		if k.status() != c.code || dials < c.dials {
			t.Errorf("%v before the end: %s over %d connections, want %s over %d", c.before, k.status(), dials, c.code, c.dials)
		}
		r.e.Close()
	}
}

// Idle connections of either side end with the idle timeout; a client that keeps its connection is served over it.
func TestIdleTimeoutOfClients(t *testing.T) {
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	k := r.call(0, get)
	for range 3 {
		r.run(50 * time.Second)
		if k.closed {
			t.Fatal("closed although it was in use")
		}
		k.conn.Write([]byte(get))
	}
	r.run(59 * time.Second)
	if n := strings.Count(k.got, "HTTP/1.1 200"); n != 4 || k.closed {
		t.Errorf("%d answers, closed: %v", n, k.closed)
	}
	r.run(2 * time.Second)
	if !k.closed || len(r.lb.ALBNodes[0].idle) != 0 {
		t.Errorf("after the idle timeout: closed %v, %d idle connections to targets", k.closed, len(r.lb.ALBNodes[0].idle))
	}
	half := r.call(0, "GET / HT")
	r.run(61 * time.Second)
	if half.status() != "408" || !half.closed {
		t.Errorf("half a request: %q", half.got)
	}
}

// What targets and clients get of each other.
func TestWhatIsPassedOn(t *testing.T) {
	for _, c := range []struct{ name, request, answer, want string }{
		{"a body by its length", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc"},
		{"HEAD has none", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"},
		{"chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{"an answer before the answer", get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"},
		{"a target's own error", get, "HTTP/1.1 502 Mine\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 502 Mine\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"a client that wants no more", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"two requests at once", get + get, "HTTP/1.1 204 A\r\n\r\n", "HTTP/1.1 204 A\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 204 A\r\nConnection: keep-alive\r\n\r\n"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "", "HTTP/1.1 400 Bad Request"},
		{"no HTTP", "hello\r\n\r\n", "", "HTTP/1.1 400 Bad Request"},
	} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		r.hosts["one"].serve = func(conn *linux.Conn, _ []byte) { conn.Write([]byte(c.answer)) }
		k := r.call(1, c.request)
		r.run(time.Second)
		if k.got != c.want && !(c.answer == "" && strings.HasPrefix(k.got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, k.got, c.want)
		}
		if c.answer == "" {
			continue
		}
		node, client := r.lb.ALBNodes[1].Addr, r.client.Device("eth0").Addr().String()
		head := r.hosts["one"].seen[0]
		for _, want := range []string{"\r\nX-Forwarded-For: " + client + "\r\n", "\r\nX-Forwarded-Proto: http\r\n", "\r\nX-Forwarded-Port: 80\r\n", "\r\nX-Amzn-Trace-Id: Root=1-", "\r\nHost: x\r\n", "\r\nConnection: keep-alive\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("%s: the target gets %q, without %q", c.name, head, want)
			}
		}
		if from := r.hosts["one"].conns[len(r.hosts["one"].conns)-1].Remote().Addr(); !slices.Contains([]netip.Addr{node, r.lb.ALBNodes[0].Addr}, from) {
			t.Errorf("%s: from %v", c.name, from)
		}
	}
	// A forwarded chain grows.
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	r.call(0, "GET / HTTP/1.1\r\nHost: x\r\nx-forwarded-for: 1.2.3.4\r\n\r\n")
	r.run(time.Second)
	if want := "x-forwarded-for: 1.2.3.4, " + r.client.Device("eth0").Addr().String() + "\r\n"; !strings.Contains(r.hosts["one"].seen[0], want) {
		t.Errorf("%q, want %q", r.hosts["one"].seen[0], want)
	}
}

// An answer that is cut off ends the client's connection; there is no second answer.
func TestAnAnswerThatIsCutOff(t *testing.T) {
	for name, end := range map[string]func(*linux.Conn){"closed": (*linux.Conn).Close, "reset": (*linux.Conn).Abort} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		r.hosts["one"].serve = func(c *linux.Conn, _ []byte) {
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
			end(c)
		}
		k := r.call(0, get)
		r.run(time.Second)
		if !strings.HasPrefix(k.got, "HTTP/1.1 200 OK") || strings.Count(k.got, "HTTP/1.1") != 1 || !k.closed {
			t.Errorf("%s: %q, closed: %v", name, k.got, k.closed)
		}
	}
	// A body without length ends with the connection, and is whole.
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte("HTTP/1.1 200 OK\r\n\r\nall")); c.Close() }
	k := r.call(0, get)
	r.run(time.Second)
	if k.got != "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall" || !k.closed {
		t.Errorf("%q, closed: %v", k.got, k.closed)
	}
}
