package workload

import (
	"fmt"
	"strings"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// welcomeBytes is the length of nginx's welcome page. Source: nginx docs/html/index.html, as the image ships it.
const welcomeBytes = 615

// nginx listens on port 80, whatever containerPort says, as its image does.
func nginx(c Container) error {
	if len(c.Spec.Command)+len(c.Spec.Args) > 0 {
		return engine.NotModelled("nginx with a command of its own")
	}
	welcome := []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: keep-alive\r\nAccept-Ranges: bytes\r\n\r\n", welcomeBytes) + strings.Repeat(" ", welcomeBytes))
	t := c.Task
	t.StopSignal = SIGQUIT
	t.OnSignal = func(Signal) { t.Exit(0) }
	return t.Listen(c.Namespace, 80, func(conn *linux.Conn) {
		conn.OnData = func([]byte) { conn.Write(welcome) }
		conn.OnEOF = func() { t.Release(conn); conn.Close() }
	})
}
