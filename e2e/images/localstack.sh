# shellcheck shell=bash
# ekslab/localstack: the community edition from PyPI, on Debian's Python. Like the real image it serves every AWS API on port 4566 and its health at
# /_localstack/health; it has what EC2 and S3 need and not the engines that other services download.

localstack_rootfs() { debian "$localstack_suite" python3 ca-certificates; }

# The wheels are for the Python of the image, whichever runs pip here. --no-deps: the list is whole, and markers would be those of this Python.
localstack_packages() {
  local machine
  machine=$(uname -m)
  python3 -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --no-compile --target . \
    --python-version "$localstack_python" --implementation cp --only-binary=:all: \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" --platform "manylinux_2_34_$machine" \
    -r "$here/localstack-requirements.txt"
}

localstack_image() {
  cp -a "$cache/localstack-rootfs" root
  mkdir -p root/opt/localstack root/var/lib/localstack
  cp -a "$cache/localstack-packages/." root/opt/localstack
  # Compiled here once instead of at each start. What is not Python of this version (templates, tests) does not compile and need not.
  unshare --mount chroot root python3 -m compileall -q -j 0 /opt/localstack || true
  import "$built_localstack" root \
    'ENV PYTHONPATH=/opt/localstack LOCALSTACK_VOLUME_DIR=/var/lib/localstack GATEWAY_LISTEN=0.0.0.0:4566 SKIP_SSL_CERT_DOWNLOAD=1 DISABLE_EVENTS=1 DNS_ADDRESS=0' \
    'EXPOSE 4566' 'ENTRYPOINT ["python3","-m","localstack.runtime.main"]'
}

make_localstack() {
  step localstack-rootfs localstack_rootfs "$localstack_suite" "$(text debian)"
  step localstack-packages localstack_packages "$localstack_python" "$(cat "$here/localstack-requirements.txt")"
  image "$built_localstack" localstack-image localstack_image "$(cat "$cache/localstack-rootfs.key" "$cache/localstack-packages.key")"
}
