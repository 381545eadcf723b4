package workload

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

// Container is what a program finds around it.
type Container struct {
	Pod       *corev1.Pod
	Spec      *corev1.Container
	Namespace *linux.Namespace
}

// Program starts what an image runs.
type Program func(Container) error

// Images finds programs by image name, without registry and tag.
type Images map[string]Program

// Standard returns the images that any world has.
func Standard() Images {
	return Images{
		"nginx":             nginx,
		"nicolaka/netshoot": netshoot,
	}
}

// Find returns the program of an image.
func (im Images) Find(image string) (Program, error) {
	name := image
	if at := strings.IndexByte(name, '@'); at >= 0 {
		name = name[:at]
	}
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	if p, ok := im[name]; ok {
		return p, nil
	}
	if _, rest, ok := strings.Cut(name, "/"); ok {
		if p, ok := im[rest]; ok { // a registry's mirror of it
			return p, nil
		}
	}
	return nil, engine.NotModelled("image %q", image)
}

// netshoot waits for commands: only sleep is modelled.
func netshoot(c Container) error {
	if len(c.Spec.Command) == 0 || c.Spec.Command[0] != "sleep" {
		return engine.NotModelled("command %q", c.Spec.Command)
	}
	return nil
}

// welcomeBytes is the length of nginx's welcome page. Source: nginx docs/html/index.html, as the image ships it.
const welcomeBytes = 615

// welcome is nginx's answer to GET /.
var welcome = []byte(fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: keep-alive\r\nAccept-Ranges: bytes\r\n\r\n", welcomeBytes) + strings.Repeat(" ", welcomeBytes))

// nginx listens on port 80, whatever containerPort says, as its image does.
func nginx(c Container) error {
	if len(c.Spec.Command)+len(c.Spec.Args) > 0 {
		return engine.NotModelled("nginx with a command of its own")
	}
	_, err := c.Namespace.Listen(netip.Addr{}, 80, func(conn *linux.Conn) {
		conn.OnData = func([]byte) { conn.Write(welcome) }
		conn.OnEOF = func() { conn.Close() }
	})
	return err
}
