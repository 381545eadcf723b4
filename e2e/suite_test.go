package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/ekslab/ekslab/harness/backend/live"
	"github.com/ekslab/ekslab/harness/scenario"
)

// asked is the variable without which nothing here runs: `go test ./...` starts no container.
const asked = "EKSLAB_E2E"

// artifacts is the folder, seen from this one, in which a test that fails leaves what there is to look at; one that passes leaves nothing.
const artifacts = "artifacts"

func TestE2E(t *testing.T) {
	if os.Getenv(asked) == "" {
		t.Skipf("a real cluster is used only when asked for: make e2e, or %s=1", asked)
	}
	RegisterFailHandler(Fail)
	suite, report := GinkgoConfiguration()
	report.Verbose = true
	suite.Timeout = 40 * time.Minute
	RunSpecs(t, "on a real cluster", suite, report)
}

// ekslab is the program under test, kept where it leaves its artefacts, temporary the folder that it is given for temporary files, so that runs
// beside the tests are not mistaken for theirs.
var ekslab, kept, temporary string

// inotify is the machine's limit of inotify instances; Linux's default is too low for a control plane and five workers.
const inotify = "/proc/sys/fs/inotify/max_user_instances"

var _ = BeforeSuite(func(ctx SpecContext) {
	if limit, err := os.ReadFile(inotify); err == nil && len(strings.TrimSpace(string(limit))) <= 3 && os.Geteuid() == 0 {
		By("raising the machine's limit of inotify instances for these tests")
		Expect(os.WriteFile(inotify, []byte("1024"), 0o644)).To(Succeed())
		DeferCleanup(func() { Expect(os.WriteFile(inotify, limit, 0o644)).To(Succeed()) })
	}
	By("asking whether this machine can run a cluster")
	if err := live.New(live.Options{}).Check(ctx, plan("broken", nil)); err != nil {
		Skip("the kind backend cannot run here: " + err.Error() + " (`ekslab doctor` says how to get it)")
	}
	By("building the program")
	var err error
	kept, err = filepath.Abs(artifacts)
	Expect(err).NotTo(HaveOccurred())
	temporary, err = os.MkdirTemp("", "e2e-")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(os.RemoveAll(temporary)).To(Succeed()) })
	ekslab = filepath.Join(temporary, "ekslab")
	build := exec.CommandContext(ctx, "go", "build", "-o", ekslab, "..")
	out, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	By("removing what earlier runs left behind")
	doctorClean(ctx)
}, NodeTimeout(10*time.Minute))

var _ = AfterEach(func() {
	if !CurrentSpecReport().Failed() {
		Expect(os.RemoveAll(artifactsOf())).To(Succeed())
	}
	_ = os.Remove(kept) // if nothing is in it
})

// artifactsOf is the folder of the test that runs.
func artifactsOf() string {
	return filepath.Join(kept, strings.Join(strings.FieldsFunc(CurrentSpecReport().LeafNodeText, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }), "-"))
}

// plan resolves the scenario that these tests are about.
func plan(variant string, set map[string]string) *scenario.Plan {
	GinkgoHelper()
	catalog, err := scenario.Embedded()
	Expect(err).NotTo(HaveOccurred())
	s, err := catalog.Find("nlb-hairpin")
	Expect(err).NotTo(HaveOccurred())
	p, err := s.Resolve(variant, set)
	Expect(err).NotTo(HaveOccurred())
	return p
}

// command is ekslab with arguments. What it says goes into the report of the test; what a failed run leaves goes to the artefacts.
func command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, ekslab, args...)
	c.Env = append(os.Environ(), "EKSLAB_ARTIFACTS="+artifactsOf(), "TMPDIR="+temporary)
	c.Stderr = GinkgoWriter
	return c
}

// remains are the containers, networks and volumes of ekslab's runs, by name, and the folders of runs in the place for temporary files.
func remains(ctx context.Context) (names []string) {
	GinkgoHelper()
	for _, list := range [][]string{
		{"ps", "-a", "--format", "{{.Names}}"},
		{"network", "ls", "--format", "{{.Name}}"},
		{"volume", "ls", "--filter", "label=io.ekslab.run", "--format", "{{.Name}}"},
	} {
		out, err := exec.CommandContext(ctx, "docker", list...).Output()
		Expect(err).NotTo(HaveOccurred())
		for _, name := range strings.Fields(string(out)) {
			if ours.MatchString(name) {
				names = append(names, name)
			}
		}
	}
	folders, err := filepath.Glob(filepath.Join(temporary, "ekslab-*"))
	Expect(err).NotTo(HaveOccurred())
	for _, f := range folders {
		if ours.MatchString(filepath.Base(f)) {
			names = append(names, f)
		}
	}
	return names
}
