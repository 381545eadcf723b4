package kubelet

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// errTimeout is the error of a probe that took longer than its timeout.
var errTimeout = errors.New("context deadline exceeded (Client.Timeout exceeded while awaiting headers)")

// dial opens a connection from the node, as the kubelet does. The caller closes it.
func (n *Node) dial(p *engine.Process, to netip.AddrPort, until time.Duration) (*linux.Conn, error) {
	e := p.Engine()
	conn, err := n.Root.Dial(to)
	if err != nil {
		return nil, fmt.Errorf("dial tcp %v: %w", to, err)
	}
	done := false
	conn.OnConnect = func(e error) { err, done = e, true; p.Wake() }
	for !done && e.Now() < until {
		p.Wait(until - e.Now())
	}
	switch {
	case !done:
		conn.Close()
		return nil, fmt.Errorf("dial tcp %v: i/o timeout", to)
	case err != nil:
		return nil, fmt.Errorf("dial tcp %v: connect: %w", to, strerror(err))
	}
	return conn, nil
}

// get sends a request from the node and returns the status of the answer. Every request has a connection of its own.
// Source: kubernetes/kubernetes pkg/probe/http/http.go (DisableKeepAlives).
func (n *Node) get(p *engine.Process, to netip.AddrPort, a *corev1.HTTPGetAction, agent string, timeout time.Duration) (int, error) {
	e := p.Engine()
	until := e.Now() + timeout
	path := a.Path
	if path == "" {
		path = "/"
	}
	url := fmt.Sprintf("Get \"http://%v%s\": ", to, path)
	conn, err := n.dial(p, to, until)
	if err != nil {
		return 0, fmt.Errorf("%s%w", url, err)
	}
	defer conn.Close()
	host := to.String()
	var got []byte
	ended := false
	var broken error
	conn.OnData = func(b []byte) { got = append(got, b...); p.Wake() }
	conn.OnEOF = func() { ended = true; p.Wake() }
	conn.OnError = func(err error) { broken = err; p.Wake() }
	var extra bytes.Buffer
	for _, h := range a.HTTPHeaders {
		if h.Name == "Host" {
			host = h.Value
		} else {
			fmt.Fprintf(&extra, "%s: %s\r\n", h.Name, h.Value)
		}
	}
	conn.Write(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nAccept: */*\r\n%sConnection: close\r\n\r\n", path, host, agent, extra.Bytes()))
	for {
		if bytes.Contains(got, []byte("\r\n\r\n")) && len(got) > 12 {
			status, err := strconv.Atoi(string(got[9:12]))
			if err != nil {
				return 0, fmt.Errorf("%snet/http: HTTP/1.x transport connection broken: malformed HTTP response", url)
			}
			return status, nil
		}
		switch {
		case broken != nil:
			return 0, fmt.Errorf("%sread tcp %v->%v: read: %w", url, conn.Local(), to, strerror(broken))
		case ended:
			return 0, fmt.Errorf("%sEOF", url)
		case e.Now() >= until:
			return 0, fmt.Errorf("%s%w", url, errTimeout)
		}
		p.Wait(until - e.Now())
	}
}

// strerror words an error of the kernel as Go does.
func strerror(err error) error {
	switch err {
	case linux.ECONNREFUSED:
		return errors.New("connection refused")
	case linux.ECONNRESET:
		return errors.New("connection reset by peer")
	case linux.ETIMEDOUT:
		return errors.New("connection timed out")
	case linux.EHOSTUNREACH:
		return errors.New("no route to host")
	}
	return err
}

// port is the number of a port that a probe or hook names.
func (c *container) port(p intstr.IntOrString) (uint16, error) {
	if p.Type == intstr.Int {
		return uint16(p.IntVal), nil
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return uint16(n), nil
	}
	for _, cp := range c.spec.Ports {
		if cp.Name == p.StrVal {
			return uint16(cp.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("couldn't find port: %s in container %s", p.StrVal, c.spec.Name)
}

// address is where a probe or hook of the container goes.
func (c *container) address(host string, p intstr.IntOrString) (netip.AddrPort, error) {
	port, err := c.port(p)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a := c.pod.Addr
	if host != "" {
		if a, err = netip.ParseAddr(host); err != nil {
			return netip.AddrPort{}, engine.NotModelled("host %q of a probe or hook", host)
		}
	}
	return netip.AddrPortFrom(a, port), nil
}
