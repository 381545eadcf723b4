package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/run"
)

// WriteGitHub writes a workflow command for each expectation that does not hold: an error where it fails, a warning where it is
// inconclusive, and one notice for a run that was skipped. Nothing is written for what holds or does not apply.
func WriteGitHub(w io.Writer, outcomes []run.Outcome) error {
	var b strings.Builder
	for _, o := range outcomes {
		s := o.Job.Plan.Scenario
		title := s.Slug() + " " + o.Job.Plan.Variant
		if o.Verdict.Status == expect.Skipped {
			githubCommand(&b, "notice", s.File, 0, title+" skipped", o.Verdict.Reason)
			continue
		}
		carried := false
		for _, r := range o.Results {
			level := ""
			switch r.Status {
			case expect.Fails:
				level = "error"
			case expect.Inconclusive:
				level = "warning"
			default:
				continue
			}
			carried = true
			githubCommand(&b, level, r.Expectation.File, r.Expectation.Line,
				fmt.Sprintf("%s: %s %s", title, r.Expectation.Name, verb(r.Status)),
				r.Expectation.Meaning+"\n"+reason(r)+"\nexpected: "+r.Expectation.That)
		}
		if !carried && o.Verdict.Status == expect.Inconclusive {
			githubCommand(&b, "warning", s.File, 0, title+" inconclusive", o.Verdict.Reason)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

var (
	githubMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	githubProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func githubCommand(b *strings.Builder, level, file string, line int, title, message string) {
	b.WriteString("::" + level + " file=" + githubProperty.Replace(file))
	if line > 0 {
		fmt.Fprintf(b, ",line=%d", line)
	}
	b.WriteString(",title=" + githubProperty.Replace(title) + "::" + githubMessage.Replace(message) + "\n")
}
