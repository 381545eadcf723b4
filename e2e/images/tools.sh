# shellcheck shell=bash
# ekslab/tools: the router of a live run and its tools. Its root file system is also what kube-proxy's image stands on in ekslab/node.

tools_packages=(iproute2 iptables nftables conntrack ipset tcpdump ethtool procps kmod)

tools_rootfs() { debian "$node_suite" "${tools_packages[@]}"; }

tools_image() { import "$built_tools" "$cache/tools-rootfs" 'CMD ["sleep","infinity"]'; }

make_tools() {
  step tools-rootfs tools_rootfs "$node_suite" "${tools_packages[*]}" "$(text debian)"
  image "$built_tools" tools-image tools_image "$(cat "$cache/tools-rootfs.key")"
}
