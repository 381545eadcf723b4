package elb

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// back is a connection to a target. It is also its timer: of connecting, of an answer, of being idle.
type back struct {
	node    *ALBNode
	view    *view
	conn    *linux.Conn
	request *request // nil while it is idle
	open    bool
	served  int // requests before this one
	got     []byte
	answer  message // head of the answer, once it is whole
	headed  bool
	passed  int // bytes of the body that the client has
	used    time.Duration
	timer   engine.Timer
}

func (t *Target) addrPort() netip.AddrPort { return netip.AddrPortFrom(t.Addr, t.Port) }

// forward sends a request to the target that was chosen for it: over a connection that is open and idle, else over a new one.
func (n *ALBNode) forward(r *request) {
	s := n.service
	t := r.view.target
	var b *back
	if pool := n.idle[t]; len(pool) > 0 {
		b = pool[len(pool)-1]
		n.idle[t] = pool[:len(pool)-1]
	} else {
		b = &back{node: n, view: r.view}
	}
	b.request, b.got, b.headed, b.passed = r, nil, false, 0
	text := r.why
	ref := t.Origin
	if t.Draining {
		ref = t.Deregistered
		text += "; it was deregistered " + seconds(s.engine.Now()-t.DeregisteredAt) + " ago, which this node has not learned yet"
	}
	if b.conn != nil {
		text += "; over a connection that has served " + strconv.Itoa(b.served) + ", idle for " + seconds(s.engine.Now()-b.used)
	}
	r.chosen = s.log.Emit(trace.Record{Kind: trace.Balance, Actor: n.label, What: t.name(s.log), Ref: ref, Text: text})
	n.busy = append(n.busy, b)
	s.engine.Stop(b.timer)
	if b.conn != nil {
		b.send()
		return
	}
	conn, err := n.namespace().Dial(t.addrPort())
	if err != nil {
		b.fail(502, whyPorts)
		return
	}
	b.conn = conn
	conn.OnConnect = b.connected
	b.timer = s.engine.After(connectTimeout, "elb: connect timeout", b)
}

// connected tells how opening the connection ended.
func (b *back) connected(err error) {
	if b.request == nil {
		return
	}
	if err != nil {
		b.node.count("TargetConnectionErrorCount")
		switch err {
		case linux.ECONNREFUSED:
			b.fail(502, whyRefused)
		case linux.ETIMEDOUT:
			b.fail(504, whyConnect)
		default: // what an ICMP message brought
			b.fail(502, whyUnreachable)
		}
		return
	}
	b.open = true
	b.conn.OnData, b.conn.OnEOF, b.conn.OnError = b.data, b.eof, b.lost
	b.node.service.engine.Stop(b.timer)
	b.send()
}

// send writes the request, and waits for the answer.
func (b *back) send() {
	n, r := b.node, b.request
	f := r.front
	b.used = n.service.engine.Now()
	b.timer = n.service.engine.After(n.idleTimeout(), "elb: idle timeout", b)
	b.conn.Write(append(r.message.forwarded(f.conn.Remote().Addr().String(), f.listener.Port, n.traceID()), r.body...))
}

// data is a part of the answer.
func (b *back) data(p []byte) {
	n := b.node
	b.used = n.service.engine.Now()
	if b.request == nil { // nobody asked: the connection is of no use any more
		b.close()
		return
	}
	b.got = append(b.got, p...)
	b.read(false)
}

// read takes what has come in of an answer. Closed is whether nothing more will come.
func (b *back) read(closed bool) {
	r := b.request
	for !b.headed {
		m, whole, ok := parseMessage(b.got, true)
		if !ok {
			b.fail(502, whyMalformed)
			return
		}
		if !whole {
			if closed {
				b.fail(502, whyClosed)
			}
			return
		}
		b.got = b.got[len(m.head):]
		if m.status < 200 { // 100 Continue and the like; the answer follows
			continue
		}
		if r.message.method == "HEAD" || m.status == 204 || m.status == 304 {
			m.length, m.chunked = 0, false
		}
		b.headed, b.answer = true, m
	}
	n, whole, ok := b.answer.bodyEnd(b.got, closed)
	f := r.front
	endsByClosing := b.answer.length < 0 && !b.answer.chunked
	if endsByClosing {
		r.message.close = true // only the end of the client's connection can tell the end of the body
	}
	if !r.begun {
		if !ok {
			b.fail(502, whyMalformed)
			return
		}
		r.begun = true
		f.record(b.answer.status, b.answer.status, "")
		b.node.count("HTTPCode_Target_" + strconv.Itoa(b.answer.status/100) + "XX_Count")
		f.conn.Write(b.answer.backward(f.keepsAlive()))
	}
	f.used = b.used
	if n > b.passed {
		f.conn.Write(b.got[b.passed:n])
		b.passed = n
	}
	switch {
	case whole:
		b.finish(len(b.got) > n || b.answer.close || endsByClosing || closed)
		f.done()
	case closed || !ok: // the answer is cut off; the client learns it by the end of its connection
		b.close()
		r.message.close = true
		f.done()
	}
}

// finish ends a request that was answered: the connection waits for the next one, or is closed.
func (b *back) finish(shut bool) {
	n := b.node
	b.leaveBusy()
	b.request, b.got = nil, nil
	b.served++
	if shut || b.view.gone {
		b.close()
		return
	}
	b.used = n.service.engine.Now()
	n.idle[b.view.target] = append(n.idle[b.view.target], b)
	n.service.engine.Stop(b.timer)
	b.timer = n.service.engine.After(n.idleTimeout(), "elb: idle timeout", b)
}

// eof says that the target has closed its side.
func (b *back) eof() {
	switch {
	case b.request == nil:
		b.close()
	default:
		b.read(true)
	}
}

// lost says that the connection was reset, or that the target does not acknowledge any more.
func (b *back) lost(err error) {
	switch {
	case b.request == nil:
		b.close()
	case b.request.begun:
		b.cut()
	case err == linux.ETIMEDOUT:
		b.fail(504, whyIdle)
	default:
		b.fail(502, whyReset)
	}
}

// cut ends an answer of which the client has a part already.
func (b *back) cut() {
	f := b.request.front
	b.close()
	f.request.message.close = true
	f.done()
}

// fail ends the request with an answer of the load balancer's own.
func (b *back) fail(status int, reason string) {
	r := b.request
	if r.begun {
		b.cut()
		return
	}
	b.close()
	r.front.answer(status, reason)
}

// Fire is the timer. Source: Application Load Balancers user guide, "Troubleshoot: HTTP 504".
func (b *back) Fire() {
	switch {
	case b.request == nil:
		b.close()
	case !b.open:
		b.node.count("TargetConnectionErrorCount")
		b.fail(504, whyConnect)
	default:
		if left := b.used + b.node.idleTimeout() - b.node.service.engine.Now(); left > 0 {
			b.timer = b.node.service.engine.After(left, "elb: idle timeout", b)
			return
		}
		b.fail(504, whyIdle)
	}
}

// close ends the connection, and takes it from wherever it is kept.
func (b *back) close() {
	n := b.node
	n.service.engine.Stop(b.timer)
	b.leaveBusy()
	t := b.view.target
	n.idle[t] = slices.DeleteFunc(n.idle[t], func(o *back) bool { return o == b })
	if len(n.idle[t]) == 0 {
		delete(n.idle, t)
	}
	b.request = nil
	if b.conn != nil {
		b.conn.Close()
	}
}

func (b *back) leaveBusy() {
	b.node.busy = slices.DeleteFunc(b.node.busy, func(o *back) bool { return o == b })
}
