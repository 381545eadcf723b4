package cli

import (
	"os"

	"golang.org/x/sys/windows"
)

// understandsEscapes turns escape sequences on, which older consoles have off.
func understandsEscapes(f *os.File) bool {
	var mode uint32
	handle := windows.Handle(f.Fd())
	if err := windows.GetConsoleMode(handle, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
