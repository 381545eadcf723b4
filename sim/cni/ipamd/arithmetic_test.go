package ipamd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

type env = map[string]string

// What each setting takes from the subnet, by the number of pods, on an m5.large: 3 interfaces of 10 addresses. The pods start at once.
// Source: aws/amazon-vpc-cni-k8s docs/eni-and-ip-target.md; pkg/ipamd/ipamd.go.
func TestAddressesTakenBySetting(t *testing.T) {
	pods := []int{0, 1, 5, 9, 12}
	for _, c := range []struct {
		name  string
		env   env
		taken [5]int
		stuck [5]int
	}{
		{"default", nil, [5]int{10, 20, 20, 20, 30}, [5]int{}},
		{"WARM_IP_TARGET=1", env{"WARM_IP_TARGET": "1"}, [5]int{2, 3, 7, 12, 15}, [5]int{}},
		{"WARM_IP_TARGET=2, MINIMUM_IP_TARGET=5", env{"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, [5]int{6, 6, 8, 13, 16}, [5]int{}},
		{"MINIMUM_IP_TARGET=5", env{"MINIMUM_IP_TARGET": "5"}, [5]int{6, 6, 6, 6, 6}, [5]int{0, 0, 0, 4, 7}}, // the pool never grows past five
		{"prefixes", env{"ENABLE_PREFIX_DELEGATION": "true"}, [5]int{17, 33, 33, 33, 33}, [5]int{}},
		{"prefixes, WARM_IP_TARGET=5, MINIMUM_IP_TARGET=10", env{"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, [5]int{17, 17, 17, 17, 33}, [5]int{}},
		{"WARM_ENI_TARGET=2", env{"WARM_ENI_TARGET": "2"}, [5]int{20, 30, 30, 30, 30}, [5]int{}},
		{"MAX_ENI=1", env{"MAX_ENI": "1"}, [5]int{10, 10, 10, 10, 10}, [5]int{0, 0, 0, 0, 3}},
	} {
		for _, version := range Versions {
			for i, n := range pods {
				l := newLab(t, setting{seed: uint64(i), version: version, env: c.env})
				l.run(20 * time.Second)
				l.nodes[0].pods("pod", n)
				l.run(5 * time.Minute)
				if got, stuck := l.nodes[0].held(), len(l.nodes[0].waiting); got != c.taken[i] || stuck != c.stuck[i] {
					t.Errorf("%s, %s, %d pods: %d addresses and %d pods without one, want %d and %d", c.name, version, n, got, stuck, c.taken[i], c.stuck[i])
				}
			}
		}
	}
}

// With WARM_ENI_TARGET=0 an interface is got when no address is left, and is one too many as soon as it is there: with nine pods the second comes and goes.
func TestNoWarmENI(t *testing.T) {
	for _, version := range []string{"1.10", "1.23"} {
		for _, c := range []struct {
			pods, least, most int
		}{{0, 10, 10}, {1, 10, 10}, {8, 10, 10}, {9, 10, 20}, {12, 20, 20}} {
			l := newLab(t, setting{seed: 1, version: version, env: env{"WARM_ENI_TARGET": "0"}})
			l.run(20 * time.Second)
			l.nodes[0].pods("pod", c.pods)
			l.run(time.Minute)
			least, most := 1000, 0
			for range 600 {
				l.wait(time.Second)
				least, most = min(least, l.nodes[0].held()), max(most, l.nodes[0].held())
			}
			if least != c.least || most != c.most {
				t.Errorf("%s, %d pods: from %d to %d addresses, want %d to %d", version, c.pods, least, most, c.least, c.most)
			}
		}
	}
}

// The pods of one node come one after another: interfaces and addresses.
func TestGrowth(t *testing.T) {
	for _, version := range Versions {
		l := newLab(t, setting{seed: 3, version: version})
		l.run(20 * time.Second)
		n := l.nodes[0]
		var enis, taken []int
		have := 0
		for _, want := range []int{0, 1, 9, 10, 19, 27} {
			for have < want {
				have++
				n.add(fmt.Sprintf("pod-%d", have))
				l.wait(time.Second)
			}
			l.wait(time.Minute)
			enis, taken = append(enis, len(n.in.Interfaces)), append(taken, n.held())
		}
		if got := fmt.Sprint(enis, taken); got != "[1 2 2 3 3 3] [10 20 20 30 30 30]" {
			t.Errorf("%s: interfaces and addresses %s", version, got)
		}
	}
}

// The tables of the plugin's own documentation. Source: docs/eni-and-ip-target.md.
func TestDocumentedTables(t *testing.T) {
	for _, c := range []struct {
		typ  string
		env  env
		pods int
		want string
	}{
		{"t3.small", nil, 0, "3"}, {"t3.small", nil, 5, "3+3+3"}, {"t3.small", nil, 9, "3+3+3"},
		{"t3.small", env{"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, 0, "3+2"},
		{"t3.small", env{"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, 5, "3+3+1"},
		{"t3.small", env{"WARM_IP_TARGET": "2", "MINIMUM_IP_TARGET": "5"}, 9, "3+3+3"},
		{"p3dn.24xlarge", env{"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 0, "10"}, {"p3dn.24xlarge", env{"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 7, "12"},
		{"p3dn.24xlarge", env{"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 15, "20"}, {"p3dn.24xlarge", env{"WARM_IP_TARGET": "5", "MINIMUM_IP_TARGET": "10"}, 45, "49+1"},
		// Prefixes need a Nitro instance: on another the setting changes nothing.
		{"m4.4xlarge", env{"ENABLE_PREFIX_DELEGATION": "true"}, 1, "29+29"},
	} {
		for _, version := range Versions {
			l := newLab(t, setting{seed: 5, version: version, typ: c.typ, env: c.env})
			l.run(20 * time.Second)
			for i := range c.pods {
				l.nodes[0].add(fmt.Sprint("pod-", i))
				l.wait(time.Second)
			}
			l.wait(5 * time.Minute)
			if got := l.nodes[0].shape(); got != c.want {
				t.Errorf("%s, %s, %v, %d pods: %s, want %s", version, c.typ, c.env, c.pods, got, c.want)
			}
		}
	}
}

// Prefixes of 16 and 17 pods: from v1.16.3 on the pool is full once it has as many addresses as the node takes pods.
func TestPrefixesAndMaxPods(t *testing.T) {
	for _, c := range []struct {
		version    string
		maxPods    int
		at16, at17 string
	}{{"1.10", 29, "2p", "3p"}, {"1.16.0", 29, "2p", "3p"}, {"1.16.4", 29, "2p", "2p"}, {"1.16.4", 110, "2p", "3p"}, {"1.23", 29, "2p", "2p"}, {"1.23", 110, "2p", "3p"}} {
		l := newLab(t, setting{seed: 1, version: c.version, maxPods: c.maxPods, env: env{"ENABLE_PREFIX_DELEGATION": "true"}})
		l.run(20 * time.Second)
		l.nodes[0].pods("pod", 16)
		l.run(5 * time.Minute)
		at16 := l.nodes[0].shape()
		l.nodes[0].add("seventeenth")
		l.run(10 * time.Minute)
		if at17 := l.nodes[0].shape(); at16 != c.at16 || at17 != c.at17 {
			t.Errorf("%s, max pods %d: %s and %s, want %s and %s", c.version, c.maxPods, at16, at17, c.at16, c.at17)
		}
	}
}

// The last pod goes: the second interface goes when it is a minute old and the address has cooled down.
func TestLastPodGone(t *testing.T) {
	for _, version := range Versions {
		l := newLab(t, setting{seed: 1, version: version})
		l.run(20 * time.Second)
		n := l.nodes[0]
		n.add("pod")
		l.run(40 * time.Second)
		from := len(l.trail.Events())
		n.del("pod")
		l.run(85 * time.Second)
		if len(n.in.Interfaces) != 2 {
			t.Errorf("%s: an interface went before it was a minute old", version)
		}
		l.run(3 * time.Minute)
		if n.held() != 10 || len(n.devices) != 0 {
			t.Errorf("%s: %d addresses and %d devices are left", version, n.held(), len(n.devices))
		}
		calls := slices.DeleteFunc(l.calls(from), func(s string) bool { return s == "DescribeSubnets" })
		if got := strings.Join(calls[:3], " "); got != "DescribeNetworkInterfaces DetachNetworkInterface DeleteNetworkInterface" {
			t.Errorf("%s: calls %s", version, got)
		}
	}
}
