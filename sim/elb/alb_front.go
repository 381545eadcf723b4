package elb

import (
	"net/http"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// front is a client's connection. It is also its idle timer.
type front struct {
	node     *ALBNode
	listener *Listener
	conn     *linux.Conn
	got      []byte
	request  *request // that is being served, nil between requests
	ended    bool     // the client has closed its side
	closed   bool
	used     time.Duration // when data last came or went
	timer    engine.Timer
}

// request is one request on its way.
type request struct {
	front   *front
	message message
	body    []byte
	created time.Duration
	chosen  trace.ID
	why     string // the target was chosen
	view    *view
	begun   bool // a part of the answer is with the client
}

func (n *ALBNode) accept(l *Listener, c *linux.Conn) {
	n.count("NewConnectionCount")
	f := &front{node: n, listener: l, conn: c, used: n.service.engine.Now()}
	f.timer = n.service.engine.After(n.idleTimeout(), "elb: idle timeout", f)
	c.OnData = func(b []byte) {
		f.used = n.service.engine.Now()
		f.got = append(f.got, b...)
		f.next()
	}
	c.OnEOF = func() {
		f.ended = true
		if f.request == nil {
			f.close()
		}
	}
	c.OnError = func(error) { f.lost() }
}

// next reads the next request, if none is being served and one has come in.
func (f *front) next() {
	if f.request != nil || f.closed || len(f.got) == 0 {
		return
	}
	m, whole, ok := parseMessage(f.got, false)
	if ok && !whole {
		return
	}
	f.request = &request{front: f, message: m, created: f.node.service.engine.Now()}
	if !ok || m.host == "" && !m.close { // HTTP/1.1 needs a Host
		f.request.message.close = true
		f.answer(400, whyBadRequest)
		return
	}
	if m.chunked {
		f.node.service.engine.Fail(engine.NotModelled("elb: a request with a chunked body"))
		return
	}
	rest := f.got[len(m.head):]
	if len(rest) < m.length { // the body is still coming
		f.request = nil
		return
	}
	f.request.body, f.got = rest[:m.length:m.length], rest[m.length:]
	f.serve()
}

// serve finds who answers the request.
func (f *front) serve() {
	n, r := f.node, f.request
	tg, fixed := f.listener.route(r.message.host, r.message.target)
	if fixed != nil {
		f.send(fixed.StatusCode, own(fixed.StatusCode, fixed.ContentType, fixed.MessageBody, f.date(), r.message.method == "HEAD", f.keepsAlive()), "")
		return
	}
	c, ok := n.choose(tg)
	if !ok {
		f.answer(503, whyNoTarget)
		return
	}
	n.count("RequestCount")
	r.view, r.why = c.view, c.why
	n.forward(r)
}

func (f *front) keepsAlive() bool { return !f.request.message.close && !f.ended }

// date is the time as the header Date has it.
func (f *front) date() string {
	return engine.Epoch.Add(f.node.service.engine.Now()).Format(http.TimeFormat)
}

// answer ends the request with the load balancer's own words.
func (f *front) answer(status int, reason string) {
	n := f.node
	code := strconv.Itoa(status)
	switch {
	case status >= 500:
		n.count("HTTPCode_ELB_5XX_Count", "HTTPCode_ELB_"+code+"_Count")
	case status >= 400:
		n.count("HTTPCode_ELB_4XX_Count")
	}
	f.send(status, own(status, "", "", f.date(), f.request.message.method == "HEAD", f.keepsAlive()), reason)
}

// send gives an answer of the load balancer's own to the client.
func (f *front) send(status int, b []byte, reason string) {
	f.record(status, 0, reason)
	f.conn.Write(b)
	f.done()
}

// record tells the trace and the access log of an answer.
func (f *front) record(status, targetStatus int, reason string) {
	n, r := f.node, f.request
	e, log := n.service.engine, n.service.log
	a := Access{Time: e.Now(), Created: r.created, Client: f.conn.Remote(), ELBStatusCode: status, TargetStatusCode: targetStatus, Node: n.Name, Reason: reason, Chosen: r.chosen}
	if m := &r.message; m.method != "" {
		a.Request = m.method + " " + m.target
	}
	text := a.Request + " for " + a.Client.String() + " after " + seconds(a.Time-a.Created)
	if r.view != nil {
		a.Target = r.view.target.addrPort()
		text += ", target " + a.Target.String()
	}
	from := "from awselb/2.0"
	if targetStatus != 0 {
		from = "from the target"
	}
	a.Answered = log.Emit(trace.Record{Kind: trace.HTTP, Actor: n.label, What: log.Name("HTTP " + strconv.Itoa(status) + " " + from), Ref: r.chosen, Text: text, Reason: log.Name(reason)})
	n.LB.AccessLog = append(n.LB.AccessLog, a)
}

// done ends the request that was being served.
func (f *front) done() {
	keep := f.keepsAlive()
	f.request = nil
	f.used = f.node.service.engine.Now()
	if !keep {
		f.close()
		return
	}
	f.next()
}

func (f *front) close() {
	if f.closed {
		return
	}
	f.closed = true
	f.node.service.engine.Stop(f.timer)
	f.conn.Close()
}

// lost is called when the client has reset the connection. What its request has begun at a target is given up.
func (f *front) lost() {
	f.closed = true
	f.node.service.engine.Stop(f.timer)
	for _, b := range f.node.busy {
		if b.request == f.request && f.request != nil {
			b.close()
			break
		}
	}
	f.request = nil
}

// Fire is the idle timeout of the client's connection. While a target works on a request, its own connection's timeout counts.
// Source: Application Load Balancers user guide, "Connection idle timeout", "Troubleshoot: HTTP 408".
func (f *front) Fire() {
	e := f.node.service.engine
	if f.closed {
		return
	}
	left := f.used + f.node.idleTimeout() - e.Now()
	if f.request != nil {
		left = max(left, f.node.idleTimeout())
	}
	if left > 0 {
		f.timer = e.After(left, "elb: idle timeout", f)
		return
	}
	if len(f.got) > 0 { // a part of a request
		f.request = &request{front: f, created: e.Now()}
		f.request.message.close = true
		f.answer(408, whyRequestTime)
		return
	}
	f.close()
}
