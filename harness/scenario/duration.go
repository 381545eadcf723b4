package scenario

import (
	"strings"
	"time"
)

// parseDuration reads a duration such as 500ms or 1h30m. A number needs a unit, save 0.
func parseDuration(text string) (time.Duration, error) { return time.ParseDuration(text) }

// formatDuration is d as a person writes it: 5m, where Go has 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-len("0s")]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-len("0m")]
	}
	return s
}
