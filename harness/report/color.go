package report

import "github.com/ekslab/ekslab/harness/expect"

func (p *page) style(code, s string) string {
	if !p.color || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *page) bold(s string) string   { return p.style("1", s) }
func (p *page) dim(s string) string    { return p.style("2", s) }
func (p *page) red(s string) string    { return p.style("31", s) }
func (p *page) yellow(s string) string { return p.style("33", s) }
func (p *page) cyan(s string) string   { return p.style("36", s) }

// paint colours text by a status.
func (p *page) paint(s expect.Status, text string) string {
	switch s {
	case expect.Holds:
		return p.style("1;32", text)
	case expect.Fails:
		return p.style("1;31", text)
	case expect.Inconclusive:
		return p.style("1;33", text)
	}
	return p.dim(text)
}

func (p *page) symbol(s expect.Status) string {
	switch s {
	case expect.Holds:
		return p.paint(s, "✓")
	case expect.Fails:
		return p.paint(s, "✗")
	case expect.Inconclusive:
		return p.paint(s, "?")
	}
	return p.paint(s, "–")
}

// quiet dims what does not apply.
func (p *page) quiet(s expect.Status, text string) string {
	if s == expect.NotApplicable {
		return p.dim(text)
	}
	return text
}
