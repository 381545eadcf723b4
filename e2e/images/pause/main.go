//go:build linux

// Command pause is the first process of every pod's sandbox in ekslab/node: it holds the pod's namespaces open, reaps what is orphaned where a pod
// shares one process namespace, and ends when told to. `make images` makes the image registry.k8s.io/pause of it, which kubelet and containerd
// look for by that name.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		// One signal may stand for several children.
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
