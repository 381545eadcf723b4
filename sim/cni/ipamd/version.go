package ipamd

import (
	"fmt"
	"strings"
)

// Version is what the daemon did in a release. Each field names the first release of those modelled that does it.
type Version struct {
	// Name is the release whose source this follows, such as v1.10.1.
	Name string
	// SDK is the AWS SDK that it is built with, 1 or 2; UserAgent is how its calls appear in CloudTrail.
	SDK       int
	UserAgent string

	// PausesWithoutFreeAddresses: InsufficientFreeAddressesInSubnet starts the pause of 120 s, as InsufficientCidrBlocks always did, and does not fail
	// the start (v1.11.0).
	PausesWithoutFreeAddresses bool
	// TrustsAnswer: the addresses that AssignPrivateIpAddresses answers are taken; before, DescribeNetworkInterfaces was asked (v1.11.4).
	TrustsAnswer bool
	// MindsCordon: a node with the taint node.kubernetes.io/unschedulable neither grows nor frees an interface (v1.11.3).
	MindsCordon bool
	// CapsNewInterface: a new interface is not expected to show more addresses than it can have (v1.11.4).
	CapsNewInterface bool
	// ReadsCheckpoint: assignments are read from the checkpoint file and checked against the host's veth devices; before, from the container runtime (v1.12.6 at the latest).
	ReadsCheckpoint bool
	// DeletesWithoutDaemon: the plugin takes a pod's network down when the daemon does not answer; before, DEL failed until it did (v1.12.6 at the latest).
	DeletesWithoutDaemon bool
	// EndsOnSIGTERM: the container's first process is a Go program, which SIGTERM ends; before, it was a shell, which ignores it until it is killed (v1.12.6 at
	// the latest).
	EndsOnSIGTERM bool
	// ConfigAtOnce: the host's CNI configuration is written before the daemon answers, and the container ends when the daemon does; in all others it is
	// written when the daemon answers, and that it ended is noticed by the liveness probe (v1.12.6 only: its entry point reads the probe's output, which
	// is always empty).
	ConfigAtOnce bool
	// GrowsAtStart: the start fills the pool as the loop does; before, it only filled interfaces that were there (v1.13).
	GrowsAtStart bool
	// CountsReleases: what one interface gives back is subtracted before the next is looked at, and an interface with nothing to give is skipped; before,
	// each gave back as much as was over, and one with nothing to give ended the round (v1.13).
	CountsReleases bool
	// FailsWithoutInterface: an error of AssignPrivateIpAddresses ends the round; before, a new interface was tried (v1.13).
	FailsWithoutInterface bool
	// CreatesWithAddresses: CreateNetworkInterface asks for the addresses, too (v1.16.0).
	CreatesWithAddresses bool
	// GroupsFirst: security groups are read before the pool is filled, not after (v1.16.0).
	GroupsFirst bool
	// CooldownSetting: IP_COOLDOWN_PERIOD is read (v1.15).
	CooldownSetting bool
	// CapsAtMaxPods: the pool is not low once it has as many addresses as the node takes pods (v1.16.3).
	CapsAtMaxPods bool
	// SubnetDiscovery: ENABLE_SUBNET_DISCOVERY is read (v1.18).
	SubnetDiscovery bool
	// ChecksSubnet: an interface whose subnet is tagged kubernetes.io/role/cni=0 is not used for pods, so each set-up asks DescribeSubnets (v1.22 at the latest).
	ChecksSubnet bool
	// TriesAllInterfaces: with subnet discovery, an interface whose subnet is empty is followed by the next, and at last by a new one (v1.18.5 at the latest).
	TriesAllInterfaces bool
	// ComparesAddresses: reconciliation compares the addresses with the metadata's; before, their number (v1.18.5 at the latest).
	ComparesAddresses bool
	// JudgesOnce: whether an interface may go is judged by the numbers before the round; before, by those after it (v1.20).
	JudgesOnce bool
	// FreesMismatched: an address that a pod gives back and that is not of the current mode goes back to EC2 at once (v1.16.4 still does, v1.23 does not).
	FreesMismatched bool
}

// Versions are the names that a version may be asked for by, oldest first; the last is the newest.
var Versions = []string{"1.10", "1.12", "1.13", "1.16.0", "1.16.4", "1.23"}

// VersionOf returns the version of a name. The empty name is the newest.
func VersionOf(name string) (Version, error) {
	v := Version{Name: "v1.10.1", SDK: 1, UserAgent: "amazon-vpc-cni-k8s/version/ aws-sdk-go/1.40.6 (go1.16.10; linux; amd64)", FreesMismatched: true}
	if name == "1.10" {
		return v, nil
	}
	v.Name, v.UserAgent = "v1.12.6", "amazon-vpc-cni-k8s/version/ aws-sdk-go/1.43.29 (go1.19.6; linux; amd64)"
	v.PausesWithoutFreeAddresses, v.TrustsAnswer, v.MindsCordon, v.CapsNewInterface, v.ReadsCheckpoint, v.ConfigAtOnce, v.DeletesWithoutDaemon, v.EndsOnSIGTERM = true, true, true, true, true, true, true, true
	if name == "1.12" {
		return v, nil
	}
	v.Name, v.UserAgent = "v1.13.0", "amazon-vpc-cni-k8s/version/v1.13.0 aws-sdk-go/1.43.29 (go1.19.6; linux; amd64)"
	v.GrowsAtStart, v.CountsReleases, v.FailsWithoutInterface, v.ConfigAtOnce = true, true, true, false
	if name == "1.13" {
		return v, nil
	}
	v.Name, v.UserAgent = "v1.16.0", "amazon-vpc-cni-k8s/version/v1.16.0 aws-sdk-go/1.48.10 (go1.21.5; linux; amd64)"
	v.CreatesWithAddresses, v.GroupsFirst, v.CooldownSetting = true, true, true
	if name == "1.16.0" {
		return v, nil
	}
	v.Name, v.UserAgent = "v1.16.4", "amazon-vpc-cni-k8s/version/v1.16.4 aws-sdk-go/1.49.13 (go1.21.7; linux; amd64)"
	v.CapsAtMaxPods = true
	if name == "1.16.4" {
		return v, nil
	}
	v.Name, v.SDK, v.UserAgent = "v1.23.2", 2, "aws-sdk-go-v2/1.47.0 os/linux lang/go#1.26.6 md/GOOS#linux md/GOARCH#amd64 api/ec2#1.329.0"
	v.SubnetDiscovery, v.ChecksSubnet, v.TriesAllInterfaces, v.ComparesAddresses, v.JudgesOnce, v.FreesMismatched = true, true, true, true, true, false
	if name == "1.23" || name == "" {
		return v, nil
	}
	return Version{}, fmt.Errorf("version %q of the VPC CNI: one of %s is modelled", name, strings.Join(Versions, ", "))
}
