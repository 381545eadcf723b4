package ec2

import (
	"maps"
	"slices"
)

// InstanceTypes lists the names of the instance types whose limits are known, sorted.
func InstanceTypes() []string { return slices.Sorted(maps.Keys(limits)) }
