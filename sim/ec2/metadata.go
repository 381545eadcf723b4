package ec2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/vpc"
)

// Metadata is what the instance metadata service of an instance answers. It lags behind the API: what changes shows up in it later.
type Metadata struct {
	InstanceID   vpc.InstanceID
	InstanceType string
	Zone         string
	Region       string
	VPCID        string
	LocalIPv4    netip.Addr
	// SecurityGroups are those of the primary interface.
	SecurityGroups []vpc.SecurityGroupID
	// Interfaces are the attached ones, the primary first.
	Interfaces []InterfaceMetadata
}

// InterfaceMetadata is what there is under network/interfaces/macs/ for an interface.
type InterfaceMetadata struct {
	ID           vpc.InterfaceID
	DeviceNumber int
	SubnetID     vpc.SubnetID
	SubnetCIDR   netip.Prefix
	// LocalIPv4s are the private addresses, the primary first.
	LocalIPv4s []netip.Addr
	// IPv4Prefixes are the delegated prefixes.
	IPv4Prefixes []netip.Prefix
}

// metadata is the state of an instance's metadata service.
type metadata struct {
	interfaces []InterfaceMetadata
	last       time.Duration
}

func metadataOf(eni *vpc.Interface) InterfaceMetadata {
	return InterfaceMetadata{ID: eni.ID, DeviceNumber: eni.DeviceIndex, SubnetID: eni.Subnet.ID, SubnetCIDR: eni.Subnet.CIDR, LocalIPv4s: slices.Clone(eni.Addrs), IPv4Prefixes: slices.Clone(eni.Prefixes)}
}

// metadataChanged has an interface's new state show up after a while; changes of one instance keep their order.
func (s *Service) metadataChanged(i *Instance, eni *vpc.Interface) {
	now := metadataOf(eni)
	s.metadataLater(i, func() {
		m := &i.metadata.interfaces
		if at := slices.IndexFunc(*m, func(o InterfaceMetadata) bool { return o.ID == now.ID }); at >= 0 {
			(*m)[at] = now
		} else {
			*m = append(*m, now)
		}
	})
}

func (s *Service) metadataRemoved(i *Instance, eni *vpc.Interface) {
	id := eni.ID
	s.metadataLater(i, func() {
		i.metadata.interfaces = slices.DeleteFunc(i.metadata.interfaces, func(o InterfaceMetadata) bool { return o.ID == id })
	})
}

func (s *Service) metadataLater(i *Instance, change func()) {
	// A nanosecond later than the change before it, so that no order of simultaneous events turns them round.
	at := max(s.engine.Now()+s.between("ec2: metadata lag", s.opts.MetadataLag), i.metadata.last+1)
	i.metadata.last = at
	s.engine.At(at, "ec2: metadata", engine.Func(change))
}

// between draws a duration uniformly.
func (s *Service) between(stream string, d [2]time.Duration) time.Duration {
	return d[0] + time.Duration(s.engine.Rand(stream).Int64N(int64(d[1]-d[0])+1))
}

// Metadata answers as the instance metadata service of an instance. What it returns must not be changed.
func (s *Service) Metadata(id vpc.InstanceID) Metadata {
	i := s.byID[id]
	primary := i.Interfaces[0]
	m := Metadata{InstanceID: i.ID, InstanceType: i.Type, Zone: primary.Subnet.Zone, Region: s.region, VPCID: s.vpc.ID, LocalIPv4: primary.Primary(), Interfaces: i.metadata.interfaces}
	for _, g := range primary.Groups {
		m.SecurityGroups = append(m.SecurityGroups, g.ID)
	}
	return m
}
