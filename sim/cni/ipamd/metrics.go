package ipamd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekslab/ekslab/sim/vpc"
)

// Metrics are the counters of a daemon.
type Metrics struct {
	addReq, delReq int
	calls, errors  map[string]int
	latency        map[string]time.Duration
	ipamd          map[string]int
	reconciles     map[string]int
}

func count(m *map[string]int, key string) {
	if *m == nil {
		*m = map[string]int{}
	}
	(*m)[key]++
}

func (m *Metrics) ec2(name string, err error, took time.Duration) {
	count(&m.calls, name)
	if err != nil {
		count(&m.errors, name)
	}
	if m.latency == nil {
		m.latency = map[string]time.Duration{}
	}
	m.latency[name] += took
}

func (m *Metrics) err(fn string)        { count(&m.ipamd, fn) }
func (m *Metrics) reconciled(fn string) { count(&m.reconciles, fn) }

// Samples is what port 61678 shows, as far as it is modelled: values by name and labels, such as awscni_ec2api_req_count{fn="CreateTags"}.
// Source: utils/prometheusmetrics/prometheusmetrics.go.
func (a *Agent) Samples() map[string]float64 {
	st := a.store.Stats()
	out := map[string]float64{
		"awscni_total_ip_addresses": float64(st.Total), "awscni_assigned_ip_addresses": float64(len(a.store.pods)), "awscni_total_ipv4_prefixes": float64(st.Prefixes),
		"awscni_eni_allocated": float64(a.store.ENIs()), "awscni_eni_max": float64(a.limits.enis), "awscni_ip_max": float64(a.limits.enis * a.limits.perENI),
		"awscni_add_ip_req_count": float64(a.metrics.addReq), `awscni_del_ip_req_count{reason="PodDeleted"}`: float64(a.metrics.delReq),
		"awscni_force_removed_enis": float64(a.store.forceRemovedENIs), "awscni_force_removed_ips": float64(a.store.forceRemovedIPs),
	}
	for name, m := range map[string]map[string]int{"awscni_ec2api_req_count": a.metrics.calls, "awscni_ec2api_error_count": a.metrics.errors, "awscni_ipamd_error_count": a.metrics.ipamd, "awscni_reconcile_count": a.metrics.reconciles} {
		for fn, n := range m {
			out[fmt.Sprintf("%s{fn=%q}", name, fn)] = float64(n)
		}
	}
	for api, d := range a.metrics.latency {
		out[fmt.Sprintf("awscni_aws_api_latency_ms_sum{api=%q}", api)] = float64(d) / float64(time.Millisecond)
		out[fmt.Sprintf("awscni_aws_api_latency_ms_count{api=%q}", api)] = float64(a.metrics.calls[api])
	}
	return out
}

// Exposition is Samples as text, one line each, in order.
func (a *Agent) Exposition() string {
	samples := a.Samples()
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(samples)) {
		fmt.Fprintf(&b, "%s %v\n", k, samples[k])
	}
	return b.String()
}

// ENIInfos is what /v1/enis on port 61679 shows.
type ENIInfos struct {
	TotalIPs, AssignedIPs int
	ENIs                  map[vpc.InterfaceID]ENIInfo
}

// ENIInfo is one interface in ENIInfos.
type ENIInfo struct {
	ID                        vpc.InterfaceID
	IsPrimary, IsTrunk, IsEFA bool
	DeviceNumber              int
	// AvailableIPv4Cidrs are the addresses, as /32, and prefixes.
	AvailableIPv4Cidrs map[string]CIDRInfo
}

// CIDRInfo is an address or a prefix in ENIInfo.
type CIDRInfo struct {
	Cidr     string
	IsPrefix bool
	// IPAddresses are the addresses that pods have, or have had not long ago.
	IPAddresses map[string]AddressInfo
}

// AddressInfo is an address in CIDRInfo.
type AddressInfo struct {
	Address string
	// ContainerID is whose it is, empty while it cools down.
	ContainerID string
}

// Introspect is what /v1/enis shows.
func (a *Agent) Introspect() ENIInfos {
	s := a.store
	out := ENIInfos{TotalIPs: s.total, AssignedIPs: s.assigned, ENIs: map[vpc.InterfaceID]ENIInfo{}}
	for _, e := range s.enis.list() {
		if e == nil {
			continue
		}
		info := ENIInfo{ID: e.ID, IsPrimary: e.IsPrimary, DeviceNumber: e.DeviceNumber, AvailableIPv4Cidrs: map[string]CIDRInfo{}}
		for _, c := range e.cidrs.list() {
			if c == nil {
				continue
			}
			x := CIDRInfo{Cidr: c.Prefix.String(), IsPrefix: c.IsPrefix, IPAddresses: map[string]AddressInfo{}}
			for _, u := range c.used {
				x.IPAddresses[u.Addr.String()] = AddressInfo{u.Addr.String(), string(u.Key)}
			}
			info.AvailableIPv4Cidrs[c.Prefix.String()] = x
		}
		out.ENIs[e.ID] = info
	}
	return out
}
