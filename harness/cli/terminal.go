package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal is whether a stream is a terminal that a person looks at, and that understands escape sequences.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && understandsEscapes(f)
}

// columns is the width of a terminal; 0 if it is not known.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
