# shellcheck shell=bash
# Steps with a memory: each is done once for its inputs, timed, and logged; a build that was cut short goes on at the step that was cut.
# Needs $cache. Sourced by make-images.

timings=()

die() {
  printf 'make-images: %s\n' "$*" >&2
  exit 1
}

# key TEXT...: what a step or an image was made from, as a short hash
key() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }

# text FUNCTION...: the functions as they are now; a changed recipe is another input
text() { declare -f "$@"; }

# step NAME FUNCTION INPUT...: runs FUNCTION in an empty folder, which becomes $cache/NAME, unless it is there from the same inputs.
# FUNCTION may not be called in a condition, or `set -e` would not hold in it; hence no `if step`.
step() {
  local name=$1 function=$2 made status began=$SECONDS
  shift 2
  made=$(key "$(text "$function")" "$@")
  if [ "$(cat "$cache/$name.key" 2>/dev/null)" = "$made" ] && [ -d "$cache/$name" ]; then
    note "$name" cached
    return
  fi
  printf '   %-22s ...\n' "$name"
  rm -rf --one-file-system "${cache:?}/$name" "$cache/$name.key" "$cache/$name.part"
  mkdir -p "$cache/$name.part" "$cache/log"
  set +e
  (
    set -euo pipefail
    cd "$cache/$name.part"
    "$function"
  ) >"$cache/log/$name.log" 2>&1 </dev/null
  status=$?
  set -e
  if [ $status -ne 0 ]; then
    tail -n 15 "$cache/log/$name.log" | sed 's/^/   | /' >&2
    die "the step $name failed after $((SECONDS - began)) s; its last lines are above, all of them in $cache/log/$name.log. Run make images again to go on from there"
  fi
  mv "$cache/$name.part" "$cache/$name"
  printf '%s\n' "$made" >"$cache/$name.key"
  note "$name" "$((SECONDS - began)) s"
}

# image REF NAME FUNCTION INPUT...: the last step of an image: FUNCTION ends with `docker import` to REF; the image itself remembers its inputs
image() {
  local ref=$1 name=$2 function=$3 began=$SECONDS status
  shift 3
  recipe=$(key "$(text "$function")" "$@")
  if [ "$(docker image inspect --format '{{index .Config.Labels "ekslab.recipe"}}' "$ref" 2>/dev/null)" = "$recipe" ]; then
    note "$name" "made before"
    return
  fi
  printf '   %-22s ...\n' "$name"
  rm -rf --one-file-system "$cache/$name.part"
  mkdir -p "$cache/$name.part" "$cache/log"
  set +e
  (
    set -euo pipefail
    cd "$cache/$name.part"
    "$function"
  ) >"$cache/log/$name.log" 2>&1 </dev/null
  status=$?
  set -e
  rm -rf --one-file-system "$cache/$name.part"
  if [ $status -ne 0 ]; then
    tail -n 15 "$cache/log/$name.log" | sed 's/^/   | /' >&2
    die "the image $ref could not be put together; the last lines are above, all of them in $cache/log/$name.log"
  fi
  note "$name" "$((SECONDS - began)) s"
}

# import REF FOLDER CHANGE...: the folder as an image of one layer, labelled with its recipe
import() {
  local ref=$1 folder=$2 changes=() change
  shift 2
  for change in "LABEL ekslab.recipe=$recipe" "$@"; do changes+=(--change "$change"); done
  tar -C "$folder" --numeric-owner -c . | docker import "${changes[@]}" - "$ref"
}

note() {
  timings+=("$(printf '%-22s %s' "$1" "$2")")
  printf '   %-22s %s\n' "$1" "$2"
}

# debian SUITE PACKAGE...: a root file system in ./, without what no container needs. The mounts of debootstrap stay in a namespace of their own, so
# that none is left behind when it is killed.
debian() {
  local suite=$1 mirror=()
  shift
  mkdir -p "$cache/debs-$suite"
  if [ -n "${EKSLAB_DEBIAN_MIRROR:-}" ]; then mirror=("$EKSLAB_DEBIAN_MIRROR"); fi
  unshare --mount debootstrap --variant=minbase --cache-dir="$cache/debs-$suite" --include="$(IFS=,; echo "$*")" "$suite" . "${mirror[@]}"
  rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc/* usr/share/man/* usr/share/info/* usr/share/locale/*
  # What debootstrap copied from this machine.
  : >etc/resolv.conf
  echo localhost >etc/hostname
}
