package ipamd

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// twoPods is a node with two pods on its primary interface and a second interface, as after hours with the default settings: the seed decides whether the
// pods are there, so seeds are tried until they are.
func twoPods(t *testing.T, version string, seed uint64) *lab {
	for ; ; seed += 1000 {
		l := newLab(t, setting{seed: seed, version: version})
		l.nodes[0].pods("pod", 2)
		l.run(3 * time.Minute)
		primary := l.nodes[0].in.Interfaces[0].Addrs
		ok := l.nodes[0].shape() == "9+9"
		for _, a := range l.nodes[0].running {
			ok = ok && slices.Contains(primary, a)
		}
		if ok {
			return l
		}
	}
}

// MINIMUM_IP_TARGET=5 on a node with 18 addresses, two of which pods on the primary interface use: what is called, and where it ends, over many seeds.
func TestMinimumIPTargetOnAGrownNode(t *testing.T) {
	for _, c := range []struct {
		version string
		calls   []string // the changing ones of the pool, in order of their text
		ends    string   // the ends that occur
	}{
		{"1.10", []string{"AssignPrivateIpAddresses(3) UnassignPrivateIpAddresses(7) UnassignPrivateIpAddresses(9)"}, "2+3 5"},
		{"1.12", []string{"AssignPrivateIpAddresses(3) UnassignPrivateIpAddresses(7) UnassignPrivateIpAddresses(9)"}, "2+3 5"},
		{"1.13", []string{"UnassignPrivateIpAddresses(4) UnassignPrivateIpAddresses(9)", "UnassignPrivateIpAddresses(6) UnassignPrivateIpAddresses(7)"}, "2+3 5"},
		{"1.23", []string{"UnassignPrivateIpAddresses(4) UnassignPrivateIpAddresses(9)", "UnassignPrivateIpAddresses(6) UnassignPrivateIpAddresses(7)"}, "2+3 5"},
	} {
		ends, seen := map[string]int{}, map[string]int{}
		for seed := range uint64(60) {
			l := twoPods(t, c.version, seed)
			n := l.nodes[0]
			before := slices.Clone(n.in.Interfaces[0].Addrs)
			before = append(before, n.in.Interfaces[1].Addrs...)
			from := len(l.trail.Events())
			n.restart(env{"MINIMUM_IP_TARGET": "5"})
			l.wait(3 * time.Minute)
			ends[n.shape()]++
			var calls []string
			for _, s := range l.calls(from) {
				if strings.Contains(s, "PrivateIpAddresses(") {
					calls = append(calls, s)
				}
			}
			slices.Sort(calls)
			seen[strings.Join(calls, " ")]++
			if want := map[string]int{"5": 6, "2+3": 7}[n.shape()]; n.held() != want {
				t.Errorf("%s, seed %d: %s holds %d addresses", c.version, seed, n.shape(), n.held())
			}
			kept := 0
			for _, e := range n.in.Interfaces {
				for _, a := range e.Addrs[1:] {
					if slices.Contains(before, a) {
						kept++
					}
				}
			}
			if want := map[string]int{"1.10": 2, "1.12": 2}[c.version]; want != 0 && kept != want || want == 0 && kept != 5 {
				t.Errorf("%s, seed %d: %d of the old addresses are left", c.version, seed, kept)
			}
			for _, a := range n.running {
				if l.vpc.ByAddr(a) != n.in.Interfaces[0] {
					t.Errorf("%s, seed %d: a pod's address %v is gone", c.version, seed, a)
				}
			}
		}
		if got := strings.Join(keys(ends), " "); got != c.ends {
			t.Errorf("%s: ends %v", c.version, ends)
		}
		if got := keys(seen); !slices.Equal(got, c.calls) {
			t.Errorf("%s: calls %v", c.version, seen)
		}
		// Then pods come: the pool has five addresses and never more.
		l := twoPods(t, c.version, 1)
		l.nodes[0].restart(env{"MINIMUM_IP_TARGET": "5"})
		l.wait(3 * time.Minute)
		l.nodes[0].pods("more", 4)
		l.wait(10 * time.Minute)
		if r, w := len(l.nodes[0].running), len(l.nodes[0].waiting); r != 5 || w != 1 {
			t.Errorf("%s: %d pods run and %d wait", c.version, r, w)
		}
	}
}

func keys(m map[string]int) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// WARM_IP_TARGET=1, twelve pods one by one: thirteen actions of the pool, the default three.
func TestPoolActions(t *testing.T) {
	for _, c := range []struct {
		env  env
		want int
	}{{nil, 3}, {env{"WARM_IP_TARGET": "1"}, 13}} {
		for _, version := range Versions {
			l := newLab(t, setting{seed: 1, version: version, env: c.env})
			l.run(20 * time.Second)
			for i := range 12 {
				l.nodes[0].add(fmt.Sprint("pod-", i))
				l.wait(20 * time.Second)
			}
			actions := 0
			for _, s := range l.calls(0) {
				if strings.HasPrefix(s, "CreateNetworkInterface") || strings.HasPrefix(s, "AssignPrivateIpAddresses") {
					actions++
				}
				if strings.HasPrefix(s, "CreateNetworkInterface") && !strings.Contains(s, "(") {
					actions-- // its addresses come with a call of their own
				}
			}
			if actions != c.want {
				t.Errorf("%s, %v: %d actions", version, c.env, actions)
			}
		}
	}
}

// Ten pods at once: with WARM_IP_TARGET=1 one gets an address in each round of five seconds, but for those that a new interface takes longer; with the
// default all do at once, or as soon as the second interface is there.
func TestBurst(t *testing.T) {
	for _, c := range []struct {
		env         env
		least, most time.Duration
	}{{nil, 0, 8 * time.Second}, {env{"WARM_IP_TARGET": "1"}, 40 * time.Second, 55 * time.Second}} {
		for _, version := range Versions {
			l := newLab(t, setting{seed: 1, version: version, env: c.env})
			l.run(time.Minute)
			l.nodes[0].pods("pod", 10)
			for len(l.nodes[0].running) < 10 && l.e.Now() < 10*time.Minute {
				l.wait(time.Second)
			}
			if took := l.e.Now() - time.Minute; took < c.least || took > c.most {
				t.Errorf("%s, %v: all run after %v", version, c.env, took)
			}
		}
	}
}

// A restart of the daemon makes every interface young again: one that the new settings do not need goes no sooner than a minute later.
func TestRestartPutsOffTheReleaseOfAnInterface(t *testing.T) {
	for _, version := range Versions {
		l := newLab(t, setting{seed: 1, version: version})
		l.nodes[0].add("pod")
		l.run(2 * time.Minute)
		l.nodes[0].restart(env{"WARM_ENI_TARGET": "0"})
		at := l.e.Now()
		for len(l.nodes[0].in.Interfaces) > 1 && l.e.Now() < at+5*time.Minute {
			l.wait(time.Second)
		}
		if took := l.e.Now() - at; took < minENILifeTime || took > minENILifeTime+20*time.Second {
			t.Errorf("%s: the interface went %v after the restart", version, took)
		}
	}
}

// place is where an address of a subnet is.
type place uint8

const (
	reserved place = iota + 1
	free
	primary
	secondaryFree
	assigned
	cooling
	// notInStore is what EC2 gave and the daemon has not taken in yet, or has let go of and not given back yet.
	notInStore
)

// census looks for every address of the subnet, and fails when one is in no place or in two, or when a store knows an address that EC2 knows nothing of.
func (l *lab) census() map[place]int {
	sn := l.vpc.Subnets()[0]
	l.vpc.Census(sn)
	at := map[netip.Addr]place{}
	owner := map[Key]bool{}
	for _, n := range l.nodes {
		for _, e := range n.agent.store.walkAll() {
			for _, c := range e.cidrs.list() {
				if c == nil {
					continue
				}
				for a := c.Prefix.Addr(); c.Prefix.Contains(a); a = a.Next() {
					if at[a] != 0 {
						l.t.Fatalf("%v is in two stores", a)
					}
					at[a] = secondaryFree
				}
				for _, u := range c.used {
					switch {
					case u.Key != "" && owner[u.Key]:
						l.t.Fatalf("%s has two addresses", u.Key)
					case u.Key != "":
						owner[u.Key] = true
						at[u.Addr] = assigned
					case n.agent.store.cooling(u):
						at[u.Addr] = cooling
					}
				}
			}
		}
	}
	counts := map[place]int{}
	for a := sn.CIDR.Addr(); sn.CIDR.Contains(a); a = a.Next() {
		eni := l.vpc.ByAddr(a)
		p := at[a]
		switch {
		case eni == nil && sn.Free(a) && p == 0:
			p = free
		case eni == nil && !sn.Free(a) && p == 0:
			p = reserved
		case eni != nil && eni.Primary() == a && p == 0:
			p = primary
		case eni != nil && eni.Primary() != a && p == 0:
			p = notInStore
		case eni != nil && eni.Primary() != a:
		default:
			l.t.Fatalf("%v at %v: free %v, interface %v, store %d", a, l.e.Now(), sn.Free(a), eni != nil, p)
		}
		counts[p]++
	}
	return counts
}

func (s *Store) walkAll() (out []*ENI) {
	for _, e := range s.enis.list() {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

// Pods come and go, daemons restart with other settings, subnets run empty: at every event each address of the subnet is in exactly one place, each pod
// has one address that no other pod has, and none is given again while it cools down.
func TestConservationOfAddresses(t *testing.T) {
	envs := []env{nil, {"WARM_ENI_TARGET": "0"}, {"WARM_IP_TARGET": "2"}, {"WARM_IP_TARGET": "3", "MINIMUM_IP_TARGET": "8"}, {"MINIMUM_IP_TARGET": "5"}, {"ENABLE_PREFIX_DELEGATION": "true"},
		{"ENABLE_PREFIX_DELEGATION": "true", "WARM_IP_TARGET": "3", "MINIMUM_IP_TARGET": "20"}, {"MAX_ENI": "2"}}
	for seed := range uint64(18) {
		version := Versions[int(seed)%len(Versions)]
		cidr := []string{"192.168.0.0/24", "192.168.0.0/26", "192.168.0.0/27"}[seed/6]
		r := rand.New(rand.NewPCG(seed, 1))
		// The metadata hardly lags: a daemon that restarts while an address does not show yet takes its pod's for dead, as the real one does.
		l := newLab(t, setting{seed: seed, version: version, cidr: cidr, nodes: 3, env: envs[r.IntN(len(envs))], shuffle: seed%2 == 0, throttle: seed%4 == 1, lag: [2]time.Duration{time.Millisecond, 2 * time.Millisecond}})
		released := map[netip.Addr]time.Duration{}
		next := 0
		var live [3][]string
		for range 150 {
			i := r.IntN(3)
			n := l.nodes[i]
			switch x := r.IntN(20); {
			case x == 0:
				n.restart(envs[r.IntN(len(envs))])
			case x < 11:
				for range 1 + r.IntN(4) {
					name := fmt.Sprintf("pod-%d", next)
					next++
					live[i] = append(live[i], name)
					n.add(name)
				}
			case len(live[i]) > 0 && n.agent.Serving():
				at := r.IntN(len(live[i]))
				name := live[i][at]
				live[i] = slices.Delete(live[i], at, at+1)
				if a, ok := n.running[Key(name)]; ok {
					released[a] = l.e.Now()
				}
				n.del(name)
			}
			until := l.e.Now() + time.Duration(r.IntN(20_000))*time.Millisecond
			for l.e.Now() < until {
				l.wait(min(500*time.Millisecond, until-l.e.Now()))
				l.census()
				for _, n := range l.nodes {
					have := map[netip.Addr]Key{}
					for k, a := range n.running {
						if other, ok := have[a]; ok {
							t.Fatalf("%s and %s have %v", k, other, a)
						}
						have[a] = k
					}
				}
			}
		}
	}
}
