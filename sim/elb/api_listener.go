package elb

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
)

// CreateListener makes a listener: of a Network Load Balancer, for TCP; of an Application Load Balancer, for HTTP.
func (s *Service) CreateListener(ctx context.Context, in *elbv2.CreateListenerInput, _ ...sdkOptions) (*elbv2.CreateListenerOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateListener", in, func(in *elbv2.CreateListenerInput) (*elbv2.CreateListenerOutput, error) {
		if err := engine.Only(in, "LoadBalancerArn", "Port", "Protocol", "DefaultActions", "Tags"); err != nil {
			return nil, err
		}
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		want, path := types.ProtocolEnumTcp, "net/"
		if lb.Type == Application {
			want, path = types.ProtocolEnumHttp, "app/"
		}
		if in.Protocol != want {
			return nil, engine.NotModelled("listener protocol %q", in.Protocol)
		}
		tg, fixed, err := s.action(lb, in.DefaultActions)
		if err != nil {
			return nil, err
		}
		port := aws.ToInt32(in.Port)
		if port < 1 || port > 65535 {
			return nil, invalid("Listener port '%d' must be between 1 and 65535 inclusive", port)
		}
		for _, l := range lb.Listeners {
			if l.Port == uint16(port) {
				return nil, &types.DuplicateListenerException{Message: aws.String("A listener already exists on this port for this load balancer")}
			}
		}
		_, id, _ := strings.Cut(lb.ARN, path+lb.Name+"/")
		if lb.Type != Application {
			id = s.id()
		} else {
			id += "/" + s.id()
		}
		l := &Listener{ARN: s.arn("listener/" + path + lb.Name + "/" + id), Port: uint16(port), Protocol: string(in.Protocol), TargetGroup: tg, Fixed: fixed, Origin: s.origin()}
		lb.Listeners = append(lb.Listeners, l)
		for _, n := range lb.ALBNodes {
			if err := n.listen(); err != nil {
				return nil, err
			}
		}
		s.listenersChanged(lb)
		return &elbv2.CreateListenerOutput{Listeners: []types.Listener{l.sdk(lb)}}, nil
	})
}

// action reads what a listener or a rule does: forward to one target group, or answer.
func (s *Service) action(lb *LoadBalancer, actions []types.Action) (*TargetGroup, *FixedResponse, error) {
	if len(actions) != 1 {
		return nil, nil, engine.NotModelled("%d actions of a listener or a rule", len(actions))
	}
	a := actions[0]
	switch a.Type {
	case types.ActionTypeEnumForward:
		arn := a.TargetGroupArn
		if c := a.ForwardConfig; c != nil {
			if len(c.TargetGroups) != 1 || c.TargetGroupStickinessConfig != nil && aws.ToBool(c.TargetGroupStickinessConfig.Enabled) {
				return nil, nil, engine.NotModelled("actions that forward to several target groups, or with stickiness")
			}
			arn = c.TargetGroups[0].TargetGroupArn
		}
		tg, err := s.targetGroup(arn)
		if err != nil {
			return nil, nil, err
		}
		if (tg.Protocol == "HTTP") != (lb.Type == Application) {
			return nil, nil, &types.InvalidConfigurationRequestException{Message: aws.String("Target group protocol '" + tg.Protocol + "' does not fit a load balancer of type '" + lb.Type + "'")}
		}
		for _, other := range s.lbs { // Source: ELBv2 quotas: a target group can be associated with one load balancer.
			if other != lb && slices.Contains(other.groups(), tg) {
				return nil, nil, &types.TargetGroupAssociationLimitException{Message: aws.String("The following target groups cannot be associated with more than one load balancer: " + tg.ARN)}
			}
		}
		return tg, nil, nil
	case types.ActionTypeEnumFixedResponse:
		if lb.Type != Application || a.FixedResponseConfig == nil {
			return nil, nil, invalid("A fixed-response action needs an Application Load Balancer and a FixedResponseConfig")
		}
		c := a.FixedResponseConfig
		code, err := strconv.Atoi(aws.ToString(c.StatusCode))
		if err != nil || code < 200 || code > 599 || code >= 300 && code < 400 {
			return nil, nil, invalid("The status code '%s' of a fixed response must be 2XX, 4XX or 5XX", aws.ToString(c.StatusCode))
		}
		f := &FixedResponse{StatusCode: code, ContentType: aws.ToString(c.ContentType), MessageBody: aws.ToString(c.MessageBody)}
		if f.ContentType == "" {
			f.ContentType = "text/plain"
		}
		return nil, f, nil
	}
	return nil, nil, engine.NotModelled("action %q", a.Type)
}

func sdkActions(tg *TargetGroup, fixed *FixedResponse) []types.Action {
	if fixed != nil {
		return []types.Action{{Type: types.ActionTypeEnumFixedResponse, FixedResponseConfig: &types.FixedResponseActionConfig{StatusCode: aws.String(strconv.Itoa(fixed.StatusCode)), ContentType: aws.String(fixed.ContentType), MessageBody: aws.String(fixed.MessageBody)}}}
	}
	return []types.Action{{Type: types.ActionTypeEnumForward, TargetGroupArn: aws.String(tg.ARN)}}
}

func (l *Listener) sdk(lb *LoadBalancer) types.Listener {
	return types.Listener{ListenerArn: aws.String(l.ARN), LoadBalancerArn: aws.String(lb.ARN), Port: aws.Int32(int32(l.Port)), Protocol: types.ProtocolEnum(l.Protocol), DefaultActions: sdkActions(l.TargetGroup, l.Fixed)}
}

// DescribeListeners lists a load balancer's listeners.
func (s *Service) DescribeListeners(ctx context.Context, in *elbv2.DescribeListenersInput, _ ...sdkOptions) (*elbv2.DescribeListenersOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeListeners", in, func(in *elbv2.DescribeListenersInput) (*elbv2.DescribeListenersOutput, error) {
		if err := engine.Only(in, "LoadBalancerArn"); err != nil {
			return nil, err
		}
		lb, err := s.loadBalancer(in.LoadBalancerArn)
		if err != nil {
			return nil, err
		}
		out := &elbv2.DescribeListenersOutput{}
		for _, l := range lb.Listeners {
			out.Listeners = append(out.Listeners, l.sdk(lb))
		}
		return out, nil
	})
}

func (s *Service) listener(arn *string) (*LoadBalancer, *Listener, error) {
	for _, lb := range s.lbs {
		for _, l := range lb.Listeners {
			if l.ARN == aws.ToString(arn) {
				return lb, l, nil
			}
		}
	}
	return nil, nil, &types.ListenerNotFoundException{Message: aws.String("One or more listeners not found")}
}

// CreateRule adds a rule to a listener of an Application Load Balancer.
func (s *Service) CreateRule(ctx context.Context, in *elbv2.CreateRuleInput, _ ...sdkOptions) (*elbv2.CreateRuleOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "CreateRule", in, func(in *elbv2.CreateRuleInput) (*elbv2.CreateRuleOutput, error) {
		if err := engine.Only(in, "ListenerArn", "Priority", "Conditions", "Actions", "Tags"); err != nil {
			return nil, err
		}
		lb, l, err := s.listener(in.ListenerArn)
		if err != nil {
			return nil, err
		}
		if lb.Type != Application {
			return nil, &types.UnsupportedProtocolException{Message: aws.String("Rules are unsupported for Network Load Balancer listeners")}
		}
		r := &Rule{Priority: int(aws.ToInt32(in.Priority)), Origin: s.origin()}
		if r.Priority < 1 || r.Priority > 50000 {
			return nil, invalid("Rule priority '%d' must be between 1 and 50000 inclusive", r.Priority)
		}
		if slices.ContainsFunc(l.Rules, func(o *Rule) bool { return o.Priority == r.Priority }) {
			return nil, &types.PriorityInUseException{Message: aws.String("Priority '" + strconv.Itoa(r.Priority) + "' is currently in use")}
		}
		if err := r.set(s, lb, in.Conditions, in.Actions); err != nil {
			return nil, err
		}
		r.ARN = strings.Replace(l.ARN, ":listener/", ":listener-rule/", 1) + "/" + s.id()
		l.Rules = append(l.Rules, r)
		slices.SortFunc(l.Rules, func(a, b *Rule) int { return a.Priority - b.Priority })
		s.listenersChanged(lb)
		return &elbv2.CreateRuleOutput{Rules: []types.Rule{r.sdk()}}, nil
	})
}

// set gives a rule conditions and an action.
func (r *Rule) set(s *Service, lb *LoadBalancer, conditions []types.RuleCondition, actions []types.Action) error {
	var hosts, paths []string
	for i := range conditions {
		c := &conditions[i]
		values := c.Values
		switch aws.ToString(c.Field) {
		case "host-header":
			if c.HostHeaderConfig != nil {
				values = c.HostHeaderConfig.Values
			}
			for _, v := range values {
				hosts = append(hosts, strings.ToLower(v))
			}
		case "path-pattern":
			if c.PathPatternConfig != nil {
				values = c.PathPatternConfig.Values
			}
			paths = append(paths, values...)
		default:
			return engine.NotModelled("rule condition %q", aws.ToString(c.Field))
		}
		if len(values) == 0 {
			return invalid("A condition value must be specified")
		}
	}
	// Source: Application Load Balancers user guide, "Quotas": 5 values in the conditions of a rule.
	if n := len(hosts) + len(paths); n == 0 || n > 5 {
		return invalid("Rules must have from one to five condition values, not %d", n)
	}
	tg, fixed, err := s.action(lb, actions)
	if err != nil {
		return err
	}
	r.Hosts, r.Paths, r.TargetGroup, r.Fixed = hosts, paths, tg, fixed
	return nil
}

func (r *Rule) sdk() types.Rule {
	out := types.Rule{RuleArn: aws.String(r.ARN), Priority: aws.String(strconv.Itoa(r.Priority)), Actions: sdkActions(r.TargetGroup, r.Fixed), IsDefault: aws.Bool(false)}
	if len(r.Hosts) > 0 {
		out.Conditions = append(out.Conditions, types.RuleCondition{Field: aws.String("host-header"), HostHeaderConfig: &types.HostHeaderConditionConfig{Values: r.Hosts}})
	}
	if len(r.Paths) > 0 {
		out.Conditions = append(out.Conditions, types.RuleCondition{Field: aws.String("path-pattern"), PathPatternConfig: &types.PathPatternConditionConfig{Values: r.Paths}})
	}
	return out
}

// rule finds a rule.
func (s *Service) rule(arn *string) (*LoadBalancer, *Listener, *Rule, error) {
	for _, lb := range s.lbs {
		for _, l := range lb.Listeners {
			for _, r := range l.Rules {
				if r.ARN == aws.ToString(arn) {
					return lb, l, r, nil
				}
			}
		}
	}
	return nil, nil, nil, &types.RuleNotFoundException{Message: aws.String("One or more rules not found")}
}

// ModifyRule gives a rule new conditions or a new action; what is not given stays.
func (s *Service) ModifyRule(ctx context.Context, in *elbv2.ModifyRuleInput, _ ...sdkOptions) (*elbv2.ModifyRuleOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "ModifyRule", in, func(in *elbv2.ModifyRuleInput) (*elbv2.ModifyRuleOutput, error) {
		if err := engine.Only(in, "RuleArn", "Conditions", "Actions"); err != nil {
			return nil, err
		}
		lb, _, r, err := s.rule(in.RuleArn)
		if err != nil {
			return nil, err
		}
		now := r.sdk()
		if in.Conditions != nil {
			now.Conditions = in.Conditions
		}
		if in.Actions != nil {
			now.Actions = in.Actions
		}
		if err := r.set(s, lb, now.Conditions, now.Actions); err != nil {
			return nil, err
		}
		s.listenersChanged(lb)
		return &elbv2.ModifyRuleOutput{Rules: []types.Rule{r.sdk()}}, nil
	})
}

// DeleteRule removes a rule.
func (s *Service) DeleteRule(ctx context.Context, in *elbv2.DeleteRuleInput, _ ...sdkOptions) (*elbv2.DeleteRuleOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DeleteRule", in, func(in *elbv2.DeleteRuleInput) (*elbv2.DeleteRuleOutput, error) {
		lb, l, r, err := s.rule(in.RuleArn)
		if err != nil {
			return nil, err
		}
		l.Rules = slices.DeleteFunc(l.Rules, func(o *Rule) bool { return o == r })
		s.listenersChanged(lb)
		return &elbv2.DeleteRuleOutput{}, nil
	})
}

// DescribeRules lists a listener's rules, the default one last.
func (s *Service) DescribeRules(ctx context.Context, in *elbv2.DescribeRulesInput, _ ...sdkOptions) (*elbv2.DescribeRulesOutput, error) {
	return cloudtrail.Do(ctx, s.trail, source, "DescribeRules", in, func(in *elbv2.DescribeRulesInput) (*elbv2.DescribeRulesOutput, error) {
		if err := engine.Only(in, "ListenerArn"); err != nil {
			return nil, err
		}
		_, l, err := s.listener(in.ListenerArn)
		if err != nil {
			return nil, err
		}
		out := &elbv2.DescribeRulesOutput{}
		for _, r := range l.Rules {
			out.Rules = append(out.Rules, r.sdk())
		}
		out.Rules = append(out.Rules, types.Rule{RuleArn: aws.String(strings.Replace(l.ARN, ":listener/", ":listener-rule/", 1) + "/default"), Priority: aws.String("default"), IsDefault: aws.Bool(true), Actions: sdkActions(l.TargetGroup, l.Fixed)})
		return out, nil
	})
}
