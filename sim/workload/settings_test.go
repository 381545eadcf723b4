package workload

import (
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/engine"
)

// What a manifest says of its web server is taken, or refused in words that help.
func TestSettings(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{EnvRequestSeconds, "1.5", ""},
		{EnvRequestSeconds, "-1", "must be a number of seconds"},
		{EnvRequestSeconds, "5s", "must be a number of seconds"},
		{EnvStopSeconds, "NaN", "must be a number of seconds"},
		{EnvIdleSeconds, "1e9", "must be a number of seconds"},
		{EnvIgnoreStopSignal, "true", ""},
		{EnvIgnoreStopSignal, "yes please", "must be true or false"},
		{EnvStatus, "/healthz=500, /old=404", ""},
		{EnvStatus, "healthz=500", "must be paths"},
		{EnvStatus, "/healthz=99", "must be paths"},
		{EnvStatus, "", "must be paths"},
		{EnvServer, "a\r\nb", "one line"},
		{"SOMETHING_ELSE", "-1", ""},
	} {
		err := Check(&corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Env: []corev1.EnvVar{{Name: c.name, Value: c.value}}}}})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%q: %v, want %q", c.name, c.value, err, c.want)
		}
	}
}

// Commands are read as a shell reads them; what is not modelled is told before anything runs.
func TestCommands(t *testing.T) {
	for _, c := range []struct {
		command string // words between spaces, a script after |
		want    time.Duration
		refused bool
	}{
		{"sleep 40", 40 * time.Second, false},
		{"/bin/sleep 1.5", 1500 * time.Millisecond, false},
		{"sleep 2m", 2 * time.Minute, false},
		{"sleep 1d", 24 * time.Hour, false},
		{"/bin/sh -c |sleep 70", 70 * time.Second, false},
		{"/bin/bash -c |sleep 5; sleep 10 && true", 15 * time.Second, false},
		{"true", 0, false},
		{"sleep", 0, true},
		{"sleep -1", 0, true},
		{"sleep soon", 0, true},
		{"sh -x script", 0, true},
		{"/bin/sh -c |sleep 5; /usr/sbin/nginx -s quit", 5 * time.Second, false},
		{"/bin/sh -c |kill -QUIT 1 && sleep 1", time.Second, false},
		{"/bin/sh -c |nginx -s reload", 0, true},
		{"kill -9 1", 0, true},
		{"curl localhost", 0, true},
	} {
		words, script, has := strings.Cut(c.command, "|")
		command := strings.Fields(words)
		if has {
			command = append(command, script)
		}
		err := Check(&corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}}}}})
		if (err != nil) != c.refused || err != nil && !errors.Is(err, engine.ErrNotModelled) {
			t.Errorf("%q: %v", command, err)
		}
		if c.refused {
			continue
		}
		e := engine.New(engine.Options{})
		task, took := NewTask(e), time.Duration(-1)
		e.Go("test", func(p *engine.Process) {
			if code, err := task.Exec(p, command); code != 0 || err != nil {
				t.Errorf("%q: %d, %v", command, code, err)
			}
			took = e.Now()
		})
		if err := e.Run(48*time.Hour, nil); err != nil || took != c.want {
			t.Errorf("%q took %v, want %v (%v)", command, took, c.want, err)
		}
		e.Close()
	}
}

// The version behind a tag.
func TestNginxVersion(t *testing.T) {
	for tag, want := range map[string]string{"": "1.23.1", "latest": "1.23.1", "1.22.0": "1.22.0", "1.22": "1.22.0", "1.22.0-alpine": "1.22.0", "stable-alpine": "1.22.0", "1.25.2": "1.25.2"} {
		if got := nginxVersion(tag); got != want {
			t.Errorf("%q: %s, want %s", tag, got, want)
		}
	}
}
