package elb

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
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
	e       *engine.Engine
	log     *trace.Log
	vpc     *vpc.VPC
	elb     *Service
	ctx     context.Context
	lb      *LoadBalancer
	tg      *TargetGroup
	hosts   map[string]*host8080
	client  *linux.Namespace
	answers []string
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

// Each code that the load balancer makes itself follows from what a target's sockets and packets do.
// Source: Application Load Balancers user guide, "Troubleshoot your Application Load Balancers".
func TestWhatAnALBAnswersItself(t *testing.T) {
	respond := func(text string) func(*albRig) {
		return func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte(text)) }
		}
	}
	settled := func(change func(*albRig)) func(*albRig) {
		return func(r *albRig) { r.register("one"); r.run(30 * time.Second); change(r) }
	}
	for _, c := range []struct {
		name      string
		opts      Options
		prepare   func(*albRig)
		meanwhile func(*albRig) // a second after the request
		code      string
		reason    string
		min, max  time.Duration
	}{
		{"the target answers", Options{}, settled(func(*albRig) {}), nil, "200", "", 0, time.Second},
		{"nothing listens: SYN is reset", Options{}, settled(func(r *albRig) { r.hosts["one"].listener.Close() }), nil, "502", whyRefused, 0, time.Second},
		{"the host is gone: SYN is not answered", Options{}, settled(func(r *albRig) { r.hosts["one"].ns.Device("eth0").Up = false }), nil, "504", whyConnect, 10 * time.Second, 10100 * time.Millisecond},
		{"a router says that the host is unreachable", Options{}, settled(func(r *albRig) {
			a, err := r.hosts["one"].eni.Assign(netip.Addr{}) // an address of the interface that no namespace behind it has
			r.must(err)
			_, err = r.elb.RegisterTargets(r.ctx, &elbv2.RegisterTargetsInput{TargetGroupArn: &r.tg.ARN, Targets: []types.TargetDescription{{Id: aws.String(a.String())}}})
			r.must(err)
			r.deregister("one")
			r.run(time.Minute)
		}), nil, "502", whyUnreachable, 0, time.Second},
		{"the target resets the connection during a request", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Abort() } }), nil, "502", whyReset, 0, time.Second},
		{"the target closes the connection during a request", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Close() } }), nil, "502", whyClosed, 0, time.Second},
		{"the target closes the connection within the head", Options{}, settled(func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte("HTTP/1.1 200 OK\r\nSer")); c.Close() }
		}), nil, "502", whyClosed, 0, time.Second},
		{"no HTTP", Options{}, settled(respond("SSH-2.0-OpenSSH\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a header without colon", Options{}, settled(respond("HTTP/1.1 200 OK\r\nServer\r\n\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a status that is no number", Options{}, settled(respond("HTTP/1.1 2x0 OK\r\n\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"a chunk that is none", Options{}, settled(respond("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")), nil, "502", whyMalformed, 0, time.Second},
		{"silence after the request: the idle timeout", Options{}, settled(func(r *albRig) { r.hosts["one"].serve = func(*linux.Conn, []byte) {} }), nil, "504", whyIdle, 60 * time.Second, 60100 * time.Millisecond},
		{"nothing is registered", Options{}, func(r *albRig) { r.run(30 * time.Second) }, nil, "503", whyNoTarget, 0, time.Second},
		{"all are initial", Options{}, func(r *albRig) { r.register("one"); r.run(time.Second) }, nil, "503", whyNoTarget, 0, time.Second},
		{"all are initial, and those serve", Options{ALBServesInitial: true}, func(r *albRig) { r.register("one"); r.run(time.Second) }, nil, "200", "", 0, time.Second},
		{"all are unhealthy: fail open", Options{}, settled(func(r *albRig) { r.hosts["one"].status = "500 No"; r.run(time.Minute) }), nil, "500", "", 0, time.Second},
		{"all are draining, and the nodes know", Options{}, settled(func(r *albRig) { r.deregister("one"); r.run(9 * time.Second) }), nil, "503", whyNoTarget, 0, time.Second},
		{"all are draining, and the nodes do not know yet", Options{}, settled(func(r *albRig) { r.deregister("one"); r.run(7 * time.Second) }), nil, "200", "", 0, time.Second},
		{"deregistered during a request, which ends in time", Options{}, settled(func(r *albRig) {
			r.hosts["one"].serve = func(c *linux.Conn, _ []byte) {
				r.e.After(20*time.Second, "", engine.Func(func() { c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) }))
			}
		}), func(r *albRig) { r.deregister("one") }, "200", "", 20 * time.Second, 21 * time.Second},
		{"deregistered during a request, which is not over after the delay", Options{}, settled(func(r *albRig) {
			_, err := r.elb.ModifyTargetGroupAttributes(r.ctx, &elbv2.ModifyTargetGroupAttributesInput{TargetGroupArn: &r.tg.ARN, Attributes: []types.TargetGroupAttribute{{Key: aws.String(AttrDeregistrationDelay), Value: aws.String("30")}}})
			r.must(err)
			r.hosts["one"].serve = func(*linux.Conn, []byte) {}
		}), func(r *albRig) { r.deregister("one") }, "502", whyDelayOver, 31 * time.Second, 31100 * time.Millisecond},
	} {
		r := newALBRig(t, c.opts, "one")
		c.prepare(r)
		k := r.call(0, get)
		r.run(time.Second)
		if c.meanwhile != nil {
			c.meanwhile(r)
		}
		r.run(2 * time.Minute)
		if k.status() != c.code || k.answered < c.min || k.answered > c.max {
			t.Errorf("%s: %q after %v, want %s after %v to %v", c.name, k.got, k.answered, c.code, c.min, c.max)
		}
		log := r.lb.AccessLog
		if len(log) != 1 || log[0].Reason != c.reason || fmt.Sprint(log[0].ELBStatusCode) != c.code || (c.reason == "") != strings.HasPrefix(fmt.Sprint(log[0].TargetStatusCode), c.code) {
			t.Errorf("%s: access log %+v", c.name, log)
		}
		if own := strings.Contains(k.got, "Server: awselb/2.0"); own != (c.reason != "") {
			t.Errorf("%s: answered by itself: %v: %q", c.name, own, k.got)
		}
		metric := "HTTPCode_ELB_" + c.code + "_Count"
		if c.reason == "" {
			metric = "HTTPCode_Target_" + c.code[:1] + "XX_Count"
		}
		if r.lb.Metrics[metric] != 1 {
			t.Errorf("%s: %s: %v", c.name, metric, r.lb.Metrics)
		}
		r.e.Close()
	}
}

// A connection to a target is used again. If the target closes it while a request is on its way to it, the client gets 502; if the load balancer has
// seen it closed, it opens another.
func TestKeptConnections(t *testing.T) {
	for _, c := range []struct {
		before time.Duration // how long before the target closes its idle connection the request arrives at the node
		code   string
		dials  int
	}{
		{time.Second, "200", 1},             // in time: the connection serves
		{20 * time.Microsecond, "502", 1},   // the FIN and the request cross each other
		{-500 * time.Microsecond, "200", 2}, // the FIN has come
	} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		h := r.hosts["one"]
		h.conns = nil
		k := r.call(0, get)
		r.run(time.Second)
		if k.status() != "200" || len(h.conns) != 1 {
			t.Fatalf("first: %q over %d connections", k.got, len(h.conns))
		}
		conn := h.conns[0]
		k.got = ""
		const way = 64 * time.Microsecond // of a packet from the client to the node, in the same zone
		closes := r.e.Now() + 2*time.Second
		r.e.At(closes, "", engine.Func(func() { conn.Close() }))
		r.run(2*time.Second - c.before - way)
		k.conn.Write([]byte(get))
		r.run(3 * time.Second)
		dials := 0
		for _, o := range h.conns {
			if o.Remote().Addr() == r.lb.ALBNodes[0].Addr && len(h.seen) > 0 {
				dials++
			}
		}
		if k.status() != c.code || dials < c.dials {
			t.Errorf("%v before the end: %s over %d connections, want %s over %d", c.before, k.status(), dials, c.code, c.dials)
		}
		r.e.Close()
	}
}

// Idle connections of either side end with the idle timeout; a client that keeps its connection is served over it.
func TestIdleTimeoutOfClients(t *testing.T) {
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	k := r.call(0, get)
	for range 3 {
		r.run(50 * time.Second)
		if k.closed {
			t.Fatal("closed although it was in use")
		}
		k.conn.Write([]byte(get))
	}
	r.run(59 * time.Second)
	if n := strings.Count(k.got, "HTTP/1.1 200"); n != 4 || k.closed {
		t.Errorf("%d answers, closed: %v", n, k.closed)
	}
	r.run(2 * time.Second)
	if !k.closed || len(r.lb.ALBNodes[0].idle) != 0 {
		t.Errorf("after the idle timeout: closed %v, %d idle connections to targets", k.closed, len(r.lb.ALBNodes[0].idle))
	}
	half := r.call(0, "GET / HT")
	r.run(61 * time.Second)
	if half.status() != "408" || !half.closed {
		t.Errorf("half a request: %q", half.got)
	}
}

// What targets and clients get of each other.
func TestWhatIsPassedOn(t *testing.T) {
	for _, c := range []struct{ name, request, answer, want string }{
		{"a body by its length", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc"},
		{"HEAD has none", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"},
		{"chunks", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{"an answer before the answer", get, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n"},
		{"a target's own error", get, "HTTP/1.1 502 Mine\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 502 Mine\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"a client that wants no more", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{"two requests at once", get + get, "HTTP/1.1 204 A\r\n\r\n", "HTTP/1.1 204 A\r\nConnection: keep-alive\r\n\r\nHTTP/1.1 204 A\r\nConnection: keep-alive\r\n\r\n"},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", "", "HTTP/1.1 400 Bad Request"},
		{"no HTTP", "hello\r\n\r\n", "", "HTTP/1.1 400 Bad Request"},
	} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		r.hosts["one"].serve = func(conn *linux.Conn, _ []byte) { conn.Write([]byte(c.answer)) }
		k := r.call(1, c.request)
		r.run(time.Second)
		if k.got != c.want && !(c.answer == "" && strings.HasPrefix(k.got, c.want)) {
			t.Errorf("%s: %q, want %q", c.name, k.got, c.want)
		}
		if c.answer == "" {
			continue
		}
		node, client := r.lb.ALBNodes[1].Addr, r.client.Device("eth0").Addr().String()
		head := r.hosts["one"].seen[0]
		for _, want := range []string{"\r\nX-Forwarded-For: " + client + "\r\n", "\r\nX-Forwarded-Proto: http\r\n", "\r\nX-Forwarded-Port: 80\r\n", "\r\nX-Amzn-Trace-Id: Root=1-", "\r\nHost: x\r\n", "\r\nConnection: keep-alive\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("%s: the target gets %q, without %q", c.name, head, want)
			}
		}
		if from := r.hosts["one"].conns[len(r.hosts["one"].conns)-1].Remote().Addr(); !slices.Contains([]netip.Addr{node, r.lb.ALBNodes[0].Addr}, from) {
			t.Errorf("%s: from %v", c.name, from)
		}
	}
	// A forwarded chain grows.
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	r.call(0, "GET / HTTP/1.1\r\nHost: x\r\nx-forwarded-for: 1.2.3.4\r\n\r\n")
	r.run(time.Second)
	if want := "x-forwarded-for: 1.2.3.4, " + r.client.Device("eth0").Addr().String() + "\r\n"; !strings.Contains(r.hosts["one"].seen[0], want) {
		t.Errorf("%q, want %q", r.hosts["one"].seen[0], want)
	}
}

// An answer that is cut off ends the client's connection; there is no second answer.
func TestAnAnswerThatIsCutOff(t *testing.T) {
	for name, end := range map[string]func(*linux.Conn){"closed": (*linux.Conn).Close, "reset": (*linux.Conn).Abort} {
		r := newALBRig(t, Options{}, "one")
		r.register("one")
		r.run(30 * time.Second)
		r.hosts["one"].serve = func(c *linux.Conn, _ []byte) {
			c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
			end(c)
		}
		k := r.call(0, get)
		r.run(time.Second)
		if !strings.HasPrefix(k.got, "HTTP/1.1 200 OK") || strings.Count(k.got, "HTTP/1.1") != 1 || !k.closed {
			t.Errorf("%s: %q, closed: %v", name, k.got, k.closed)
		}
	}
	// A body without length ends with the connection, and is whole.
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	r.hosts["one"].serve = func(c *linux.Conn, _ []byte) { c.Write([]byte("HTTP/1.1 200 OK\r\n\r\nall")); c.Close() }
	k := r.call(0, get)
	r.run(time.Second)
	if k.got != "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall" || !k.closed {
		t.Errorf("%q, closed: %v", k.got, k.closed)
	}
}

// Requests go round among the targets that the node knows, whatever comes and goes.
func TestRoundRobin(t *testing.T) {
	r := newALBRig(t, Options{}, "a", "b", "c", "d")
	r.register("a", "b", "c", "d")
	r.run(30 * time.Second)
	count := func(n int) string {
		for _, h := range r.hosts {
			h.seen = nil
		}
		for range n {
			r.call(0, get)
			r.run(100 * time.Millisecond)
		}
		var out []string
		for _, name := range []string{"a", "b", "c", "d"} {
			out = append(out, fmt.Sprint(len(r.hosts[name].seen)))
		}
		return strings.Join(out, " ")
	}
	if got := count(12); got != "3 3 3 3" {
		t.Errorf("twelve requests: %s", got)
	}
	r.deregister("b")
	r.run(9 * time.Second)
	if got := count(12); got != "4 0 4 4" {
		t.Errorf("without b: %s", got)
	}
	r.register("b")
	r.run(9 * time.Second)
	if got := count(12); got != "3 3 3 3" {
		t.Errorf("with b again: %s", got)
	}
}

// Each node has its own view: it learns of a deregistration after its own delay.
func TestEachNodeLearnsForItself(t *testing.T) {
	r := newALBRig(t, Options{ALBPropagationByNode: []time.Duration{2 * time.Second, 20 * time.Second}}, "a", "b")
	r.register("a", "b")
	r.run(30 * time.Second)
	r.hosts["b"].listener.Close()
	for _, c := range r.hosts["b"].conns {
		c.Abort()
	}
	r.deregister("b")
	for _, c := range []struct {
		at     time.Duration
		errors [2]int // of 10 requests to either node
	}{{time.Second, [2]int{5, 5}}, {3 * time.Second, [2]int{0, 5}}, {21 * time.Second, [2]int{0, 0}}} {
		r.run(c.at - (r.e.Now() - r.tg.Targets[1].DeregisteredAt))
		var got [2]int
		var calls [2][]*call
		for node := range 2 {
			for range 10 {
				calls[node] = append(calls[node], r.call(node, get))
			}
		}
		r.run(100 * time.Millisecond)
		for node := range 2 {
			for _, k := range calls[node] {
				if k.status() == "502" {
					got[node]++
				}
			}
		}
		if got != c.errors {
			t.Errorf("%v after it was deregistered: %v errors, want %v", c.at, got, c.errors)
		}
	}
	for _, a := range r.lb.AccessLog {
		if a.ELBStatusCode == 502 && a.Time > r.tg.Targets[1].DeregisteredAt+20*time.Second {
			t.Errorf("an error later than the last node may make: %+v", a)
		}
	}
}

// The life of a target as DescribeTargetHealth tells it.
// Source: Application Load Balancers user guide, "Health checks: target health status"; "Deregistration delay".
func TestTargetStates(t *testing.T) {
	r := newALBRig(t, Options{}, "one", "two")
	step := func(want string) {
		t.Helper()
		if got := r.states("one"); got != want {
			t.Errorf("+%v: %s, want %s", r.e.Now(), got, want)
		}
	}
	const (
		registering = "initial Elb.RegistrationInProgress (Target registration is in progress)"
		checking    = "initial Elb.InitialHealthChecking (Initial health checks in progress)"
		draining    = "draining Target.DeregistrationInProgress (Target deregistration is in progress)"
		gone        = "unused Target.NotRegistered (Target is not registered to the target group)"
	)
	h := r.hosts["one"]
	device := h.ns.Device("eth0")
	step(gone)
	device.Up = false
	r.register("one")
	step(registering)
	r.run(7 * time.Second)
	step(registering)
	r.run(1500 * time.Millisecond) // the nodes know, and check; nothing comes back
	step(checking)
	r.run(4 * time.Second)
	device.Up = true // the second check of either node passes: one is enough
	r.run(11 * time.Second)
	step("healthy")
	h.status = "503 No"
	r.run(16 * time.Second) // one failure is not enough
	step("healthy")
	r.run(15 * time.Second)
	step("unhealthy Target.ResponseCodeMismatch (Health checks failed with these codes: [503])")
	h.status = "200 OK"
	r.run(15 * time.Second) // it was unhealthy: two in a row are needed
	step("unhealthy Target.ResponseCodeMismatch (Health checks failed with these codes: [503])")
	r.run(15 * time.Second)
	step("healthy")
	device.Up = false
	r.run(36 * time.Second)
	step("unhealthy Target.Timeout (Request timed out)")
	device.Up = true
	h.listener.Close()
	r.run(30 * time.Second)
	step("unhealthy Target.FailedHealthChecks (Health checks failed)") // the state stays, with the reason of the last failure
	r.deregister("one")
	step(draining)
	r.run(299 * time.Second) // nothing is under way, but the state is shown until the delay is over
	step(draining)
	r.run(2 * time.Second)
	step(gone)

	// A refused connection has another reason; a target that is registered again while it drains begins anew.
	r.register("two")
	r.run(30 * time.Second)
	r.hosts["two"].listener.Close()
	r.run(40 * time.Second)
	if got := r.states("two"); got != "unhealthy Target.FailedHealthChecks (Health checks failed)" {
		t.Errorf("refused: %s", got)
	}
	r.deregister("two")
	r.register("two")
	if got := r.states("two"); got != registering {
		t.Errorf("registered again: %s", got)
	}
	r.run(301 * time.Second)
	if got := r.states("two"); strings.HasPrefix(got, "unused") {
		t.Errorf("registered again, it must not go when the old delay is over: %s", got)
	}
}
