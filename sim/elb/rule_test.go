package elb

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/linux"
)

func TestWildcard(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"/*", "/", true}, {"/*", "/a/b", true}, {"/a", "/a", true}, {"/a", "/a/", false}, {"/a/*", "/a", false}, {"/a?c", "/abc", true}, {"/a?c", "/ac", false},
		{"*.example.com", "shop.example.com", true}, {"*.example.com", "example.com", false}, {"/*/x/*", "/1/2/x/3", true}, {"/*x", "/xxy", false}, {"", "", true}, {"*", "", true}, {"/A", "/a", false},
	} {
		if got := wildcard(c.pattern, c.s); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.s, got)
		}
	}
}

// Rules are asked in order of their priorities; what none takes goes to the default action.
func TestRules(t *testing.T) {
	r := newALBRig(t, Options{}, "one")
	r.register("one")
	r.run(30 * time.Second)
	arn := aws.String(r.lb.Listeners[0].ARN)
	fixed := func(code, body string) []types.Action {
		return []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String(code), MessageBody: aws.String(body)}}}
	}
	path := func(values ...string) types.RuleCondition {
		return types.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: values}}
	}
	name := func(values ...string) types.RuleCondition {
		return types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: values}}
	}
	rule := func(priority int32, actions []types.Action, conditions ...types.RuleCondition) (*elbv2.CreateRuleOutput, error) {
		return r.elb.CreateRule(r.ctx, &elbv2.CreateRuleInput{ListenerArn: arn, Priority: &priority, Conditions: conditions, Actions: actions})
	}
	made, err := rule(20, fixed("503", "closed"), path("/shop", "/shop/*"))
	r.must(err)
	_, err = rule(10, fixed("200", "open"), path("/shop/*"), name("*.Example.com"))
	r.must(err)
	for _, c := range []struct{ host, target, want string }{
		{"x", "/", "200 one"}, {"x", "/shop", "503 closed"}, {"x", "/shop/a", "503 closed"}, {"x", "/shopping", "200 one"}, {"x", "/SHOP", "200 one"},
		{"a.example.COM:80", "/shop/a", "200 open"}, {"a.example.com", "/shop", "503 closed"}, {"x", "/shop?q=/shop/1", "503 closed"},
	} {
		k := r.call(0, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", c.target, c.host))
		r.run(time.Second)
		got := k.status() + " " + k.got[strings.LastIndex(k.got, "\n")+1:]
		if strings.Contains(k.got, "Server: one") {
			got = k.status() + " one"
		}
		if got != c.want {
			t.Errorf("%s%s: %s, want %s", c.host, c.target, got, c.want)
		}
	}
	_, err = r.elb.ModifyRule(r.ctx, &elbv2.ModifyRuleInput{RuleArn: made.Rules[0].RuleArn, Actions: fixed("404", "moved")})
	r.must(err)
	k := r.call(0, "GET /shop HTTP/1.1\r\nHost: x\r\n\r\n")
	r.run(time.Second)
	if k.status() != "404" {
		t.Errorf("a rule that was changed: %q", k.got)
	}
	_, err = r.elb.DeleteRule(r.ctx, &elbv2.DeleteRuleInput{RuleArn: made.Rules[0].RuleArn})
	r.must(err)
	k = r.call(0, "GET /shop HTTP/1.1\r\nHost: x\r\n\r\n")
	r.run(time.Second)
	if k.status() != "200" {
		t.Errorf("a rule that was deleted: %q", k.got)
	}
	out, err := r.elb.DescribeRules(r.ctx, &elbv2.DescribeRulesInput{ListenerArn: arn})
	if err != nil || len(out.Rules) != 2 || aws.ToString(out.Rules[0].Priority) != "10" || !*out.Rules[1].IsDefault {
		t.Errorf("%+v %v", out, err)
	}
}

// Errors about Application Load Balancers, by the codes that callers look for.
func TestErrorsOfTheALBAPI(t *testing.T) {
	r := newALBRig(t, Options{}, "one")
	s, ctx := r.elb, r.ctx
	subnet := string(r.vpc.Subnets()[0].ID)
	other := string(r.vpc.Subnets()[1].ID)
	group := string(r.vpc.SecurityGroups()[0].ID)
	lb := func(change func(*elbv2.CreateLoadBalancerInput)) error {
		in := &elbv2.CreateLoadBalancerInput{Name: aws.String("other"), Type: types.LoadBalancerTypeEnumApplication, Scheme: types.LoadBalancerSchemeEnumInternal, Subnets: []string{subnet, other}, SecurityGroups: []string{group}}
		change(in)
		_, err := s.CreateLoadBalancer(ctx, in)
		return err
	}
	tg := func(change func(*elbv2.CreateTargetGroupInput)) error {
		in := &elbv2.CreateTargetGroupInput{Name: aws.String("other"), Port: aws.Int32(80), Protocol: types.ProtocolEnumHttp}
		change(in)
		_, err := s.CreateTargetGroup(ctx, in)
		return err
	}
	rule := func(change func(*elbv2.CreateRuleInput)) error {
		in := &elbv2.CreateRuleInput{ListenerArn: aws.String(r.lb.Listeners[0].ARN), Priority: aws.Int32(7), Conditions: []types.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{"/x"}}}, Actions: []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: &r.tg.ARN}}}
		change(in)
		_, err := s.CreateRule(ctx, in)
		return err
	}
	attribute := func(k, v string) error {
		_, err := s.ModifyLoadBalancerAttributes(ctx, &elbv2.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &r.lb.ARN, Attributes: []types.LoadBalancerAttribute{{Key: &k, Value: &v}}})
		return err
	}
	r.must(rule(func(*elbv2.CreateRuleInput) {}))
	for _, c := range []struct {
		what, code string // an empty code: not modelled
		err        error
	}{
		{"one subnet", "ValidationError", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Subnets = in.Subnets[:1] })},
		{"a subnet twice", "InvalidConfigurationRequest", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Subnets = []string{subnet, subnet} })},
		{"no such subnet", "SubnetNotFound", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Subnets = []string{subnet, "subnet-x"} })},
		{"no such security group", "InvalidSecurityGroup", lb(func(in *elbv2.CreateLoadBalancerInput) { in.SecurityGroups = []string{"sg-x"} })},
		{"a scheme that is none", "ValidationError", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Scheme = "public" })},
		{"a name that is taken", "DuplicateLoadBalancerName", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Name = aws.String("web") })},
		{"gateway", "", lb(func(in *elbv2.CreateLoadBalancerInput) { in.Type = types.LoadBalancerTypeEnumGateway })},
		{"a matcher beyond the range", "ValidationError", tg(func(in *elbv2.CreateTargetGroupInput) { in.Matcher = &types.Matcher{HttpCode: aws.String("200-599")} })},
		{"a threshold of one", "ValidationError", tg(func(in *elbv2.CreateTargetGroupInput) { in.HealthyThresholdCount = aws.Int32(1) })},
		{"a timeout as long as the interval", "ValidationError", tg(func(in *elbv2.CreateTargetGroupInput) {
			in.HealthCheckIntervalSeconds, in.HealthCheckTimeoutSeconds = aws.Int32(5), aws.Int32(5)
		})},
		{"TCP checks for HTTP", "ValidationError", tg(func(in *elbv2.CreateTargetGroupInput) { in.HealthCheckProtocol = types.ProtocolEnumTcp })},
		{"HTTPS", "", tg(func(in *elbv2.CreateTargetGroupInput) { in.Protocol = types.ProtocolEnumHttps })},
		{"gRPC", "", tg(func(in *elbv2.CreateTargetGroupInput) { in.ProtocolVersion = aws.String("GRPC") })},
		{"a priority that is taken", "PriorityInUse", rule(func(*elbv2.CreateRuleInput) {})},
		{"a priority that is none", "ValidationError", rule(func(in *elbv2.CreateRuleInput) { in.Priority = aws.Int32(0) })},
		{"no such listener", "ListenerNotFound", rule(func(in *elbv2.CreateRuleInput) { in.ListenerArn = aws.String("x") })},
		{"no such target group", "TargetGroupNotFound", rule(func(in *elbv2.CreateRuleInput) {
			in.Priority = aws.Int32(8)
			in.Actions[0].TargetGroupArn = aws.String("x")
		})},
		{"six values", "ValidationError", rule(func(in *elbv2.CreateRuleInput) {
			in.Priority = aws.Int32(8)
			in.Conditions[0].Values = []string{"/1", "/2", "/3", "/4", "/5", "/6"}
		})},
		{"a condition on the source", "", rule(func(in *elbv2.CreateRuleInput) {
			in.Priority = aws.Int32(8)
			in.Conditions[0].Field = aws.String("source-ip")
		})},
		{"a redirect", "", rule(func(in *elbv2.CreateRuleInput) {
			in.Priority = aws.Int32(8)
			in.Actions[0].Type = types.ActionTypeEnumRedirect
		})},
		{"an idle timeout of 0", "ValidationError", attribute(AttrIdleTimeout, "0")},
		{"cross-zone off", "ValidationError", attribute(AttrCrossZone, "false")},
		{"an attribute of the other type", "", attribute(AttrRoutingPolicy, "any_availability_zone")},
		{"no such rule", "RuleNotFound", func() error {
			_, err := s.DeleteRule(ctx, &elbv2.DeleteRuleInput{RuleArn: aws.String("x")})
			return err
		}()},
	} {
		var api smithy.APIError
		switch {
		case c.code == "" && !errors.Is(c.err, engine.ErrNotModelled):
			t.Errorf("%s: want not modelled, got %v", c.what, c.err)
		case c.code != "" && (!errors.As(c.err, &api) || api.ErrorCode() != c.code):
			t.Errorf("%s: want %s, got %v", c.what, c.code, c.err)
		}
	}
	if len(s.lbs) != 1 || len(s.groups) != 1 || len(r.lb.Listeners[0].Rules) != 1 {
		t.Errorf("a failing call has made something: %d load balancers, %d groups, %d rules", len(s.lbs), len(s.groups), len(r.lb.Listeners[0].Rules))
	}
}

// Whatever a target says, a client gets one answer or the end of its connection, and the node goes on.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "HTTP/1.0 200", "\r\n\r\n", "HTTP/1.1 100 C\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, cut uint8) {
		r := newALBRig(t, Options{}, "one")
		defer r.e.Close()
		r.register("one")
		r.run(30 * time.Second)
		r.hosts["one"].serve = func(c *linux.Conn, _ []byte) {
			at := min(int(cut), len(text))
			c.Write([]byte(text[:at]))
			c.Write([]byte(text[at:]))
			c.Close()
		}
		k := r.call(0, get)
		r.run(2 * time.Minute)
		if k.got == "" && !k.closed {
			t.Fatalf("%q: neither an answer nor an end", text)
		}
		r.hosts["one"].serve = nil
		next := r.call(0, get)
		r.run(time.Second)
		if next.status() != "200" {
			t.Fatalf("%q: the next request gets %q", text, next.got)
		}
	})
}
