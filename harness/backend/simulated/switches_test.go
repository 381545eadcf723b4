package simulated

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/ekslab/ekslab/sim"
	"github.com/ekslab/ekslab/sim/elb"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/kube"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
)

// Each mechanism, switched off, must change what is observed: otherwise the figures do not come from it.
func TestSwitchedOffMechanismsChangeWhatIsObserved(t *testing.T) {
	noPodRoute := func(w *sim.World) {
		// The host forgets its route to the client's pod when everything is up, and sends what is for it to the VPC, which brings it back.
		w.Engine.At(6*time.Minute, "test", engine.Func(func() {
			p := w.Kubelets.Running(kube.Key{Namespace: "default", Name: "netshoot"})
			if !p.Node.Root.DeleteRoute(route.Main, netip.PrefixFrom(p.Addr, 32)) {
				t.Error("the pod has no /32 route")
			}
		}))
	}
	for _, c := range []struct {
		mechanism string
		variant   string
		set       string
		off       Backend
		changes   string
		on, gone  any
	}{
		{"the pod's /32 route", "broken", "", Backend{Prepare: noPodRoute}, "answered200Ratio", 1.0, 0.0},
		{"conntrack's translation of answers", "broken", "", Backend{Switches: sim.Switches{Linux: linux.Switches{NoReversal: true}}}, "answered200Ratio", 1.0, 0.0},
		{"the rewrite where the answer leaves the target's interface", "broken", "clientFallback=none", Backend{Switches: sim.Switches{ELB: elb.Switches{NoRewriteAtInterface: true}}}, "hungRatio", nil, 1.0},
		{"the martian check", "broken", "targetType=ip preserveClientIP=true clientIsBackend=true replicas=4 crossZone=true", Backend{Switches: sim.Switches{Linux: linux.Switches{NoMartianCheck: true}}}, "rstsPerHungConnection", 0.0, 7.0},
		{"masquerade", "broken", "", Backend{Switches: sim.Switches{NoMasquerade: true}}, "hungTargetNodes", nil, nil},
		{"the flow table", "broken", "", Backend{Switches: sim.Switches{ELB: elb.Switches{NoStickiness: true}}}, "hungRatio", nil, nil},
	} {
		t.Run(c.mechanism, func(t *testing.T) {
			t.Parallel()
			set := c.set + " connections=300"
			on := run(t, &Backend{}, c.variant, set, 1).Observations[c.changes]
			off := run(t, &c.off, c.variant, set, 1).Observations[c.changes]
			t.Logf("%s: %v with it, %v without", c.changes, on, off)
			if reflect.DeepEqual(on, off) {
				t.Errorf("%s is %v with and without it", c.changes, on)
			}
			if c.on != nil && !reflect.DeepEqual(on, c.on) {
				t.Errorf("with it %s is %v, want %v", c.changes, on, c.on)
			}
			if c.gone != nil && !reflect.DeepEqual(off, c.gone) {
				t.Errorf("without it %s is %v, want %v", c.changes, off, c.gone)
			}
		})
	}
}
