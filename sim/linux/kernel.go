package linux

import (
	"math/rand/v2"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux/netfilter"
	"github.com/ekslab/ekslab/sim/trace"
)

// Kernel is one running kernel: what the namespaces of a host share. Use NewKernel.
type Kernel struct {
	Name   string
	engine *engine.Engine
	log    *trace.Log
	random *rand.Rand
	wheel  wheel
	costs  Costs
	sysctl Sysctls
	serial *uint64
	// reversed names, in the trace, what translates answers back.
	reversed trace.Name
	changes  [10][10]trace.Name

	// Switches turn mechanisms off, for experiments.
	Switches Switches
}

// Costs are the times that a host spends on a packet.
type Costs struct {
	// Forward is from one device of a namespace to another, Send from a socket to a device, Receive from a device to a socket.
	// Zero means the default. They are orders of magnitude: a capture on an m5.large shows 4 to 24 µs between a pod's veth and eth0.
	Forward, Send, Receive time.Duration
}

func (c Costs) withDefaults() Costs {
	if c.Forward == 0 {
		c.Forward = 14 * time.Microsecond
	}
	if c.Send == 0 {
		c.Send = 4 * time.Microsecond
	}
	if c.Receive == 0 {
		c.Receive = 4 * time.Microsecond
	}
	return c
}

// Switches turn mechanisms off, to show what depends on them. All false is Linux.
type Switches struct {
	// NoMartianCheck accepts packets whose source is the host's own address.
	NoMartianCheck bool
	// NoReversal leaves answers to translated connections as they are.
	NoReversal bool
}

// Sysctls are the settings of a namespace, by their names in /proc/sys/net/ipv4. NewKernel's caller starts from DefaultSysctls.
type Sysctls struct {
	TCPSynRetries        int   // tcp_syn_retries
	TCPSynLinearTimeouts int   // tcp_syn_linear_timeouts, since Linux 6.5
	TCPSynAckRetries     int   // tcp_synack_retries
	TCPRetries2          int   // tcp_retries2
	IPDefaultTTL         uint8 // ip_default_ttl
	PortRangeLow         uint16
	PortRangeHigh        uint16 // ip_local_port_range, both included
	RPFilter             int    // conf.all.rp_filter: 0 off, 1 strict, 2 loose; the larger of this and the device's counts
	AcceptLocal          bool   // conf.all.accept_local
}

// DefaultSysctls are those of Linux 6.5 and later.
// Source: Linux Documentation/networking/ip-sysctl.rst.
func DefaultSysctls() Sysctls {
	return Sysctls{TCPSynRetries: 6, TCPSynLinearTimeouts: 4, TCPSynAckRetries: 5, TCPRetries2: 15, IPDefaultTTL: 64, PortRangeLow: 32768, PortRangeHigh: 60999}
}

// KernelOptions are what may be left at their zero values.
type KernelOptions struct {
	// TimerHZ is CONFIG_HZ; zero means ideal timers that fire on time.
	TimerHZ  int
	Costs    Costs
	Switches Switches
}

// NewKernel boots a kernel. Serial numbers of packets are drawn from the counter that all kernels of a world share.
func NewKernel(e *engine.Engine, log *trace.Log, name string, sysctls Sysctls, serial *uint64, opts KernelOptions) *Kernel {
	k := &Kernel{Name: name, engine: e, log: log, random: e.Rand("kernel: " + name), costs: opts.Costs.withDefaults(), sysctl: sysctls, serial: serial, Switches: opts.Switches, reversed: log.Name("conntrack, as an answer")}
	if opts.TimerHZ != 0 {
		tick := time.Second / time.Duration(opts.TimerHZ)
		// A host boots at some moment; its ticks count from there.
		k.wheel = wheel{tick: tick, phase: time.Duration(k.random.Int64N(int64(maxLevelTicks) * int64(tick)))}
	}
	return k
}

func (k *Kernel) newConntrack() *netfilter.Table {
	t := netfilter.NewTable(k.engine.Now, k.random, netfilter.DefaultTimeouts())
	t.DisableReversal = k.Switches.NoReversal
	return t
}

// change names a change of state, once for each pair.
func (k *Kernel) change(from, to TCPState) trace.Name {
	n := &k.changes[from][to]
	if *n == 0 {
		*n = k.log.Name(from.String() + " to " + to.String())
	}
	return *n
}

var errSimultaneousOpen = engine.NotModelled("tcp: simultaneous open")
