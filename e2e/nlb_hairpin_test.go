package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/observe"
)

// settings keep a run short: calls for a minute, and two minutes more until the last hung connection has ended.
var settings = map[string]string{"connections": "240", "connectInterval": "250ms"}

func set(values map[string]string) (args []string) {
	for k, v := range values {
		args = append(args, "--set", k+"="+v)
	}
	return args
}

// agreement is what `ekslab parity -o json` says of one run.
type agreement struct {
	Runs []struct {
		Variant, Verdict, Reason string
		Observations             []struct {
			Name, Tolerance, Verdict, Reason string
			Sim, Kind                        any
		}
	}
}

var _ = Describe("nlb-hairpin", Label("elb", "nlb-hairpin"), func() {
	DescribeTable("on kind is what the scenario expects, and what the simulator says",
		func(ctx SpecContext, variant string) {
			By("running it on both backends")
			parity := command(ctx, append([]string{"parity", "nlb-hairpin", "--variant", variant, "-o", "json"}, set(settings)...)...)
			out, err := parity.Output()
			var doc agreement
			Expect(json.Unmarshal(out, &doc)).To(Succeed(), "exit: %v, output: %s", err, out)
			Expect(doc.Runs).To(HaveLen(1))
			run := doc.Runs[0]

			By("judging what was seen on the cluster as the scenario's expectations do")
			rec := &observe.Recording{Backend: "kind", Observations: map[string]any{}, Missing: map[string]string{}}
			for _, o := range run.Observations {
				rec.Observations[o.Name] = o.Kind
			}
			verdict, results := expect.Judge(plan(variant, settings), rec)
			for _, r := range results {
				AddReportEntry(r.Expectation.Name, string(r.Status)+" "+r.Reason)
			}
			Expect(verdict.Status).To(Equal(expect.Holds), "%s: %v", verdict.Reason, rec.Observations)

			By("comparing it with the simulator")
			for _, o := range run.Observations {
				Expect(o.Verdict).To(Equal("holds"), "%s: sim %v, kind %v, tolerance %s, %s", o.Name, o.Sim, o.Kind, o.Tolerance, o.Reason)
			}
			Expect(run.Verdict).To(Equal("holds"))
			Expect(err).NotTo(HaveOccurred())

			By("looking for what it left")
			Expect(remains(ctx)).To(BeEmpty())
		},
		Entry("broken", Label("broken"), "broken", NodeTimeout(12*time.Minute)),
		Entry("fixed-preserve-off", Label("remedy"), "fixed-preserve-off", NodeTimeout(10*time.Minute)),
	)

	It("writes captures and a trace of a cluster", Label("output"), func(ctx SpecContext) {
		dir := GinkgoT().TempDir()
		run := command(ctx, "run", "nlb-hairpin", "--backend", "kind", "--variant", "fixed-clusterip", "--set", "nodesPerZone=1,1", "--set", "replicas=1", "--set", "connections=60",
			"--set", "connectInterval=50ms", "--pcap", dir+"/run.pcapng", "--trace", dir+"/run.txt", "-o", "json="+dir+"/run.json")
		_, err := run.Output()
		Expect(err).NotTo(HaveOccurred())
		By("looking into the files")
		out, err := exec.CommandContext(ctx, "head", "-c", "4", dir+"/run.pcapng").Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(Equal([]byte("\x0a\x0d\x0d\x0a")), "the section header block of pcapng")
		trace, err := exec.CommandContext(ctx, "cat", dir+"/run.txt").Output()
		Expect(err).NotTo(HaveOccurred())
		for _, want := range []string{"kubernetes Pod default/netshoot", "client call 0 begins", "default/netshoot/eth0 out"} {
			Expect(strings.Contains(string(trace), want)).To(BeTrue(), "the trace has %q", want)
		}
	}, NodeTimeout(8*time.Minute))
})
