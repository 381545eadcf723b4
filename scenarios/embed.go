// Package scenarios holds the scenarios that ekslab carries, one folder each: area/name.
//
// It is data only; harness/scenario reads it.
package scenarios

import "embed"

// FS holds every area's folders.
//
//go:embed */*
var FS embed.FS
