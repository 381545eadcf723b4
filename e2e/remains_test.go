package e2e

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
	"github.com/onsi/gomega/gexec"
)

// ours is the form of the names that ekslab gives, as a person sees them in `docker ps`.
var ours = regexp.MustCompile(`^ekslab-[0-9a-f]{10}(-|$)`)

// small is a world that is up soon, with calls that go on for long.
var small = []string{"run", "nlb-hairpin", "--backend", "kind", "--variant", "broken", "--set", "nodesPerZone=1,1", "--set", "replicas=1", "--set", "connections=2000"}

// start begins a run and returns when there is a container whose name ends in a word. The run is killed in the end whatever happens.
func start(ctx context.Context, until string) *gexec.Session {
	GinkgoHelper()
	c := command(ctx, small...)
	session, err := gexec.Start(c, GinkgoWriter, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { session.Kill().Wait(10 * time.Second) })
	Eventually(func() string { return strings.Join(remains(ctx), " ") }).WithTimeout(3*time.Minute).WithPolling(200*time.Millisecond).
		Should(ContainSubstring(until), "the run makes its container")
	Expect(session.ExitCode()).To(Equal(-1), "the run goes on")
	return session
}

func doctorClean(ctx context.Context) string {
	GinkgoHelper()
	out, err := command(ctx, "doctor", "--clean").Output()
	Expect(err).NotTo(HaveOccurred(), string(out))
	return string(out)
}

var _ = Describe("what is left", Label("clean-up"), func() {
	DescribeTable("after a signal is nothing",
		func(ctx SpecContext, signal os.Signal, stage string) {
			session := start(ctx, stage)
			By("sending " + signal.String())
			session.Signal(signal)
			Eventually(session).WithTimeout(2 * time.Minute).Should(gexec.Exit(130))
			Expect(session.Out).NotTo(gbytes.Say("✓ holds"))
			Expect(remains(ctx)).To(BeEmpty())
		},
		Entry("SIGINT, while the cluster is made", os.Interrupt, "-control-plane", NodeTimeout(8*time.Minute)),
		Entry("SIGTERM, while the router starts", syscall.SIGTERM, "-router", NodeTimeout(8*time.Minute)),
	)

	It("after SIGKILL is removed by doctor --clean, and nothing else", func(ctx SpecContext) {
		By("making what is not ekslab's: a cluster of someone else's, as far as Docker can tell")
		const stranger = "ekslab-of-someone-else"
		_, err := exec.CommandContext(ctx, "docker", "network", "create", stranger).Output()
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) { _ = exec.CommandContext(ctx, "docker", "network", "rm", stranger).Run() })

		session := start(ctx, "-worker")
		before := remains(ctx)
		By("cleaning while the run goes on")
		Expect(doctorClean(ctx)).To(ContainSubstring("Nothing to remove"))
		Expect(remains(ctx)).To(ContainElements(before))

		By("killing it")
		session.Kill().Wait(10 * time.Second)
		Expect(remains(ctx)).NotTo(BeEmpty())
		said := doctorClean(ctx)
		Expect(said).To(ContainSubstring("-worker"))
		// What Docker's own commands had under way when their parent died may still appear; it goes with the next clean.
		Eventually(func() []string { doctorClean(ctx); return remains(ctx) }).WithTimeout(time.Minute).WithPolling(2 * time.Second).Should(BeEmpty())
		out, err := exec.CommandContext(ctx, "docker", "network", "ls", "--format", "{{.Name}}").Output()
		Expect(err).NotTo(HaveOccurred())
		Expect(string(out)).To(ContainSubstring(stranger))
	}, NodeTimeout(8*time.Minute))
})
