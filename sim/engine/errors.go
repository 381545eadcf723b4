package engine

import (
	"errors"
	"fmt"
)

// ErrNotModelled is wrapped by every refusal of something that real systems do and this simulator does not. It is never swallowed.
var ErrNotModelled = errors.New("not modelled")

// NotModelled returns an error that wraps ErrNotModelled and says what was asked for.
func NotModelled(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrNotModelled)
}

// ErrBound is wrapped by the error of a run that reached Options.MaxEvents or Options.MaxTime: a world that never settles.
var ErrBound = errors.New("bound reached")
