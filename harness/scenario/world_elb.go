package scenario

import (
	"fmt"
	"math"
	"time"
)

// LoadBalancers is how load balancers behave where AWS documents nothing. What a person may choose (an idle timeout, the deregistration delay) is
// in annotations of the manifests.
type LoadBalancers struct {
	// How many nodes an Application Load Balancer has; 0 is one in each subnet.
	ALBNodes int `yaml:"albNodes,omitempty" min:"0"`
	// From the answer to DeregisterTargets until a node of an Application Load Balancer sends the target no new request; drawn for each node and call.
	ALBPropagation *Range `yaml:"albPropagation,omitempty"`
	// The same, fixed for the first nodes.
	ALBPropagationByNode []time.Duration `yaml:"albPropagationByNode,omitempty"`
	// From the answer to RegisterTargets until a node of an Application Load Balancer knows the target and checks its health.
	ALBRegistration *Range `yaml:"albRegistration,omitempty"`
	// From the answer to DeregisterTargets until a node of a Network Load Balancer sends the target no new connection.
	NLBPropagation *Range `yaml:"nlbPropagation,omitempty"`
	// From the answer to RegisterTargets until a node of a Network Load Balancer knows the target and checks its health.
	NLBRegistration *Range `yaml:"nlbRegistration,omitempty"`
	// How many passed checks make a new target of a Network Load Balancer healthy; 0 is one.
	NLBInitialChecks int `yaml:"nlbInitialChecks,omitempty" min:"0"`
	// How many health checkers of each node of a Network Load Balancer probe a target in each interval; 0 is three.
	Checkers int `yaml:"checkers,omitempty" min:"0"`
	// Whether a node of an Application Load Balancer that knows initial targets only sends them requests; otherwise it answers 503.
	ALBServesInitial bool `yaml:"albServesInitial,omitempty"`
	// Whether a node of a Network Load Balancer that knows initial targets only sends them nothing.
	NLBSparesInitial bool `yaml:"nlbSparesInitial,omitempty"`
}

// NodeTimes are what a node, its disks and its container runtime take.
type NodeTimes struct {
	// From a pod's binding to its node until its containers run.
	PodStart *Range `yaml:"podStart,omitempty"`
	// From the kubelet's decision to stop a container, or the end of its preStop hook, until the stop signal reaches it.
	ContainerStop *Range `yaml:"containerStop,omitempty"`
	// From the end of a pod's last container until its network namespace is gone.
	NetnsTeardown *Range `yaml:"netnsTeardown,omitempty"`
}

// Range is two durations that one is drawn between, uniformly. A file has it as a list of two, the smaller first, or as one for both; each is a
// duration, or a number of seconds.
type Range [2]time.Duration

// longestRange bounds a Range, so that a slip of the unit does not make a run endless.
const longestRange = 24 * time.Hour

func (r *Range) decodeTree(d *decoder, n *node, path string) {
	if d.form && n.scalar() && hasTemplate(n.text) {
		return
	}
	items := []*node{n, n}
	if n.kind == listNode {
		items = n.items
	}
	if len(items) != 2 {
		d.want(n, path, "two durations, as in [8s, 12s], or one")
		return
	}
	for i, item := range items {
		if d.form && item.scalar() && hasTemplate(item.text) {
			return
		}
		v, err := seconds(item)
		if err != nil {
			d.want(item, path, "a duration such as 8s, or a number of seconds, from 0 to "+formatDuration(longestRange))
			return
		}
		r[i] = v
	}
	if r[0] > r[1] {
		d.want(n, path, "the smaller duration first")
	}
}

// seconds reads a duration, or a number of seconds.
func seconds(n *node) (v time.Duration, err error) {
	switch n.kind {
	case textNode:
		v, err = parseDuration(n.text)
	case intNode, floatNode:
		f := n.float
		if n.kind == intNode {
			f = float64(n.integer)
		}
		if math.Abs(f) > longestRange.Seconds() {
			return 0, fmt.Errorf("out of bounds")
		}
		v = time.Duration(math.Round(f * float64(time.Second)))
	default:
		return 0, fmt.Errorf("no duration")
	}
	if err == nil && (v < 0 || v > longestRange) {
		err = fmt.Errorf("out of bounds")
	}
	return v, err
}

var _ treeDecoder = (*Range)(nil)
