package workload

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// Fallback is what curl does about the other addresses of a name.
type Fallback string

// Ways to fall back.
const (
	// Sequential tries the next address when one has failed or used up its share of the time: curl before 8.16.
	Sequential Fallback = "sequential"
	// Parallel starts the next address 200 ms after the one before, while that goes on: curl since 8.16.
	Parallel Fallback = "parallel"
	// NoFallback dials the first address only, as simple clients do.
	NoFallback Fallback = "none"
)

// Limits of curl.
// Source: curl lib/connect.h DEFAULT_CONNECT_TIMEOUT (300000 ms); include/curl/curl.h CURL_HET_DEFAULT (200 ms).
const (
	connectTimeout = 300 * time.Second
	happyEyeballs  = 200 * time.Millisecond
)

// Exit codes of curl. Source: curl include/curl/curl.h.
const (
	ExitOK               = 0
	ExitCouldNotResolve  = 6
	ExitCouldNotConnect  = 7
	ExitPartialFile      = 18
	ExitOperationTimeout = 28
	ExitGotNothing       = 52
	ExitReceiveError     = 56
)

// Curl is one command line.
type Curl struct {
	// Host and Port of the URL, and its path; empty is /.
	Host string
	Port uint16
	Path string
	// Head is -I: HEAD in place of GET.
	Head bool
	// MaxTime is --max-time; zero is none.
	MaxTime  time.Duration
	Fallback Fallback
}

// Attempt is one connection that curl opened, as curl -v tells of it.
type Attempt struct {
	Local, Remote netip.AddrPort
	Began         time.Duration
	// Ended is when it was open, had failed, or was given up.
	Ended time.Duration
	// Err is nil when it opened; a linux.Errno when the kernel refused; errGaveUp when curl did.
	Err error
}

// Result is what curl -v -w reports of one run.
type Result struct {
	// Record is the beginning of the run in the trace.
	Record   trace.ID
	Began    time.Duration
	Ended    time.Duration
	Exit     int
	HTTPCode int
	// Server is the answer's Server header.
	Server  string
	Message string
	// Local and Remote are the ends of the connection that the request went over, or the last that was tried. Reused is whether it had
	// served a request before.
	Local, Remote netip.AddrPort
	Reused        bool
	// Node is the load balancer's node that Remote is an address of, by its name in the trace; whoever runs curl for a load fills it in.
	Node     string
	Attempts []Attempt
}

type curlError string

func (e curlError) Error() string { return string(e) }

// ErrGaveUp is the error of an attempt that curl ended before the kernel did.
const ErrGaveUp = curlError("given up by curl")

// transfer is a run of curl.
type transfer struct {
	p        *engine.Process
	ns       *linux.Namespace
	log      *trace.Log
	who      trace.Name
	cmd      Curl
	result   *Result
	deadline time.Duration // zero: none
	conns    []*linux.Conn
	open     int         // index of the attempt that is open, -1
	failed   int         // attempts that have failed
	keep     bool        // the connection is to be kept open
	kept     *linux.Conn // that is open after the run, if the server agrees
	silent   bool        // the connection ended before anything came over it
}

// Run executes curl in a container's namespace, on the process p, and returns when it has ended. Who names the container in the trace.
func (c Curl) Run(p *engine.Process, log *trace.Log, who string, ns *linux.Namespace, resolv dns.Config) *Result {
	t := c.begin(p, log, who, ns)
	t.run(resolv)
	t.end()
	return t.result
}

func (c Curl) begin(p *engine.Process, log *trace.Log, who string, ns *linux.Namespace) *transfer {
	e := p.Engine()
	if c.Path == "" {
		c.Path = "/"
	}
	t := &transfer{p: p, ns: ns, log: log, who: log.Name(who), cmd: c, open: -1}
	t.result = &Result{Began: e.Now()}
	text := fmt.Sprintf("http://%s:%d%s", c.Host, c.Port, c.Path)
	if c.Head {
		text = "-I " + text
	}
	t.result.Record = t.say("curl", text)
	if c.MaxTime > 0 {
		t.deadline = e.Now() + c.MaxTime
	}
	return t
}

// end closes what is open and says how it ended.
func (t *transfer) end() {
	r := t.result
	r.Ended = t.p.Engine().Now()
	for _, conn := range t.conns {
		if conn != nil && conn != t.kept {
			conn.Close()
		}
	}
	if n := len(r.Attempts); n > 0 && !r.Remote.IsValid() {
		r.Local, r.Remote = r.Attempts[n-1].Local, r.Attempts[n-1].Remote
	}
	text := fmt.Sprintf("exit %d after %v", r.Exit, r.Ended-r.Began)
	if r.HTTPCode != 0 {
		text = fmt.Sprintf("HTTP %d, %s", r.HTTPCode, text)
	}
	if r.Message != "" {
		text += ": " + r.Message
	}
	t.say("curl ended", text)
}

func (t *transfer) say(what, text string) trace.ID {
	return t.log.Emit(trace.Record{Kind: trace.Call, Actor: t.who, What: t.log.Name(what), Text: text})
}

func (t *transfer) fail(exit int, format string, args ...any) {
	t.result.Exit, t.result.Message = exit, fmt.Sprintf(format, args...)
}

func (t *transfer) run(resolv dns.Config) {
	e := t.p.Engine()
	addrs, err := dns.Lookup(t.p, t.ns, resolv, t.cmd.Host)
	if err != nil {
		t.fail(ExitCouldNotResolve, "Could not resolve host: %s", t.cmd.Host)
		return
	}
	if t.deadline != 0 && e.Now() >= t.deadline {
		t.fail(ExitOperationTimeout, "Resolving timed out after %d milliseconds", (e.Now()-t.result.Began)/time.Millisecond)
		return
	}
	if t.cmd.Fallback == NoFallback {
		addrs = addrs[:1]
	}
	if !t.connect(addrs) {
		return
	}
	t.request()
}

// timeLeft is how long connecting may go on: the connect timeout from its start, or what --max-time leaves.
// Source: curl lib/connect.c, Curl_timeleft.
func (t *transfer) timeLeft(connectBegan time.Duration) time.Duration {
	now := t.p.Engine().Now()
	left := connectBegan + connectTimeout - now
	if t.deadline != 0 {
		left = min(left, t.deadline-now)
	}
	return left
}

// connect opens a connection to one of the addresses.
func (t *transfer) connect(addrs []netip.Addr) bool {
	e := t.p.Engine()
	began := e.Now()
	next := 0
	start := func() { t.dial(netip.AddrPortFrom(addrs[next], t.cmd.Port)); next++ }
	start()
	// While another address is left, an address is granted half of the time that is.
	// Source: curl lib/connect.c (7.8x), timeoutms_per_addr. The versions differ in what the last one gets; here it is all that is left.
	share := func() time.Duration {
		left := t.timeLeft(began)
		if next < len(addrs) {
			left /= 2
		}
		return left
	}
	limit := e.Now() + share()
	for {
		if t.open >= 0 {
			return true
		}
		if t.timeLeft(began) <= 0 {
			t.giveUp()
			t.fail(ExitOperationTimeout, "Failed to connect to %s port %d after %d ms: Connection timed out", t.cmd.Host, t.cmd.Port, (e.Now()-t.result.Began)/time.Millisecond)
			return false
		}
		pending := len(t.result.Attempts) - t.failed
		switch {
		case pending == 0 && next == len(addrs):
			last := t.result.Attempts[len(t.result.Attempts)-1].Err
			exit, why := ExitCouldNotConnect, "Couldn't connect to server"
			if last == linux.ETIMEDOUT {
				exit, why = ExitOperationTimeout, "Connection timed out"
			}
			t.fail(exit, "Failed to connect to %s port %d after %d ms: %s", t.cmd.Host, t.cmd.Port, (e.Now()-t.result.Began)/time.Millisecond, why)
			return false
		case pending == 0:
			start()
			limit = e.Now() + share()
			continue
		}
		wait := t.timeLeft(began)
		if next < len(addrs) {
			if t.cmd.Fallback == Parallel {
				wait = min(wait, t.result.Attempts[len(t.result.Attempts)-1].Began+happyEyeballs-e.Now())
			} else {
				wait = min(wait, limit-e.Now())
			}
			if wait <= 0 {
				if t.cmd.Fallback != Parallel {
					t.giveUp()
				}
				start()
				limit = e.Now() + share()
				continue
			}
		}
		t.p.Wait(wait)
	}
}

// giveUp closes what is not open.
func (t *transfer) giveUp() {
	for i := range t.result.Attempts {
		a := &t.result.Attempts[i]
		if i != t.open && a.Ended == 0 {
			a.Ended, a.Err = t.p.Engine().Now(), ErrGaveUp
			t.failed++
			t.conns[i].Close()
		}
	}
}

// dial begins an attempt. Its end wakes the process.
func (t *transfer) dial(to netip.AddrPort) {
	e := t.p.Engine()
	i := len(t.result.Attempts)
	t.result.Attempts = append(t.result.Attempts, Attempt{Remote: to, Began: e.Now()})
	t.say("connect", to.String())
	conn, err := t.ns.Dial(to)
	t.conns = append(t.conns, conn)
	if err != nil {
		a := &t.result.Attempts[i]
		a.Ended, a.Err = e.Now(), err
		t.failed++
		return
	}
	t.result.Attempts[i].Local = conn.Local()
	conn.OnConnect = func(err error) {
		a := &t.result.Attempts[i]
		a.Ended, a.Err = e.Now(), err
		switch {
		case err != nil:
			t.failed++
			t.say("connect failed", fmt.Sprintf("%v from %v: %v after %v", to, a.Local, err, a.Ended-a.Began))
		case t.open < 0:
			t.open = i
		}
		t.p.Wake()
	}
}
