// Package ipamd models the L-IPAM daemon of the Amazon VPC CNI plugin, which runs in the aws-node pod of each node: it holds the addresses that the
// node's pods may have, and gets more from EC2, or gives some back.
//
//	version    which version does what
//	settings   the environment of the container
//	store      the data store: network interfaces, their addresses and prefixes, who has them, what cools down
//	target     the arithmetic of the warm pool, a function of the data store's numbers
//	agent      start (nodeInit), the loop, AddNetwork and DelNetwork
//	grow, shrink, reconcile   what the loop does
//	aws        the calls of EC2 and of the instance metadata service, in the daemon's order, with its retries
//	metrics    what ports 61678 and 61679 show
//
// Models: secondary addresses and prefix delegation with WARM_ENI_TARGET, WARM_IP_TARGET, MINIMUM_IP_TARGET, WARM_PREFIX_TARGET, MAX_ENI; custom networking
// by ENIConfig; subnet discovery; the cooldowns (of an address after a pod, of an address that was given back, of growth when the subnet is empty);
// reconciliation with the instance metadata; the checkpoint; removal of leaked interfaces; nodes that are cordoned; Go's random map order, as draws
// from a stream of each node.
// Does not model: IPv6, security groups for pods, several network cards, changes of a running node's security groups, tags that exclude interfaces
// (node.k8s.amazonaws.com/no_manage). What is set in the environment and not modelled ends the run with engine.ErrNotModelled.
// Sources: aws/amazon-vpc-cni-k8s pkg/ipamd, pkg/ipamd/datastore, pkg/awsutils, cmd/aws-k8s-agent, cmd/aws-vpc-cni at v1.10.1, v1.12.6, v1.13.0, v1.16.0,
// v1.16.4 and v1.23.2.
package ipamd
