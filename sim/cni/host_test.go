package cni

import "testing"

// The name of a pod's veth in a capture of a real cluster.
func TestVethName(t *testing.T) {
	if got := VethName("default", "netshoot"); got != "enie348bef9edc" {
		t.Error(got)
	}
}
