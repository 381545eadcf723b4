// Command ekslab reproduces failures and surprises of AWS EKS on one's own machine, shows why each happens and that the remedy works.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/ekslab/ekslab/harness/cli"
)

func main() {
	if os.Getenv("GOGC") == "" {
		go collect()
	}
	// The first interrupt ends the command with what was finished; from then on the next one kills it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// A reader of standard output that went away is an error of a write, not the end of the program: files are still completed.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}

// collect has garbage collected less often while there is little else: over a small heap that costs some 30 MB and saves a quarter of the processor time.
// Worlds of thousands of nodes have gigabytes of what is no garbage.
func collect() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	percent := 0
	for {
		metrics.Read(live)
		now := 400
		switch mb := live[0].Value.Uint64() >> 20; {
		case mb >= 768:
			now = 40
		case mb >= 128:
			now = 100
		}
		if now != percent {
			debug.SetGCPercent(now)
			percent = now
		}
		time.Sleep(100 * time.Millisecond)
	}
}
