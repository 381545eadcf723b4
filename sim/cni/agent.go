package cni

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/ekslab/ekslab/sim/cni/ipamd"
	"github.com/ekslab/ekslab/sim/ec2"
	"github.com/ekslab/ekslab/sim/linux/route"
	"github.com/ekslab/ekslab/sim/vpc"
)

// StartAgent starts the node's ipamd with an environment, in place of one that has ended. Exited is called if it ends by itself.
func (h *Host) StartAgent(version ipamd.Version, env map[string]string, exited func(error)) error {
	opts := h.opts.Agent
	opts.Version, opts.Env, opts.Network, opts.Checkpoint = version, env, h, &h.checkpoint
	opts.Exited = exited
	opts.Serving = h.configure
	agent, err := ipamd.Start(h.root.Engine(), h.root.Kernel().Log(), opts)
	if err != nil {
		return err
	}
	h.agent, h.version = agent, version
	if version.ConfigAtOnce {
		h.configure()
	}
	return nil
}

// StopAgent kills the node's ipamd.
func (h *Host) StopAgent() {
	if h.agent != nil {
		h.agent.Kill()
	}
}

// Agent is the node's ipamd that was started last, or nil.
func (h *Host) Agent() *ipamd.Agent { return h.agent }

// Serving says whether the node's ipamd answers the plugin.
func (h *Host) Serving() bool { return h.agent != nil && h.agent.Serving() }

// Configured says whether the host has a CNI configuration, without which a kubelet reports its node as not ready.
func (h *Host) Configured() bool { return h.configured }

func (h *Host) configure() {
	if h.configured {
		return
	}
	h.configured = true
	if h.opts.Configured != nil {
		h.opts.Configured()
	}
}

// SetupENI gives the host a device for an interface, and a table of routes of its own. Source: pkg/networkutils/network.go, SetupENINetwork.
func (h *Host) SetupENI(m ec2.InterfaceMetadata) error {
	if h.port(m.ID) != nil {
		return nil
	}
	eni := h.opts.VPC.Interface(m.ID)
	if eni == nil {
		return fmt.Errorf("setupENINetwork: failed to find the link which uses MAC address of %s", m.ID)
	}
	table := route.Table(m.DeviceNumber + 1)
	d := h.plug(eni, fmt.Sprintf("eth%d", m.DeviceNumber), table)
	gateway := eni.Subnet.CIDR.Addr().Next()
	h.root.AddRoute(route.Route{Dst: netip.PrefixFrom(gateway, 32), Table: table}, d)
	h.root.AddRoute(route.Route{Dst: ipv4All, Via: gateway, Table: table}, d)
	return nil
}

// RemoveENI takes an interface's device away, and its routes with it.
func (h *Host) RemoveENI(id vpc.InterfaceID) {
	i := slices.IndexFunc(h.ports, func(p *port) bool { return p.eni.ID == id })
	if i < 0 {
		return
	}
	p := h.ports[i]
	h.ports = slices.Delete(h.ports, i, i+1)
	for _, r := range h.root.Routes().Routes(p.table) {
		h.root.DeleteRoute(p.table, r.Dst)
	}
	h.root.RemoveDevice(p.device)
}

// HasPod says whether the host has the veth of a pod.
func (h *Host) HasPod(namespace, name string) bool { return h.pods[podKey{namespace, name}] != nil }

func (h *Host) port(id vpc.InterfaceID) *port {
	for _, p := range h.ports {
		if p.eni.ID == id {
			return p
		}
	}
	return nil
}

// Pods is how many pods of the host have an address.
func (h *Host) Pods() int { return len(h.pods) }
