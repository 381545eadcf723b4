// Package ec2 is the EC2 API as far as clusters and their controllers call it: instances, network interfaces, subnets and security groups.
//
// Methods have the signatures of aws-sdk-go-v2's client; what is stored is what package vpc moves packets by.
//
// Models: describing instances, subnets, route tables and security groups with the filters that controllers use; rules of security groups; network
// interfaces with the limits of their instance type; error codes.
// Does not model yet: pagination, throttling, prefix delegation, detaching and deleting interfaces, launching through the API. A parameter that is not
// modelled ends the call with engine.ErrNotModelled.
// Sources: Amazon EC2 API Reference; aws-sdk-go-v2 service/ec2.
package ec2
