package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// wholeFile is a file that appears complete or not at all. It is written under another name in the same folder; Commit gives it its
// own, Discard removes it. What is there before stays until Commit. A place that is no ordinary file (a device, a named pipe) is
// written as it comes, since nothing can be put in its stead.
type wholeFile struct {
	path string // as the user named it
	dest string // with links followed
	temp string // empty when written in place
	file *os.File
	buf  *bufio.Writer
}

var _ io.Writer = (*wholeFile)(nil)

// newWholeFile opens the file, so that a place that cannot be written is known before anything runs.
func newWholeFile(path string) (*wholeFile, error) {
	dest := path
	if link, err := filepath.EvalSymlinks(path); err == nil {
		dest = link
	}
	mode := fs.FileMode(0o666)
	info, err := os.Stat(dest)
	switch {
	case err == nil && info.IsDir():
		return nil, &fs.PathError{Op: "write", Path: path, Err: errors.New("it is a folder")}
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(dest, os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		return &wholeFile{path: path, dest: dest, file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
	case err == nil:
		mode = info.Mode().Perm()
	}
	temp := filepath.Join(filepath.Dir(dest), "."+filepath.Base(dest)+"."+rand.Text()[:8]+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = &fs.PathError{Op: "write", Path: path, Err: pathErr.Err}
		}
		return nil, err
	}
	return &wholeFile{path: path, dest: dest, temp: temp, file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

func (w *wholeFile) Write(p []byte) (int, error) { return w.buf.Write(p) }

// Commit puts the file in its place.
func (w *wholeFile) Commit() error {
	if w.file == nil {
		return nil
	}
	err := w.buf.Flush()
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	w.file = nil
	if w.temp == "" {
		return err
	}
	if err == nil {
		err = os.Rename(w.temp, w.dest)
	}
	if err != nil {
		_ = os.Remove(w.temp)
	}
	return err
}

// Discard removes what was written. After Commit it does nothing, so that it can be deferred.
func (w *wholeFile) Discard() {
	if w.file == nil {
		return
	}
	_ = w.file.Close()
	w.file = nil
	if w.temp != "" {
		_ = os.Remove(w.temp)
	}
}
