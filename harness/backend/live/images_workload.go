package live

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Workload is an image FROM scratch with one static program in it, made without a container registry and without Docker: a tar archive that
// Docker and a node's containerd load as they are.
type Workload struct {
	Image
	// Archive is the image as `docker save` would write it.
	Archive []byte
	// Layer is its only layer, a tar archive with the program.
	Layer []byte
}

// BuildWorkload compiles a program and makes an image of it. The sources are a package main of the standard library alone, in the root of the
// file system, so that an installed ekslab can build them without a checkout; it needs Go. Equal sources and an equal Go give an equal image,
// tagged by what is in it. goarch is the architecture of the nodes; "" means this machine's.
func BuildWorkload(ctx context.Context, sources fs.FS, goarch string) (*Workload, error) {
	if goarch == "" {
		goarch = runtime.GOARCH
	}
	dir, err := os.MkdirTemp("", "ekslab-workload-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	names, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module workload\n\ngo 1.26\n"), 0o600); err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "workload")
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", binary, ".")
	c.Dir = dir
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch, "GOFLAGS=", "GOWORK=off")
	c.WaitDelay = 5 * time.Second
	if out, err := c.CombinedOutput(); err != nil {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, exec.ErrNotFound):
			return nil, errors.New("the test programs that run in pods are compiled on the spot, and there is no go on PATH")
		}
		return nil, fmt.Errorf("compiling the test programs that run in pods: %w\n%s", err, out)
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	return scratch("ekslab/workload", "workload", goarch, program)
}

// epoch is the time of everything in an image, so that equal contents make an equal image. Go's zero time has no place in a tar header.
var epoch = time.Unix(0, 0).UTC()

// scratch makes an image that holds one program and starts it.
func scratch(repository, file, goarch string, program []byte) (*Workload, error) {
	layer, err := tarOf(tarFile{file, 0o755, program})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": goarch,
		"os":           "linux",
		"created":      epoch,
		"config": map[string]any{
			"Entrypoint": []string{"/" + file},
			"WorkingDir": "/",
			"Labels":     map[string]string{"ekslab.image": file},
		},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		"history": []map[string]any{{"created": epoch, "created_by": "ekslab"}},
	})
	if err != nil {
		return nil, err
	}
	id := digest(config)
	ref := repository + ":" + id[:12]
	manifest, err := json.Marshal([]map[string]any{{"Config": id + ".json", "RepoTags": []string{ref}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return nil, err
	}
	archive, err := tarOf(
		tarFile{"manifest.json", 0o644, manifest},
		tarFile{id + ".json", 0o644, config},
		tarFile{"layer.tar", 0o644, layer},
	)
	if err != nil {
		return nil, err
	}
	return &Workload{Image: Image{Name: WorkloadImage, Ref: ref, ID: "sha256:" + id, Built: true}, Archive: archive, Layer: layer}, nil
}

// Load puts the image into Docker, unless it is there.
func (w *Workload) Load(ctx context.Context, docker DockerCommand) error {
	var out bytes.Buffer
	if docker(ctx, nil, &out, "image", "inspect", w.Ref) == nil {
		return nil
	}
	if err := docker(ctx, bytes.NewReader(w.Archive), &out, "image", "load", "--quiet"); err != nil {
		return fmt.Errorf("loading %s into Docker: %w", w.Ref, err)
	}
	return nil
}

type tarFile struct {
	name string
	mode int64
	data []byte
}

func tarOf(files ...tarFile) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
