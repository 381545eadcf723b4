package ipamd

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/awssdk"
	simec2 "github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

// EC2 is what the daemon calls.
type EC2 interface {
	CreateNetworkInterface(context.Context, *ec2.CreateNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.CreateNetworkInterfaceOutput, error)
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	AttachNetworkInterface(context.Context, *ec2.AttachNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.AttachNetworkInterfaceOutput, error)
	DetachNetworkInterface(context.Context, *ec2.DetachNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.DetachNetworkInterfaceOutput, error)
	DeleteNetworkInterface(context.Context, *ec2.DeleteNetworkInterfaceInput, ...func(*ec2.Options)) (*ec2.DeleteNetworkInterfaceOutput, error)
	AssignPrivateIpAddresses(context.Context, *ec2.AssignPrivateIpAddressesInput, ...func(*ec2.Options)) (*ec2.AssignPrivateIpAddressesOutput, error)
	UnassignPrivateIpAddresses(context.Context, *ec2.UnassignPrivateIpAddressesInput, ...func(*ec2.Options)) (*ec2.UnassignPrivateIpAddressesOutput, error)
	DescribeNetworkInterfaces(context.Context, *ec2.DescribeNetworkInterfacesInput, ...func(*ec2.Options)) (*ec2.DescribeNetworkInterfacesOutput, error)
	ModifyNetworkInterfaceAttribute(context.Context, *ec2.ModifyNetworkInterfaceAttributeInput, ...func(*ec2.Options)) (*ec2.ModifyNetworkInterfaceAttributeOutput, error)
	CreateTags(context.Context, *ec2.CreateTagsInput, ...func(*ec2.Options)) (*ec2.CreateTagsOutput, error)
	DescribeSubnets(context.Context, *ec2.DescribeSubnetsInput, ...func(*ec2.Options)) (*ec2.DescribeSubnetsOutput, error)
}

// Constants of the daemon's dealings with EC2. Source: pkg/awsutils/awsutils.go.
const (
	maxENIEC2APIRetries  = 12
	maxENIBackoffDelay   = time.Minute
	eniDescriptionPrefix = "aws-K8S-"
	eniNodeTagKey        = "node.k8s.amazonaws.com/instance_id"
	eniCreatedAtTagKey   = "node.k8s.amazonaws.com/createdAt"
	eniClusterTagKey     = "cluster.k8s.amazonaws.com/name"
	eniOwnerTagKey       = "eks:eni:owner"
	eniOwnerTagValue     = "amazon-vpc-cni"
	subnetTagKey         = "kubernetes.io/role/cni"
	subnetClusterTag     = "cni.networking.k8s.aws/cluster/"
	// detachPause is between a detachment and the deletion.
	detachPause = 2 * time.Second
	// Leaked interfaces are looked for after up to leakDelay, and again every leakInterval; those younger than leakAge are left alone.
	leakDelay    = 300 * time.Second
	leakInterval = time.Hour
	leakAge      = 5 * time.Minute
)

// sdkRetries is how often a call is tried again (v1), or tried at all (v2). Source: pkg/awsutils/awssession/session.go, maxRetries.
const sdkRetries = 10

var (
	//lint:ignore ST1005 as the daemon has it
	errNoSecondaryIPs = errors.New("No secondary IPs have been assigned to this ENI")
	//lint:ignore ST1005 as the daemon has it
	errAllNotFound     = errors.New("All secondary IPs not found")
	errENINotFound     = errors.New("ENI is not found")
	errUnableToDetach  = errors.New("unable to detach ENI from EC2 instance, giving up")
	errAttachmentID    = errors.New("no ENI attachment id found")
	errENIConfigAbsent = errors.New("eniconfig: eniconfig is not available")
)

func isCode(err error, codes ...string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode())
}

// call makes a call of EC2, with the SDK's retries, and counts it.
func call[I, O any](a *run, name string, api func(context.Context, *I, ...func(*ec2.Options)) (*O, error), in *I) (*O, error) {
	began := a.engine.Now()
	out, err := awssdk.Do(a.ctx, a.retryer, api, in)
	a.alive()
	a.metrics.ec2(name, err, a.engine.Now()-began)
	return out, err
}

// backoff is the waiting between the daemon's own tries: doubled each time up to a most, with up to jitter of it added.
// Source: pkg/utils/retry/backoff.go, SimpleBackoff.
type backoff struct {
	current, most time.Duration
	jitter        float64
}

// retry calls fn until it succeeds, at most n times.
func (a *run) retry(b backoff, n int, fn func() error) error {
	for {
		err := fn()
		if n--; err == nil || n == 0 {
			return err
		}
		d := b.current
		b.current = min(2*b.current, b.most)
		if j := int64(float64(d) * b.jitter); j > 0 {
			d += time.Duration(a.random.Int64N(j))
		}
		a.sleep(d)
	}
}

// eniTags are the tags that the daemon's interfaces have.
func (a *run) eniTags() map[string]string {
	tags := map[string]string{eniNodeTagKey: string(a.opts.InstanceID)}
	if a.set.ClusterName != "" {
		tags[eniClusterTagKey] = a.set.ClusterName
		if a.version.SDK == 2 {
			tags[eniOwnerTagKey] = eniOwnerTagValue
		}
	}
	return tags
}

func sdkTags(tags map[string]string) (out []types.Tag) {
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return out
}

// describeAllENIs asks EC2 about the interfaces that the metadata lists; those that EC2 does not know are left out. The order is that of a walk.
func (a *run) describeAllENIs() ([]simec2.InterfaceMetadata, map[vpc.InterfaceID]map[string]string, error) {
	all := a.attachedENIs()
	var known slots[vpc.InterfaceID]
	byID := map[vpc.InterfaceID]simec2.InterfaceMetadata{}
	var ids []string
	for _, e := range all {
		ids = append(ids, string(e.ID))
		known.add(e.ID)
		byID[e.ID] = e
	}
	var answer *ec2.DescribeNetworkInterfacesOutput
	var err error
	for try := 0; try < maxENIEC2APIRetries && len(ids) > 0; try++ {
		answer, err = call(a, "DescribeNetworkInterfaces", a.opts.EC2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: ids})
		if err == nil {
			break
		}
		if isCode(err, "InvalidNetworkInterfaceID.NotFound") {
			bad := quoted(err)
			if at := slices.Index(ids, bad); at >= 0 {
				ids = slices.Delete(ids, at, at+1)
				known.remove(vpc.InterfaceID(bad))
			}
			continue
		}
		a.sleep(time.Duration(try*10) * time.Millisecond)
	}
	if err != nil {
		return nil, nil, err
	}
	tags := map[vpc.InterfaceID]map[string]string{}
	if answer != nil {
		for _, i := range answer.NetworkInterfaces {
			m := map[string]string{}
			for _, t := range i.TagSet {
				m[aws.ToString(t.Key)] = aws.ToString(t.Value)
			}
			tags[vpc.InterfaceID(aws.ToString(i.NetworkInterfaceId))] = m
		}
	}
	var out []simec2.InterfaceMetadata
	known.walk(a.random, func(id vpc.InterfaceID) bool { out = append(out, byID[id]); return true })
	return out, tags, nil
}

// quoted is what stands between the first two quotes of a message.
func quoted(err error) string {
	_, rest, _ := strings.Cut(err.Error(), "'")
	id, _, _ := strings.Cut(rest, "'")
	return id
}

// attachedENIs is what the instance metadata says.
func (a *run) attachedENIs() []simec2.InterfaceMetadata {
	a.sleep(metadataTime)
	return a.opts.Metadata().Interfaces
}

// metadataTime is what reading all interfaces from the instance metadata service takes: a few requests each; an order of magnitude.
const metadataTime = 5 * time.Millisecond

// tagENI gives an interface the tags that it lacks.
func (a *run) tagENI(id vpc.InterfaceID, have map[string]string) error {
	missing := map[string]string{}
	for k, v := range a.eniTags() { // the order is of no effect
		if have[k] != v {
			missing[k] = v
		}
	}
	if len(missing) == 0 {
		return nil
	}
	in := &ec2.CreateTagsInput{Resources: []string{string(id)}, Tags: sdkTags(missing)}
	return a.retry(backoff{500 * time.Millisecond, maxENIBackoffDelay, 0.3}, 5, func() error {
		_, err := call(a, "CreateTags", a.opts.EC2.CreateTags, in)
		return err
	})
}

// refreshGroups reads the primary interface's security groups, and gives them to all interfaces if they are new.
func (a *run) refreshGroups() {
	groups := a.opts.Metadata().SecurityGroups
	fresh := make([]string, len(groups))
	for i, g := range groups {
		fresh[i] = string(g)
	}
	slices.Sort(fresh)
	if slices.Equal(fresh, a.groups) {
		return
	}
	a.groups = fresh
	if a.set.CustomNetworking {
		return
	}
	var ids []string
	if a.version.SDK == 2 {
		for _, e := range a.store.enis.list() {
			if e != nil {
				ids = append(ids, string(e.ID))
			}
		}
	} else {
		for _, e := range a.attachedENIs() {
			ids = append(ids, string(e.ID))
		}
	}
	slices.Sort(ids)
	for _, id := range ids { // an error is retried by nobody
		_, _ = call(a, "ModifyNetworkInterfaceAttribute", a.opts.EC2.ModifyNetworkInterfaceAttribute, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: aws.String(id), Groups: fresh})
	}
}

// allocAddresses asks for addresses, or prefixes, on an interface. It returns nil for none.
func (a *run) allocAddresses(id vpc.InterfaceID, n int) (*ec2.AssignPrivateIpAddressesOutput, error) {
	if n = min(n, a.limits.slots); n < 1 {
		return nil, nil
	}
	in := &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(id))}
	if a.set.PrefixDelegation {
		in.Ipv4PrefixCount = aws.Int32(int32(n))
	} else {
		in.SecondaryPrivateIpAddressCount = aws.Int32(int32(n))
	}
	return call(a, "AssignPrivateIpAddresses", a.opts.EC2.AssignPrivateIpAddresses, in)
}

// addressesFromEC2 asks what an interface has: secondary addresses and prefixes.
func (a *run) addressesFromEC2(id vpc.InterfaceID) (addrs []netip.Addr, prefixes []netip.Prefix, err error) {
	out, err := call(a, "DescribeNetworkInterfaces", a.opts.EC2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{string(id)}})
	if err != nil {
		if isCode(err, "InvalidNetworkInterfaceID.NotFound") {
			err = errENINotFound
		}
		return nil, nil, err
	}
	for _, i := range out.NetworkInterfaces {
		for _, x := range i.PrivateIpAddresses {
			if !aws.ToBool(x.Primary) {
				addrs = append(addrs, netip.MustParseAddr(aws.ToString(x.PrivateIpAddress)))
			}
		}
		for _, x := range i.Ipv4Prefixes {
			prefixes = append(prefixes, netip.MustParsePrefix(aws.ToString(x.Ipv4Prefix)))
		}
	}
	return addrs, prefixes, nil
}

// subnets asks for the subnets of the node's zone, those with the most free addresses first.
func (a *run) subnets() ([]types.Subnet, error) {
	m := a.opts.Metadata()
	filter := func(name, value string) types.Filter {
		return types.Filter{Name: aws.String(name), Values: []string{value}}
	}
	out, err := call(a, "DescribeSubnets", a.opts.EC2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: []types.Filter{filter("vpc-id", m.VPCID), filter("availability-zone", m.Zone)}})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(out.Subnets, func(x, y types.Subnet) int {
		return int(aws.ToInt32(y.AvailableIpAddressCount)) - int(aws.ToInt32(x.AvailableIpAddressCount))
	})
	return out.Subnets, nil
}

func tagOf(tags []types.Tag, key string) string {
	for _, t := range tags {
		if aws.ToString(t.Key) == key {
			return aws.ToString(t.Value)
		}
	}
	return ""
}

// forCluster says whether a subnet's tags leave it to this cluster.
func (a *run) forCluster(tags []types.Tag) bool {
	if a.set.ClusterName == "" {
		return true
	}
	others := false
	for _, t := range tags {
		if name, ok := strings.CutPrefix(aws.ToString(t.Key), subnetClusterTag); ok {
			if name == a.set.ClusterName {
				return true
			}
			others = true
		}
	}
	return !others
}

// usable says whether a subnet may have new interfaces: the node's own unless it is tagged 0, others if they are tagged otherwise.
// Source: pkg/awsutils/awsutils.go, isSubnetValidForENICreation.
func (a *run) usable(sn *types.Subnet, own bool) bool {
	switch tagOf(sn.Tags, subnetTagKey) {
	case "0":
		return false
	case "":
		return own
	}
	return a.forCluster(sn.Tags)
}

// excluded asks whether the interfaces of a subnet are kept from pods.
func (a *run) excluded(id vpc.SubnetID) (bool, error) {
	all, err := a.subnets()
	if err != nil {
		return false, err
	}
	for i := range all {
		if aws.ToString(all[i].SubnetId) == string(id) {
			switch tagOf(all[i].Tags, subnetTagKey) {
			case "":
				return false, nil
			case "0":
				return true, nil
			}
			return !a.forCluster(all[i].Tags), nil
		}
	}
	return false, nil
}

// createENI makes an interface for n addresses or prefixes: in the subnet of the ENIConfig, in the best of the zone's subnets, or in the node's own.
func (a *run) createENI(n int, config *ENIConfig) (vpc.InterfaceID, error) {
	primary := a.opts.Metadata().Interfaces[0]
	tags := a.eniTags()
	tags[eniCreatedAtTagKey] = a.stamp()
	in := &ec2.CreateNetworkInterfaceInput{Description: aws.String(eniDescriptionPrefix + string(a.opts.InstanceID)), Groups: a.groups, SubnetId: aws.String(string(primary.SubnetID)),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeNetworkInterface, Tags: sdkTags(tags)}}}
	if a.version.CreatesWithAddresses {
		if n = min(n, a.limits.slots); a.set.PrefixDelegation {
			in.Ipv4PrefixCount = aws.Int32(int32(n))
		} else {
			in.SecondaryPrivateIpAddressCount = aws.Int32(int32(n))
		}
	}
	create := func() (vpc.InterfaceID, error) {
		try := *in // what was asked for stays as it was in the log
		out, err := call(a, "CreateNetworkInterface", a.opts.EC2.CreateNetworkInterface, &try)
		if err != nil {
			return "", err
		}
		return vpc.InterfaceID(aws.ToString(out.NetworkInterface.NetworkInterfaceId)), nil
	}
	switch {
	case config != nil:
		if len(config.SecurityGroups) > 0 {
			in.Groups = config.SecurityGroups
		}
		in.SubnetId = aws.String(string(config.Subnet))
		return create()
	case a.set.SubnetDiscovery:
		all, err := a.subnets()
		if err != nil {
			return create()
		}
		err = errors.New("no valid subnets available for ENI creation - all subnets are either not tagged or tagged with kubernetes.io/role/cni=0")
		for i := range all {
			id := aws.ToString(all[i].SubnetId)
			if !a.usable(&all[i], id == string(primary.SubnetID)) {
				continue
			}
			in.SubnetId = aws.String(id)
			var eni vpc.InterfaceID
			if eni, err = create(); err == nil {
				return eni, nil
			}
		}
		return "", err
	case a.version.ChecksSubnet:
		if no, err := a.excluded(primary.SubnetID); err == nil && no {
			return "", errors.New("primary subnet is tagged with kubernetes.io/role/cni=0 and subnet discovery is disabled - no valid subnets available for ENI creation")
		}
	}
	return create()
}

// stamp is the current time as a tag has it.
func (a *run) stamp() string { return engine.Epoch.Add(a.engine.Now()).Format(time.RFC3339) }

// allocENI makes an interface and attaches it.
func (a *run) allocENI(n int, config *ENIConfig) (vpc.InterfaceID, error) {
	id, err := a.createENI(n, config)
	if err != nil {
		return "", err
	}
	attachment, err := a.attachENI(id)
	if err != nil {
		_ = a.deleteENI(id) // the first error counts
		return "", err
	}
	_, err = call(a, "ModifyNetworkInterfaceAttribute", a.opts.EC2.ModifyNetworkInterfaceAttribute, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: aws.String(string(id)),
		Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: aws.String(attachment), DeleteOnTermination: aws.Bool(true)}})
	if err != nil {
		_ = a.freeENI(id)
		return "", err
	}
	return id, nil
}

// attachENI attaches an interface as the first free device.
func (a *run) attachENI(id vpc.InterfaceID) (string, error) {
	out, err := call(a, "DescribeInstances", a.opts.EC2.DescribeInstances, &ec2.DescribeInstancesInput{InstanceIds: []string{string(a.opts.InstanceID)}})
	if err != nil {
		return "", err
	}
	device := int32(0)
	for taken := true; taken; {
		taken = false
		for _, e := range out.Reservations[0].Instances[0].NetworkInterfaces {
			if aws.ToInt32(e.Attachment.DeviceIndex) == device {
				taken = true
				device++
				break
			}
		}
	}
	in := &ec2.AttachNetworkInterfaceInput{DeviceIndex: aws.Int32(device), InstanceId: aws.String(string(a.opts.InstanceID)), NetworkInterfaceId: aws.String(string(id))}
	attached, err := call(a, "AttachNetworkInterface", a.opts.EC2.AttachNetworkInterface, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(attached.AttachmentId), nil
}

// waitForENI polls the instance metadata until an interface shows with as many addresses, or prefixes, as were asked for. If only some show, these will do.
func (a *run) waitForENI(id vpc.InterfaceID, wanted int) (simec2.InterfaceMetadata, error) {
	var seen simec2.InterfaceMetadata
	err := a.retry(backoff{100 * time.Millisecond, maxENIBackoffDelay, 0.15}, maxENIEC2APIRetries, func() error {
		for _, e := range a.attachedENIs() {
			if e.ID != id {
				continue
			}
			n := len(e.LocalIPv4s) - 1
			if a.set.PrefixDelegation {
				n = len(e.IPv4Prefixes)
			}
			if n < 1 {
				return errNoSecondaryIPs
			}
			seen = e
			if n >= wanted {
				return nil
			}
			return errAllNotFound
		}
		return errENINotFound
	})
	if err == errAllNotFound && (!a.set.PrefixDelegation && len(seen.LocalIPv4s) > 1 || a.set.PrefixDelegation && len(seen.IPv4Prefixes) > 1) {
		return seen, nil
	}
	if err != nil {
		return seen, fmt.Errorf("waitForENIAndIPsAttached: giving up trying to retrieve ENIs from metadata service: %w", err)
	}
	return seen, nil
}

// freeENI detaches an interface and deletes it.
func (a *run) freeENI(id vpc.InterfaceID) error {
	out, err := call(a, "DescribeNetworkInterfaces", a.opts.EC2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{string(id)}})
	if isCode(err, "InvalidNetworkInterfaceID.NotFound") {
		return nil
	}
	if err != nil || len(out.NetworkInterfaces) == 0 {
		return errAttachmentID
	}
	var attachment *string
	if at := out.NetworkInterfaces[0].Attachment; at != nil {
		attachment = at.AttachmentId
	}
	err = a.retry(backoff{200 * time.Millisecond, maxENIBackoffDelay, 0.15}, maxENIEC2APIRetries, func() error {
		_, err := call(a, "DetachNetworkInterface", a.opts.EC2.DetachNetworkInterface, &ec2.DetachNetworkInterfaceInput{AttachmentId: attachment})
		return err
	})
	if err != nil {
		return errUnableToDetach
	}
	a.sleep(detachPause)
	return a.deleteENI(id)
}

func (a *run) deleteENI(id vpc.InterfaceID) error {
	return a.retry(backoff{500 * time.Millisecond, maxENIBackoffDelay, 0.15}, maxENIEC2APIRetries, func() error {
		_, err := call(a, "DeleteNetworkInterface", a.opts.EC2.DeleteNetworkInterface, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: aws.String(string(id))})
		if isCode(err, "InvalidNetworkInterfaceID.NotFound") {
			return nil
		}
		return err
	})
}

// dealloc gives addresses and prefixes of an interface back: prefixes first, one call each.
func (a *run) dealloc(id vpc.InterfaceID, cidrs []*CIDR) {
	var addrs, prefixes []string
	for _, c := range cidrs {
		if c.IsPrefix {
			prefixes = append(prefixes, c.Prefix.String())
		} else {
			addrs = append(addrs, c.Prefix.Addr().String())
		}
	}
	// An error leaves what EC2 has and the store has not; reconciliation will find it.
	if len(prefixes) > 0 {
		_, _ = call(a, "UnassignPrivateIpAddresses", a.opts.EC2.UnassignPrivateIpAddresses, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(id)), Ipv4Prefixes: prefixes})
	}
	if len(addrs) > 0 {
		_, _ = call(a, "UnassignPrivateIpAddresses", a.opts.EC2.UnassignPrivateIpAddresses, &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(id)), PrivateIpAddresses: addrs})
	}
}

// cleanUpLeaked deletes interfaces that a daemon of the cluster made and that are attached to nothing.
func (a *run) cleanUpLeaked() {
	filters := []types.Filter{{Name: aws.String("tag-key"), Values: []string{eniNodeTagKey}}, {Name: aws.String("status"), Values: []string{string(types.NetworkInterfaceStatusAvailable)}}}
	if a.set.ClusterName != "" {
		filters = append(filters, types.Filter{Name: aws.String("tag:" + eniClusterTagKey), Values: []string{a.set.ClusterName}})
	}
	out, err := call(a, "DescribeNetworkInterfaces", a.opts.EC2.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: filters, MaxResults: aws.Int32(1000)})
	if err != nil {
		return
	}
	for _, i := range out.NetworkInterfaces {
		if !strings.HasPrefix(aws.ToString(i.Description), eniDescriptionPrefix) {
			continue
		}
		made, err := time.Parse(time.RFC3339, tagOf(i.TagSet, eniCreatedAtTagKey))
		if err != nil || engine.Epoch.Add(a.engine.Now()).Sub(made) < leakAge {
			continue
		}
		_ = a.deleteENI(vpc.InterfaceID(aws.ToString(i.NetworkInterfaceId)))
	}
}
