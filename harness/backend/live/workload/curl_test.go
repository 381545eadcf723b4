//go:build linux

package main

import (
	"context"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// hole listens on an address and answers no SYN: its queue of connections is full, and Linux drops what comes then.
func hole(t *testing.T, port int, addr [4]byte) uint16 {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: addr}); err != nil {
		t.Skipf("cannot have the port on a second address: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := name.(*syscall.SockaddrInet4)
	for range 2 {
		c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port)).String(), 100*time.Millisecond)
		if err != nil {
			break // it is full
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	return uint16(to.Port)
}

func TestDial(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	open := l.Addr().(*net.TCPAddr).AddrPort()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	local := make(chan netip.AddrPort, 1)
	c, err := dial(ctx, open, local)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-local; got != c.LocalAddr().(*net.TCPAddr).AddrPort() {
		t.Errorf("told %v, it is %v", got, c.LocalAddr())
	}
	_ = c.Close()
	_ = l.Close()
	if _, err := dial(ctx, open, local); word(err) != "ECONNREFUSED" {
		t.Errorf("nobody listens: %v", err)
	}
	<-local
	closed := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), hole(t, 0, [4]byte{127, 0, 0, 1}))
	if _, err := dial(ctx, closed, local); word(err) != gaveUp {
		t.Errorf("nobody answers: %v", err)
	}
	// The port of a connection that never opened is known: a capture can be searched for it.
	if got := <-local; !got.IsValid() {
		t.Error("the local address was not told")
	}
}

// The first address does not answer; the second does.
func TestFallback(t *testing.T) {
	port := hole(t, 0, [4]byte{127, 0, 0, 1})
	l, err := net.Listen("tcp4", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port).String())
	if err != nil {
		t.Skipf("cannot have the port on a second address: %v", err)
	}
	defer l.Close()
	addrs := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}
	const maxTime = 1200 * time.Millisecond
	for _, test := range []struct {
		fallback string
		addrs    []netip.Addr
		attempts int
		exit     int
		from, to time.Duration // of the whole
	}{
		{"sequential", addrs, 2, 0, maxTime / 2, maxTime * 9 / 10},         // half of the time for the first address
		{"parallel", addrs, 2, 0, happyEyeballs, maxTime / 2},              // the second starts 200 ms later
		{"none", addrs[:1], 1, exitOperationTimeout, maxTime, 2 * maxTime}, // all of the time for the only one
		{"sequential", addrs[1:], 1, 0, 0, maxTime / 4},                    // at once
	} {
		ctx, cancel := context.WithTimeout(t.Context(), maxTime)
		r := &result{}
		began := time.Now()
		conn, exit, message := curl{host: "h", port: port, fallback: test.fallback, maxTime: maxTime}.connect(ctx, test.addrs, r)
		took := time.Since(began)
		cancel()
		if conn != nil {
			_ = conn.Close()
		}
		if (conn != nil) != (test.exit == 0) || exit != test.exit || len(r.Attempts) != test.attempts || took < test.from || took > test.to {
			t.Errorf("%s over %v: exit %d %q, %d attempts, %v", test.fallback, test.addrs, exit, message, len(r.Attempts), took)
		}
		for i, a := range r.Attempts {
			if a.Ended == 0 || a.Local == "" {
				t.Errorf("%s: attempt %d has no end or no local address: %+v", test.fallback, i, a)
			}
		}
		if test.exit == 0 && len(test.addrs) == 2 && r.Attempts[0].Error != gaveUp {
			t.Errorf("%s: the first attempt ended with %q", test.fallback, r.Attempts[0].Error)
		}
	}
}
