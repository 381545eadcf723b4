package elb

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// maxHeadBytes is how long the head of a request or of an answer may be.
// Source: Application Load Balancers user guide, "Quotas: HTTP headers": a request's headers as a whole have 64 K, a response's 32 K.
const maxHeadBytes = 64 << 10

// message is the head of an HTTP/1.1 request or response, and how its body ends.
type message struct {
	head []byte // with the empty line
	// of a request
	method, target, host string
	// of a response
	status int
	// length of the body, or -1 where the end of the connection ends it; chunked bodies tell their own end.
	length  int
	chunked bool
	close   bool // "Connection: close", or HTTP/1.0
}

var endOfHead = []byte("\r\n\r\n")

// parseMessage reads a head from the beginning of b. Whole is false while more is to come; ok is false for what is no HTTP.
func parseMessage(b []byte, response bool) (m message, whole, ok bool) {
	end := bytes.Index(b, endOfHead)
	if end < 0 {
		// What has begun as something else will not become HTTP.
		if response && !bytes.HasPrefix(b, []byte("HTTP/1.")[:min(len(b), 7)]) {
			return m, false, false
		}
		return m, false, len(b) <= maxHeadBytes
	}
	m.head = b[:end+len(endOfHead)]
	first, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	line := string(first)
	if response {
		if len(line) < 12 || !strings.HasPrefix(line, "HTTP/1.") || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
			return m, true, false
		}
		n, err := strconv.Atoi(line[9:12])
		if err != nil || n < 100 {
			return m, true, false
		}
		m.status, m.length, m.close = n, -1, line[7] == '0'
	} else {
		parts := strings.Split(line, " ")
		if len(parts) != 3 || parts[0] == "" || !strings.HasPrefix(parts[1], "/") && parts[1] != "*" || parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" {
			return m, true, false
		}
		m.method, m.target, m.close = parts[0], parts[1], parts[2] == "HTTP/1.0"
	}
	for len(rest) > 0 {
		var field []byte
		field, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, found := bytes.Cut(field, []byte(":"))
		if !found || len(name) == 0 || name[len(name)-1] == ' ' {
			return m, true, false
		}
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			n, err := strconv.Atoi(string(value))
			if err != nil || n < 0 {
				return m, true, false
			}
			m.length = n
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			m.chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			m.close = bytes.EqualFold(value, []byte("close")) || m.close && !bytes.EqualFold(value, []byte("keep-alive"))
		case bytes.EqualFold(name, []byte("Host")):
			m.host = string(value)
		}
	}
	return m, true, true
}

// bodyEnd says how many bytes of b, which follow a head, are its body, and whether that is all of it. Closed is whether nothing more will come.
func (m *message) bodyEnd(b []byte, closed bool) (n int, whole, ok bool) {
	switch {
	case m.chunked:
		return chunkedEnd(b)
	case m.length >= 0:
		n = min(len(b), m.length)
		return n, n == m.length, true
	}
	return len(b), closed, true
}

// chunkedEnd finds the end of a chunked body. Source: RFC 9112, section 7.1.
func chunkedEnd(b []byte) (n int, whole, ok bool) {
	for at := 0; ; {
		i := bytes.Index(b[at:], []byte("\r\n"))
		if i < 0 {
			return len(b), false, len(b)-at < 64
		}
		text, _, _ := bytes.Cut(b[at:at+i], []byte(";"))
		size, err := strconv.ParseUint(string(text), 16, 31)
		if err != nil {
			return at, false, false
		}
		at += i + 2
		if size == 0 {
			j := bytes.Index(b[at-2:], endOfHead)
			if j < 0 {
				return len(b), false, true
			}
			return at - 2 + j + 4, true, true
		}
		if at += int(size) + 2; at > len(b) {
			return len(b), false, true
		}
		if !bytes.Equal(b[at-2:at], []byte("\r\n")) {
			return at, false, false
		}
	}
}

// forwarded is a request's head as a target gets it.
// Source: Application Load Balancers user guide, "HTTP headers and Application Load Balancers": X-Forwarded-For, -Proto and -Port; "Request
// tracing": X-Amzn-Trace-Id. Connections to targets are kept alive.
func (m *message) forwarded(client string, port uint16, traceID string) []byte {
	out := make([]byte, 0, len(m.head)+160)
	rest := m.head[:len(m.head)-2]
	sawFor := false
	for first := true; len(rest) > 0; first = false {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch {
		case first:
		case bytes.EqualFold(name, []byte("Connection")), bytes.EqualFold(name, []byte("Keep-Alive")), bytes.EqualFold(name, []byte("X-Forwarded-Proto")), bytes.EqualFold(name, []byte("X-Forwarded-Port")):
			continue
		case bytes.EqualFold(name, []byte("X-Forwarded-For")):
			sawFor = true
			line = fmt.Appendf(bytes.Clone(line), ", %s", client)
		}
		out = append(append(out, line...), "\r\n"...)
	}
	if !sawFor {
		out = fmt.Appendf(out, "X-Forwarded-For: %s\r\n", client)
	}
	return fmt.Appendf(out, "X-Forwarded-Proto: http\r\nX-Forwarded-Port: %d\r\nX-Amzn-Trace-Id: %s\r\nConnection: keep-alive\r\n\r\n", port, traceID)
}

// backward is a response's head as the client gets it: hop by hop headers are the load balancer's own.
func (m *message) backward(keepAlive bool) []byte {
	out := make([]byte, 0, len(m.head)+24)
	rest := m.head[:len(m.head)-2]
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if name, _, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Connection")) || bytes.EqualFold(name, []byte("Keep-Alive")) {
			continue
		}
		out = append(append(out, line...), "\r\n"...)
	}
	return append(out, connection(keepAlive)+"\r\n"...)
}

func connection(keepAlive bool) string {
	if keepAlive {
		return "Connection: keep-alive\r\n"
	}
	return "Connection: close\r\n"
}

// phrases are the words of a load balancer's own answers. Source: captures of awselb/2.0, as Application Load Balancers give it in Server.
var phrases = map[int]string{400: "Bad Request", 404: "Not Found", 408: "Request Time-out", 502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}

// own is an answer that the load balancer makes itself.
func own(status int, contentType, body, date string, head, keepAlive bool) []byte {
	if contentType == "" {
		contentType = "text/html"
		text := fmt.Sprintf("%d %s", status, phrases[status])
		body = "<html>\r\n<head><title>" + text + "</title></head>\r\n<body>\r\n<center><h1>" + text + "</h1></center>\r\n</body>\r\n</html>\r\n"
	}
	out := fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nServer: awselb/2.0\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n", status, phrases[status], date, contentType, len(body), connection(keepAlive))
	if head {
		return out
	}
	return append(out, body...)
}
