package vpc

import "github.com/aws/smithy-go"

// errNoFreeAddresses is what EC2 answers when a subnet is empty.
// Source: Amazon EC2 API Reference, "Error codes".
var errNoFreeAddresses = &smithy.GenericAPIError{Code: "InsufficientFreeAddressesInSubnet", Message: "There are not enough free addresses in subnet to satisfy the requested number of IP addresses"}

// errNoCIDRBlocks is what EC2 answers when a subnet has no aligned block of 16 free addresses.
// Source: Amazon EC2 User Guide, "Prefix delegation for Amazon EC2 network interfaces"; aws/amazon-vpc-cni-k8s docs/troubleshooting.md.
var errNoCIDRBlocks = &smithy.GenericAPIError{Code: "InsufficientCidrBlocks", Message: "There are not enough free cidr blocks in the specified subnet to satisfy the request."}

// Drop reasons of the fabric. No log of AWS's names them; a flow log would say REJECT for the security group and the network ACL.
const (
	DropSourceCheck = "VPC_SOURCE_DEST_CHECK"
	DropSGEgress    = "VPC_SECURITY_GROUP_EGRESS"
	DropSGIngress   = "VPC_SECURITY_GROUP_INGRESS"
	DropACLEgress   = "VPC_NETWORK_ACL_EGRESS"
	DropACLIngress  = "VPC_NETWORK_ACL_INGRESS"
	DropNoInterface = "VPC_NO_INTERFACE_HAS_ADDRESS"
	DropMTU         = "VPC_MTU_EXCEEDED"
	DropDetached    = "VPC_INTERFACE_DETACHED"
	DropDNSLimit    = "VPC_RESOLVER_PACKET_LIMIT"
)
