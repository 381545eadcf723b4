// Package explain answers why: from what a person saw back to its root, each link proved by records of that very run.
//
// The chain is found, not told. It starts at the record in which the client's command failed and follows causes: the socket's packets, what became of them,
// the decisions that were taken about them (routes, translations, choices of a load balancer, drops), and from each decision to the record that set up
// what it relied on (a route's installation, a call of an API). A sentence is made from the fields of the records that it stands on; where the trace holds
// no such record, the link is not there.
package explain
