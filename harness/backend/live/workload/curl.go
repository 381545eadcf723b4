//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// Limits of curl.
// Source: curl lib/connect.h DEFAULT_CONNECT_TIMEOUT (300000 ms); include/curl/curl.h CURL_HET_DEFAULT (200 ms).
const (
	connectTimeout = 300 * time.Second
	happyEyeballs  = 200 * time.Millisecond
)

// Exit codes of curl. Source: curl include/curl/curl.h.
const (
	exitCouldNotResolve  = 6
	exitCouldNotConnect  = 7
	exitOperationTimeout = 28
	exitReceiveError     = 56
)

// curl is one command line.
type curl struct {
	host     string
	port     uint16
	maxTime  time.Duration
	fallback string
}

// gaveUp is the error of an attempt that curl ended before the kernel did.
const gaveUp = "GAVEUP"

// run makes one call.
func (c curl) run(k int) *result {
	began := time.Now()
	r := &result{Call: k, Began: began.UnixNano(), Attempts: []attempt{}}
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if c.maxTime > 0 {
		ctx, cancel = context.WithDeadline(ctx, began.Add(c.maxTime))
	}
	defer cancel()
	r.Exit, r.Message = c.call(ctx, r)
	r.Ended = time.Now().UnixNano()
	return r
}

func (c curl) call(ctx context.Context, r *result) (exit int, message string) {
	resolver := net.Resolver{PreferGo: true}
	addrs, err := resolver.LookupNetIP(ctx, "ip4", c.host)
	switch {
	case err != nil && ctx.Err() != nil:
		return exitOperationTimeout, "Resolving timed out"
	case err != nil || len(addrs) == 0:
		return exitCouldNotResolve, fmt.Sprintf("Could not resolve host: %s (%v)", c.host, err)
	}
	if c.fallback == "none" {
		addrs = addrs[:1]
	}
	conn, exit, message := c.connect(ctx, addrs, r)
	if conn == nil {
		return exit, message
	}
	defer conn.Close()
	return c.request(ctx, conn, r)
}

// dialled is the end of an attempt.
type dialled struct {
	index int
	conn  net.Conn
	at    time.Time
	err   error
}

// connect opens a connection to one of the addresses. While another address is left, an address is granted half of the time that is.
// Source: curl lib/connect.c (7.8x), timeoutms_per_addr.
func (c curl) connect(ctx context.Context, addrs []netip.Addr, r *result) (net.Conn, int, string) {
	limit, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	deadline, _ := limit.Deadline()
	ends := make(chan dialled, len(addrs))
	var pending []context.CancelFunc // by attempt; nil when it has ended
	next, alive := 0, 0
	var last error
	start := func() (share time.Duration) {
		attemptContext, stop := context.WithCancel(limit)
		to := netip.AddrPortFrom(addrs[next].Unmap(), c.port)
		r.Attempts = append(r.Attempts, attempt{Remote: to.String(), Began: time.Now().UnixNano()})
		pending = append(pending, stop)
		i := next
		next, alive = next+1, alive+1
		local := make(chan netip.AddrPort, 1)
		go func() {
			conn, err := dial(attemptContext, to, local)
			ends <- dialled{index: i, conn: conn, at: time.Now(), err: err}
		}()
		if l := <-local; l.IsValid() {
			r.Attempts[i].Local = l.String()
		}
		left := time.Until(deadline)
		switch {
		case next == len(addrs):
			return left
		case c.fallback == "parallel":
			return happyEyeballs
		}
		return left / 2
	}
	note := func(e dialled) {
		a := &r.Attempts[e.index]
		a.Ended = e.at.UnixNano()
		if e.err != nil {
			a.Error = word(e.err)
		}
		pending[e.index]()
		alive--
	}
	// giveUp ends what has not ended and waits until that is noted, so that no attempt is without an end.
	giveUp := func() {
		for _, stop := range pending {
			stop()
		}
		for alive > 0 {
			e := <-ends
			if e.conn != nil {
				_ = e.conn.Close()
			}
			e.err = errGaveUp
			note(e)
		}
	}
	failed := func(exit int, why string) (net.Conn, int, string) {
		return nil, exit, fmt.Sprintf("Failed to connect to %s port %d after %d ms: %s", c.host, c.port, (time.Now().UnixNano()-r.Began)/1e6, why)
	}
	timer := time.NewTimer(start())
	defer timer.Stop()
	for {
		select {
		case e := <-ends:
			note(e)
			if e.err == nil {
				giveUp()
				return e.conn, 0, ""
			}
			last = e.err
			switch {
			case limit.Err() != nil:
				giveUp()
				return failed(exitOperationTimeout, "Connection timed out")
			case alive == 0 && next < len(addrs):
				timer.Reset(start())
			case alive == 0 && word(last) == "ETIMEDOUT":
				return failed(exitOperationTimeout, "Connection timed out")
			case alive == 0:
				return failed(exitCouldNotConnect, "Couldn't connect to server")
			}
		case <-timer.C:
			if next == len(addrs) {
				giveUp()
				return failed(exitOperationTimeout, "Connection timed out")
			}
			if c.fallback != "parallel" {
				giveUp()
			}
			timer.Reset(start())
		}
	}
}

// request sends GET / and reads the answer.
func (c curl) request(ctx context.Context, conn net.Conn, r *result) (exit int, message string) {
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d)
	}
	failed := func(err error) (int, string) {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return exitOperationTimeout, "Operation timed out"
		}
		return exitReceiveError, "Recv failure: " + err.Error()
	}
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n", c.host); err != nil {
		return failed(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return failed(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return failed(err)
	}
	r.HTTP = response.StatusCode
	return 0, ""
}
