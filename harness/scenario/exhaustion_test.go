package scenario_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/ekslab/ekslab/harness/scenario"
)

func exhaustion(t testing.TB) *scenario.Scenario {
	t.Helper()
	c, err := scenario.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Find("ip-exhaustion")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Input that makes no sense is refused with what would be right, before anything runs.
func TestExhaustionRefuses(t *testing.T) {
	s := exhaustion(t)
	for _, c := range []struct{ set, want string }{
		{"podsPerNode=1,1,1,1,1,1", "podsPerNode has more values than there are nodes (nodesPerZone=1,2,2 podsPerNode=1,1,1,1,1,1)"},
		{"nodesPerZone=1 podsPerNode=1,1", "podsPerNode has more values than there are nodes"},
		{"nodesPerZone=0,0", "there is no node (nodesPerZone=0,0)"},
		{"nodesPerZone=0,0 podsPerNode=1", "there is no node (nodesPerZone=0,0)"},
		{"podsLater=6:1@10", "podsLater names a node that does not exist: they are numbered from 1 through all zones (nodesPerZone=1,2,2 podsLater=6:1@10)"},
		{"podsLater=1:1001@10", "1000 pods on a node are the most"},
		{"podsLater=0:1@10", "podsLater must be none, or number:count@seconds for each step"},
		{"podsLater=1:1@10,1:2@10", "no number twice at one time"},
		{"podsLater=1:1", "it was given 1:1"},
		{"instanceType=m5.larg", `unknown instance type "m5.larg"; did you mean "m5.large"?`},
		{"instanceType=", `unknown instance type ""`},
		{"cniVersion=1.11", "cniVersion must be one of 1.10, 1.12, 1.13, 1.16.0, 1.16.4, 1.23; it was given 1.11"},
		{"subnetPrefixLength=15", "subnetPrefixLength must be a whole number from 16 to 28; it was given 15"},
		{"subnetPrefixLength=29", "subnetPrefixLength must be a whole number from 16 to 28; it was given 29"},
		{"subnetPrefixLength=28 nodesPerZone=12,1 podsPerNode=1", "node group ng-1a: 12 nodes of m5.large, but subnet public-1a (192.168.0.0/28) has 11 addresses to give"},
		{"nodesPerZone=1,1,1,1 podsPerNode=1", "nodesPerZone must be a list of 1 to 3 whole numbers from 0 to 5000"},
		{"nodesPerZone=-1", "nodesPerZone must be"},
		{"podsPerNode=", "podsPerNode must be a list of"},
		{"podsPerNode=1.5", "podsPerNode must be"},
		{"podsPerNode=1001", "podsPerNode must be"},
		{"warmIPTarget=-1", "warmIPTarget must be"},
		{"settle=5", "settle must be a duration"},
		{"settle=1s", "settle must be a duration from 10s to 24h"},
		{"ec2Throttle=maybe", "ec2Throttle must be one of on, off"},
		{"podInterval=1s nodesPerZone=5000 podsPerNode=5", "20000 steps are the most"},
	} {
		_, err := s.Resolve("broken", settings(c.set))
		var problems *scenario.Problems
		if err == nil || !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.set, err, c.want)
		}
	}
}

// What people set comes to nodes, subnets, pods on nodes and changes as they mean it.
func TestExhaustionSettings(t *testing.T) {
	s := exhaustion(t)
	for _, c := range []struct {
		variant, set string
		subnets      string // ranges of the nodes' subnets
		pods         string // by node: group/ordinal replicas
		timeline     string
	}{
		{"broken", "", "192.168.0.0/19 192.168.32.0/19 192.168.64.0/19", "ng-1a/1 2, ng-1c/1 1, ng-1c/2 1, ng-1b/1 0, ng-1b/2 1", ""},
		{"broken", "nodesPerZone=4,4,4", "192.168.0.0/19 192.168.32.0/19 192.168.64.0/19",
			"ng-1a/1 2, ng-1a/2 1, ng-1a/3 1, ng-1a/4 0, ng-1c/1 1, ng-1c/2 0, ng-1c/3 0, ng-1c/4 0, ng-1b/1 0, ng-1b/2 0, ng-1b/3 0, ng-1b/4 0", ""}, // nodes without a value have none
		{"broken", "nodesPerZone=1", "192.168.0.0/19", "ng-1a/1 2", ""},
		{"broken", "nodesPerZone=2,1", "192.168.0.0/19 192.168.32.0/19", "ng-1a/1 2, ng-1a/2 1, ng-1c/1 1", ""},
		{"broken", "podsPerNode=7", "192.168.0.0/19 192.168.32.0/19 192.168.64.0/19", "ng-1a/1 7, ng-1c/1 7, ng-1c/2 7, ng-1b/1 7, ng-1b/2 7", ""},
		{"broken", "nodesPerZone=0,1,1 podsPerNode=3,4", "192.168.0.0/19 192.168.32.0/19 192.168.64.0/19", "ng-1c/1 3, ng-1b/1 4", ""},
		{"broken", "nodesPerZone=1 podsPerNode=3 subnetPrefixLength=28", "192.168.0.0/28", "ng-1a/1 3", ""},
		{"broken", "subnetPrefixLength=16", "192.168.0.0/16 100.64.0.0/16 100.65.0.0/16", "ng-1a/1 2, ng-1c/1 1, ng-1c/2 1, ng-1b/1 0, ng-1b/2 1", ""},
		{"broken", "subnetPrefixLength=17", "192.168.0.0/17 192.168.128.0/17 100.64.0.0/17", "ng-1a/1 2, ng-1c/1 1, ng-1c/2 1, ng-1b/1 0, ng-1b/2 1", ""},
		{"fixed-secondary-cidr", "subnetPrefixLength=16", "192.168.0.0/16 100.65.0.0/16 100.66.0.0/16 100.64.0.0/18 100.64.64.0/18 100.64.128.0/18", "ng-1a/1 2, ng-1c/1 1, ng-1c/2 1, ng-1b/1 0, ng-1b/2 1", ""},
		{"broken", "nodesPerZone=1 podsPerNode=1 podsLater=1:9@60,1:10@1.5", "192.168.0.0/19", "ng-1a/1 1", "1.5s web-1 10, 1m0s web-1 9"},
		{"broken", "nodesPerZone=1,1 podsPerNode=2,1 podInterval=20s podsLater=2:5@60", "192.168.0.0/19 192.168.32.0/19", "ng-1a/1 0, ng-1c/1 0", "0s web-1 1, 20s web-1 2, 0s web-2 1, 1m40s web-2 5"},
		{"fixed-min5", "nodesPerZone=1 podsPerNode=2", "192.168.0.0/19", "ng-1a/1 2", "0s MINIMUM_IP_TARGET=5, 4m0s web-1 6"},
		{"fixed-min5", "nodesPerZone=1 podsPerNode=2 warmIPTarget=3 podsLater=none", "192.168.0.0/19", "ng-1a/1 2", "0s WARM_IP_TARGET=3 MINIMUM_IP_TARGET=5"},
	} {
		plan, err := s.Resolve(c.variant, settings(c.set))
		if err != nil {
			t.Errorf("%s: %v", c.set, err)
			continue
		}
		var subnets, pods, timeline []string
		for _, sn := range plan.World.VPC.Subnets {
			subnets = append(subnets, sn.CIDR)
		}
		for _, o := range plan.Objects {
			d := o.Value.(*appsv1.Deployment)
			to := d.Spec.Template.Spec.NodeSelector
			pods = append(pods, fmt.Sprintf("%s/%s %d", to["eks.amazonaws.com/nodegroup"], to["ekslab/ordinal"], *d.Spec.Replicas))
			if d.Spec.Selector.MatchLabels["app"] != d.Name || d.Spec.Template.Labels["app"] != d.Name {
				t.Errorf("%s: %s selects %v", c.set, d.Name, d.Spec.Selector.MatchLabels)
			}
		}
		for _, a := range plan.Timeline {
			text := ""
			if a.Scale != nil {
				text = fmt.Sprintf("%s %d", strings.TrimPrefix(a.Scale.Deployment, "default/"), a.Scale.Replicas)
			} else {
				var env []string
				for _, v := range a.SetEnv.Env {
					env = append(env, v.Name+"="+v.Value)
				}
				text = strings.Join(env, " ")
			}
			timeline = append(timeline, fmt.Sprintf("%v %s", a.At, text))
		}
		for what, got := range map[string][2]string{"subnets": {strings.Join(subnets, " "), c.subnets}, "pods": {strings.Join(pods, ", "), c.pods}, "timeline": {strings.Join(timeline, ", "), c.timeline}} {
			if got[0] != got[1] {
				t.Errorf("%s %s: %s\n got %s\nwant %s", c.variant, c.set, what, got[0], got[1])
			}
		}
	}
}

// A plan for as many nodes as the parameters allow is made in a few seconds, within the budget of each expression.
func TestExhaustionIsResolvedAtScale(t *testing.T) {
	began := time.Now()
	plan, err := exhaustion(t).Resolve("broken", settings("instanceType=c5.4xlarge nodesPerZone=1667,1667,1666 podsPerNode=30 warmIPTarget=2 subnetPrefixLength=16 podsLater=5000:3@1"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(plan.Objects); n != 5000 {
		t.Errorf("%d Deployments", n)
	}
	for _, e := range plan.Expect {
		if _, err := e.EvalWhen(plan.Vars(nil)); err != nil {
			t.Errorf("%s: %v", e.Name, err)
		}
	}
	t.Logf("%v", time.Since(began))
}
