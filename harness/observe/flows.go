package observe

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/packet"
)

// Place is where a packet was captured.
type Place struct {
	Role Role
	// Node is the name of the node, for Role NodeInterface.
	Node string
}

// Role is what kind of interface a capture was taken on.
type Role uint8

// Roles.
const (
	// Elsewhere is an interface that no observation needs.
	Elsewhere Role = iota
	// Client is the interface of the client's own network namespace.
	Client
	// NodeInterface is a network interface of a node.
	NodeInterface
	// Balancer is the interface of a load balancer's node.
	Balancer
	// ClientNodeInterface is both: a client that uses its node's network namespace.
	ClientNodeInterface
)

// Flows follows the connections of clients through captures.
type Flows struct {
	// Ports: of the URL that the clients call, and the Service's node port (zero if it has none).
	Port, NodePort uint16
	// Clients are the addresses that the clients send from.
	Clients map[netip.Addr]bool
	// Dialled are the addresses that the clients call; nil means any.
	Dialled map[netip.Addr]bool

	bySeq  map[uint32]*Flow      // by initial sequence number, which nothing on the way changes
	passed map[packet.Tuple]bool // client flows as a load balancer sends them on
	order  []*Flow

	BalancerPackets, NodePortPackets int
	// Draws counts SYNs at the node port by the backend they were sent on to.
	Draws map[netip.Addr]int
}

// Flow is one connection that a client opened.
type Flow struct {
	Local, Remote netip.AddrPort
	// SYNs are the times at which the client sent its SYN.
	SYNs []time.Duration
	// Answered is when a SYN-ACK came from the address that was dialled; zero if none did.
	Answered time.Duration
	// SYNACKs counts those that reached the client from any address, RSTs what the client sent, to any address.
	SYNACKs, RSTs int
	// Nodes that received its SYN from outside.
	Nodes map[string]bool
}

// NewFlows returns an empty account.
func NewFlows(port, nodePort uint16, clients ...netip.Addr) *Flows {
	f := &Flows{Port: port, NodePort: nodePort, Clients: map[netip.Addr]bool{}, bySeq: map[uint32]*Flow{}, passed: map[packet.Tuple]bool{}, Draws: map[netip.Addr]int{}}
	for _, c := range clients {
		f.Clients[c] = true
	}
	return f
}

// All lists the flows in the order in which they were opened.
func (f *Flows) All() []*Flow { return f.order }

// Index finds flows by their two ends.
type Index map[[2]netip.AddrPort][]*Flow

// Index returns an index of the flows so far.
func (f *Flows) Index() Index {
	x := Index{}
	for _, fl := range f.order {
		k := [2]netip.AddrPort{fl.Local, fl.Remote}
		x[k] = append(x[k], fl)
	}
	return x
}

// Find is the flow of a connection that was opened between two times; an end of zero means that it is not over. It is nil if no SYN of it was captured.
func (x Index) Find(local, remote netip.AddrPort, began, ended time.Duration) *Flow {
	for _, fl := range x[[2]netip.AddrPort{local, remote}] {
		if fl.SYNs[0] >= began && (ended == 0 || fl.SYNs[0] <= ended) {
			return fl
		}
	}
	return nil
}

// Packet takes one packet of a capture; out is true where it leaves by the interface.
func (f *Flows) Packet(at time.Duration, where Place, out bool, p *packet.Packet) {
	if p.Proto != packet.TCP {
		return
	}
	switch where.Role {
	case Client:
		f.client(at, out, p)
	case ClientNodeInterface:
		f.client(at, out, p)
		if !out {
			f.node(where.Node, p)
		}
	case NodeInterface:
		if !out {
			f.node(where.Node, p)
		}
	case Balancer:
		fromClient := f.Clients[p.Src] && p.DstPort == f.Port
		if !out && fromClient {
			f.BalancerPackets++
		}
		// What a balancer passes on keeps its sequence number; that is how its flow is known again behind it.
		if out && p.Flags.Has(packet.SYN) && !p.Flags.Has(packet.ACK) && f.bySeq[p.Seq] != nil {
			f.passed[p.Tuple()] = true
		}
	}
}

func (f *Flows) client(at time.Duration, out bool, p *packet.Packet) {
	opening := p.Flags.Has(packet.SYN) && !p.Flags.Has(packet.ACK)
	switch {
	case out && opening && p.DstPort == f.Port && f.Clients[p.Src] && (f.Dialled == nil || f.Dialled[p.Dst]):
		local, remote := netip.AddrPortFrom(p.Src, p.SrcPort), netip.AddrPortFrom(p.Dst, p.DstPort)
		fl := f.bySeq[p.Seq]
		if fl == nil || fl.Local != local || fl.Remote != remote { // a local port may serve several remote addresses at once
			fl = &Flow{Local: local, Remote: remote}
			f.bySeq[p.Seq] = fl
			f.order = append(f.order, fl)
		}
		fl.SYNs = append(fl.SYNs, at)
	case out && p.Flags.Has(packet.RST):
		// A reset answers a SYN-ACK: its sequence number is what that acknowledged.
		if fl := f.bySeq[p.Seq-1]; fl != nil && fl.Local == netip.AddrPortFrom(p.Src, p.SrcPort) {
			fl.RSTs++
		}
	case !out && p.Flags == packet.SYN|packet.ACK:
		if fl := f.bySeq[p.Ack-1]; fl != nil && fl.Local == netip.AddrPortFrom(p.Dst, p.DstPort) {
			fl.SYNACKs++
			if fl.Answered == 0 && fl.Remote == netip.AddrPortFrom(p.Src, p.SrcPort) {
				fl.Answered = at
			}
		}
	}
}

// node is a packet that came in by a node's network interface.
func (f *Flows) node(name string, p *packet.Packet) {
	ours := f.Clients[p.Src] || f.passed[p.Tuple()]
	if f.NodePort != 0 && p.DstPort == f.NodePort && ours {
		f.NodePortPackets++
	}
	if fl := f.bySeq[p.Seq]; fl != nil && p.Flags == packet.SYN && ours {
		if fl.Nodes == nil {
			fl.Nodes = map[string]bool{}
		}
		fl.Nodes[name] = true
	}
}

// Draw takes a translation of a packet's destination at a node port.
func (f *Flows) Draw(before packet.Tuple, after *packet.Packet) {
	if f.NodePort != 0 && before.DstPort == f.NodePort && after.Flags == packet.SYN && f.bySeq[after.Seq] != nil && before.Dst != after.Dst {
		f.Draws[after.Dst]++
	}
}

// Call is one run of the client's command, as the command itself reports it.
type Call struct {
	Began, Ended time.Duration
	// HTTPCode is zero if there was no answer. ExitCode is curl's.
	HTTPCode, ExitCode int
	// First is the first connection it opened; Local is not valid if it opened none.
	FirstLocal, FirstRemote netip.AddrPort
	FirstBegan, FirstEnded  time.Duration
	// FirstError is the errno's name, or empty.
	FirstError string
}

// Service is what the APIs say of the load balancer and its targets.
type Service struct {
	RegisteredTargets, HealthyTargets int
	Backends                          []netip.Addr
}

// Finding is what Summarize needs besides flows.
type Finding struct {
	Calls           []Call
	ClientNode      string
	HalfOpen        int
	Service         *Service // nil where there is no load balancer
	InstanceTargets bool
}

// Summarize computes the observations of calls through a load balancer. What has no sample is nil, and missing says why.
func (f *Flows) Summarize(x Finding) (obs map[string]any, missing map[string]string) {
	obs, missing = map[string]any{}, map[string]string{}
	none := func(why string, names ...string) {
		for _, n := range names {
			obs[n], missing[n] = nil, why
		}
	}
	obs["connections"] = float64(len(x.Calls))
	if x.ClientNode != "" {
		obs["clientNodeName"] = x.ClientNode
	} else {
		none("the client pod was not scheduled", "clientNodeName")
	}
	index := f.Index()
	var hung []*Flow
	var answered int
	var slowest time.Duration
	var timeouts []time.Duration
	byAddress := map[string][2]int{}
	for i := range x.Calls {
		c := &x.Calls[i]
		if c.HTTPCode == 200 {
			answered++
			slowest = max(slowest, c.Ended-c.Began)
		}
		if !c.FirstLocal.IsValid() {
			continue
		}
		fl := index.Find(c.FirstLocal, c.FirstRemote, c.FirstBegan, c.FirstEnded)
		if fl == nil {
			continue
		}
		a := fl.Remote.Addr().String()
		n := byAddress[a]
		n[1]++
		if fl.Answered == 0 {
			n[0]++
			hung = append(hung, fl)
			if c.FirstError == "ETIMEDOUT" {
				timeouts = append(timeouts, c.FirstEnded-c.FirstBegan)
			}
		}
		byAddress[a] = n
	}
	obs["hungConnections"] = float64(len(hung))
	if len(x.Calls) == 0 {
		none("no call was made", "hungRatio", "answered200Ratio")
	} else {
		obs["hungRatio"] = float64(len(hung)) / float64(len(x.Calls))
		obs["answered200Ratio"] = float64(answered) / float64(len(x.Calls))
	}
	if answered > 0 {
		obs["slowestAnswerSeconds"] = slowest.Seconds()
	} else {
		none("no call was answered with HTTP 200", "slowestAnswerSeconds")
	}
	ratios := map[string]any{}
	for a, n := range byAddress {
		ratios[a] = float64(n[0]) / float64(n[1])
	}
	if len(ratios) > 0 {
		obs["hungRatioByAddress"] = ratios
	} else {
		none("no call opened a connection", "hungRatioByAddress")
	}
	f.hung(obs, none, hung, x.HalfOpen)
	if len(timeouts) > 0 {
		var sum time.Duration
		for _, d := range timeouts {
			sum += d
		}
		obs["connectTimeoutSeconds"] = (sum / time.Duration(len(timeouts))).Seconds()
	} else {
		none("no connection ended with ETIMEDOUT", "connectTimeoutSeconds")
	}
	obs["nlbPackets"] = float64(f.BalancerPackets)
	obs["nodePortPackets"] = float64(f.NodePortPackets)
	if x.Service != nil {
		obs["registeredTargets"] = float64(x.Service.RegisteredTargets)
		obs["healthyTargets"] = float64(x.Service.HealthyTargets)
	} else {
		none("the Service has no load balancer", "registeredTargets", "healthyTargets")
	}
	if len(f.Draws) > 0 {
		draws := map[string]any{}
		if x.Service != nil {
			for _, a := range x.Service.Backends {
				draws[a.String()] = 0.0
			}
		}
		for a, n := range f.Draws {
			draws[a.String()] = float64(n)
		}
		obs["backendDraws"] = draws
	} else {
		none("no SYN of the client came to a node port", "backendDraws")
	}
	return obs, missing
}

// hung computes what is observed of hung connections alone.
func (f *Flows) hung(obs map[string]any, none func(string, ...string), hung []*Flow, halfOpen int) {
	nodes := map[string]bool{}
	var syns, synacks, rsts int
	for _, fl := range hung {
		syns += len(fl.SYNs)
		synacks += fl.SYNACKs
		rsts += fl.RSTs
		maps.Copy(nodes, fl.Nodes)
	}
	list := []any{}
	for _, n := range slices.Sorted(maps.Keys(nodes)) {
		list = append(list, n)
	}
	if len(hung) == 0 {
		none("no connection hung", "hungTargetNodes", "backendHalfOpen", "synsPerHungConnection", "synOffsetsSeconds", "synAcksToClientPerHungConnection", "rstsPerHungConnection")
		return
	}
	obs["hungTargetNodes"] = list
	obs["backendHalfOpen"] = float64(halfOpen)
	per := func(n int) float64 { return float64(n) / float64(len(hung)) }
	obs["synsPerHungConnection"] = per(syns)
	obs["synAcksToClientPerHungConnection"] = per(synacks)
	obs["rstsPerHungConnection"] = per(rsts)
	offsets := []any{}
	for _, at := range hung[0].SYNs {
		offsets = append(offsets, (at - hung[0].SYNs[0]).Seconds())
	}
	obs["synOffsetsSeconds"] = offsets
}
