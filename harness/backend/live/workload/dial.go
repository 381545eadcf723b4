//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

var errGaveUp = errors.New(gaveUp)

// dial opens a TCP connection. Unlike net.Dialer it tells the local address as soon as the kernel has chosen it, so that a connection that never
// opens can still be found in a capture.
func dial(ctx context.Context, to netip.AddrPort, local chan<- netip.AddrPort) (net.Conn, error) {
	told := false
	tell := func(a netip.AddrPort) {
		if !told {
			told = true
			local <- a
		}
	}
	defer tell(netip.AddrPort{})
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && err != syscall.EINPROGRESS {
		_ = syscall.Close(fd)
		return nil, err
	}
	if name, err := syscall.Getsockname(fd); err == nil {
		if in, ok := name.(*syscall.SockaddrInet4); ok {
			tell(netip.AddrPortFrom(netip.AddrFrom4(in.Addr), uint16(in.Port)))
		}
	}
	f := os.NewFile(uintptr(fd), "tcp") // not blocking, so that the runtime's poller waits for it
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	var failure error
	err = raw.Write(func(fd uintptr) bool {
		errno, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		switch {
		case err != nil:
			failure = err
		case errno != 0:
			failure = syscall.Errno(errno)
		default:
			_, failure = syscall.Getpeername(int(fd))
			if failure == syscall.ENOTCONN {
				failure = nil
				return false // not yet
			}
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return nil, errGaveUp
	case err != nil:
		return nil, err
	case failure != nil:
		return nil, failure
	}
	return net.FileConn(f)
}

// errnos are the words for what ends a connection attempt.
var errnos = map[syscall.Errno]string{
	syscall.ETIMEDOUT: "ETIMEDOUT", syscall.ECONNREFUSED: "ECONNREFUSED", syscall.EHOSTUNREACH: "EHOSTUNREACH", syscall.ENETUNREACH: "ENETUNREACH",
	syscall.EADDRNOTAVAIL: "EADDRNOTAVAIL", syscall.ECONNRESET: "ECONNRESET",
}

// word is an error in one word.
func word(err error) string {
	if errors.Is(err, errGaveUp) {
		return gaveUp
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if w, ok := errnos[errno]; ok {
			return w
		}
		return fmt.Sprintf("errno %d", int(errno))
	}
	return err.Error()
}
