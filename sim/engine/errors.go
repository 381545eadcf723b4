package engine

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// ErrNotModelled is wrapped by every refusal of something that real systems do and this simulator does not. It is never swallowed.
var ErrNotModelled = errors.New("not modelled")

// NotModelled returns an error that wraps ErrNotModelled and says what was asked for.
func NotModelled(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrNotModelled)
}

// ErrBound is wrapped by the error of a run that reached Options.MaxEvents or Options.MaxTime: a world that never settles.
var ErrBound = errors.New("bound reached")

// Only returns an error that wraps ErrNotModelled for a struct, or a pointer to one, that sets a field which is not among those modelled, so
// that nothing a caller asks for is silently ignored.
func Only(in any, modelled ...string) error {
	v := reflect.Indirect(reflect.ValueOf(in))
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.IsExported() && !v.Field(i).IsZero() && !slices.Contains(modelled, f.Name) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
				return NotModelled("%s", name) // as a manifest writes it
			}
			return NotModelled("%s: %s", v.Type().Name(), f.Name)
		}
	}
	return nil
}
