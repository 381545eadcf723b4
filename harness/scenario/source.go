package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// maxFileBytes is the size above which a file is refused unread. The longest scenario so far has under 20 kB.
const maxFileBytes = 1 << 20

// folder is where a scenario's files are read from.
type folder struct {
	fsys fs.FS
	dir  string
	// shown turns a file's name in the folder into the name that the user knows it by.
	shown func(name string) string
}

// read returns the text of a file, which every place that names a file of the scenario goes through.
// What is wrong with it is reported there, or at its first line.
func (f folder) read(name string, from place, found *findings) (data []byte, ok bool) {
	if !fs.ValidPath(name) || name == "." {
		found.add(from, "%q is no path inside the scenario's folder", name)
		return nil, false
	}
	file, err := f.fsys.Open(path.Join(f.dir, name))
	if err != nil {
		reason := "cannot be read: " + cause(err).Error()
		if errors.Is(err, fs.ErrNotExist) {
			reason = "no such file" + didYouMean(name, f.names())
		}
		if from.file == "" {
			found.add(place{file: f.shown(name)}, "%s", reason)
		} else {
			found.add(from, "%s: %s", name, reason)
		}
		return nil, false
	}
	defer file.Close()
	first := place{file: f.shown(name), line: 1, column: 1}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		found.add(first, "is a folder, not a file")
		return nil, false
	}
	if err == nil && info.Size() > maxFileBytes {
		found.add(first, "the file has %d bytes; %d is the most that is read", info.Size(), maxFileBytes)
		return nil, false
	}
	data, err = io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		found.add(first, "cannot be read: %v", cause(err))
		return nil, false
	}
	if len(data) > maxFileBytes {
		found.add(first, "the file is longer than %d bytes, the most that is read", maxFileBytes)
		return nil, false
	}
	if at, message := unreadable(data); message != "" {
		found.add(place{file: first.file, line: at, column: 1}, "%s", message)
		return nil, false
	}
	return data, true
}

// names lists the files of the folder, to suggest from.
func (f folder) names() (names []string) {
	entries, _ := fs.ReadDir(f.fsys, path.Clean(f.dir))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// cause is err without the operation and path, which the message gives in the user's own terms.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// unreadable says at which line data is no text, and why; an empty message when it is.
func unreadable(data []byte) (line int, message string) {
	line = 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, fmt.Sprintf("the file is not UTF-8 text: byte 0x%02x", data[i])
		case r == '\n':
			line++
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f, r >= 0x80 && r <= 0x9f && r != 0x85:
			return line, fmt.Sprintf("the file holds a control character: U+%04X", r)
		}
		i += size
	}
	if len(bytes.TrimSpace([]byte(strings.TrimPrefix(string(data), "\ufeff")))) == 0 {
		return 1, "the file is empty"
	}
	return 0, ""
}
