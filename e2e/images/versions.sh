# shellcheck shell=bash disable=SC2034 # read by make-images
# Every version that `make images` builds from. harness/backend/live/images.go has the names of the images as well; a test compares them.

# The real images, which are pulled where they can be, and what is built where they cannot.
real_node=kindest/node:v1.34.11@sha256:44e222ee2132dab25ff87301682f89eb82c7880ea3a1bf543bfe9708fd08d67d
real_localstack=localstack/localstack:4.14.0
real_tools=nicolaka/netshoot:v0.13
built_node=ekslab/node:v1.34.4
built_localstack=ekslab/localstack:4.14.0
built_tools=ekslab/tools:1

# Debian's suites: systemd of bookworm still runs under cgroup v1, LocalStack needs the Python of trixie (3.12 or newer).
node_suite=bookworm
localstack_suite=trixie
localstack_python=3.13

# Kubernetes 1.34 is the last that runs under cgroup v1 by a setting (kubelet's failCgroupV1); later ones refuse it by default.
kubernetes=v1.34.4
staging=v0.34.4 # the same release of k8s.io/api, k8s.io/client-go ...
# The images that kubeadm of that release looks for (kubernetes/cmd/kubeadm/app/constants/constants.go), and what is built to be them.
etcd_tag=3.6.5-0
coredns_tag=v1.12.1
pause_tag=3.10.1
etcd=v3.6.16
coredns=v1.12.1
# The node's own files, such as its entrypoint, come with the module of kind.
kind=v0.33.0

# What LocalStack is made of: localstack-requirements.txt.
