//go:build unix

package sim

import (
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// crowd is a world of many nodes in three subnets with as many pods on each.
func crowd(t testing.TB, nodes, pods int, instanceType string, prefix int, env map[string]string) *World {
	t.Helper()
	l := poolLab{seed: 1, instanceType: instanceType, env: env}
	s := l.spec()
	s.VPC, s.NodeGroups = VPC{}, nil
	for i := range 3 {
		base := netip.AddrFrom4([4]byte{192, byte(168 + i), 0, 0})
		s.VPC.CIDRs = append(s.VPC.CIDRs, netip.PrefixFrom(base, 16))
		name := fmt.Sprintf("zone-%d", i+1)
		s.VPC.Subnets = append(s.VPC.Subnets, Subnet{Name: name, Zone: "eu-west-1" + string(rune('a'+i)), CIDR: netip.PrefixFrom(base, prefix)})
		s.NodeGroups = append(s.NodeGroups, NodeGroup{Name: name, Subnet: name, InstanceType: instanceType, Size: nodes/3 + min(1, max(0, nodes%3-i))})
	}
	w, err := New(s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var objects Objects
	for i := range w.Nodes {
		objects = append(objects, podsOn(w, i, pods))
	}
	w.Apply(30*time.Second, objects)
	return w
}

// settled runs until every pod runs, and some more.
func (w *World) settled(t testing.TB, pods int) {
	for running := 0; running < pods; {
		if err := w.Engine.Run(w.Engine.Now()+30*time.Second, nil); err != nil {
			t.Fatal(err)
		}
		running = 0
		for _, n := range w.Nodes {
			running += n.CNI.Pods()
		}
		if w.Engine.Now() > 4*time.Hour {
			t.Fatalf("%d of %d pods have an address after %v", running, pods, w.Engine.Now())
		}
	}
	if err := w.Engine.Run(w.Engine.Now()+3*time.Minute, nil); err != nil {
		t.Fatal(err)
	}
}

// cpuTime is the processor time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmarkCrowd(b *testing.B, nodes, pods int, instanceType string, env map[string]string) {
	runtime.GC()
	began := cpuTime()
	runs := 0
	for b.Loop() {
		w := crowd(b, nodes, pods, instanceType, 16, env)
		w.settled(b, nodes*pods)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.Sys)/1e6, "MB")
		b.ReportMetric(float64(w.Engine.Events())/float64(nodes), "events/node")
		w.Close()
		runs++
	}
	cpu := (cpuTime() - began) / time.Duration(runs)
	b.ReportMetric(cpu.Seconds(), "cpu-s")
	b.ReportMetric(float64(cpu.Microseconds())/float64(nodes)/1000, "cpu-ms/node")
}

func BenchmarkNodes50(b *testing.B)   { benchmarkCrowd(b, 50, 10, "m5.large", nil) }
func BenchmarkNodes200(b *testing.B)  { benchmarkCrowd(b, 200, 10, "m5.large", nil) }
func BenchmarkNodes1000(b *testing.B) { benchmarkCrowd(b, 1000, 10, "m5.large", nil) }
func BenchmarkNodes5000(b *testing.B) {
	benchmarkCrowd(b, 5000, 30, "c5.4xlarge", map[string]string{"WARM_IP_TARGET": "2"})
}
