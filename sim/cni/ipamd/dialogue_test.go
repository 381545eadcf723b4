package ipamd

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var noAddr netip.Addr // any

// Dialogues with a daemon. Each prints the calls of EC2 that a step led to, with their order, counts and errors.
//
//	node version=V [seed=N] [type=T] [subnet=CIDR] [other=CIDR] [pods=N] [NAME=VALUE...]   a node with a daemon
//	run DURATION                                                            goes on to a time since the beginning
//	add NAME...   del NAME...                                               pods that come and go
//	restart [NAME=VALUE...]                                                 the daemon is killed, and another starts
//	take N                                                                  someone else takes addresses of the subnet
//	cordon   uncordon
//	state   subnets                                                         what the node holds, and what is used of the subnets
func TestDataDialogues(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var l *lab
		from := 0
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			said := func() string {
				calls := l.calls(from)
				from += len(calls)
				if len(calls) == 0 {
					return "no calls\n"
				}
				return strings.Join(calls, "\n") + "\n"
			}
			settings := func() env {
				e := env{}
				for _, a := range d.CmdArgs {
					if a.Key == strings.ToUpper(a.Key) {
						e[a.Key] = a.Vals[0]
					}
				}
				return e
			}
			switch d.Cmd {
			case "node":
				s := setting{seed: 1, env: settings()}
				for _, a := range d.CmdArgs {
					switch a.Key {
					case "version":
						s.version = a.Vals[0]
					case "type":
						s.typ = a.Vals[0]
					case "subnet":
						s.cidr = a.Vals[0]
					case "seed":
						fmt.Sscan(a.Vals[0], &s.seed)
					case "other":
						s.others = map[string]string{a.Vals[0]: "1"}
					case "pods":
						fmt.Sscan(a.Vals[0], &s.maxPods)
					default:
						if a.Key != strings.ToUpper(a.Key) {
							d.Fatalf(t, "unknown argument %s", a.Key)
						}
					}
				}
				l, from = newLab(t, s), 0
				return ""
			case "run":
				until, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					d.Fatalf(t, "%v", err)
				}
				l.run(until)
				return said()
			case "add":
				for _, a := range d.CmdArgs {
					l.nodes[0].add(a.Key)
				}
				return ""
			case "del":
				for _, a := range d.CmdArgs {
					l.nodes[0].del(a.Key)
				}
				return ""
			case "restart":
				l.nodes[0].restart(settings())
				return ""
			case "take":
				n := 0
				fmt.Sscan(d.CmdArgs[0].Key, &n)
				for range n {
					if _, err := l.vpc.Subnets()[0].AddInterface("someone else's", noAddr); err != nil {
						d.Fatalf(t, "%v", err)
					}
				}
				return ""
			case "cordon", "uncordon":
				l.nodes[0].cordoned = d.Cmd == "cordon"
				return ""
			case "subnets":
				out := ""
				for _, sn := range l.vpc.Subnets() {
					out += fmt.Sprintf("%s: %d used\n", sn.CIDR, sn.Size()-sn.Reserved()-sn.Available())
				}
				return out
			case "state":
				n := l.nodes[0]
				st := n.agent.Store().Stats()
				out := fmt.Sprintf("held %s, subnet free %d; store total %d assigned %d cooling %d; pods %d, without an address %d\n", n.shape(), l.vpc.Subnets()[0].Available(),
					st.Total, st.Assigned, n.agent.Store().Cooling(), len(n.running), len(n.waiting))
				for _, err := range n.exits {
					out += "ended: " + err.Error() + "\n"
				}
				return out
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}
