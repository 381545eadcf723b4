package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/ekslab/ekslab/sim/cloudtrail"
	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/iam"
	"github.com/ekslab/ekslab/sim/trace"
	"github.com/ekslab/ekslab/sim/vpc"
)

// lab is an account with a VPC of one subnet and an instance in it.
type lab struct {
	t      *testing.T
	e      *engine.Engine
	v      *vpc.VPC
	trail  *cloudtrail.Log
	s      *Service
	subnet *vpc.Subnet
	in     *Instance
}

func newLab(t *testing.T, instanceType, cidr string, opts Options, seed ...uint64) *lab {
	o := engine.Options{Seed: 1}
	if len(seed) > 0 {
		o = engine.Options{Seed: seed[0], ShuffleTies: seed[0]%2 == 1}
	}
	l := &lab{t: t, e: engine.New(o)}
	log := trace.New(l.e)
	l.v = vpc.New(l.e, log, netip.MustParsePrefix("10.0.0.0/16"), vpc.Options{})
	l.trail = cloudtrail.New(l.e, log, 50*time.Millisecond)
	l.s = New(l.e, log, l.trail, l.v, "eu-west-1", opts)
	var err error
	if l.subnet, err = l.v.AddSubnet("s", "eu-west-1a", netip.MustParsePrefix(cidr), false, nil); err != nil {
		t.Fatal(err)
	}
	if l.in, err = l.s.Launch(instanceType, l.subnet, netip.Addr{}, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// do runs calls on a process, to their end.
func (l *lab) do(fn func(ctx context.Context, p *engine.Process)) {
	l.t.Helper()
	l.e.Go("test", func(p *engine.Process) {
		fn(engine.WithProcess(iam.WithCaller(context.Background(), iam.Caller{Name: "test"}), p), p)
	})
	if err := l.e.Run(l.e.Now()+10*time.Minute, nil); err != nil {
		l.t.Fatal(err)
	}
	l.v.Census(l.subnet)
}

func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

func (l *lab) assign(ctx context.Context, eni vpc.InterfaceID, addresses, prefixes int32) error {
	in := &ec2.AssignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(eni))}
	if addresses != 0 {
		in.SecondaryPrivateIpAddressCount = &addresses
	}
	if prefixes != 0 {
		in.Ipv4PrefixCount = &prefixes
	}
	_, err := l.s.AssignPrivateIpAddresses(ctx, in)
	return err
}

func (l *lab) create(ctx context.Context, addresses, prefixes int32) (vpc.InterfaceID, error) {
	in := &ec2.CreateNetworkInterfaceInput{SubnetId: aws.String(string(l.subnet.ID))}
	if addresses != 0 {
		in.SecondaryPrivateIpAddressCount = &addresses
	}
	if prefixes != 0 {
		in.Ipv4PrefixCount = &prefixes
	}
	out, err := l.s.CreateNetworkInterface(ctx, in)
	if err != nil {
		return "", err
	}
	return vpc.InterfaceID(*out.NetworkInterface.NetworkInterfaceId), nil
}

// Assigning gives all that is asked for, or nothing and an error.
func TestAssignIsAllOrNothing(t *testing.T) {
	for _, c := range []struct {
		name                string
		instanceType, cidr  string
		addresses, prefixes []int32
		want                string
		free                int
	}{
		{"a /28 has 11 addresses, one of which is the instance's", "m5.large", "10.0.0.0/28", []int32{9}, nil, "ok", 1},
		{"not one more than there are", "m5.4xlarge", "10.0.0.0/28", []int32{11}, nil, "InsufficientFreeAddressesInSubnet", 10},
		{"nothing is left behind", "m5.4xlarge", "10.0.0.0/28", []int32{4, 7, 6}, nil, "ok InsufficientFreeAddressesInSubnet ok", 0},
		{"the instance type's limit comes first", "m5.large", "10.0.0.0/28", []int32{10}, nil, "PrivateIpAddressLimitExceeded", 10},
		{"the limit counts what is there", "m5.large", "10.0.0.0/24", []int32{5, 5, 4}, nil, "ok PrivateIpAddressLimitExceeded ok", 241},
		{"a prefix is 16 addresses and counts as one towards the limit", "m5.large", "10.0.0.0/24", nil, []int32{9, 1}, "ok PrivateIpAddressLimitExceeded", 250 - 9*16},
		{"a /27 has no block but the one without the network's and the last address: none", "m5.large", "10.0.0.0/27", nil, []int32{1}, "InsufficientCidrBlocks", 26},
		{"a /26 has two blocks at most, and three are not given in part", "m5.large", "10.0.0.0/26", nil, []int32{3}, "InsufficientCidrBlocks", 58},
		{"not on Xen", "m4.large", "10.0.0.0/24", nil, []int32{1}, "UnsupportedOperation", 250},
		{"a negative count", "m5.large", "10.0.0.0/24", []int32{-1}, nil, "InvalidParameterValue", 250},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, c.instanceType, c.cidr, Options{})
			var got []string
			l.do(func(ctx context.Context, _ *engine.Process) {
				for _, n := range c.addresses {
					got = append(got, code(l.assign(ctx, l.in.Interfaces[0].ID, n, 0)))
				}
				for _, n := range c.prefixes {
					got = append(got, code(l.assign(ctx, l.in.Interfaces[0].ID, 0, n)))
				}
			})
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
			if n := l.subnet.Available(); n != c.free {
				t.Errorf("%d addresses are free, want %d", n, c.free)
			}
			if n := len(l.trail.Events()); n != len(got) {
				t.Errorf("CloudTrail has %d events of %d calls", n, len(got))
			}
		})
	}
}

// Free addresses that lie scattered are no prefix; an interface that was not made leaves nothing.
func TestScatteredAddresses(t *testing.T) {
	l := newLab(t, "m5.large", "10.0.0.0/24", Options{})
	for i := range 14 { // one address in the middle of each block that AWS keeps nothing of
		if _, err := l.subnet.AddInterface("holder", netip.AddrFrom4([4]byte{10, 0, 0, byte(16*(i+1) + 7)})); err != nil && !strings.Contains(err.Error(), "in use") {
			t.Fatal(err)
		}
	}
	free := l.subnet.Available()
	l.do(func(ctx context.Context, _ *engine.Process) {
		if c := code(l.assign(ctx, l.in.Interfaces[0].ID, 0, 1)); c != "InsufficientCidrBlocks" {
			t.Errorf("a prefix: %s", c)
		}
		if _, err := l.create(ctx, 0, 1); code(err) != "InsufficientCidrBlocks" {
			t.Errorf("an interface with a prefix: %v", err)
		}
		if l.subnet.Available() != free {
			t.Errorf("%d of %d addresses are free after two failures", l.subnet.Available(), free)
		}
		if c := code(l.assign(ctx, l.in.Interfaces[0].ID, 9, 0)); c != "ok" {
			t.Errorf("single addresses: %s", c)
		}
	})
}

// The life of an interface: made, attached, detached (which takes a while), deleted; and what each instance type refuses.
func TestLifeOfAnInterface(t *testing.T) {
	l := newLab(t, "m5.large", "10.0.0.0/24", Options{})
	l.do(func(ctx context.Context, p *engine.Process) {
		attach := func(id vpc.InterfaceID, device int32) (string, error) {
			out, err := l.s.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{NetworkInterfaceId: aws.String(string(id)), InstanceId: aws.String(string(l.in.ID)), DeviceIndex: &device})
			if err != nil {
				return "", err
			}
			return *out.AttachmentId, nil
		}
		remove := func(id vpc.InterfaceID) string {
			_, err := l.s.DeleteNetworkInterface(ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: aws.String(string(id))})
			return code(err)
		}
		first, _ := l.create(ctx, 9, 0)
		second, _ := l.create(ctx, 0, 2)
		third, _ := l.create(ctx, 1, 0)
		full, _ := l.create(ctx, 10, 0)
		attachment, err := attach(first, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := attach(second, 1); code(err) != "InvalidParameterValue" {
			t.Errorf("a device that is taken: %v", err)
		}
		if _, err := attach(first, 2); code(err) != "InvalidNetworkInterface.InUse" {
			t.Errorf("attached twice: %v", err)
		}
		if _, err := attach(full, 2); code(err) != "PrivateIpAddressLimitExceeded" {
			t.Errorf("more addresses than the type takes: %v", err)
		}
		if _, err := attach(second, 2); err != nil {
			t.Error(err)
		}
		if _, err := attach(third, 3); code(err) != "AttachmentLimitExceeded" {
			t.Errorf("a fourth interface of an m5.large: %v", err)
		}
		if c := remove(first); c != "InvalidParameterValue" {
			t.Errorf("deleted while attached: %s", c)
		}
		detach := func(a string) string {
			_, err := l.s.DetachNetworkInterface(ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: &a})
			return code(err)
		}
		if c := detach(l.in.Interfaces[0].AttachmentID); c != "OperationNotPermitted" {
			t.Errorf("the primary interface detached: %s", c)
		}
		free := l.subnet.Available()
		if c := detach(attachment); c != "ok" {
			t.Errorf("detached: %s", c)
		}
		if c := remove(first); c != "InvalidParameterValue" {
			t.Errorf("deleted while it is being detached: %s", c)
		}
		p.Sleep(2 * time.Second)
		if c := remove(first); c != "ok" {
			t.Errorf("deleted when detached: %s", c)
		}
		if n := l.subnet.Available(); n != free+10 {
			t.Errorf("%d addresses are free, before there were %d", n, free)
		}
		if c := remove(first); c != "InvalidNetworkInterfaceID.NotFound" {
			t.Errorf("deleted twice: %s", c)
		}
		if _, err := attach(third, 3); err != nil {
			t.Errorf("an interface in the place of one that is gone: %v", err)
		}
		yes := true
		_, err = l.s.ModifyNetworkInterfaceAttribute(ctx, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: aws.String(string(third)),
			Attachment: &types.NetworkInterfaceAttachmentChanges{AttachmentId: aws.String(l.v.Interface(third).AttachmentID), DeleteOnTermination: &yes}})
		if err != nil || !l.v.Interface(third).DeleteOnTermination {
			t.Errorf("DeleteOnTermination: %v", err)
		}
	})
}

// Unassigning takes all that are named, or none; the primary address is not one that can be named.
func TestUnassign(t *testing.T) {
	l := newLab(t, "m5.large", "10.0.0.0/24", Options{})
	eni := l.in.Interfaces[0]
	l.do(func(ctx context.Context, _ *engine.Process) {
		if err := l.assign(ctx, eni.ID, 3, 0); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			addrs []netip.Addr
			want  string
			left  int
		}{
			{[]netip.Addr{eni.Addrs[1], netip.MustParseAddr("10.0.0.200")}, "InvalidParameterValue", 4},
			{[]netip.Addr{eni.Addrs[0]}, "InvalidParameterValue", 4},
			{nil, "MissingParameter", 4},
			{[]netip.Addr{eni.Addrs[1], eni.Addrs[3]}, "ok", 2},
		} {
			in := &ec2.UnassignPrivateIpAddressesInput{NetworkInterfaceId: aws.String(string(eni.ID))}
			for _, a := range c.addrs {
				in.PrivateIpAddresses = append(in.PrivateIpAddresses, a.String())
			}
			if _, err := l.s.UnassignPrivateIpAddresses(ctx, in); code(err) != c.want || len(eni.Addrs) != c.left {
				t.Errorf("%v: %v, %d left", c.addrs, err, len(eni.Addrs))
			}
		}
	})
}

// A bucket gives what it holds at once, and then as much as comes back; each action has its own, and no one's are touched with the throttle off.
func TestThrottle(t *testing.T) {
	for _, c := range []struct {
		action             string
		capacity, perMin   int
		call               func(l *lab, ctx context.Context) error
		throttle, filtered bool
	}{
		{"AssignPrivateIpAddresses", 100, 300, func(l *lab, ctx context.Context) error { return l.assign(ctx, "eni-0", 1, 0) }, true, true},
		{"DescribeSubnets", 100, 1200, func(l *lab, ctx context.Context) error {
			_, err := l.s.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{})
			return err
		}, true, true},
		{"DescribeNetworkInterfaces, unfiltered", 50, 600, func(l *lab, ctx context.Context) error {
			_, err := l.s.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{})
			return err
		}, true, false},
		{"CreateTags", 100, 600, func(l *lab, ctx context.Context) error {
			_, err := l.s.CreateTags(ctx, &ec2.CreateTagsInput{Resources: []string{"eni-0"}})
			return err
		}, true, true},
		{"AssignPrivateIpAddresses", 400, 400, func(l *lab, ctx context.Context) error { return l.assign(ctx, "eni-0", 1, 0) }, false, true},
	} {
		t.Run(fmt.Sprintf("%s %v", c.action, c.throttle), func(t *testing.T) {
			l := newLab(t, "m5.large", "10.0.0.0/24", Options{Throttle: c.throttle})
			served := func(n int) int {
				ok := 0
				for range n {
					// As many clients as calls: all arrive at the same time.
					l.e.Go("client", func(p *engine.Process) {
						ctx := engine.WithProcess(iam.WithCaller(context.Background(), iam.Caller{Name: "test"}), p)
						if code(c.call(l, ctx)) != "RequestLimitExceeded" {
							ok++
						}
					})
				}
				if err := l.e.Run(l.e.Now()+time.Second, nil); err != nil {
					t.Fatal(err)
				}
				return ok
			}
			// Calls take up to some tenths of a second, in which a few tokens come back.
			if n := served(400); n < c.capacity || n > c.capacity+c.perMin/60 {
				t.Errorf("%d of 400 simultaneous calls are served, the bucket holds %d", n, c.capacity)
			}
			if !c.throttle {
				return
			}
			total := 0
			for range 30 {
				total += served(c.perMin / 10) // six times what comes back
			}
			if want := c.perMin / 2; total < want-c.perMin/60 || total > want+c.perMin/60*2 {
				t.Errorf("%d calls are served in 30 s, of which %d come back", total, want)
			}
		})
	}
}

// The instance metadata shows a change after its lag and not before, and changes in their order.
func TestMetadataLags(t *testing.T) {
	lag := [2]time.Duration{time.Second, 3 * time.Second}
	for seed := range uint64(20) { // simultaneous events are in the other order with every second one
		l := newLab(t, "m5.4xlarge", "10.0.0.0/24", Options{MetadataLag: lag}, seed)
		shown := func() int { return len(l.s.Metadata(l.in.ID).Interfaces[0].LocalIPv4s) }
		l.do(func(ctx context.Context, p *engine.Process) {
			if err := l.assign(ctx, l.in.Interfaces[0].ID, 5, 0); err != nil {
				t.Fatal(err)
			}
			at := l.e.Now()
			for shown() == 1 {
				p.Sleep(10 * time.Millisecond)
			}
			if d := l.e.Now() - at; d < lag[0]-200*time.Millisecond || d > lag[1]+10*time.Millisecond || shown() != 6 {
				t.Errorf("%d addresses are shown after %v", shown(), d)
			}
			// Ten changes on top of each other: the last is what stays.
			for range 10 {
				if err := l.assign(ctx, l.in.Interfaces[0].ID, 2, 0); err != nil {
					t.Fatal(err)
				}
			}
			p.Sleep(4 * time.Second)
			if shown() != 26 {
				t.Errorf("%d addresses are shown in the end, of 26", shown())
			}
		})
	}
}
