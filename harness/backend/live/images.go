package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"

	"github.com/ekslab/ekslab/harness/backend"
)

// ImageName says what an image is for; it is the key of the result document's images.
type ImageName string

const (
	// NodeImage is what kind runs as a Kubernetes node.
	NodeImage ImageName = "node"
	// LocalStackImage serves the AWS APIs that are no part of the model: S3, EC2.
	LocalStackImage ImageName = "localstack"
	// ToolsImage is the router: iptables, iproute2, conntrack, tcpdump.
	ToolsImage ImageName = "tools"
	// WorkloadImage holds the static test programs of this repository, and nothing else.
	WorkloadImage ImageName = "workload"
)

// The images that a run uses unless it is told others. e2e/images/versions.sh has the same pins for `make images`; a test compares them.
const (
	// RealNode is kind v0.33.0's own image of the newest Kubernetes that still runs under cgroup v1.
	// Source: kubernetes-sigs/kind, notes of release v0.33.0.
	RealNode = "kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d"
	// RealLocalStack is the last release that needs no account.
	RealLocalStack = "localstack/localstack:4.14.0"
	// RealTools is an image of network tools in common use.
	RealTools = "nicolaka/netshoot:v0.13"

	// What `make images` builds where the real ones cannot be had.
	BuiltNode       = "ekslab/node:v1.34.4"
	BuiltLocalStack = "ekslab/localstack:4.14.0"
	BuiltTools      = "ekslab/tools:1"
)

// candidates are the images that can serve as one, the first being the better.
type candidates struct {
	real, built string
	// set names where the user names another one: an environment variable, and a flag if there is one.
	variable, flag string
}

var imageCandidates = map[ImageName]candidates{
	NodeImage:       {RealNode, BuiltNode, "EKSLAB_NODE_IMAGE", ""},
	LocalStackImage: {RealLocalStack, BuiltLocalStack, "EKSLAB_LOCALSTACK_IMAGE", "--localstack-image"},
	ToolsImage:      {RealTools, BuiltTools, "EKSLAB_TOOLS_IMAGE", ""},
}

// Image is an image on this machine.
type Image struct {
	Name ImageName
	// Ref is what Docker and kind are given.
	Ref string
	// ID is the image's id here, Digest its digest in the registry that it came from, if it came from one.
	ID     string
	Digest string
	// Built is whether `make images` or this program made it.
	Built bool
}

// String is the image as the result document names it: it says exactly which one ran.
func (i Image) String() string {
	ref, _, _ := strings.Cut(i.Ref, "@")
	switch {
	case i.Digest != "":
		return ref + "@" + i.Digest
	case i.ID != "":
		return ref + " (id " + i.ID + ")"
	}
	return ref
}

// ImageOptions say where images come from. The zero value uses the machine's Docker.
type ImageOptions struct {
	// Flags are the images given on the command line, by name.
	Flags map[ImageName]string
	// Getenv reads the environment; nil means os.Getenv.
	Getenv func(string) string
	// Docker runs the docker command; nil means the one on PATH.
	Docker DockerCommand
	// FirstAnswer bounds the wait for the first word of a registry, Pull the whole of a pull. 0 means 20 s and 15 min.
	FirstAnswer time.Duration
	Pull        time.Duration
	// Progress is told of a pull that begins. Nil means nobody.
	Progress func(note string)
}

// Images finds the images of a run. It is safe for concurrent use; each image is looked for once.
type Images struct {
	opts ImageOptions

	mu    sync.Mutex
	found map[ImageName]Image
	// failed keeps what an image could not be had for, so that every variant of every scenario does not wait for the same registry again.
	failed map[ImageName]error
	// machine is what MachineNeeds found.
	machine []backend.Need
}

// NewImages returns a finder of images.
func NewImages(opts ImageOptions) *Images {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.Docker == nil {
		opts.Docker = RunDocker
	}
	if opts.FirstAnswer == 0 {
		opts.FirstAnswer = 20 * time.Second
	}
	if opts.Pull == 0 {
		opts.Pull = 15 * time.Minute
	}
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	return &Images{opts: opts, found: map[ImageName]Image{}, failed: map[ImageName]error{}}
}

// UseImage takes an image that the user names in place of the one of that name, before anything runs. What is no reference is refused.
func (b *Backend) UseImage(name ImageName, ref string) error { return b.images.use(name, ref) }

func (i *Images) use(name ImageName, ref string) error {
	if _, err := reference.ParseNormalizedNamed(ref); err != nil {
		return fmt.Errorf("%w; an image is named like %s", err, imageCandidates[name].real)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	flags := maps.Clone(i.opts.Flags)
	if flags == nil {
		flags = map[ImageName]string{}
	}
	flags[name] = ref
	i.opts.Flags = flags
	delete(i.found, name)
	delete(i.failed, name)
	return nil
}

// Resolve returns the image to use, pulling it if need be: the one that the user names; else the real one if it is here or can be pulled; else
// the one that `make images` built. When there is none the error is a *backend.Unavailable.
func (i *Images) Resolve(ctx context.Context, name ImageName) (Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if image, ok := i.found[name]; ok {
		return image, nil
	}
	if err, ok := i.failed[name]; ok {
		return Image{}, err
	}
	image, err := i.resolve(ctx, name)
	switch {
	case err == nil:
		i.found[name] = image
	case ctx.Err() == nil:
		i.failed[name] = err
	}
	return image, err
}

func (i *Images) resolve(ctx context.Context, name ImageName) (Image, error) {
	c, ok := imageCandidates[name]
	if !ok {
		return Image{}, fmt.Errorf("live: image %q is not resolved by name", name)
	}
	ref, set := i.named(name)
	if set == "" {
		ref = c.real
	}
	image, err := i.inspect(ctx, name, ref)
	if err == nil || !errors.Is(err, errNoImage) {
		return image, err
	}
	pullErr := i.pull(ctx, name, ref)
	if pullErr == nil {
		return i.inspect(ctx, name, ref)
	}
	if ctx.Err() != nil {
		return Image{}, ctx.Err()
	}
	if set == "" {
		image, err = i.inspect(ctx, name, c.built)
		if err == nil || !errors.Is(err, errNoImage) {
			image.Built = err == nil
			return image, err
		}
	}
	return Image{}, &backend.Unavailable{Backend: "kind", Missing: []backend.Need{lacking(name, ref, set, pullErr)}}
}

// Need says for `ekslab doctor` whether the image is here or could be pulled. It pulls nothing.
func (i *Images) Need(ctx context.Context, name ImageName) backend.Need {
	ref, set := i.named(name)
	if set == "" {
		ref = imageCandidates[name].real
	}
	for _, r := range i.refs(name) {
		image, err := i.inspect(ctx, name, r)
		if err == nil {
			return backend.Need{Name: needName(name), Found: image.String()}
		}
		if !errors.Is(err, errNoImage) {
			return backend.Need{Name: needName(name), Problem: err.Error(), Remedy: "see what `docker image inspect " + r + "` says"}
		}
	}
	probe, cancel := context.WithTimeout(ctx, i.opts.FirstAnswer)
	defer cancel()
	if _, err := i.output(probe, "manifest", "inspect", ref); err != nil {
		if probe.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("its registry did not answer within %v", i.opts.FirstAnswer)
		}
		return lacking(name, ref, set, err)
	}
	return backend.Need{Name: needName(name), Found: ref + " is not here yet; the first run pulls it"}
}

func needName(name ImageName) string { return string(name) + " image" }

// named is the image that the user asks for, and where they do so.
func (i *Images) named(name ImageName) (ref, where string) {
	c := imageCandidates[name]
	if ref := i.opts.Flags[name]; ref != "" {
		return ref, c.flag
	}
	if ref := i.opts.Getenv(c.variable); ref != "" {
		return ref, c.variable
	}
	return "", ""
}

// refs are the references under which an image may be here, the better ones first.
func (i *Images) refs(name ImageName) []string {
	if ref, set := i.named(name); set != "" {
		return []string{ref}
	}
	return []string{imageCandidates[name].real, imageCandidates[name].built}
}

// lacking is the need for an image that cannot be had.
func lacking(name ImageName, ref, set string, cause error) backend.Need {
	short, _, _ := strings.Cut(ref, "@")
	n := backend.Need{Name: needName(name)}
	if set != "" {
		n.Problem = fmt.Sprintf("the image %s, which %s names, is not here and cannot be pulled (%v)", ref, set, cause)
		n.Remedy = fmt.Sprintf("name another one, or load it into Docker; without %s ekslab uses %s", set, imageCandidates[name].real)
		return n
	}
	n.Problem = fmt.Sprintf("no %s image: %s is not here and cannot be pulled (%v), and %s was not built", name, short, cause, imageCandidates[name].built)
	n.Remedy = "make images (in a checkout of ekslab: builds it from Debian packages and Go modules, without a container registry), or `docker pull " + ref + "` where there is one"
	return n
}

// errNoImage is the error of an image that is not on this machine.
var errNoImage = errors.New("no such image")

// inspect looks an image up on this machine.
func (i *Images) inspect(ctx context.Context, name ImageName, ref string) (Image, error) {
	out, err := i.output(ctx, "image", "inspect", ref)
	if err != nil {
		if strings.Contains(strings.ToLower(err.Error()), "no such image") {
			return Image{}, fmt.Errorf("%s: %w", ref, errNoImage)
		}
		return Image{}, err
	}
	var found []struct {
		ID          string `json:"Id"`
		RepoDigests []string
	}
	if err := json.Unmarshal(out, &found); err != nil || len(found) == 0 {
		return Image{}, fmt.Errorf("docker image inspect %s answered what is no list of images: %.80q", ref, out)
	}
	image := Image{Name: name, Ref: ref, ID: found[0].ID}
	if _, digest, ok := strings.Cut(ref, "@"); ok {
		image.Digest = digest
		return image, nil
	}
	at := slices.IndexFunc(found[0].RepoDigests, func(d string) bool { return strings.HasPrefix(d, repository(ref)+"@") })
	if at >= 0 {
		_, image.Digest, _ = strings.Cut(found[0].RepoDigests[at], "@")
	}
	return image, nil
}

// repository is a reference without its tag. A colon before the last slash belongs to a port.
func repository(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	if colon := strings.LastIndex(ref, ":"); colon > strings.LastIndex(ref, "/") {
		return ref[:colon]
	}
	return ref
}

// pull fetches an image. A registry that says nothing at first is given up soon; one that answers may take its time.
func (i *Images) pull(ctx context.Context, name ImageName, ref string) error {
	i.opts.Progress("pulling " + ref)
	ctx, cancel := context.WithTimeoutCause(ctx, i.opts.Pull, fmt.Errorf("not done within %v", i.opts.Pull))
	defer cancel()
	ctx, silent := context.WithCancelCause(ctx)
	defer silent(nil)
	timer := time.AfterFunc(i.opts.FirstAnswer, func() { silent(fmt.Errorf("its registry did not answer within %v", i.opts.FirstAnswer)) })
	defer timer.Stop()
	err := i.opts.Docker(ctx, nil, writerFunc(func(p []byte) (int, error) { timer.Stop(); return len(p), nil }), "pull", ref)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
