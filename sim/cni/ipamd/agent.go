package ipamd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/awssdk"
	simec2 "github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Periods of the daemon. Source: pkg/ipamd/ipamd.go.
const (
	ipPoolMonitorInterval         = 5 * time.Second
	nodeIPPoolReconcileInterval   = 60 * time.Second
	decreaseIPPoolInterval        = 30 * time.Second
	ipReconcileCooldown           = 60 * time.Second
	insufficientCIDRErrorCooldown = 120 * time.Second
)

// startTime is from the container's start to the daemon's first call of EC2: the API server is asked for its version, and the instance metadata is read.
// An order of magnitude: in a capture of a real cluster AssignPrivateIpAddresses comes 1 s after the credentials of the pod.
const startTime = 700 * time.Millisecond

// Network is the host's network, as far as the daemon sets it up.
type Network interface {
	// SetupENI sets up an attached interface that is not the primary one.
	SetupENI(simec2.InterfaceMetadata) error
	// RemoveENI takes down what was set up for an interface.
	RemoveENI(vpc.InterfaceID)
	// HasPod says whether the host has the veth device of a pod.
	HasPod(namespace, name string) bool
}

// Node is what the daemon asks the API server about its node.
type Node struct {
	// MaxPods is status.capacity.pods.
	MaxPods int
	// Cordoned is whether it has the taint node.kubernetes.io/unschedulable with effect NoSchedule.
	Cordoned            bool
	Labels, Annotations map[string]string
}

// ENIConfig is the spec of an ENIConfig object.
type ENIConfig struct {
	Subnet         vpc.SubnetID
	SecurityGroups []string
}

// Options are what a daemon is started with.
type Options struct {
	// Name of the node.
	Name       string
	InstanceID vpc.InstanceID
	// Interfaces and Addresses are the limits of the instance type; Nitro says whether it can have prefixes.
	Interfaces, Addresses int
	Nitro                 bool
	Version               Version
	Env                   map[string]string
	EC2                   EC2
	// Caller of the calls; its user agent is the version's.
	Caller   iam.Caller
	Metadata func() simec2.Metadata
	Network  Network
	// Node reads the node from the API server, and ENIConfig an ENIConfig by name.
	Node       func() (Node, error)
	ENIConfig  func(name string) (ENIConfig, bool)
	Checkpoint *Checkpoint
	// Serving is called when the daemon answers, and Exited when it has ended by itself. Either may be nil.
	Serving func()
	Exited  func(error)
	// Changed is called after every change of the store, for those who watch. It may be nil.
	Changed func(*Agent)
}

// Checkpoint is the file /var/run/aws-node/ipam.json on the host, which outlives the daemon: who has which address.
type Checkpoint struct {
	entries map[Key]Entry
	written bool
}

// Entry is one assignment in the checkpoint.
type Entry struct {
	IPv4            netip.Addr
	Namespace, Name string
}

// Entries lists the assignments by sandbox.
func (c *Checkpoint) Entries() map[Key]Entry { return maps.Clone(c.entries) }

// Agent is the daemon of one node. Use Start.
type Agent struct {
	engine  *engine.Engine
	log     *trace.Log
	label   trace.Name
	opts    Options
	version Version
	set     Settings
	limits  poolLimits
	store   *Store
	random  *rand.Rand
	retryer *awssdk.Retryer
	metrics Metrics
	caller  iam.Caller

	groups      []string
	lastAction  time.Duration
	acted       bool
	lastDecline time.Duration
	declined    bool
	lastEmpty   time.Duration
	empty       bool
	freed       map[netip.Prefix]time.Duration // until when an address that was given back is not believed to be there

	verdict verdict

	serving, stopped, terminating bool
}

// run is the daemon on one of its processes.
type run struct {
	*Agent
	p   *engine.Process
	ctx context.Context
}

type stopped struct{}

// alive ends the process if the daemon was killed.
func (a *run) alive() {
	if a.stopped {
		panic(stopped{})
	}
}

func (a *run) sleep(d time.Duration) {
	a.p.Sleep(d)
	a.alive()
}

// goes starts a process of the daemon.
func (a *Agent) goes(name string, fn func(*run)) {
	a.engine.Go(name, func(p *engine.Process) {
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(stopped); !ok {
					panic(r)
				}
			}
		}()
		fn(&run{a, p, engine.WithProcess(iam.WithCaller(context.Background(), a.caller), p)})
	})
}

// Start starts the daemon. It returns an error, and starts nothing, if the environment asks for what is not modelled.
func Start(e *engine.Engine, log *trace.Log, opts Options) (*Agent, error) {
	set, err := ReadSettings(opts.Version, opts.Env)
	if err != nil {
		return nil, err
	}
	if set.PrefixDelegation && !opts.Nitro {
		set.PrefixDelegation = false // as on instance types that cannot have prefixes
	}
	a := &Agent{engine: e, log: log, label: log.Name("ipamd " + opts.Name), opts: opts, version: opts.Version, set: set, random: e.Rand("ipamd: " + opts.Name), caller: opts.Caller,
		freed: map[netip.Prefix]time.Duration{}}
	a.caller.UserAgent = opts.Version.UserAgent
	a.retryer = awssdk.V1(sdkRetries, a.random)
	if opts.Version.SDK == 2 {
		a.retryer = awssdk.V2(sdkRetries, a.random)
	}
	a.store = NewStore(e.Now, a.random, set.PrefixDelegation, set.IPCooldown)
	a.goes("ipamd", func(r *run) {
		if set.LeakCleanup {
			a.leaks(0)
		}
		if err := r.start(); err != nil {
			a.exit(err)
			return
		}
		a.serving = true
		a.say("serving", "")
		if opts.Serving != nil {
			opts.Serving()
		}
		a.later(turn{a, true})
	})
	return a, nil
}

func (a *Agent) say(what, text string) {
	before := a.engine.Cause()
	a.log.Emit(trace.Record{Kind: trace.Config, Actor: a.label, What: a.log.Name(what), Text: text})
	a.engine.SetCause(before)
}

// exit ends the daemon by its own decision.
func (a *Agent) exit(err error) {
	a.stopped = true
	a.say("Initialization failure", err.Error())
	if errors.Is(err, engine.ErrNotModelled) {
		a.engine.Fail(err)
	}
	if a.opts.Exited != nil {
		a.opts.Exited(err)
	}
}

// Kill ends the daemon at once, wherever it is.
func (a *Agent) Kill() { a.stopped, a.serving = true, false }

// Serving says whether the daemon answers the CNI plugin.
func (a *Agent) Serving() bool { return a.serving && !a.stopped }

// Store is the daemon's data store, to look at.
func (a *Agent) Store() *Store { return a.store }

// Settings is what the daemon has read from its environment.
func (a *Agent) Settings() Settings { return a.set }

// changed tells who watches.
func (a *Agent) changed() {
	if a.opts.Changed != nil {
		a.opts.Changed(a)
	}
}

// leaks looks for leaked interfaces after a while, and then again and again.
func (a *Agent) leaks(after time.Duration) {
	after += time.Duration(a.random.IntN(int(leakDelay/time.Second))) * time.Second
	a.engine.After(after, "ipamd: leaked interfaces", engine.Func(func() {
		if a.stopped {
			return
		}
		a.engine.SetCause(0)
		a.goes("ipamd: leaked interfaces", func(r *run) {
			r.cleanUpLeaked()
			a.leaks(leakInterval)
		})
	}))
}

// start is what happens before the daemon answers. Source: pkg/ipamd/ipamd.go, New and nodeInit.
func (a *run) start() error {
	if a.set.failure != nil {
		return a.set.failure
	}
	a.sleep(startTime)
	node, err := a.opts.Node()
	if err != nil {
		return err
	}
	a.limits = limitsFor(&a.set, a.opts.Interfaces, a.opts.Addresses, node.MaxPods)
	enis, tags, err := a.describeAllENIs()
	if err != nil {
		return fmt.Errorf("ipamd init: failed to retrieve attached ENIs info: %w", err)
	}
	for _, e := range enis {
		if err := a.tagENI(e.ID, tags[e.ID]); err != nil {
			return fmt.Errorf("ipamd init: failed to tag managed ENI %v: %w", e.ID, err)
		}
		if err := a.setupENI(e); err != nil {
			return err
		}
	}
	a.recover()
	a.unassignOtherMode()
	if a.version.GroupsFirst {
		a.refreshGroups()
	}
	if err := a.fillAtStart(); err != nil {
		return err
	}
	if !a.version.GroupsFirst {
		a.refreshGroups()
	}
	return nil
}

// fillAtStart fills the pool before the daemon answers.
func (a *run) fillAtStart() error {
	a.judges(a.store.Stats())
	if !a.version.GrowsAtStart {
		increased, err := a.tryAssign()
		switch {
		case err == nil && increased:
			a.acted, a.lastAction = true, a.engine.Now()
		case a.insufficient(err):
			a.empty, a.lastEmpty = true, a.engine.Now()
		case err != nil:
			return err
		}
		return nil
	}
	if !tooLow(&a.version, &a.set, a.limits, a.store.Stats()) {
		return nil
	}
	if err := a.increase(); err != nil {
		return errors.New("error while trying to increase datastore pool")
	}
	if a.set.CustomNetworking && a.store.Stats().Total == 0 {
		//lint:ignore ST1005 as the daemon has it
		return errors.New("Failed to attach any ENIs for custom networking")
	}
	return nil
}

// recover assigns the addresses that pods had before. What belongs to a pod that is gone from the host, or to an address that is, is forgotten.
func (a *run) recover() {
	if !a.opts.Checkpoint.written {
		return
	}
	keys := slices.Sorted(maps.Keys(a.opts.Checkpoint.entries))
	for _, k := range keys {
		e := a.opts.Checkpoint.entries[k]
		if !a.opts.Network.HasPod(e.Namespace, e.Name) || !a.store.Restore(k, e.IPv4) {
			delete(a.opts.Checkpoint.entries, k)
		}
	}
	a.changed()
}

// unassignOtherMode gives back what the current mode does not use: addresses with prefix delegation, prefixes without.
func (a *run) unassignOtherMode() {
	for _, e := range a.store.walkENIs() {
		a.unassignUnused(e, func(c *CIDR) bool { return c.IsPrefix != a.set.PrefixDelegation })
	}
	for _, e := range a.store.walkENIs() {
		if e.Excluded {
			a.unassignUnused(e, func(c *CIDR) bool { return c.IsPrefix == a.set.PrefixDelegation })
		}
	}
}

// unassignUnused gives back all addresses or prefixes of an interface that no pod uses.
func (a *run) unassignUnused(e *ENI, which func(*CIDR) bool) {
	var gone []*CIDR
	for _, c := range a.store.freeable(e, which) {
		if a.store.Delete(e.ID, c.Prefix, false) == nil {
			gone = append(gone, c)
		}
	}
	if len(gone) > 0 {
		a.changed()
		a.dealloc(e.ID, gone)
	}
}

// turn is the next half of the daemon's loop: the pool is looked at, or the metadata. A process runs it only if there is something to do.
// Source: pkg/ipamd/ipamd.go, StartNodeIPPoolManager.
type turn struct {
	a    *Agent
	pool bool
}

func (a *Agent) later(t turn) { a.engine.After(ipPoolMonitorInterval/2, "ipamd: loop", t) }

// Fire takes the turn. The engine calls it.
func (t turn) Fire() {
	a := t.a
	if a.stopped {
		return
	}
	a.engine.SetCause(0)
	next := turn{a, !t.pool}
	switch {
	case t.pool && a.idle() || !t.pool && a.reconciled():
		a.later(next)
	case t.pool:
		a.goes("ipamd", func(r *run) { r.updatePool(); a.later(next) })
	default:
		a.goes("ipamd", func(r *run) { r.reconcile(); a.later(next) })
	}
}

// idle says whether a look at the pool would lead to nothing, and there is nothing new to say about it.
func (a *Agent) idle() bool {
	st := a.store.Stats()
	if !a.verdict.said || st != a.verdict.st {
		return false
	}
	switch {
	case tooLow(&a.version, &a.set, a.limits, st):
		if a.pausing() != a.verdict.paused || !a.pausing() && (a.room() || a.store.hasSlot(a.limits.slots, a.set.CustomNetworking)) {
			return false
		}
	case tooHigh(&a.set, st):
		if !a.declined || a.engine.Now()-a.lastDecline > decreaseIPPoolInterval {
			return false
		}
	}
	return !extraENI(&a.set, a.limits, st, a.store.hasFreeableENI) || a.terminating || !a.store.hasDeletable(&a.set)
}

// pausing says whether the pool does not grow since the subnet had nothing left a while ago.
func (a *Agent) pausing() bool {
	return a.empty && a.engine.Now()-a.lastEmpty <= insufficientCIDRErrorCooldown
}

// updatePool is one round: more, or less, and then perhaps an interface less. Source: pkg/ipamd/ipamd.go, updateIPPoolIfRequired.
func (a *run) updatePool() {
	st := a.store.Stats()
	a.judges(st)
	declined := false
	switch {
	case tooLow(&a.version, &a.set, a.limits, st):
		_ = a.increase() // the next round tries again
	case tooHigh(&a.set, st):
		if a.declined && a.engine.Now()-a.lastDecline <= decreaseIPPoolInterval {
			break
		}
		began := a.engine.Now()
		a.decrease()
		declined = true
		if !a.version.JudgesOnce {
			a.declinedAt(began)
		}
	}
	if !a.version.JudgesOnce {
		st = a.store.Stats()
	}
	if extraENI(&a.set, a.limits, st, a.store.hasFreeableENI) {
		a.tryFreeENI()
	}
	if declined && a.version.JudgesOnce {
		a.declinedAt(a.engine.Now())
	}
}

func (a *run) declinedAt(t time.Duration) {
	a.declined, a.lastDecline = true, t
	a.acted, a.lastAction = true, t
}

// cordoned says whether the node takes no pods, so that neither growth nor release is worth a call.
func (a *run) cordoned() bool {
	if !a.version.MindsCordon || a.set.ManageCordoned {
		return false
	}
	n, err := a.opts.Node()
	return err == nil && n.Cordoned
}

// AddNetwork gives a sandbox an address, and says on which interface.
func (a *Agent) AddNetwork(k Key, namespace, name string) (netip.Addr, vpc.InterfaceID, error) {
	a.metrics.addReq++
	addr, eni, err := a.store.Assign(k)
	if err != nil {
		return addr, "", err
	}
	c := a.opts.Checkpoint
	if c.entries == nil {
		c.entries = map[Key]Entry{}
	}
	c.written = true
	c.entries[k] = Entry{addr, namespace, name}
	a.changed()
	return addr, eni.ID, nil
}

// DelNetwork takes a sandbox's address from it.
func (a *Agent) DelNetwork(k Key) (netip.Addr, vpc.InterfaceID, error) {
	a.metrics.delReq++
	addr, err := a.store.Unassign(k)
	if err != nil {
		return netip.Addr{}, "", err
	}
	delete(a.opts.Checkpoint.entries, k)
	c := addr.cidr
	a.changed()
	if c.IsPrefix != a.set.PrefixDelegation && (c.IsPrefix || a.version.FreesMismatched) {
		a.goes("ipamd: address of the other mode", func(r *run) {
			r.unassignUnused(c.ENI, func(x *CIDR) bool { return x.IsPrefix == c.IsPrefix })
		})
	}
	return addr.Addr, c.ENI.ID, nil
}
