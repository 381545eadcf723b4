package workload

import (
	"github.com/ekslab/ekslab/sim/dns"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/trace"
)

// Session is one run of curl with many URLs of one host, which uses a connection again as long as it is open.
type Session struct {
	Curl
	// Log, Who, Namespace and Resolv are as Curl.Run has them.
	Log       *trace.Log
	Who       string
	Namespace *linux.Namespace
	Resolv    dns.Config

	conn *linux.Conn // nil while there is none that is open
}

// Do makes the next request, on the process p, and returns when it has ended. A connection that is found closed is opened anew; so is one that
// served before and ends now without a byte of an answer, and the request is sent again.
// Source: curl lib/url.c (a connection that has something to read while it is idle is dead); lib/transfer.c, Curl_retry_request.
func (s *Session) Do(p *engine.Process) *Result {
	t := s.begin(p, s.Log, s.Who, s.Namespace)
	t.keep = true
	if s.conn != nil {
		t.conns, t.open, t.result.Reused = []*linux.Conn{s.conn}, 0, true
		t.request()
		if t.silent {
			t.conns[0].Close()
			t.conns, t.open, t.silent = nil, -1, false
			t.result.Exit, t.result.Message, t.result.Reused = ExitOK, "", false
			t.say("curl", "connection died, retrying a fresh connect")
			t.run(s.Resolv)
		}
	} else {
		t.run(s.Resolv)
	}
	s.conn = t.kept
	t.end()
	if s.conn != nil {
		conn := s.conn
		lost := func() {
			if s.conn == conn {
				s.conn = nil
				conn.Close()
			}
		}
		conn.OnData = func([]byte) { lost() }
		conn.OnEOF = lost
		conn.OnError = func(error) { lost() }
	}
	return t.result
}

// Close ends the run.
func (s *Session) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
