package live

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/fstest"
)

func TestBuildWorkload(t *testing.T) {
	sources := fstest.MapFS{
		"main.go":      {Data: []byte("package main\n\nfunc main() { println(answer) }\n")},
		"answer.go":    {Data: []byte("package main\n\nconst answer = 42\n")},
		"main_test.go": {Data: []byte("package main\n\nneither compiled nor looked at\n")},
	}
	one, err := BuildWorkload(t.Context(), sources, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	two, err := BuildWorkload(t.Context(), sources, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	if one.ID != two.ID || !bytes.Equal(one.Archive, two.Archive) {
		t.Errorf("equal sources make %s and %s", one.ID, two.ID)
	}
	sources["answer.go"] = &fstest.MapFile{Data: []byte("package main\n\nconst answer = 43\n")}
	other, err := BuildWorkload(t.Context(), sources, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	if other.Ref == one.Ref {
		t.Errorf("other sources have the same reference, %s: a node would keep the old program", other.Ref)
	}

	files := untar(t, one.Archive)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil || len(manifest) != 1 {
		t.Fatalf("manifest.json: %v, %s", err, files["manifest.json"])
	}
	m := manifest[0]
	if m.Config != strings.TrimPrefix(one.ID, "sha256:")+".json" || len(m.RepoTags) != 1 || m.RepoTags[0] != one.Ref || len(m.Layers) != 1 {
		t.Errorf("manifest %+v of %s", m, one)
	}
	var config struct {
		Architecture string
		Config       struct{ Entrypoint []string }
		Rootfs       struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	if err := json.Unmarshal(files[m.Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := files[m.Layers[0]]
	if want := "sha256:" + digest(layer); len(config.Rootfs.DiffIDs) != 1 || config.Rootfs.DiffIDs[0] != want {
		t.Errorf("diff_ids %v, want %s", config.Rootfs.DiffIDs, want)
	}
	program := untar(t, layer)[strings.TrimPrefix(config.Config.Entrypoint[0], "/")]
	if config.Architecture != "arm64" || !bytes.HasPrefix(program, []byte("\x7fELF")) {
		t.Errorf("for %s, the program begins %q", config.Architecture, program[:min(4, len(program))])
	}
	const elfMachine, arm64 = 18, 183 // e_machine, EM_AARCH64
	if len(program) > elfMachine && program[elfMachine] != arm64 {
		t.Errorf("the program is for ELF machine %d, want %d", program[elfMachine], arm64)
	}
}

func TestBuildWorkloadSaysWhatDoesNotCompile(t *testing.T) {
	_, err := BuildWorkload(t.Context(), fstest.MapFS{"main.go": {Data: []byte("package main\n\nfunc main() { undefined() }\n")}}, "")
	if err == nil || !strings.Contains(err.Error(), "undefined: undefined") {
		t.Errorf("error %v", err)
	}
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
