package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/ekslab/ekslab/harness/expect"
	"github.com/ekslab/ekslab/harness/run"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string       `xml:"name,attr"`
	ClassName string       `xml:"classname,attr"`
	File      string       `xml:"file,attr,omitempty"`
	Line      int          `xml:"line,attr,omitempty"`
	Time      string       `xml:"time,attr"`
	Skipped   *junitDetail `xml:"skipped"`
	Error     *junitDetail `xml:"error"`
	Failure   *junitDetail `xml:"failure"`
}

type junitDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the outcomes as JUnit XML.
func WriteJUnit(w io.Writer, outcomes []run.Outcome) error {
	all := junitSuites{Name: "ekslab"}
	var seconds float64
	for _, o := range outcomes {
		s := newJUnitSuite(o)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		seconds += o.Wall.Seconds()
		all.Suites = append(all.Suites, s)
	}
	all.Time = junitTime(seconds)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func newJUnitSuite(o run.Outcome) junitSuite {
	plan := o.Job.Plan
	suite := junitSuite{
		Name: plan.Scenario.Slug() + "/" + plan.Variant,
		Time: junitTime(o.Wall.Seconds()),
		Properties: []junitProperty{
			{"backend", o.Backend},
			{"seed", strconv.FormatUint(o.Job.Seed, 10)},
			{"verdict", string(o.Verdict.Status)},
		},
	}
	if o.Recording != nil {
		suite.Properties = append(suite.Properties, junitProperty{"traceHash", o.Recording.TraceHash})
	}
	for _, p := range plan.Params {
		suite.Properties = append(suite.Properties, junitProperty{"parameter." + p.Name, p.String()})
	}
	class := strings.ReplaceAll(plan.Scenario.Slug(), "/", ".") + "." + plan.Variant
	carried := false
	for _, r := range o.Results {
		c := junitCase{Name: r.Expectation.Name, ClassName: class, File: r.Expectation.File, Line: r.Expectation.Line, Time: "0"}
		if c.Name == "" {
			c.Name = r.Expectation.Meaning
		}
		if o.Verdict.Status == expect.Skipped {
			c.judge(expect.Skipped, o.Verdict.Reason, "")
		} else {
			c.judge(r.Status, reason(r), detail(r))
		}
		carried = carried || r.Status == o.Verdict.Status || o.Verdict.Status == expect.Skipped
		suite.add(c)
	}
	if !carried {
		c := junitCase{Name: "verdict", ClassName: class, Time: "0"}
		c.judge(o.Verdict.Status, o.Verdict.Reason, "")
		suite.add(c)
	}
	return suite
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func (c *junitCase) judge(status expect.Status, reason, text string) {
	switch status {
	case expect.Fails:
		c.Failure = &junitDetail{Message: reason, Type: "fails", Text: text}
	case expect.Inconclusive:
		c.Error = &junitDetail{Message: reason, Type: "inconclusive", Text: text}
	case expect.Skipped, expect.NotApplicable:
		c.Skipped = &junitDetail{Message: reason}
	}
}

// detail is what a person reads below a test that did not pass.
func detail(r expect.Result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nexpected: %s\n", r.Expectation.Meaning, r.Expectation.That)
	for _, name := range r.Expectation.Reads {
		if v, ok := r.Observed[name]; ok {
			fmt.Fprintf(&b, "observed: %s = %s\n", name, Value(v))
		}
	}
	for _, e := range r.Evidence {
		fmt.Fprintf(&b, "evidence: %s\n", evidenceLine(e))
	}
	return b.String()
}

func junitTime(seconds float64) string { return strconv.FormatFloat(seconds, 'f', 3, 64) }

// reason says in one line why an expectation does not hold.
func reason(r expect.Result) string {
	switch r.Status {
	case expect.Fails:
	case expect.NotApplicable:
		return "does not apply with these values: " + r.Expectation.When
	default:
		return r.Reason
	}
	var compared []string
	for _, c := range r.Compared {
		if !c.Holds {
			compared = append(compared, Compared(c))
		}
	}
	if len(compared) > 0 {
		return strings.Join(compared, "; ")
	}
	parts := make([]string, len(r.Expectation.Reads))
	for i, name := range r.Expectation.Reads {
		parts[i] = name + " = " + Value(r.Observed[name])
	}
	if len(parts) == 0 {
		return "not met; it reads no observation"
	}
	return "observed " + strings.Join(parts, ", ")
}
