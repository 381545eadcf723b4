package simulated

import (
	"github.com/ekslab/ekslab/harness/observe"
	"github.com/ekslab/ekslab/sim/packet"
	"github.com/ekslab/ekslab/sim/trace"
)

// evidence keeps the few records that show what was observed: of the API's calls, and of the first connection that got no answer.
type evidence struct {
	log     *trace.Log
	calls   []observe.Evidence // RegisterTargets, changes of attributes
	health  []observe.Evidence
	pending map[packet.Tuple]*kept
	example *kept
}

// kept is the records of one connection of the client.
type kept struct {
	syns, synacks, rsts, target []observe.Evidence
	ended                       []observe.Evidence
}

// maxKept is how many records of a kind are evidence.
const maxKept = 12

func newEvidence(log *trace.Log) *evidence {
	e := &evidence{log: log, pending: map[packet.Tuple]*kept{}}
	log.Attach(trace.Set(trace.AWS, trace.Health), func(r *trace.Record) {
		switch what := log.String(r.What); {
		case r.Kind == trace.Health:
			e.add(&e.health, r)
		case what == "RegisterTargets" || what == "CreateTargetGroup" || what == "ModifyTargetGroupAttributes" || what == "ModifyLoadBalancerAttributes":
			e.add(&e.calls, r)
		}
	})
	return e
}

func (e *evidence) add(to *[]observe.Evidence, r *trace.Record) {
	if len(*to) < maxKept {
		*to = append(*to, observe.Evidence{ID: uint64(r.ID), Seconds: r.Time.Seconds(), Actor: e.log.String(r.Actor), Text: r.Kind.String() + " " + e.log.Body(r)})
	}
}

// follow keeps the records of the client's connections until they are answered; the first that ends without an answer stays.
func (e *evidence) follow(log *trace.Log, client string, flows *observe.Flows) {
	isClient := log.Name(client + "/eth0")
	namespace := log.Name(client)
	log.Attach(trace.Set(trace.Out, trace.In, trace.Balance, trace.Timer), func(r *trace.Record) {
		if e.example != nil {
			return
		}
		p := r.Packet
		switch {
		case r.Kind == trace.Timer:
			if r.Actor == namespace {
				for t, k := range e.pending {
					if len(r.Text) > len(t.String()) && r.Text[:len(t.String())] == t.String() {
						e.add(&k.ended, r)
						e.example = k
					}
				}
			}
		case p.Proto != packet.TCP:
		case r.Kind == trace.Balance:
			if k := e.pending[p.Tuple()]; k != nil {
				e.add(&k.target, r)
			}
		case r.Actor != isClient:
		case r.Kind == trace.Out && p.Flags == packet.SYN && flows.Dialled[p.Dst]:
			k := e.pending[p.Tuple()]
			if k == nil {
				k = &kept{}
				e.pending[p.Tuple()] = k
			}
			e.add(&k.syns, r)
		case r.Kind == trace.In && p.Flags == packet.SYN|packet.ACK:
			if e.pending[p.Tuple().Reverse()] != nil {
				delete(e.pending, p.Tuple().Reverse()) // answered
				return
			}
			for t, k := range e.pending { // at most one has this local port
				if t.Src == p.Dst && t.SrcPort == p.DstPort {
					e.add(&k.synacks, r)
				}
			}
		case r.Kind == trace.Out && p.Flags.Has(packet.RST):
			for t, k := range e.pending {
				if t.Src == p.Src && t.SrcPort == p.SrcPort {
					e.add(&k.rsts, r)
				}
			}
		}
	})
}

// byObservation says what shows what.
func (e *evidence) byObservation() map[string][]observe.Evidence {
	out := map[string][]observe.Evidence{}
	put := func(records []observe.Evidence, names ...string) {
		if len(records) > 0 {
			for _, n := range names {
				out[n] = records
			}
		}
	}
	put(e.calls, "registeredTargets", "nodePortPackets", "nlbPackets")
	put(e.health, "healthyTargets")
	if k := e.example; k != nil {
		put(append(append([]observe.Evidence{}, k.syns...), k.ended...), "hungRatio", "hungConnections", "synsPerHungConnection", "synOffsetsSeconds", "hungRatioByAddress", "slowestAnswerSeconds")
		put(k.ended, "connectTimeoutSeconds")
		put(k.target, "hungTargetNodes")
		put(k.synacks, "synAcksToClientPerHungConnection")
		put(k.rsts, "rstsPerHungConnection", "backendHalfOpen")
	}
	return out
}
