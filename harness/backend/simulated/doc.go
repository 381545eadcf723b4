// Package simulated runs plans in the simulator, in this process, in virtual time.
//
// It turns a plan into a sim.Spec, drives the world through settling, timeline and load, and hands what was captured to package observe. It
// counts nothing itself. Runs are independent of each other and may go on side by side.
package simulated
