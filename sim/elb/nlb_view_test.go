package elb

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/linux"
)

// nlbCalls makes changes of the rig's target group by the API.
type nlbCalls struct {
	*rig
	t   *testing.T
	ctx context.Context
}

func newNLBCalls(t *testing.T, opts Options) nlbCalls {
	r := newRig(t, opts)
	r.tg.ARN = "tg"
	r.tg.Attributes[AttrDeregistrationDelay] = "300"
	return nlbCalls{r, t, iam.WithCaller(context.Background(), iam.Caller{Name: "test"})}
}

func (c nlbCalls) register(id string) {
	c.t.Helper()
	if _, err := c.elb.RegisterTargets(c.ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: aws.String("tg"), Targets: []types.TargetDescription{{Id: &id, Port: aws.Int32(30161)}}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c nlbCalls) deregister(id string) {
	c.t.Helper()
	if _, err := c.elb.DeregisterTargets(c.ctx, &elbv2.DeregisterTargetsInput{TargetGroupArn: aws.String("tg"), Targets: []types.TargetDescription{{Id: &id}}}); err != nil {
		c.t.Fatal(err)
	}
}

func (c nlbCalls) state(id string) string {
	c.t.Helper()
	out, err := c.elb.DescribeTargetHealth(c.ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: aws.String("tg"), Targets: []types.TargetDescription{{Id: &id, Port: aws.Int32(30161)}}})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(out.TargetHealthDescriptions[0].TargetHealth.State)
}

// A deregistered target gets new connections until the node knows; connections that it has go on.
func TestNLBLearnsLate(t *testing.T) {
	lag := Range{100 * time.Second, 120 * time.Second}
	c := newNLBCalls(t, Options{NLBPropagation: &lag})
	var said string
	kept, err := c.hosts["client"].Dial(netip.AddrPortFrom(c.lb.Nodes[1].Addr, 80))
	if err != nil {
		t.Fatal(err)
	}
	kept.OnError = func(err error) { said = err.Error() }
	c.run(t, time.Second)
	on := ""
	for h, n := range c.flows {
		if n > 0 {
			on = strings.TrimSuffix(h, "/eth0")
		}
	}
	c.deregister(on)
	if got := c.state(on); got != "draining" {
		t.Errorf("at once: %s", got)
	}
	c.run(t, 99*time.Second-c.since(on))
	clear(c.flows)
	c.dial(t, "client", 1, 40)
	if c.flows[on+"/eth0"] == 0 {
		t.Errorf("before any node can know, %s gets nothing: %v", on, c.flows)
	}
	c.run(t, 121*time.Second-c.since(on))
	clear(c.flows)
	c.dial(t, "client", 1, 40)
	if c.flows[on+"/eth0"] != 0 {
		t.Errorf("after both must know, %s still gets connections: %v", on, c.flows)
	}
	kept.Write([]byte("still here"))
	c.run(t, time.Second)
	if said != "" || kept.State() != linux.Established {
		t.Errorf("the connection that was open: %v %s", kept.State(), said)
	}
	c.run(t, 301*time.Second-c.since(on))
	if got := c.state(on); got != "unused" {
		t.Errorf("after the delay: %s", got)
	}
}

// since is how long ago a target was deregistered.
func (c nlbCalls) since(id string) time.Duration {
	for _, t := range c.tg.Targets {
		if t.ID == id {
			return c.e.Now() - t.DeregisteredAt
		}
	}
	return 0
}

// A new target serves when the node knows it and as many checks have passed as are asked for.
func TestNLBNewTarget(t *testing.T) {
	for _, w := range []struct {
		checks    int
		low, high time.Duration
	}{{1, 90 * time.Second, 101 * time.Second}, {3, 110 * time.Second, 121 * time.Second}} {
		lag := Range{90 * time.Second, 90 * time.Second}
		c := newNLBCalls(t, Options{NLBRegistration: &lag, NLBInitialChecks: w.checks, Checkers: 1})
		c.tg.HealthCheck.Interval = 10 * time.Second
		c.run(t, 3*time.Minute)
		c.deregister("a1")
		c.run(t, 6*time.Minute)
		began := c.e.Now()
		c.register("a1")
		for c.state("a1") != "healthy" && c.e.Now() < began+5*time.Minute {
			c.run(t, time.Second)
		}
		if took := c.e.Now() - began; took < w.low || took > w.high {
			t.Errorf("%d checks: healthy after %v, want %v to %v", w.checks, took, w.low, w.high)
		}
	}
}

// With no healthy target a node sends connections to all it knows, initial ones too, unless it spares those.
func TestNLBFailsOpenToInitialTargets(t *testing.T) {
	for _, spares := range []bool{false, true} {
		lag := Range{90 * time.Second, 90 * time.Second}
		c := newNLBCalls(t, Options{NLBRegistration: &lag, NLBSparesInitial: spares})
		c.run(t, 3*time.Minute)
		c.deregister("a1")
		c.run(t, 6*time.Minute)
		c.register("a1") // the only one of its zone
		if n := c.dial(t, "client", 0, 10); (n == 10) == spares {
			t.Errorf("spares initial targets: %v; %d of 10 connections opened", spares, n)
		}
	}
}

// A client that uses a port again opens another connection, although the node remembers the one before: it goes to a target of now.
func TestNLBPortUsedAgain(t *testing.T) {
	lag := Range{time.Second, time.Second}
	c := newNLBCalls(t, Options{NLBPropagation: &lag})
	client := c.hosts["client"]
	client.Sysctl.PortRangeLow, client.Sysctl.PortRangeHigh = 40000, 40000 // the only port
	open := func() *linux.Conn {
		t.Helper()
		conn, err := client.Dial(netip.AddrPortFrom(c.lb.Nodes[1].Addr, 80))
		if err != nil {
			t.Fatal(err)
		}
		c.run(t, time.Second)
		return conn
	}
	open().Abort()
	on := ""
	for h := range c.flows {
		on = strings.TrimSuffix(h, "/eth0")
	}
	c.deregister(on)
	c.run(t, 10*time.Second)
	clear(c.flows)
	if conn := open(); conn.State() != linux.Established || c.flows[on+"/eth0"] != 0 {
		t.Errorf("%v; targets %v, of which %s is gone", conn.State(), c.flows, on)
	}
}
