// Package process names a process so that another one can tell, later and after a restart of the machine, whether it still runs.
//
// A process id alone is given again to others. A name therefore holds the boot of the machine and the time at which the process began, where the system tells
// them (Linux does); elsewhere the id alone has to do.
package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Self names this process.
func Self() string { return name(os.Getpid()) }

func name(pid int) string {
	return fmt.Sprintf("%s/%s/%d/%s", boot(), namespace(), pid, began(pid))
}

// Alive says whether the process of a name still runs. One whose process ids are of another kind than ours, such as a program in a container, cannot be
// looked for; it counts as alive, since what may be in use must not be removed.
func Alive(owner string) bool {
	f := strings.Split(owner, "/")
	if len(f) != 4 {
		return false
	}
	pid, err := strconv.Atoi(f[2])
	if err != nil || f[0] != boot() {
		return false
	}
	if f[1] != namespace() {
		return true
	}
	return exists(pid) && f[3] == began(pid)
}

func boot() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "-"
	}
	return strings.TrimSpace(string(b))
}

func namespace() string {
	l, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "-"
	}
	return strings.Trim(strings.TrimPrefix(l, "pid:"), "[]")
}

// began is when a process began, in the kernel's own terms.
func began(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "-"
	}
	// The command's name, in brackets, may contain anything. starttime is field 22, the 20th after it. Source: proc_pid_stat(5).
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 20 {
		return "-"
	}
	if f[0] == "Z" { // it has ended, and its parent has not asked yet
		return "ended"
	}
	return f[19]
}
