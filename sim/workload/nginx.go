package workload

import (
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
)

// Settings of the image's nginx. Sources: nginx conf/nginx.conf as the Docker image ships it (keepalive_timeout 65); nginx
// src/http/ngx_http_core_module.c (client_header_timeout 60 s, keepalive_requests 1000).
const (
	keepAliveTimeout  = 65 * time.Second
	headerTimeout     = 60 * time.Second
	keepAliveRequests = 1000
)

// Lengths of nginx's pages. Source: nginx docs/html/index.html as the image ships it; src/http/ngx_http_special_response.c.
const (
	welcomeBytes = 615
	errorBytes   = 153
)

// What the moving tags of nginx stand for: the versions of October 2022, when the world begins. Source: hub.docker.com/_/nginx, tags of that time.
var nginxTags = map[string]string{"": "1.23.1", "latest": "1.23.1", "mainline": "1.23.1", "alpine": "1.23.1", "1": "1.23.1", "1.23": "1.23.1", "stable": "1.22.0", "1.22": "1.22.0", "1.21": "1.21.6", "1.20": "1.20.2"}

// nginxVersion is the version that a tag of nginx stands for.
func nginxVersion(tag string) string {
	if v, ok := nginxTags[tag]; ok {
		return v
	}
	tag, _, _ = strings.Cut(tag, "-") // its base system
	if v, ok := nginxTags[tag]; ok {
		return v
	}
	return tag
}

// Nginx is an image of nginx with settings of its own. The zero value is the official image.
type Nginx struct {
	// Server is the Server header. Empty means nginx, with the version that the image's tag stands for.
	Server string
	// Statuses of answers by path; else / answers 200, and what is not there 404.
	Statuses map[string]int
	// KeepaliveTimeout is after how much idle time a connection is closed. Zero means the official image's 65 s.
	KeepaliveTimeout time.Duration
	// AnswerTime is how long an answer takes.
	AnswerTime time.Duration
	// StopTime is how long it goes on after its stop signal, without taking new connections.
	StopTime time.Duration
	// NoShell is whether there is no shell in the image, nor anything else that a hook could run.
	NoShell bool
	// Wrapped is whether the first process is a shell that passes no signal on to nginx.
	Wrapped bool
	// StopSignal is the image's STOPSIGNAL. Empty means the official image's, SIGQUIT.
	StopSignal Signal
	// Graceful is whether every signal that asks it to end lets it finish what is in hand; nginx does so for SIGQUIT only.
	Graceful bool
	// Ports it listens on. None means 80, and NoPorts none at all.
	Ports   []uint16
	NoPorts bool
	// AnyPath is whether what has no status of its own is answered with 200.
	AnyPath bool
}

// start starts the server. It listens on port 80, whatever containerPort says, as the official image does. The container's environment may say otherwise
// about what it can say.
// Source: nginxinc/docker-nginx Dockerfile (EXPOSE 80, STOPSIGNAL SIGQUIT).
func (n Nginx) start(c Container) error {
	if len(c.Spec.Command)+len(c.Spec.Args) > 0 {
		return engine.NotModelled("a web server with a command of its own")
	}
	if n.Server == "" {
		_, tag := split(c.Spec.Image)
		n.Server = "nginx/" + nginxVersion(tag)
	}
	if n.KeepaliveTimeout == 0 {
		n.KeepaliveTimeout = keepAliveTimeout
	}
	s := &webServer{Nginx: n, task: c.Task, engine: c.Task.engine, body: page(welcomeBytes), other: page(errorBytes)}
	if err := s.read(c.Spec); err != nil {
		return err
	}
	c.Task.NoShell = n.NoShell
	if c.Task.StopSignal = n.StopSignal; n.StopSignal == "" {
		c.Task.StopSignal = SIGQUIT
	}
	if !s.Wrapped { // else the kernel drops what the shell does not handle
		c.Task.OnSignal = s.signal
	}
	ports := n.Ports
	if len(ports) == 0 && !n.NoPorts {
		ports = []uint16{80}
	}
	return s.serve(c.Namespace, ports)
}

// game2048 is a page with a game, served by an nginx that does not tell its version, in an image that names no stop signal.
// Source: alexwhen/docker-2048 Dockerfile, which the image of the AWS EKS series is made from.
var game2048 = Nginx{Server: "nginx", StopSignal: SIGTERM}

// ownWeb is the web server of ekslab's own image, which is made FROM scratch: there is no shell in it. It finishes what is in hand.
func ownWeb(c Container) error {
	server := "ekslab"
	if _, tag := split(c.Spec.Image); tag != "" {
		server += "/" + tag
	}
	return Nginx{Server: server, NoShell: true, StopSignal: SIGTERM, Graceful: true}.start(c)
}

func page(length int) []byte { return []byte(strings.Repeat(" ", length)) }
