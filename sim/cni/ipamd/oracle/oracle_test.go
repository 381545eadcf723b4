//go:build linux

package oracle

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/amazon-vpc-cni-k8s/pkg/ipamd/datastore"
	"github.com/aws/amazon-vpc-cni-k8s/pkg/utils/logger"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/vpc"
)

const (
	sequences = 300
	steps     = 250
	cooldown  = 30 * time.Second
)

// In every mode, and with every kind of target, both stores say the same after each of many random steps.
func TestDataStoresAgree(t *testing.T) {
	for seed := range uint64(sequences) {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, seed)
			for range steps {
				p.step()
				p.compare()
				if t.Failed() {
					t.Fatalf("sequence %d:\n  %s", seed, strings.Join(p.said[max(0, len(p.said)-25):], "\n  "))
				}
			}
			p.last()
		})
	}
}

// pair is both stores.
type pair struct {
	t        *testing.T
	rng      *rand.Rand
	ours     *ipamd.Store
	theirs   *datastore.DataStore
	log      *listener
	prefixes bool
	began    time.Time

	enis []string
	next int
	// pods that have an address, in order, and which.
	pods    []string
	has     map[string]netip.Addr
	nextPod int
	cidrs   map[string][]netip.Prefix
	block   uint32
	// forced is set once an interface was taken away from its pods: from then on the module's own running totals are off (they are subtracted twice).
	forced bool
	said   []string
}

func newPair(t *testing.T, seed uint64) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(seed, 1)), log: &listener{}, began: time.Now(), cidrs: map[string][]netip.Prefix{}, has: map[string]netip.Addr{}}
	p.prefixes = seed%2 == 1
	p.ours = ipamd.NewStore(func() time.Duration { return time.Since(p.began) }, rand.New(rand.NewPCG(seed, 2)), p.prefixes, cooldown)
	p.theirs = datastore.NewDataStore(p.log, datastore.NullCheckpoint{}, p.prefixes, 0)
	p.addENI("eni-0", true)
	return p
}

func (p *pair) say(format string, args ...any) {
	p.said = append(p.said, fmt.Sprintf("%8v ", time.Since(p.began))+fmt.Sprintf(format, args...))
}

// step does one thing to both.
func (p *pair) step() {
	switch n := p.rng.IntN(100); {
	case n < 6:
		p.addENI(fmt.Sprintf("eni-%d", p.next), false)
	case n < 7:
		p.addENI(p.anENI(), false) // is there already
	case n < 22:
		p.add(p.anENI())
	case n < 30:
		p.remove(p.anENI(), p.rng.IntN(4) == 0)
	case n < 32:
		p.removeENI(p.anENI(), p.rng.IntN(4) == 0)
	case n < 60:
		p.assign()
	case n < 78:
		p.release()
	case n < 82:
		p.exclude(p.anENI())
	case n < 90:
		p.free()
	case n < 93:
		p.allocatable()
	default:
		d := time.Duration(p.rng.IntN(40_000)) * time.Millisecond
		p.say("%v pass", d)
		time.Sleep(d)
	}
}

// anENI is one that there is, or now and then one that there is not.
func (p *pair) anENI() string {
	if len(p.enis) == 0 || p.rng.IntN(30) == 0 {
		return "eni-none"
	}
	return p.enis[p.rng.IntN(len(p.enis))]
}

func (p *pair) same(what string, ours, theirs error) bool {
	p.say("%s: %v, %v", what, ours, theirs)
	if (ours == nil) != (theirs == nil) {
		p.t.Errorf("%s: ours %v, theirs %v", what, ours, theirs)
	}
	return ours == nil
}

func (p *pair) addENI(id string, primary bool) {
	device := p.next
	ours := p.ours.AddENI(vpc.InterfaceID(id), device, primary, "subnet-1")
	theirs := p.theirs.AddENI(id, device, primary, false, false, 0, "subnet-1")
	if p.same("add "+id, ours, theirs) {
		p.enis = append(p.enis, id)
		p.next++
	}
}

// add adds an address or a prefix, mostly of the current mode, and now and then one that is there already.
func (p *pair) add(id string) {
	isPrefix := p.prefixes
	if p.rng.IntN(12) == 0 {
		isPrefix = !isPrefix
	}
	p.block += 16
	cidr := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(p.block >> 16), byte(p.block >> 8), byte(p.block)}), 32)
	if isPrefix {
		cidr = netip.PrefixFrom(cidr.Addr(), 28)
	}
	if known := p.cidrs[id]; len(known) > 0 && p.rng.IntN(15) == 0 {
		cidr = known[p.rng.IntN(len(known))]
		isPrefix = cidr.Bits() == 28
	}
	if p.same(fmt.Sprintf("add %v to %s", cidr, id), p.ours.Add(vpc.InterfaceID(id), cidr, isPrefix), p.theirs.AddIPv4CidrToStore(id, netOf(cidr), isPrefix)) {
		p.cidrs[id] = append(p.cidrs[id], cidr)
	}
}

func netOf(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: net.IP(p.Addr().AsSlice()), Mask: net.CIDRMask(p.Bits(), 32)}
}

// remove takes an address or a prefix away.
func (p *pair) remove(id string, force bool) {
	cidr := netip.MustParsePrefix("10.255.255.255/32")
	if known := p.cidrs[id]; len(known) > 0 && p.rng.IntN(15) != 0 {
		cidr = known[p.rng.IntN(len(known))]
	}
	ours := p.ours.Delete(vpc.InterfaceID(id), cidr, force)
	theirs := p.theirs.DelIPv4CidrFromStore(id, netOf(cidr), force)
	if p.same(fmt.Sprintf("take %v from %s, by force %v", cidr, id, force), ours, theirs) {
		p.cidrs[id] = slices.DeleteFunc(p.cidrs[id], func(o netip.Prefix) bool { return o == cidr })
		p.forget(func(_ string, a netip.Addr) bool { return cidr.Contains(a) })
	}
}

func (p *pair) removeENI(id string, force bool) {
	inUse := p.podsOn(id) > 0
	if p.same(fmt.Sprintf("remove %s, by force %v", id, force), p.ours.RemoveENI(vpc.InterfaceID(id), force), p.theirs.RemoveENIFromDataStore(id, force)) {
		p.gone(id)
		p.forced = p.forced || inUse
	}
}

func (p *pair) gone(id string) {
	p.enis = slices.DeleteFunc(p.enis, func(o string) bool { return o == id })
	p.forget(func(_ string, a netip.Addr) bool {
		return slices.ContainsFunc(p.cidrs[id], func(c netip.Prefix) bool { return c.Contains(a) })
	})
	delete(p.cidrs, id)
}

func (p *pair) podsOn(id string) (n int) {
	e := p.theirs.GetENIInfos().ENIs[id]
	return e.AssignedIPv4Addresses()
}

func ipamKey(pod string) datastore.IPAMKey {
	return datastore.IPAMKey{NetworkName: "aws-cni", ContainerID: pod, IfName: "eth0"}
}

// assign has the module choose an address for a pod, which must be one that the simulator might have chosen; and what that might have chosen, the
// module might have. A pod that has an address gets it again.
func (p *pair) assign() {
	if len(p.pods) > 0 && p.rng.IntN(20) == 0 {
		pod := p.pods[p.rng.IntN(len(p.pods))]
		theirs, device, _, err := p.theirs.AssignPodIPv4Address(ipamKey(pod), datastore.IPAMMetadata{})
		ours, eni, ourErr := p.ours.Assign(ipamd.Key(pod))
		p.say("assign to %s again: %v, %s", pod, ours, theirs)
		if err != nil || ourErr != nil || ours.String() != theirs || ours != p.has[pod] || eni.DeviceNumber != device {
			p.t.Errorf("%s again: ours %v (%v), theirs %s (%v)", pod, ours, ourErr, theirs, err)
		}
		return
	}
	pod := fmt.Sprintf("pod-%d", p.nextPod)
	p.nextPod++
	candidates := p.ours.Candidates()
	for _, a := range candidates {
		p.admissible(a)
	}
	theirs, device, _, err := p.theirs.AssignPodIPv4Address(ipamKey(pod), datastore.IPAMMetadata{})
	p.say("assign to %s: they choose %s (%v) of our %v", pod, theirs, err, candidates)
	if err != nil {
		if a, _, ourErr := p.ours.Assign(ipamd.Key(pod)); ourErr == nil {
			p.t.Errorf("we have %v for %s, they say %v", a, pod, err)
		}
		return
	}
	addr := netip.MustParseAddr(theirs)
	if !p.ours.AssignAddress(ipamd.Key(pod), addr) {
		p.t.Errorf("they choose %s, which we would not have: %v", theirs, candidates)
		return
	}
	if _, eni, _ := p.ours.Assign(ipamd.Key(pod)); eni.DeviceNumber != device {
		p.t.Errorf("%v is on our device %d, on their %d", addr, eni.DeviceNumber, device)
	}
	p.pods = append(p.pods, pod)
	p.has[pod] = addr
}

// admissible says, by what the module shows of itself, whether it might give a pod this address.
func (p *pair) admissible(a netip.Addr) {
	for _, e := range p.theirs.GetENIInfos().ENIs {
		for _, c := range e.AvailableIPv4Cidrs {
			if !c.Cidr.Contains(net.IP(a.AsSlice())) || c.IsPrefix != p.prefixes || e.IsExcludedForPodIPs {
				continue
			}
			cooled := 0
			for _, used := range c.IPAddresses {
				if !used.Assigned() && time.Since(used.UnassignedTime) > cooldown {
					cooled++
				}
			}
			known := c.IPAddresses[a.String()]
			switch {
			case known != nil && known.Assigned():
				p.t.Errorf("we would give %v, which has a pod", a)
			case known != nil && time.Since(known.UnassignedTime) <= cooldown:
				p.t.Errorf("we would give %v, which cools down", a)
			case known == nil && cooled > 0:
				p.t.Errorf("we would give %v, and they one that has cooled down", a)
			case known == nil:
				for b := netip.MustParseAddr(c.Cidr.IP.String()); b.Less(a); b = b.Next() {
					if c.IPAddresses[b.String()] == nil {
						p.t.Errorf("we would give %v, and they %v, which is lower", a, b)
					}
				}
			}
			return
		}
	}
	p.t.Errorf("we would give %v, which they do not have for pods", a)
}

// release takes a pod's address from it.
func (p *pair) release() {
	pod := "pod-none"
	if len(p.pods) > 0 && p.rng.IntN(25) != 0 {
		pod = p.pods[p.rng.IntN(len(p.pods))]
	}
	_, theirs, _, _, _, err := p.theirs.UnassignPodIPAddress(ipamKey(pod))
	ours, ourErr := p.ours.Unassign(ipamd.Key(pod))
	if p.same("release of "+pod, ourErr, err) && ours.Addr.String() != theirs {
		p.t.Errorf("%s had our %v, their %s", pod, ours.Addr, theirs)
	}
	p.forget(func(name string, _ netip.Addr) bool { return name == pod })
}

// forget drops pods that have no address any more.
func (p *pair) forget(gone func(pod string, a netip.Addr) bool) {
	p.pods = slices.DeleteFunc(p.pods, func(pod string) bool {
		if !gone(pod, p.has[pod]) {
			return false
		}
		delete(p.has, pod)
		return true
	})
}

// exclude takes an interface without pods out of use for pods, or into it.
func (p *pair) exclude(id string) {
	if p.podsOn(id) > 0 {
		return
	}
	excluded := !p.theirs.IsENIExcludedForPodIPs(id)
	if err := p.theirs.SetENIExcludedForPodIPs(id, excluded); err == nil {
		p.ours.SetExcluded(vpc.InterfaceID(id), excluded)
		p.say("%s excluded: %v", id, excluded)
	}
}

var notDeletable = regexp.MustCompile(`^ENI (\S+) cannot be deleted`)

// free has the module free an interface, if one may go. It is one that the simulator would free, and those that the module passes over are not.
func (p *pair) free() {
	set := ipamd.Settings{WarmIPTarget: p.rng.IntN(4) * p.rng.IntN(8), MinimumIPTarget: p.rng.IntN(3) * p.rng.IntN(20), WarmPrefixTarget: p.rng.IntN(3), PrefixDelegation: p.prefixes}
	may := map[string]bool{}
	for range 100 { // each asks chance anew which of them
		if e := p.ours.Deletable(&set); e != nil {
			may[string(e.ID)] = true
		}
	}
	p.log.lines = nil
	id := p.theirs.RemoveUnusedENIFromStore(set.WarmIPTarget, set.MinimumIPTarget, set.WarmPrefixTarget)
	p.say("free with %d, %d, %d: they choose %q of our %v", set.WarmIPTarget, set.MinimumIPTarget, set.WarmPrefixTarget, id, may)
	for _, line := range p.log.lines {
		if m := notDeletable.FindStringSubmatch(line); m != nil && may[m[1]] {
			p.t.Errorf("we would free one of which they say: %s", line)
		}
	}
	switch {
	case id == "" && len(may) > 0:
		p.t.Errorf("they free none, we one of %v", may)
	case id == "":
		return
	case !may[id]:
		p.t.Errorf("they free %s, we one of %v", id, may)
	}
	if err := p.ours.RemoveENI(vpc.InterfaceID(id), false); err != nil {
		p.t.Error(err)
	}
	p.gone(id)
}

// allocatable compares which interfaces have room.
func (p *pair) allocatable() {
	limit, skip := 1+p.rng.IntN(6), p.rng.IntN(2) == 0
	var ours, theirs []string
	for _, e := range p.ours.NeedENI(limit, skip) {
		ours = append(ours, string(e.ID))
	}
	for _, e := range p.theirs.GetAllocatableENIs(limit, skip) {
		theirs = append(theirs, e.ID)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	p.say("room for %d: %v", limit, ours)
	if !slices.Equal(ours, theirs) {
		p.t.Errorf("room for %d, without the primary one %v: ours %v, theirs %v", limit, skip, ours, theirs)
	}
}

// compare holds the numbers against each other.
func (p *pair) compare() {
	ours, theirs := p.ours.Stats(), p.theirs.GetIPStats("4")
	equal := func(what string, ours, theirs int) {
		if ours != theirs {
			p.t.Errorf("%s: ours %d, theirs %d", what, ours, theirs)
		}
	}
	equal("total", ours.Total, theirs.TotalIPs)
	equal("assigned", ours.Assigned, theirs.AssignedIPs)
	equal("available", ours.Available(), theirs.AvailableAddresses())
	equal("cooling", p.ours.Cooling(), theirs.CooldownIPs)
	equal("free prefixes", ours.FreePrefixes, p.theirs.GetFreePrefixes())
	equal("interfaces", p.ours.ENIs(), p.theirs.GetENIs())
	if !p.forced {
		equal("prefixes", ours.Prefixes, theirs.TotalPrefixes)
	}
}

// last has the simulator choose for once: the module might have chosen the same.
func (p *pair) last() {
	if a, _, err := p.ours.Assign("last"); err == nil {
		p.admissible(a)
	}
}

// listener keeps what the module logs.
type listener struct{ lines []string }

func (l *listener) add(line string) { l.lines = append(l.lines, line) }

func (l *listener) Debugf(format string, args ...any) { l.add(fmt.Sprintf(format, args...)) }
func (l *listener) Infof(format string, args ...any)  { l.add(fmt.Sprintf(format, args...)) }
func (l *listener) Warnf(format string, args ...any)  { l.add(fmt.Sprintf(format, args...)) }
func (l *listener) Errorf(format string, args ...any) { l.add(fmt.Sprintf(format, args...)) }
func (l *listener) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (l *listener) Panicf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (l *listener) Debug(line string)                 { l.add(line) }
func (l *listener) Info(line string)                  { l.add(line) }
func (l *listener) Warn(line string)                  { l.add(line) }
func (l *listener) Error(line string)                 { l.add(line) }

func (l *listener) WithFields(logger.Fields) logger.Logger { return l }
