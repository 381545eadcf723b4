package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/harness/report"
	"github.com/ekslab/ekslab/harness/run"
)

// output is one -o FORMAT[=FILE].
type output struct {
	format string
	path   string // empty for standard output
	file   *wholeFile
}

var runFormats = []string{"text", "json", "junit", "github"}

// outputs are all that a run writes.
type outputs struct {
	list []*output
	// annotate has the annotations that GitHub Actions gets by default; nil for none.
	annotate io.Writer
}

// parseOutputs reads the values of -o. With none it is text on standard output.
func (a *app) parseOutputs(values []string) (*outputs, error) {
	o := &outputs{}
	onStdout := []string{}
	for _, v := range values {
		format, path, named := strings.Cut(v, "=")
		if !slices.Contains(runFormats, format) {
			return nil, fmt.Errorf("-o %s: %s", v, unknown("format", format, runFormats))
		}
		if named && path == "" {
			return nil, fmt.Errorf("-o %s: the name of the file is missing", v)
		}
		if path == "-" {
			path = ""
		}
		if path != "" && o.has(path) {
			return nil, fmt.Errorf("-o %s: another result goes to %s already", v, path)
		}
		if path == "" {
			if slices.Contains(onStdout, format) {
				continue
			}
			onStdout = append(onStdout, format)
		}
		o.list = append(o.list, &output{format: format, path: path})
	}
	// Text and annotations are lines and go together; a document must be alone to be read.
	if len(onStdout) > 1 && (slices.Contains(onStdout, "json") || slices.Contains(onStdout, "junit")) {
		return nil, fmt.Errorf("-o: %s both go to standard output; give one a file, as -o %s=FILE", strings.Join(onStdout[:2], " and "), onStdout[1])
	}
	if len(o.list) == 0 {
		o.list = append(o.list, &output{format: "text"})
		onStdout = append(onStdout, "text")
	}
	if a.getenv("GITHUB_ACTIONS") == "true" && !slices.ContainsFunc(o.list, func(o *output) bool { return o.format == "github" }) {
		o.annotate = a.stdout
		if slices.Contains(onStdout, "json") || slices.Contains(onStdout, "junit") {
			o.annotate = a.stderr // the runner reads commands there, too
		}
	}
	return o, nil
}

// has is whether a result goes to this file.
func (o *outputs) has(path string) bool {
	return slices.ContainsFunc(o.list, func(out *output) bool { return out.path != "" && filepath.Clean(out.path) == filepath.Clean(path) })
}

// open opens the files, before anything runs.
func (o *outputs) open() error {
	for _, out := range o.list {
		if out.path == "" {
			continue
		}
		var err error
		if out.file, err = newWholeFile(out.path); err != nil {
			return fmt.Errorf("-o %s=%s: %w", out.format, out.path, err)
		}
	}
	return nil
}

// discard removes the files that were not completed.
func (o *outputs) discard() {
	for _, out := range o.list {
		if out.file != nil {
			out.file.Discard()
		}
	}
}

// textOnStdout is whether a person reads the result on standard output, run by run.
func (o *outputs) textOnStdout() bool {
	return slices.ContainsFunc(o.list, func(o *output) bool { return o.format == "text" && o.path == "" })
}

// write writes everything but the text on standard output, which was written as it came. Files come first: a reader of standard output
// that went away takes nothing else with it.
func (o *outputs) write(stdout io.Writer, outcomes []run.Outcome, several bool, repeat string) (wrote []string, err error) {
	var errs []error
	for _, out := range o.list {
		if out.file == nil {
			continue
		}
		err := render(out.file, out.format, outcomes, several, repeat)
		if err == nil {
			err = out.file.Commit()
		}
		if err != nil {
			out.file.Discard()
			errs = append(errs, fmt.Errorf("cannot write %s: %w", out.path, err))
			continue
		}
		wrote = append(wrote, out.path)
	}
	for _, out := range o.list {
		if out.file == nil && out.format != "text" {
			if err := renderWhole(stdout, out.format, outcomes, several, repeat); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if o.annotate != nil {
		if err := renderWhole(o.annotate, "github", outcomes, several, repeat); err != nil {
			errs = append(errs, err)
		}
	}
	return wrote, errors.Join(errs...)
}

// renderWhole makes the document before the first byte of it is written.
func renderWhole(w io.Writer, format string, outcomes []run.Outcome, several bool, repeat string) error {
	var b bytes.Buffer
	if err := render(&b, format, outcomes, several, repeat); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

func render(w io.Writer, format string, outcomes []run.Outcome, several bool, repeat string) error {
	switch format {
	case "json":
		return report.WriteJSON(w, outcomes)
	case "junit":
		return report.WriteJUnit(w, outcomes)
	case "github":
		return report.WriteGitHub(w, outcomes)
	}
	t := &report.Text{W: w, Vocabulary: observe.All(), Several: several, Repeat: repeat}
	for _, o := range outcomes {
		if err := t.Outcome(o); err != nil {
			return err
		}
	}
	return t.Close()
}
