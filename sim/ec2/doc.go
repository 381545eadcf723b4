// Package ec2 is the EC2 API as far as clusters and their controllers call it: instances, network interfaces, subnets and security groups.
//
// Methods have the signatures of aws-sdk-go-v2's client; what is stored is what package vpc moves packets by.
//
// Models: describing instances, instance types, VPCs, subnets, route tables and security groups with the filters that controllers use; rules of security
// groups; the life of network interfaces, with secondary addresses and prefixes, within the limits of their instance type (limits_table.go is generated);
// tags; the documented token buckets of requests; error codes; the instance metadata service, which shows changes late.
// Does not model: pagination, launching through the API. A parameter that is not modelled ends the call with engine.ErrNotModelled.
// Differs: how late metadata shows a change and how long a detachment takes are not documented; Options has orders of magnitude.
// Sources: Amazon EC2 API Reference; Amazon EC2 Developer Guide, "Request throttling for the Amazon EC2 API"; aws-sdk-go-v2 service/ec2.
package ec2
