package elb

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/linux"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// albRig is an Application Load Balancer with one node in each of two zones, made by API calls, in front of hosts that listen on port 8080.
type albRig struct {
	*testing.T
	e      *engine.Engine
	log    *trace.Log
	vpc    *vpc.VPC
	elb    *Service
	ctx    context.Context
	lb     *LoadBalancer
	tg     *TargetGroup
	hosts  map[string]*host8080
	client *linux.Namespace
}

// host8080 is a target.
type host8080 struct {
	ns       *linux.Namespace
	eni      *vpc.Interface
	listener *linux.Listener
	// serve gets each piece of data; nil answers with status, naming the host.
	serve  func(c *linux.Conn, b []byte)
	status string
	seen   []string // heads of requests that were no health checks
	conns  []*linux.Conn
}

func newALBRig(t *testing.T, opts Options, names ...string) *albRig {
	r := &albRig{T: t, e: engine.New(engine.Options{Seed: 1}), hosts: map[string]*host8080{}}
	r.log = trace.New(r.e)
	r.vpc = vpc.New(r.e, r.log, netip.MustParsePrefix("10.0.0.0/16"), vpc.Options{})
	var subnets []string
	for i, z := range []string{"a", "b"} {
		sn, err := r.vpc.AddSubnet("subnet-"+z, z, netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		subnets = append(subnets, string(sn.ID))
	}
	all := r.vpc.AddSecurityGroup("all", nil)
	all.Ingress = []vpc.Permission{{CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
	var serial uint64
	machine := func(name string, subnet int) (*linux.Namespace, *vpc.Interface) {
		eni, err := r.vpc.Subnets()[subnet].AddInterface(name, netip.Addr{}, all)
		if err != nil {
			t.Fatal(err)
		}
		ns := linux.NewKernel(r.e, r.log, name, linux.DefaultSysctls(), &serial, linux.KernelOptions{}).NewNamespace(name)
		d := ns.AddDevice("eth0", vpc.MTUBytes)
		d.Link = eni
		eni.Attach(d)
		ns.AddAddr(d, eni.Primary())
		ns.AddRoute(route.Route{Dst: netip.MustParsePrefix("0.0.0.0/0")}, d)
		return ns, eni
	}
	r.client, _ = machine("client", 0)
	fixed := Range{8 * time.Second, 8 * time.Second}
	if opts.ALBRegistration == nil {
		opts.ALBRegistration = &fixed
	}
	if opts.ALBPropagation == nil {
		opts.ALBPropagation = &fixed
	}
	r.elb = New(r.e, r.log, cloudtrail.New(r.e, r.log, 0), r.vpc, "1", "r", func(string) *vpc.Interface { return nil }, &serial, opts)
	r.ctx = iam.WithCaller(context.Background(), iam.Caller{Name: "test"})
	tg, err := r.elb.CreateTargetGroup(r.ctx, &elbv2.CreateTargetGroupInput{Name: aws.String("web"), Port: aws.Int32(8080), Protocol: types.ProtocolEnumHttp, TargetType: types.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(15), HealthyThresholdCount: aws.Int32(2), HealthCheckPath: aws.String("/health")})
	r.must(err)
	r.tg = r.elb.groups[0]
	lb, err := r.elb.CreateLoadBalancer(r.ctx, &elbv2.CreateLoadBalancerInput{Name: aws.String("web"), Type: types.LoadBalancerTypeEnumApplication, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: subnets, SecurityGroups: []string{string(all.ID)}})
	r.must(err)
	r.lb = r.elb.lbs[0]
	_, err = r.elb.CreateListener(r.ctx, &elbv2.CreateListenerInput{LoadBalancerArn: lb.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp, DefaultActions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: tg.TargetGroups[0].TargetGroupArn}}})
	r.must(err)
	for i, name := range names {
		h := &host8080{status: "200 OK"}
		h.ns, h.eni = machine(name, i%2)
		r.hosts[name] = h
		h.listener, err = h.ns.Listen(netip.Addr{}, 8080, func(c *linux.Conn) {
			h.conns = append(h.conns, c)
			c.OnEOF = func() { c.Close() }
			c.OnData = func(b []byte) {
				if strings.HasPrefix(string(b), "GET /health") {
					c.Write([]byte("HTTP/1.1 " + h.status + "\r\nContent-Length: 0\r\n\r\n"))
					return
				}
				h.seen = append(h.seen, string(b))
				if h.serve != nil {
					h.serve(c, b)
					return
				}
				c.Write([]byte(fmt.Sprintf("HTTP/1.1 %s\r\nServer: %s\r\nContent-Length: 2\r\n\r\nok", h.status, name)))
			}
		})
		r.must(err)
	}
	return r
}

func (r *albRig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *albRig) run(d time.Duration) {
	r.Helper()
	r.must(r.e.Run(r.e.Now()+d, nil))
}

func (r *albRig) description(names ...string) (out []types.TargetDescription) {
	for _, n := range names {
		out = append(out, types.TargetDescription{Id: aws.String(r.hosts[n].eni.Primary().String()), Port: aws.Int32(8080)})
	}
	return out
}

func (r *albRig) register(names ...string) {
	r.Helper()
	_, err := r.elb.RegisterTargets(r.ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: &r.tg.ARN, Targets: r.description(names...)})
	r.must(err)
}

func (r *albRig) deregister(names ...string) {
	r.Helper()
	_, err := r.elb.DeregisterTargets(r.ctx, &elbv2.DeregisterTargetsInput{TargetGroupArn: &r.tg.ARN, Targets: r.description(names...)})
	r.must(err)
}

// states are the targets' states by DescribeTargetHealth, with reasons.
func (r *albRig) states(names ...string) string {
	r.Helper()
	out, err := r.elb.DescribeTargetHealth(r.ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: &r.tg.ARN, Targets: r.description(names...)})
	r.must(err)
	var parts []string
	for _, d := range out.TargetHealthDescriptions {
		s := string(d.TargetHealth.State)
		if d.TargetHealth.Reason != "" {
			s += " " + string(d.TargetHealth.Reason) + " (" + aws.ToString(d.TargetHealth.Description) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "; ")
}

// call sends a request to a node and says, when there is an answer, its status and who gave it, and after how many seconds.
type call struct {
	conn     *linux.Conn
	got      string
	answered time.Duration
	closed   bool
}

func (r *albRig) call(node int, request string) *call {
	r.Helper()
	c, err := r.client.Dial(netip.AddrPortFrom(r.lb.ALBNodes[node].Addr, 80))
	r.must(err)
	k := &call{conn: c}
	began := r.e.Now()
	c.OnConnect = func(err error) {
		if err == nil {
			c.Write([]byte(request))
		}
	}
	c.OnData = func(b []byte) {
		if k.got == "" {
			k.answered = r.e.Now() - began
		}
		k.got += string(b)
	}
	c.OnEOF = func() { k.closed = true }
	c.OnError = func(error) { k.closed = true }
	return k
}

func (k *call) status() string {
	if len(k.got) < 12 {
		return ""
	}
	return k.got[9:12]
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
