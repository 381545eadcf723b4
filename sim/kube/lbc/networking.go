package lbc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ekslab/ekslab/sim/kube"
)

// sharedRule is the description of the rules that the controller adds to the nodes' security groups.
// Source: pkg/targetgroupbinding/networking_manager.go, tgbNetworkingIPPermissionLabelKey.
const sharedRule = "elbv2.k8s.aws/targetGroupBinding=shared"

// opening is what a binding needs to be open in one security group: a range of ports, from a range of addresses or from a security group.
type opening struct {
	peer      NetworkingPeer
	low, high int32
}

// network opens the targets' security groups for the load balancer. Rules that are not needed any more stay.
// Source: pkg/targetgroupbinding/networking_manager.go; groups of targets are found by the instances of their nodes, and cached by pod or node.
func (x *Controller) network(ctx context.Context, b *TargetGroupBinding, endpoints []endpoint) error {
	if b.Spec.Networking == nil {
		return nil
	}
	if err := x.resolveGroups(ctx, endpoints); err != nil {
		return err
	}
	bySG := map[string][]opening{}
	for i := range endpoints {
		sg := x.groups[groupKey(&endpoints[i])]
		for _, r := range b.Spec.Networking.Ingress {
			for _, p := range r.Ports {
				port := p.IntVal
				if p.Type == intstr.String { // by its name in the pod
					port = endpoints[i].port
				}
				for _, peer := range r.From {
					if o := (opening{peer, port, port}); !slices.Contains(bySG[sg], o) {
						bySG[sg] = append(bySG[sg], o)
					}
				}
			}
		}
	}
	x.openings[kube.KeyOf(b)] = bySG
	wanted := x.aggregate()
	sgs := make([]string, 0, len(wanted))
	for sg := range wanted {
		sgs = append(sgs, sg)
	}
	slices.Sort(sgs)
	for _, sg := range sgs {
		if err := x.authorize(ctx, sg, wanted[sg]); err != nil {
			return err
		}
	}
	return nil
}

// aggregate joins what all bindings need: ports from one security group become one range.
func (x *Controller) aggregate() map[string][]opening {
	keys := make([]kube.Key, 0, len(x.openings))
	for k := range x.openings {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b kube.Key) int { return strings.Compare(a.String(), b.String()) })
	out := map[string][]opening{}
	for _, k := range keys {
		for sg, all := range x.openings[k] { // each group has its own list, so that the order is of no effect
			for _, o := range all {
				at := slices.IndexFunc(out[sg], func(have opening) bool { return have.peer == o.peer && (o.peer.GroupID != "" || have == o) })
				if at < 0 {
					out[sg] = append(out[sg], o)
					continue
				}
				have := &out[sg][at]
				have.low, have.high = min(have.low, o.low), max(have.high, o.high)
			}
		}
	}
	return out
}

// groupKey is what a target's security group is cached by.
func groupKey(e *endpoint) string {
	if e.pod != nil {
		return "pod/" + string(e.pod.UID)
	}
	return "node/" + e.node.Name
}

// resolveGroups finds the security groups of targets that are not cached.
func (x *Controller) resolveGroups(ctx context.Context, endpoints []endpoint) error {
	var ids []string
	nodeOf := func(e *endpoint) *corev1.Node {
		if e.node != nil {
			return e.node
		}
		n, _ := x.nodes.Get(kube.Key{Name: e.pod.Spec.NodeName})
		return n
	}
	id := func(n *corev1.Node) string {
		return n.Spec.ProviderID[strings.LastIndexByte(n.Spec.ProviderID, '/')+1:]
	}
	for i := range endpoints {
		if x.groups[groupKey(&endpoints[i])] != "" {
			continue
		}
		n := nodeOf(&endpoints[i])
		if n == nil {
			return fmt.Errorf("node of %s not found", endpoints[i].id)
		}
		if !slices.Contains(ids, id(n)) {
			ids = append(ids, id(n))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	out, err := x.opts.EC2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
	if err != nil {
		return err
	}
	found := map[string]string{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			if len(i.SecurityGroups) == 0 {
				return fmt.Errorf("expect at least one securityGroup on instance %s", aws.ToString(i.InstanceId))
			}
			found[aws.ToString(i.InstanceId)] = aws.ToString(i.SecurityGroups[0].GroupId)
			if len(i.SecurityGroups) > 1 {
				sg, err := x.tagged(ctx, i.SecurityGroups)
				if err != nil {
					return err
				}
				found[aws.ToString(i.InstanceId)] = sg
			}
		}
	}
	for i := range endpoints {
		if e := &endpoints[i]; x.groups[groupKey(e)] == "" {
			x.groups[groupKey(e)] = found[id(nodeOf(e))]
		}
	}
	return nil
}

// tagged is the one of several security groups that has the cluster's tag. Source: resolveEndpointSGForENI.
func (x *Controller) tagged(ctx context.Context, groups []ec2types.GroupIdentifier) (string, error) {
	in := &ec2.DescribeSecurityGroupsInput{}
	for _, g := range groups {
		in.GroupIds = append(in.GroupIds, aws.ToString(g.GroupId))
	}
	out, err := x.opts.EC2.DescribeSecurityGroups(ctx, in)
	if err != nil {
		return "", err
	}
	key := "kubernetes.io/cluster/" + x.opts.ClusterName
	var with []string
	for _, g := range out.SecurityGroups {
		if slices.ContainsFunc(g.Tags, func(t ec2types.Tag) bool { return aws.ToString(t.Key) == key }) {
			with = append(with, aws.ToString(g.GroupId))
		}
	}
	if len(with) != 1 {
		return "", fmt.Errorf("expect exactly one securityGroup tagged with %s, got: %v", key, with)
	}
	return with[0], nil
}

// authorize adds what a security group lacks. What it has is asked for once.
func (x *Controller) authorize(ctx context.Context, sg string, wanted []opening) error {
	have := x.rules[sg]
	if have == nil {
		out, err := x.opts.EC2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{sg}})
		if err != nil {
			return err
		}
		have = map[opening]bool{}
		for _, p := range out.SecurityGroups[0].IpPermissions {
			if aws.ToString(p.IpProtocol) != "tcp" {
				continue
			}
			for _, r := range p.IpRanges {
				have[opening{NetworkingPeer{CIDR: aws.ToString(r.CidrIp)}, aws.ToInt32(p.FromPort), aws.ToInt32(p.ToPort)}] = true
			}
			for _, g := range p.UserIdGroupPairs {
				have[opening{NetworkingPeer{GroupID: aws.ToString(g.GroupId)}, aws.ToInt32(p.FromPort), aws.ToInt32(p.ToPort)}] = true
			}
		}
		x.rules[sg] = have
	}
	in := &ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.String(sg)}
	for _, o := range wanted {
		if have[o] {
			continue
		}
		p := ec2types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(o.low), ToPort: aws.Int32(o.high)}
		if o.peer.GroupID != "" {
			p.UserIdGroupPairs = []ec2types.UserIdGroupPair{{GroupId: aws.String(o.peer.GroupID), Description: aws.String(sharedRule)}}
		} else {
			p.IpRanges = []ec2types.IpRange{{CidrIp: aws.String(o.peer.CIDR), Description: aws.String(sharedRule)}}
		}
		in.IpPermissions = append(in.IpPermissions, p)
	}
	if len(in.IpPermissions) == 0 {
		return nil
	}
	if _, err := x.opts.EC2.AuthorizeSecurityGroupIngress(ctx, in); err != nil {
		delete(x.rules, sg) // what is cached is wrong: ask again
		return err
	}
	for _, o := range wanted {
		have[o] = true
	}
	return nil
}
