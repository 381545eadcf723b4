package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// progress tells on standard error how far the runs are: on a terminal as one live line, elsewhere as plain lines now and then. A
// command that is done within patience shows nothing at all.
type progress struct {
	w     io.Writer
	live  bool
	width int // of the terminal, in characters
	total int // jobs

	mutex   sync.Mutex
	began   time.Time
	running []*progressItem
	done    int
	drawn   bool
	stop    chan struct{}
	stopped chan struct{}
}

type progressItem struct {
	label       string
	done, total int
	note        string
}

const (
	patience      = time.Second            // before anything is shown
	liveInterval  = 100 * time.Millisecond // between two drawings of the live line
	plainInterval = 10 * time.Second       // between two plain lines
)

// newProgress starts telling; Stop ends it.
func newProgress(w io.Writer, live bool, width, total int) *progress {
	if width < 20 {
		width = 80 // not known, or not a size that a person looks at
	}
	p := &progress{w: w, live: live, width: width, total: total, began: time.Now(), stop: make(chan struct{}), stopped: make(chan struct{})}
	go p.loop()
	return p
}

func (p *progress) loop() {
	defer close(p.stopped)
	interval := plainInterval
	if p.live {
		interval = liveInterval
	}
	next := time.NewTimer(patience)
	defer next.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-next.C:
			p.mutex.Lock()
			p.show()
			p.mutex.Unlock()
			next.Reset(interval)
		}
	}
}

// Update notes how far a job is.
func (p *progress) Update(label string, done, total int, note string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	i := slices.IndexFunc(p.running, func(r *progressItem) bool { return r.label == label })
	if i < 0 {
		i = len(p.running)
		p.running = append(p.running, &progressItem{label: label})
	}
	p.running[i].done, p.running[i].total, p.running[i].note = done, total, note
}

// Finished notes that a job has ended, and runs what is to be written meanwhile, with the live line out of the way.
func (p *progress) Finished(label string, write func()) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.done++
	p.running = slices.DeleteFunc(p.running, func(r *progressItem) bool { return r.label == label })
	p.clear()
	if write != nil {
		write()
	}
}

// Stop ends the telling and leaves no live line behind.
func (p *progress) Stop() {
	close(p.stop)
	<-p.stopped
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.clear()
}

func (p *progress) clear() {
	if p.drawn {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

func (p *progress) show() {
	var parts []string
	for _, r := range p.running {
		s := r.label
		if r.total > 0 {
			s += fmt.Sprintf(" %d/%d", r.done, r.total)
		}
		if r.note != "" {
			s += " " + r.note
		}
		parts = append(parts, s)
	}
	line := strings.Join(parts, " · ")
	if p.total > 1 {
		line = strings.TrimSpace(fmt.Sprintf("%d of %d done  %s", p.done, p.total, line))
	}
	elapsed := time.Since(p.began).Truncate(time.Second).String()
	if !p.live {
		if line == "" {
			line = "running"
		}
		_, _ = fmt.Fprintf(p.w, "ekslab: %s (%s)\n", line, elapsed)
		return
	}
	line = elapsed + "  " + line
	if utf8.RuneCountInString(line) >= p.width {
		line = string([]rune(line)[:p.width-2]) + "…"
	}
	_, _ = io.WriteString(p.w, "\r\x1b[K"+line)
	p.drawn = true
}
