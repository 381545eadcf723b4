package oracle

import (
	"os/exec"
	"strings"
	"testing"
)

// moduleDir is where the go command keeps the source of the plugin's module.
func moduleDir(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/amazon-vpc-cni-k8s").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
