//go:build linux

// Command workload is what runs in the pods of a scenario on a real cluster, and in the router: a web server, a client that calls as curl
// does, and a checker of targets. It uses the standard library alone, since it is compiled on the user's machine and put into an image FROM
// scratch.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	commands := map[string]func(args []string) error{"web": web, "sleep": sleep, "client": client, "check": check}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: workload web|sleep|client|check")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "workload:", err)
		os.Exit(1)
	}
}

// sleep is what a pod does that others run commands in. As the first process of a container it has to ask for the signal that ends it.
func sleep([]string) error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, os.Interrupt)
	<-end
	return nil
}
