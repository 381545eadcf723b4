package live

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ekslab/ekslab/harness/backend"
)

// minMemory is what Docker should have for a cluster of a control plane and a few workers. Soon after its start a control plane with etcd took
// 450 MiB and a worker 90 MiB, as `docker stats` has it.
const minMemory = 4 << 30

// MachineNeeds says what a live run needs of the machine beside its images. It runs one short container in the tools image if that is here, since only
// the kernel that runs containers can say what it can do: under Docker Desktop that is not this machine's. It looks once; that Docker answers and its command is there are needs of their own.
func (i *Images) MachineNeeds(ctx context.Context) []backend.Need {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.machine == nil {
		needs := i.machineNeeds(ctx)
		if ctx.Err() != nil {
			return needs
		}
		i.machine = needs
	}
	return i.machine
}

func (i *Images) machineNeeds(ctx context.Context) []backend.Need {
	out, err := i.output(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return []backend.Need{{
			Name:    "Docker engine",
			Problem: "`docker info` fails: " + err.Error(),
			Remedy:  "see that Docker runs and that you may use it (the group docker, or sudo)",
		}}
	}
	needs := engineNeeds(out)
	if len(needs) > 1 {
		needs = append(needs, i.kernelNeed(ctx))
	}
	return needs
}

// engineNeeds reads what `docker info` says: Linux containers, and memory.
func engineNeeds(info []byte) []backend.Need {
	var d struct {
		MemTotal                                                          int64
		NCPU                                                              int
		OSType, Architecture, KernelVersion, CgroupVersion, ServerVersion string
	}
	if err := json.Unmarshal(info, &d); err != nil {
		return []backend.Need{{Name: "Docker engine", Problem: fmt.Sprintf("`docker info` answers what cannot be read: %v", err), Remedy: "update Docker"}}
	}
	engine := backend.Need{Name: "Docker engine"}
	if d.OSType != "linux" {
		engine.Problem = fmt.Sprintf("Docker runs %s containers", d.OSType)
		engine.Remedy = "switch Docker to Linux containers"
		return []backend.Need{engine}
	}
	engine.Found = fmt.Sprintf("%s, Linux %s on %s, cgroup v%s", d.ServerVersion, d.KernelVersion, d.Architecture, d.CgroupVersion)
	memory := backend.Need{Name: "memory"}
	gib := float64(d.MemTotal) / (1 << 30)
	if d.MemTotal < minMemory {
		memory.Problem = fmt.Sprintf("Docker has %.1f GiB; a cluster needs %d", gib, minMemory>>30)
		memory.Remedy = "give Docker more memory (Docker Desktop: Settings, Resources)"
	} else {
		memory.Found = fmt.Sprintf("%.1f GiB, %d processors", gib, d.NCPU)
	}
	return []backend.Need{engine, memory}
}

// kernelFeatures are what the router and the nodes ask of the kernel, each with a command that fails where it is missing. They are tried in a network
// namespace of the container's own.
var kernelFeatures = []struct{ name, try string }{
	{"veth", "ip link add probe0 type veth peer name probe1"},
	{"nftables with NAT", "nft add table ip probe && nft 'add chain ip probe pre { type nat hook prerouting priority -100; }' && nft 'add chain ip probe post { type nat hook postrouting priority 100; }'"},
	{"choice by hash (nft_hash)", "nft 'add rule ip probe pre tcp dport 80 dnat ip to jhash ip saddr . tcp sport mod 2 seed 0x1 map { 0 : 192.0.2.1 . 80, 1 : 192.0.2.2 . 80 }'"},
	{"masquerade (iptables)", "iptables -t nat -A POSTROUTING -j MASQUERADE"},
	{"statistic match (xt_statistic)", "iptables -t nat -A OUTPUT -m statistic --mode random --probability 0.5 -j ACCEPT"},
	{"conntrack", "conntrack -L"},
	{"policy routing", "ip rule add from 192.0.2.9 lookup 100"},
	{"tcp_syn_linear_timeouts (Linux 6.5)", "test -e /proc/sys/net/ipv4/tcp_syn_linear_timeouts"},
}

// probeLabel marks the container as ekslab's, so that one that is left behind is cleaned away.
const probeLabel = "io.ekslab.run=doctor"

// kernelNeed tries the features in a privileged container.
func (i *Images) kernelNeed(ctx context.Context) backend.Need {
	n := backend.Need{Name: "kernel"}
	var image Image
	var err error
	for _, ref := range i.refs(ToolsImage) {
		if image, err = i.inspect(ctx, ToolsImage, ref); err == nil {
			break
		}
	}
	if err != nil {
		n.Found = "not tried: that takes the tools image"
		return n
	}
	var script strings.Builder
	for _, f := range kernelFeatures {
		fmt.Fprintf(&script, "( %s ) >/dev/null 2>&1 || echo '%s'\n", f.try, f.name)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := i.output(ctx, "run", "--rm", "--privileged", "--network", "none", "--label", probeLabel, "--entrypoint", "sh", image.Ref, "-c", script.String())
	if err != nil {
		n.Problem = "a privileged container does not start: " + err.Error()
		n.Remedy = "run Docker where privileged containers may run; where only CAP_SYS_RESOURCE is missing, e2e/docker-engine start does without it"
		return n
	}
	if missing := strings.Split(strings.TrimSpace(string(out)), "\n"); missing[0] != "" {
		n.Problem = "the kernel that runs containers lacks " + strings.Join(missing, ", ")
		n.Remedy = "load the kernel's modules for it (Linux: sudo modprobe nf_tables nft_hash xt_statistic), or use another kernel"
		return n
	}
	n.Found = fmt.Sprintf("has what a router and nodes need (%d features tried)", len(kernelFeatures))
	return n
}

// Inotify instances are what a machine runs out of first when it runs many nodes: each has a systemd, a kubelet and a containerd, which share the one
// allowance of their user. A cluster of a control plane and five workers had 181 of them open, with pods; with Linux's default of 128 it came up on some days
// and had kubelets that ended with "inotify_init: too many open files" on others.
const (
	inotifyPerNode = 26
	inotifyOfRest  = 25
	inotifyLimit   = "/proc/sys/fs/inotify/max_user_instances"
)

// inotifyNeed is the need for inotify instances of that many workers. Where the limit cannot be read Docker runs on another machine than this one,
// and nothing is said.
func inotifyNeed(workers int, read func(name string) ([]byte, error)) backend.Need {
	n := backend.Need{Name: "inotify instances"}
	need := inotifyOfRest + (workers+1)*inotifyPerNode
	text, err := read(inotifyLimit)
	limit, malformed := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || malformed != nil:
		n.Found = "not known here"
	case limit < need:
		n.Problem = fmt.Sprintf("%d workers take about %d inotify instances; the kernel allows %d", workers, need, limit)
		n.Remedy = fmt.Sprintf("sudo sysctl fs.inotify.max_user_instances=%d", max(512, need))
	default:
		n.Found = fmt.Sprintf("%d allowed, about %d needed", limit, need)
	}
	return n
}
