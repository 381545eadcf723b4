package workload

import (
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
	// Task is the container's first process, which the program brings to life.
	Task *Task
}

// Program starts what an image runs.
type Program func(Container) error

// Images finds programs by image name, without registry and tag.
type Images map[string]Program

// Standard returns the images that any world has.
func Standard() Images {
	return Images{
		"nginx":                Nginx{}.start,
		"library/nginx":        Nginx{}.start,
		"nginx/nginx":          Nginx{}.start,
		"l6m2t8p7/docker-2048": game2048.start,
		"ekslab/web":           ownWeb,
		"nicolaka/netshoot":    netshoot,
	}
}

// InvalidNameError is the error of an image whose name is no name.
type InvalidNameError struct{ Image string }

func (e InvalidNameError) Error() string {
	return "couldn't parse image name \"" + e.Image + "\": invalid reference format"
}

// split is an image's name, without tag and digest, and its tag.
func split(image string) (name, tag string) {
	name, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		return name[:colon], name[colon+1:]
	}
	return name, ""
}

// Find returns the program of an image.
func (im Images) Find(image string) (Program, error) {
	if p, ok := im[image]; ok {
		return p, nil
	}
	name, _ := split(image)
	if name == "" || strings.HasSuffix(image, ":") || strings.HasSuffix(image, "@") || strings.ContainsAny(image, " \t") || strings.ToLower(name) != name {
		return nil, InvalidNameError{image}
	}
	if p, ok := im[name]; ok {
		return p, nil
	}
	if _, rest, ok := strings.Cut(name, "/"); ok {
		if p, ok := im[rest]; ok { // a registry's mirror of it
			return p, nil
		}
	}
	if p, ok := im[anyImage]; ok {
		return p, nil
	}
	return nil, engine.NotModelled("image %q", image)
}

// netshoot waits for commands: only sleep is modelled. It handles no signal, so only SIGKILL ends it before its time.
func netshoot(c Container) error {
	if len(c.Spec.Command) == 0 || base(c.Spec.Command[0]) != "sleep" || len(c.Spec.Args) > 0 {
		return engine.NotModelled("command %q", c.Spec.Command)
	}
	script, err := parse(c.Spec.Command)
	if err != nil {
		return err
	}
	if d := script[0].wait; d < forever {
		c.Task.engine.After(d, "workload: sleep", engine.Func(func() { c.Task.Exit(0) }))
	}
	return nil
}
