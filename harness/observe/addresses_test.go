package observe

import (
	"fmt"
	"testing"
	"time"
)

// Of what there is in the end, and what was called, comes what is observed.
func TestAddresses(t *testing.T) {
	s := time.Second
	x := Addresses{
		Nodes: []AddressNode{
			{Name: "a", Interfaces: []InterfaceState{{"eni-1", "subnet-1", 9, 0}, {"eni-2", "subnet-1", 4, 0}},
				Metrics:       map[string]float64{"awscni_total_ip_addresses": 13, "awscni_assigned_ip_addresses": 2, "awscni_aws_api_latency_ms_sum": 5},
				Introspection: map[string]Introspected{"eni-1": {9, 2}, "eni-2": {4, 0}}},
			{Name: "b", Interfaces: []InterfaceState{{"eni-3", "subnet-2", 0, 2}}, Metrics: map[string]float64{"awscni_total_ip_addresses": 32, "awscni_assigned_ip_addresses": 0}},
			{Name: "c", Interfaces: []InterfaceState{{"eni-4", "subnet-2", 0, 0}, {"eni-5", "subnet-3", 9, 0}}},
		},
		Subnets:    []SubnetState{{"subnet-1", 100}, {"subnet-2", 200}},
		PodSubnets: []SubnetState{{"subnet-3", 300}},
		Pods: []PodState{
			{Node: "a", HasAddress: true, Running: true, Took: 3 * s},
			{Node: "a", HasAddress: true, Running: true, Took: 5 * s},
			{Node: "b"}, {},
		},
		SandboxFailures: 7,
		Calls: []EC2Call{
			{At: 1 * s, Action: "DescribeNetworkInterfaces", Node: "a"},
			{At: 2 * s, Action: "AssignPrivateIpAddresses", Node: "a", Interface: "eni-1", Moved: 9, Code: "RequestLimitExceeded"},
			{At: 3 * s, Action: "AssignPrivateIpAddresses", Node: "a", Interface: "eni-1", Moved: 9},
			{At: 8 * s, Action: "DescribeSubnets", Node: "a"},
			{At: 8 * s, Action: "AssignPrivateIpAddresses", Node: "b", Interface: "eni-3", Moved: 2},
			{At: 8 * s, Action: "CreateNetworkInterface", Node: "a", Interface: "eni-2"},
			{At: 9 * s, Action: "AttachNetworkInterface", Node: "a", Interface: "eni-2"},
			{At: 9 * s, Action: "AssignPrivateIpAddresses", Node: "a", Interface: "eni-2", Moved: 9}, // belongs to the new interface
			{At: 10 * s, Action: "DescribeSubnets", Node: "a"},
			{At: 14 * s, Action: "UnassignPrivateIpAddresses", Node: "a", Interface: "eni-2", Moved: 5},
		},
	}
	obs, missing := x.Summarize()
	for what, want := range map[string]string{
		"addressesPerNode": "[15 33 11]", "enisPerNode": "[2 1 2]", "secondaryPerNode": "[13 32 9]", "secondaryByInterface": "[9+4 32 0+9]", "prefixesPerNode": "[0 2 0]",
		"addressesHeld": "59", "secondaryHeld": "54", "subnetAvailable": "[100 200]", "subnetUsedByNodes": "[15 34]", "podSubnetAvailable": "[300]",
		"assignedPerNode": "[2 0 0]", "secondaryAssigned": "2", "podsRunning": "2", "podsStuck": "2", "podsUnschedulable": "1", "failedCreatePodSandBox": "7", "secondsToAllRunning": "<nil>",
		"awscniTotalIPAddresses": "[13 32 <nil>]", "awscniAssignedIPAddresses": "[2 0 <nil>]", "awscniMetrics": "map[awscni_assigned_ip_addresses:2 awscni_total_ip_addresses:13]",
		"introspectedENIs": "map[eni-1:9 addresses, 2 assigned eni-2:4 addresses, 0 assigned]",
		"ec2Errors":        "map[RequestLimitExceeded:1]", "ec2ChangingCalls": "7", "poolActions": "4",
		"ec2Calls":     "map[AssignPrivateIpAddresses:4 AttachNetworkInterface:1 CreateNetworkInterface:1 DescribeNetworkInterfaces:1 DescribeSubnets:2 UnassignPrivateIpAddresses:1]",
		"poolCalls":    "[AssignPrivateIpAddresses 9 CreateNetworkInterface AssignPrivateIpAddresses 9 UnassignPrivateIpAddresses 5]",
		"ec2CallOrder": "[DescribeSubnets CreateNetworkInterface AttachNetworkInterface AssignPrivateIpAddresses]",
	} {
		if got := fmt.Sprint(obs[what]); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	if missing["secondsToAllRunning"] != "2 of 4 pods do not run" {
		t.Errorf("missing: %v", missing)
	}
	docs := 0
	for _, d := range All() {
		if d.Family == OfAddresses {
			docs++
			if _, ok := obs[d.Name]; !ok {
				t.Errorf("%s is documented and not observed", d.Name)
			}
		}
	}
	if docs != len(obs) {
		t.Errorf("%d observations, %d documented", len(obs), docs)
	}

	x.Pods = x.Pods[:2]
	if obs, _ := x.Summarize(); obs["secondsToAllRunning"] != 5.0 {
		t.Errorf("all run after %v s", obs["secondsToAllRunning"])
	}
	obs, missing = (&Addresses{}).Summarize()
	if obs["secondsToAllRunning"] != nil || obs["ec2CallOrder"] != nil || missing["ec2CallOrder"] == "" || obs["podsRunning"] != 0.0 {
		t.Errorf("of nothing: %v", obs)
	}
}
