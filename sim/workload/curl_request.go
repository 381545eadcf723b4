package workload

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// request sends the request over the open connection and reads the answer.
func (t *transfer) request() {
	e := t.p.Engine()
	t.giveUp() // the other addresses
	conn := t.conns[t.open]
	t.result.Local, t.result.Remote = conn.Local(), conn.Remote()
	var got []byte
	ended := false
	var broken error
	conn.OnData = func(b []byte) { got = append(got, b...); t.p.Wake() }
	conn.OnEOF = func() { ended = true; t.p.Wake() }
	conn.OnError = func(err error) { broken = err; t.p.Wake() }
	method := "GET"
	if t.cmd.Head {
		method = "HEAD"
	}
	conn.Write(fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n", method, t.cmd.Path, t.cmd.Host))
	for {
		a := readAnswer(got, t.cmd.Head)
		if a.headed {
			t.result.HTTPCode, t.result.Server = a.status, a.server
		}
		if a.whole || a.headed && a.missing < 0 && ended {
			if t.keep && !a.close && !ended && broken == nil {
				t.kept = conn
			}
			return
		}
		switch {
		case broken != nil:
			t.silent = len(got) == 0
			t.fail(ExitReceiveError, "Recv failure: %v", broken)
			return
		case ended && len(got) == 0:
			t.silent = true
			t.fail(ExitGotNothing, "Empty reply from server")
			return
		case ended && a.headed:
			t.fail(ExitPartialFile, "transfer closed with %d bytes remaining to read", a.missing)
			return
		case ended:
			t.fail(ExitReceiveError, "transfer closed with outstanding read data remaining")
			return
		case t.deadline != 0 && e.Now() >= t.deadline:
			t.fail(ExitOperationTimeout, "Operation timed out after %d milliseconds with %d bytes received", (e.Now()-t.result.Began)/time.Millisecond, len(got))
			return
		}
		wait := time.Duration(-1)
		if t.deadline != 0 {
			wait = t.deadline - e.Now()
		}
		t.p.Wait(wait)
	}
}

// answer is what has come in of an HTTP answer.
type answer struct {
	status  int
	server  string
	headed  bool // the head is whole
	whole   bool
	close   bool // the server closes the connection after it
	missing int  // bytes of the body that are still to come, -1 where the end of the connection ends it
}

// readAnswer reads an HTTP answer, with Content-Length, chunks, or a body that ends with the connection.
func readAnswer(b []byte, head bool) (a answer) {
	top, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok || len(top) < 12 {
		return a
	}
	a.headed, a.missing = true, -1
	a.status, _ = strconv.Atoi(string(top[9:12]))
	chunked := false
	for i, line := range bytes.Split(top, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(": "))
		if i == 0 || !found {
			continue
		}
		switch string(bytes.ToLower(name)) {
		case "content-length":
			n, _ := strconv.Atoi(string(value))
			a.missing = max(0, n-len(body))
		case "transfer-encoding":
			chunked = true
		case "server":
			a.server = string(value)
		case "connection":
			a.close = string(value) == "close"
		}
	}
	switch {
	case head, a.status == 204, a.status == 304:
		a.missing, a.whole = 0, true
	case chunked:
		a.missing = 1
		a.whole = bytes.HasSuffix(body, []byte("0\r\n\r\n"))
	default:
		a.whole = a.missing == 0
	}
	return a
}
