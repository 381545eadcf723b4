package simulated

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekslab/ekslab/sim/kube"
)

// A /28 has 11 addresses: one of two nodes takes 10, the other has its own, which is the last. A pod there is stuck, and the API says why. With v1.10
// the other node does not become ready, and the pod has none.
func TestASubnetOfElevenAddresses(t *testing.T) {
	for _, version := range []string{"1.10", "1.12", "1.23"} {
		t.Run(version, func(t *testing.T) {
			run := runAddresses(t, &Backend{}, addressPlan(t, "broken", "nodesPerZone=2 podsPerNode=0 subnetPrefixLength=28 cniVersion="+version), 1)
			held := run.Observations["addressesPerNode"].([]any)
			if !slices.Equal(held, []any{10.0, 1.0}) && !slices.Equal(held, []any{1.0, 10.0}) {
				t.Errorf("nodes hold %v", held)
			}
			run.want(t, "subnetAvailable", []int{0})

			run = runAddresses(t, &Backend{}, addressPlan(t, "exhausted", "nodesPerZone=2 podsPerNode=1 cniVersion="+version), 1)
			run.want(t, "podsRunning", 1)
			run.want(t, "podsStuck", 1)
			if version == "1.10" {
				// Source: v1.10.1 pkg/ipamd/ipamd.go, nodeInit: the error ends the start, so that the node never gets a CNI configuration.
				run.want(t, "podsUnschedulable", 1)
				run.want(t, "failedCreatePodSandBox", 0)
				return
			}
			run.want(t, "podsUnschedulable", 0)
			reader := run.w.Kube.As(kube.Caller{User: "test"})
			for _, p := range kube.List[*corev1.Pod](reader) {
				if p.Spec.HostNetwork || p.Status.Phase == corev1.PodRunning {
					continue
				}
				if s := p.Status.ContainerStatuses; len(s) != 1 || s[0].State.Waiting == nil || s[0].State.Waiting.Reason != "ContainerCreating" || p.Status.Phase != corev1.PodPending {
					t.Errorf("%s: %s, %+v", p.Name, p.Status.Phase, s)
				}
				said := false
				for _, e := range kube.Events(reader) {
					said = said || e.InvolvedObject.Name == p.Name && e.Reason == "FailedCreatePodSandBox" && e.Type == corev1.EventTypeWarning && e.Source.Component == "kubelet" && e.Count > 1 &&
						strings.HasSuffix(e.Message, "add cmd: failed to assign an IP address to container")
				}
				if !said {
					t.Errorf("no event says why %s is stuck", p.Name)
				}
			}
		})
	}
}

// Six addresses are left for a node that wants nine: asking for nine fails, for one succeeds, loop after loop, two calls each, until nothing is left. Then
// v1.10 asks every 5 s for ever; later versions wait for 120 s.
func TestAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		version string
		tries   []string // calls of a try when nothing is left
		pause   time.Duration
	}{
		{"1.10", []string{"Assign 9", "Assign 1", "Create"}, 5 * time.Second},
		{"1.12", []string{"Assign 9", "Assign 1"}, 120 * time.Second},
		{"1.23", []string{"Assign 9", "Assign 1", "Create"}, 120 * time.Second},
	} {
		t.Run(c.version, func(t *testing.T) {
			run := runAddresses(t, &Backend{}, addressPlan(t, "broken", "nodesPerZone=3 podsPerNode=0 subnetPrefixLength=27 settle=15m cniVersion="+c.version), 1)
			held := fmt.Sprint(run.Observations["addressesPerNode"])
			if n := strings.Count(held, "10"); n != 2 || !strings.Contains(held, "7") {
				t.Fatalf("nodes hold %s", held)
			}
			run.want(t, "subnetAvailable", []int{0})
			// The node that came last, by try.
			var tries [][]string
			var at []time.Duration
			for _, call := range run.x.Calls {
				text := ""
				switch call.Action {
				case "AssignPrivateIpAddresses":
					text = fmt.Sprintf("Assign %d", call.Moved)
				case "CreateNetworkInterface":
					text = "Create"
				}
				if text == "" || !run.holds(call.Node, 7) {
					continue
				}
				if call.Code == "" {
					text += " ok"
				}
				if len(at) == 0 || call.At-at[len(at)-1] > 2*time.Second {
					tries, at = append(tries, nil), append(at, call.At)
				}
				tries[len(tries)-1] = append(tries[len(tries)-1], text)
			}
			for i, try := range tries {
				if i < 6 {
					// What is left to ask for shrinks with what it has.
					if want := []string{fmt.Sprintf("Assign %d", 9-i), "Assign 1 ok"}; !slices.Equal(try, want) {
						t.Errorf("try %d at %v: %v, want %v", i+1, at[i], try, want)
					}
				} else if want := append([]string{"Assign 3"}, c.tries[1:]...); !slices.Equal(try, want) {
					t.Errorf("try %d at %v: %v, want %v", i+1, at[i], try, want)
				}
				if i == 0 {
					continue
				}
				pause := at[i] - at[i-1]
				switch {
				case i > 6 && (pause < c.pause || pause > c.pause+8*time.Second):
					t.Errorf("try %d comes %v after the last", i+1, pause)
				case i <= 6 && pause > 8*time.Second:
					t.Errorf("try %d comes %v after the last", i+1, pause)
				}
			}
			if len(tries) < 10 {
				t.Errorf("%d tries", len(tries))
			}
		})
	}
}

// holds says whether a node has so many addresses in the end.
func (r *addressRun) holds(node string, n int) bool {
	for i, x := range r.x.Nodes {
		if x.Name == node {
			return r.Observations["addressesPerNode"].([]any)[i] == float64(n)
		}
	}
	return false
}

// Prefixes need aligned ranges: a /27 of which two nodes have an address each has hardly one left, though most of it is free.
func TestScatteredAddresses(t *testing.T) {
	run := runAddresses(t, &Backend{}, addressPlan(t, "fixed-prefix", "nodesPerZone=2 podsPerNode=1 subnetPrefixLength=27"), 1)
	errors := run.Observations["ec2Errors"].(map[string]any)
	free := run.Observations["subnetAvailable"].([]any)[0].(float64)
	if n, _ := errors["InsufficientCidrBlocks"].(float64); n == 0 || free < 8 {
		t.Errorf("%v free, errors %v", free, errors)
	}
	if number(t, run.Recording, "podsStuck") == 0 {
		t.Error("no pod is stuck")
	}
}

// Many nodes at once are held to the account's request limits: calls fail, nodes try again, and in the end all have what they want.
func TestThrottling(t *testing.T) {
	set := "nodesPerZone=80,80,80 podsPerNode=1 cniVersion=1.23 settle=10m ec2Throttle="
	on, off := runAddresses(t, &Backend{}, addressPlan(t, "broken", set+"on"), 1), runAddresses(t, &Backend{}, addressPlan(t, "broken", set+"off"), 1)
	if n, _ := on.Observations["ec2Errors"].(map[string]any)["RequestLimitExceeded"].(float64); n == 0 {
		t.Error("no call was refused")
	}
	if n := len(off.Observations["ec2Errors"].(map[string]any)); n != 0 {
		t.Errorf("without limits: %v", off.Observations["ec2Errors"])
	}
	on.want(t, "podsRunning", 240)
	off.want(t, "podsRunning", 240)
	on.want(t, "addressesHeld", 240*20)
	off.want(t, "addressesHeld", 240*20)
}
