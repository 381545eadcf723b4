// Package oracle holds a test only: the data store of the simulator's VPC CNI against that of aws/amazon-vpc-cni-k8s itself.
//
// Both are driven by the same random sequences of assignments, releases and changes of the pool, in the same time. After every step their numbers and
// errors are equal, and what one chooses where chance decides, an address for a pod or a network interface to free, is among what the other may choose.
//
// It is a module of its own, so that the plugin's many dependencies are none of ekslab's. `make oracle` runs it, on Linux only, as the plugin does.
package oracle
