package elb

import (
	"strconv"
	"strings"
)

// matcher is the HTTP codes of an answer that passes a health check, as ranges.
type matcher [][2]int

// parseMatcher reads a Matcher's HttpCode: codes and ranges of them, separated by commas.
// Source: aws-sdk-go-v2 service/elasticloadbalancingv2 types.Matcher (doc comments): from 200 to 499 for an Application Load Balancer.
func parseMatcher(text string) (m matcher, err error) {
	for _, part := range strings.Split(text, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || a > b || a < 200 || b > 499 {
			return nil, invalid("Health check matcher HTTP code '%s' must be within '200-499' inclusive", text)
		}
		m = append(m, [2]int{a, b})
	}
	return m, nil
}

func (m matcher) matches(code int) bool {
	for _, r := range m {
		if r[0] <= code && code <= r[1] {
			return true
		}
	}
	return false
}

func (m matcher) String() string {
	var parts []string
	for _, r := range m {
		if r[0] == r[1] {
			parts = append(parts, strconv.Itoa(r[0]))
		} else {
			parts = append(parts, strconv.Itoa(r[0])+"-"+strconv.Itoa(r[1]))
		}
	}
	return strings.Join(parts, ",")
}
