# shellcheck shell=bash
# ekslab/node: a node image as kind makes them, of Debian packages, of kind's own node files from its Go module, and of Kubernetes, etcd and CoreDNS
# compiled from theirs. The control plane's images are in the node's containerd under the names that kubeadm looks for.

node_packages=(systemd systemd-sysv dbus containerd runc containernetworking-plugins iproute2 iptables nftables conntrack ethtool socat tcpdump
  util-linux mount kmod procps hostname ebtables ipset libseccomp2 nfs-common fuse-overlayfs
  ca-certificates curl jq bash rsync openssl gzip tar xz-utils pigz)
kubernetes_commands=(kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl)

node_rootfs() { debian "$node_suite" "${node_packages[@]}"; }

# static PACKAGE FILE [LDFLAGS]: a static binary; the same flags each time, so that Go's build cache is of use
static() { go build -mod=mod -trimpath -ldflags "-s -w ${3:-}" -o "$2" "$1"; }

# The staging modules are published with the number v0 in place of v1; k8s.io/kubernetes itself points at folders that its module does not hold.
kubernetes_binaries() {
  local source c
  go mod download "k8s.io/kubernetes@$kubernetes"
  source=$(go env GOMODCACHE)/k8s.io/kubernetes@$kubernetes
  {
    printf 'module kubernetes\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes %s\n\nreplace (\n' "$kubernetes"
    sed -nE 's#^\s*(k8s\.io/[a-z-]+) => \./staging.*#\1#p' "$source/go.mod" | while read -r c; do printf '\t%s => %s %s\n' "$c" "$c" "$staging"; done
    echo ')'
  } >go.mod
  {
    printf '//go:build imports\n\npackage kubernetes\n'
    for c in "${kubernetes_commands[@]}"; do printf 'import _ "k8s.io/kubernetes/cmd/%s"\n' "$c"; done
  } >imports.go
  go mod tidy
  for c in "${kubernetes_commands[@]}"; do
    static "k8s.io/kubernetes/cmd/$c" "bin/$c" \
      "-X k8s.io/component-base/version.gitVersion=$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$kubernetes")"
    printf '%s compiled\n' "$c"
  done
}

# Each in a module of its own: their requirements clash.
etcd_binary() { go mod init etcd && go get "go.etcd.io/etcd/server/v3@$etcd" && static go.etcd.io/etcd/server/v3 bin/etcd; }
coredns_binary() { go mod init coredns && go get "github.com/coredns/coredns@$coredns" && static github.com/coredns/coredns bin/coredns; }
pause_binary() { local out=$PWD; cd "$here/pause" && go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$out/bin/pause" .; }

# archived REF ENTRYPOINT LAYER...: adds an image to ./archive, in the form of `docker save`
archived() {
  local ref=$1 entrypoint=$2 layers=() sum l config id
  shift 2
  mkdir -p archive
  for l; do
    sum=$(sha256sum "$l" | cut -d' ' -f1)
    [ -e "archive/$sum.tar" ] || cp "$l" "archive/$sum.tar"
    layers+=("$sum")
  done
  config=$(jq -nc --arg entrypoint "$entrypoint" --arg architecture "$(go env GOARCH)" '{
    architecture: $architecture, os: "linux", created: "1970-01-01T00:00:00Z",
    config: {Entrypoint: [$entrypoint], Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], WorkingDir: "/"},
    rootfs: {type: "layers", diff_ids: ($ARGS.positional | map("sha256:" + .))},
    history: ($ARGS.positional | map({created: "1970-01-01T00:00:00Z"}))}' --args "${layers[@]}")
  id=$(printf %s "$config" | sha256sum | cut -d' ' -f1)
  printf %s "$config" >"archive/$id.json"
  jq -nc --arg id "$id" --arg ref "$ref" '{Config: ($id + ".json"), RepoTags: [$ref], Layers: ($ARGS.positional | map(. + ".tar"))}' --args "${layers[@]}" >>archive.lines
}

# layer BINARY PATH: ./layer.tar with one program in it
layer() {
  rm -rf layer layer.tar
  install -D -m 755 "$1" "layer$2"
  tar -C layer --numeric-owner --owner=0 --group=0 --mtime=@0 --sort=name -cf layer.tar .
}

control_plane_archive() {
  local c
  for c in kube-apiserver kube-controller-manager kube-scheduler; do
    layer "$cache/kubernetes/bin/$c" "/usr/local/bin/$c"
    archived "registry.k8s.io/$c:$kubernetes" "/usr/local/bin/$c" layer.tar
  done
  layer "$cache/etcd/bin/etcd" /usr/local/bin/etcd
  archived "registry.k8s.io/etcd:$etcd_tag" /usr/local/bin/etcd layer.tar
  layer "$cache/coredns/bin/coredns" /coredns
  archived "registry.k8s.io/coredns/coredns:$coredns_tag" /coredns layer.tar
  layer "$cache/pause/bin/pause" /pause
  archived "registry.k8s.io/pause:$pause_tag" /pause layer.tar
  # kube-proxy calls iptables and nft; the image it stands on has them.
  tar -C "$cache/tools-rootfs" --numeric-owner -cf tools.tar .
  layer "$cache/kubernetes/bin/kube-proxy" /usr/local/bin/kube-proxy
  archived "registry.k8s.io/kube-proxy:$kubernetes" /usr/local/bin/kube-proxy tools.tar layer.tar
  jq -s . archive.lines >archive/manifest.json
  tar -C archive -cf control-plane.tar .
}

# kind's files, with what differs here: containerd is Debian's, and nothing may need CAP_SYS_RESOURCE, which a machine may withhold: no raised limits, no
# lowered OOM score, and runc as runc-bounded has it.
node_files() {
  local files d
  go mod download "sigs.k8s.io/kind@$kind"
  files=$(go env GOMODCACHE)/sigs.k8s.io/kind@$kind/images/base/files
  mkdir -p root/{kind/images,kind/manifests,LICENSES,etc/kubernetes/manifests,opt/cni/bin}
  for d in usr/local/bin kind etc; do cp -r --no-preserve=mode "$files/$d/." "root/$d/"; done
  chmod 755 root/usr/local/bin/* root/kind root/kind/bin root/kind/bin/*
  sed -i 's#/usr/local/bin/containerd#/usr/bin/containerd#; /^Limit/d; /^TasksMax/d; /^OOMScoreAdjust/d' root/etc/systemd/system/containerd.service
  sed -i "s#pause:[0-9.]*\"#pause:$pause_tag\"#; s/restrict_oom_score_adj = false/restrict_oom_score_adj = true/" root/etc/containerd/config.toml
  grep -q "pause:$pause_tag\"" root/etc/containerd/config.toml
  grep -q 'restrict_oom_score_adj = true' root/etc/containerd/config.toml
  mv root/usr/sbin/runc root/usr/sbin/runc.real
  install -m 755 "$here/runc-bounded" root/usr/sbin/runc
  install -m 755 "$cache"/kubernetes/bin/{kubelet,kubeadm,kubectl} root/usr/bin/
  cp root/usr/lib/cni/{host-local,loopback,ptp,portmap,bridge} root/opt/cni/bin/
  printf %s "$kubernetes" >root/kind/version
  find root/lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
  rm -f root/{lib,etc}/systemd/system/multi-user.target.wants/* root/etc/systemd/system/*.wants/* root/lib/systemd/system/local-fs.target.wants/* \
    root/lib/systemd/system/sockets.target.wants/*{udev,initctl}* root/lib/systemd/system/basic.target.wants/*
  echo ReadKMsg=no >>root/etc/systemd/journald.conf
  chroot root systemctl enable kubelet.service containerd.service undo-mount-hacks.service
  chroot root systemctl mask systemd-binfmt.service
  chroot root ctr oci spec |
    jq '.hooks.createContainer[.hooks.createContainer | length] |= . + {"path": "/kind/bin/mount-product-files.sh"} | del(.process.rlimits)' >cri-base.json
  mv cri-base.json root/etc/containerd/cri-base.json
}

# The node's own containerd takes the control plane's images in, in namespaces that end with this.
node_images() {
  mv control-plane.tar root/control-plane.tar
  unshare --mount --pid --fork --kill-child chroot root bash -euc '
    mount -t proc proc /proc
    mkdir -p /run/import
    printf "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n" >/run/import/config.toml
    containerd --config /run/import/config.toml --state /run/import/state --address /run/import/socket >/run/import/log 2>&1 &
    for i in $(seq 30); do ctr --address /run/import/socket version >/dev/null 2>&1 && break; sleep 1; done
    ctr --address /run/import/socket --namespace k8s.io images import --all-platforms --no-unpack /control-plane.tar || { cat /run/import/log; exit 1; }
    ctr --address /run/import/socket --namespace k8s.io images ls -q
    kill %1
    wait || true'
  rm -rf root/control-plane.tar root/run/import
}

node_image() {
  cp -a "$cache/node-rootfs" root
  node_files
  control_plane_archive
  node_images
  import "$built_node" root 'ENV container=docker' 'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]'
}

make_node() {
  step tools-rootfs tools_rootfs "$node_suite" "${tools_packages[*]}" "$(text debian)"
  step node-rootfs node_rootfs "$node_suite" "${node_packages[*]}" "$(text debian)"
  step kubernetes kubernetes_binaries "$kubernetes" "$staging" "${kubernetes_commands[*]}" "$(text static)"
  step etcd etcd_binary "$etcd" "$(text static)"
  step coredns coredns_binary "$coredns" "$(text static)"
  step pause pause_binary "$(cat "$here/pause/main.go")"
  image "$built_node" node-image node_image "$(cat "$cache"/{tools-rootfs,node-rootfs,kubernetes,etcd,coredns,pause}.key)" "$kind" "$etcd_tag $coredns_tag $pause_tag" \
    "$(text node_files node_images control_plane_archive archived layer)" "$(cat "$here/runc-bounded")"
}
