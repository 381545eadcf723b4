package elb

import (
	"strings"

	"github.com/ekslab/ekslab/sim/trace"
)

// Rule is a listener's rule of an Application Load Balancer: what it does with requests that meet all of its conditions.
type Rule struct {
	ARN      string
	Priority int
	// Hosts and Paths are the values of the conditions host-header and path-pattern; none means any.
	Hosts, Paths []string
	TargetGroup  *TargetGroup
	Fixed        *FixedResponse
	Origin       trace.ID
}

// FixedResponse is an answer that a rule or a listener makes without a target.
type FixedResponse struct {
	StatusCode               int
	ContentType, MessageBody string
}

// takes says whether a request meets the rule's conditions.
// Source: Application Load Balancers user guide, "Listener rules: condition types": host names ignore case and their port, paths do not
// ignore case and leave out the query.
func (r *Rule) takes(host, path string) bool {
	return anyMatches(r.Hosts, strings.ToLower(host)) && anyMatches(r.Paths, path)
}

func anyMatches(patterns []string, s string) bool {
	for _, p := range patterns {
		if wildcard(p, s) {
			return true
		}
	}
	return len(patterns) == 0
}

// wildcard matches * with any characters and ? with one.
func wildcard(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// route finds what is done with a request: the first rule that takes it, else the listener's default action.
func (l *Listener) route(host, path string) (*TargetGroup, *FixedResponse) {
	if at := strings.IndexByte(host, ':'); at >= 0 {
		host = host[:at]
	}
	path, _, _ = strings.Cut(path, "?")
	for _, r := range l.Rules {
		if r.takes(host, path) {
			return r.TargetGroup, r.Fixed
		}
	}
	return l.TargetGroup, l.Fixed
}
