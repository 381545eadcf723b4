package workload

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Environment variables by which a manifest says how its web application behaves; nginx itself knows none of them.
const (
	// EnvRequestDuration is how long a request takes, such as 200ms.
	EnvRequestDuration = "EKSLAB_REQUEST_DURATION"
	// EnvStartDelay is how long after its start the application listens.
	EnvStartDelay = "EKSLAB_START_DELAY"
	// EnvStop is "ignore" for an application that ignores its stop signal.
	EnvStop = "EKSLAB_STOP"
	// EnvStopDelay is for how long after its stop signal the application goes on as if nothing had happened.
	EnvStopDelay = "EKSLAB_STOP_DELAY"
	// EnvStatus are paths and what they are answered with, such as "/healthz=500,/old=404".
	EnvStatus = "EKSLAB_STATUS"
	// EnvKeepAlive is after how long without a request the application closes a connection.
	EnvKeepAlive = "EKSLAB_KEEPALIVE_TIMEOUT"
	// EnvShell is "none" for an image in which nothing can be executed.
	EnvShell = "EKSLAB_SHELL"
)

// App is how a web application behaves.
type App struct {
	RequestDuration, StartDelay, StopDelay, KeepAlive time.Duration
	IgnoresStop, NoShell                              bool
	Status                                            map[string]int
}

// ReadApp reads a container's environment, or says what is wrong with it.
func ReadApp(c *corev1.Container) (App, error) {
	a := App{KeepAlive: nginxKeepAlive}
	for _, v := range c.Env {
		if !strings.HasPrefix(v.Name, "EKSLAB_") {
			continue
		}
		var err error
		switch v.Name {
		case EnvRequestDuration:
			a.RequestDuration, err = span(v.Value)
		case EnvStartDelay:
			a.StartDelay, err = span(v.Value)
		case EnvStopDelay:
			a.StopDelay, err = span(v.Value)
		case EnvKeepAlive:
			a.KeepAlive, err = span(v.Value)
		case EnvStop:
			a.IgnoresStop, err = word(v.Value, "ignore")
		case EnvShell:
			a.NoShell, err = word(v.Value, "none")
		case EnvStatus:
			a.Status, err = statuses(v.Value)
		default:
			err = fmt.Errorf("no such setting of a modelled application")
		}
		if err != nil {
			return App{}, fmt.Errorf("env %s=%q: %w", v.Name, v.Value, err)
		}
	}
	return a, nil
}

func span(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("want a duration such as 200ms or 5s")
	}
	return d, nil
}

func word(s, want string) (bool, error) {
	if s != "" && s != want {
		return false, fmt.Errorf("want %s", want)
	}
	return s == want, nil
}

func statuses(s string) (map[string]int, error) {
	out := map[string]int{}
	for _, part := range strings.Split(s, ",") {
		path, code, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.Atoi(code)
		if err != nil || n < 200 || n > 599 || !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("want paths and statuses, such as /healthz=500")
		}
		out[path] = n
	}
	return out, nil
}

func reasonPhrase(code int) string { return http.StatusText(code) }
