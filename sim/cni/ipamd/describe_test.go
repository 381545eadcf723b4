package ipamd

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ekslab/ekslab/sim/cloudtrail"
)

// describe is a call in a few words: its name, how many addresses or prefixes it is about, and how it failed.
func describe(ev cloudtrail.Event) string {
	s := ev.Name
	count := func(addresses, prefixes *int32) {
		if addresses != nil {
			s += fmt.Sprintf("(%d)", *addresses)
		}
		if prefixes != nil {
			s += fmt.Sprintf("(%dp)", *prefixes)
		}
	}
	switch in := ev.Request.(type) {
	case *ec2.AssignPrivateIpAddressesInput:
		count(in.SecondaryPrivateIpAddressCount, in.Ipv4PrefixCount)
	case *ec2.CreateNetworkInterfaceInput:
		count(in.SecondaryPrivateIpAddressCount, in.Ipv4PrefixCount)
	case *ec2.UnassignPrivateIpAddressesInput:
		if len(in.Ipv4Prefixes) > 0 {
			s += fmt.Sprintf("(%dp)", len(in.Ipv4Prefixes))
		} else {
			s += fmt.Sprintf("(%d)", len(in.PrivateIpAddresses))
		}
	}
	if ev.ErrorCode != "" {
		s += "!" + ev.ErrorCode
	}
	return s
}
