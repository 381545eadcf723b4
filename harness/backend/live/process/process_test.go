package process

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestAlive(t *testing.T) {
	self := Self()
	if !Alive(self) {
		t.Errorf("%s is this process", self)
	}
	f := strings.Split(self, "/")
	for name, other := range map[string]string{
		"":                   "",
		"no name":            "x",
		"before the restart": strings.Join([]string{"other", f[1], f[2], f[3]}, "/"),
	} {
		if Alive(other) {
			t.Errorf("%s: %q is alive", name, other)
		}
	}
	if runtime.GOOS != "linux" {
		return
	}
	if Alive(strings.Join([]string{f[0], f[1], f[2], "1"}, "/")) {
		t.Error("the process id was given to another")
	}
	if !Alive(strings.Join([]string{f[0], "4026530000", "4194000", "1"}, "/")) {
		t.Error("what cannot be looked for may be in use")
	}
}

func TestAnEndedChildIsNotAlive(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the state of a process is read from /proc")
	}
	c := exec.Command(os.Args[0], "-test.run=^$")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	child := name(c.Process.Pid)
	_ = in.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if Alive(child) {
		t.Errorf("%s has ended", child)
	}
}
