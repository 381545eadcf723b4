// Command ekslab reproduces failures and surprises of AWS EKS on one's own machine, shows why each happens and that the remedy works.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/ekslab/ekslab/harness/cli"
)

func main() {
	// A run makes much garbage over a small heap: collecting it less often costs some 30 MB and saves a quarter of the processor time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	// The first interrupt ends the command with what was finished; from then on the next one kills it.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	// A reader of standard output that went away is an error of a write, not the end of the program: files are still completed.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}
