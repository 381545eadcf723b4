package ipamd

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	simec2 "github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// setting is a node's daemon, and what there is around it.
type setting struct {
	seed     uint64
	version  string
	env      map[string]string
	typ      string
	cidr     string
	maxPods  int
	nodes    int
	throttle bool
	shuffle  bool
	lag      [2]time.Duration
	// others are further subnets of the zone, by their tag kubernetes.io/role/cni.
	others map[string]string
}

// lab is nodes with a daemon each, without Kubernetes: pods ask for an address every second until they have one.
type lab struct {
	t     testing.TB
	e     *engine.Engine
	vpc   *vpc.VPC
	ec2   *simec2.Service
	trail *cloudtrail.Log
	set   setting
	nodes []*labNode
}

type labNode struct {
	*lab
	in         *simec2.Instance
	agent      *Agent
	checkpoint Checkpoint
	running    map[Key]netip.Addr
	waiting    map[Key]bool
	devices    map[vpc.InterfaceID]bool
	cordoned   bool
	exits      []error
	env        map[string]string
}

func newLab(t testing.TB, s setting) *lab {
	t.Helper()
	if s.cidr == "" {
		s.cidr = "192.168.0.0/19"
	}
	if s.typ == "" {
		s.typ = "m5.large"
	}
	if s.nodes == 0 {
		s.nodes = 1
	}
	l := &lab{t: t, set: s}
	l.e = engine.New(engine.Options{Seed: s.seed, ShuffleTies: s.shuffle, MaxTime: 400 * time.Hour})
	t.Cleanup(l.e.Close)
	log := trace.New(l.e)
	l.trail = cloudtrail.New(l.e, log, 0)
	l.vpc = vpc.New(l.e, log, netip.MustParsePrefix("192.168.0.0/16"), vpc.Options{})
	sn, err := l.vpc.AddSubnet("nodes", "a", netip.MustParsePrefix(s.cidr), false, map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cidr := range sortedKeys(s.others) {
		if _, err := l.vpc.AddSubnet("other "+cidr, "a", netip.MustParsePrefix(cidr), false, map[string]string{subnetTagKey: s.others[cidr]}); err != nil {
			t.Fatal(err)
		}
	}
	l.ec2 = simec2.New(l.e, log, l.trail, l.vpc, "eu-west-1", simec2.Options{Throttle: s.throttle, MetadataLag: s.lag})
	group := l.vpc.AddSecurityGroup("nodes", nil)
	for range s.nodes {
		in, err := l.ec2.Launch(s.typ, sn, netip.Addr{}, nil, group)
		if err != nil {
			t.Fatal(err)
		}
		n := &labNode{lab: l, in: in, running: map[Key]netip.Addr{}, waiting: map[Key]bool{}, devices: map[vpc.InterfaceID]bool{}, env: s.env}
		l.nodes = append(l.nodes, n)
		n.start(log)
	}
	return l
}

func sortedKeys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (n *labNode) start(log *trace.Log) {
	v, err := VersionOf(n.set.version)
	if err != nil {
		n.t.Fatal(err)
	}
	maxPods := n.set.maxPods
	if maxPods == 0 {
		maxPods = n.in.Limits.MaxPods()
	}
	n.agent, err = Start(n.e, log, Options{Name: string(n.in.ID), InstanceID: n.in.ID, Interfaces: n.in.Limits.Interfaces, Addresses: n.in.Limits.Addresses, Nitro: n.in.Limits.Nitro(),
		Version: v, Env: ManifestEnv(v, n.env), EC2: n.ec2, Caller: iam.Caller{ARN: "arn:node", Name: "aws-node"}, Network: n, Checkpoint: &n.checkpoint,
		Metadata: func() simec2.Metadata { return n.ec2.Metadata(n.in.ID) },
		Node:     func() (Node, error) { return Node{MaxPods: maxPods, Cordoned: n.cordoned}, nil },
		ENIConfig: func(name string) (ENIConfig, bool) {
			return ENIConfig{Subnet: n.vpc.Subnets()[1].ID}, name == "default"
		},
		Exited: func(err error) { n.exits = append(n.exits, err) }})
	if err != nil {
		n.t.Fatal(err)
	}
}

// restart is what a rolling update does: the daemon ends, and another starts with an environment.
func (n *labNode) restart(env map[string]string) {
	n.agent.Kill()
	n.env = env
	n.start(n.agent.log)
}

func (n *labNode) SetupENI(m simec2.InterfaceMetadata) error { n.devices[m.ID] = true; return nil }
func (n *labNode) RemoveENI(id vpc.InterfaceID)              { delete(n.devices, id) }
func (n *labNode) HasPod(_, name string) bool                { _, ok := n.running[Key(name)]; return ok }

// add starts pods.
func (n *labNode) add(names ...string) {
	for _, name := range names {
		k := Key(name)
		n.waiting[k] = true
		n.e.Go("pod", func(p *engine.Process) {
			for n.waiting[k] {
				if n.agent.Serving() {
					if a, _, err := n.agent.AddNetwork(k, "default", name); err == nil {
						delete(n.waiting, k)
						n.running[k] = a
						return
					}
				}
				p.Sleep(time.Second)
			}
		})
	}
}

// pods starts n pods called prefix-1 and so on.
func (n *labNode) pods(prefix string, count int) {
	for i := range count {
		n.add(fmt.Sprintf("%s-%d", prefix, i+1))
	}
}

// del ends pods.
func (n *labNode) del(names ...string) {
	for _, name := range names {
		k := Key(name)
		delete(n.waiting, k)
		if _, ok := n.running[k]; ok {
			delete(n.running, k)
			if _, _, err := n.agent.DelNetwork(k); err != nil {
				n.t.Errorf("release of %s: %v", name, err)
			}
		}
	}
}

func (l *lab) run(until time.Duration) {
	l.t.Helper()
	if err := l.e.Run(until, nil); err != nil {
		l.t.Fatal(err)
	}
}

// wait goes on for a while.
func (l *lab) wait(d time.Duration) { l.t.Helper(); l.run(l.e.Now() + d) }

func (n *labNode) held() int {
	sum := 0
	for _, e := range n.in.Interfaces {
		sum += e.Used()
	}
	return sum
}

// shape is the secondary addresses, or prefixes, of each interface, the primary one first.
func (n *labNode) shape() string {
	var out []string
	for _, e := range n.in.Interfaces {
		if len(e.Prefixes) > 0 {
			out = append(out, fmt.Sprintf("%dp", len(e.Prefixes)))
		} else {
			out = append(out, fmt.Sprint(len(e.Addrs)-1))
		}
	}
	return strings.Join(out, "+")
}

// calls lists the calls from an index on, with counts and error codes.
func (l *lab) calls(from int) (out []string) {
	for _, ev := range l.trail.Events()[from:] {
		out = append(out, describe(ev))
	}
	return out
}
