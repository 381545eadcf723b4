package cli

import (
	"errors"
	"syscall"
)

// quietPipe drops the error of a reader that went away, as with | head: it has what it wanted.
func quietPipe(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}
