#!/usr/bin/env bash
# The kernel for the virtual machine of test/e2e/guests.test.ts: Debian's for clouds, which has virtio, VLANs and bridges and is small. Its package
# is unpacked into a cache of ours, not installed: no initramfs is made and nothing of this machine changes. Prints the folder:
#
#   TAPSTACK_GUEST_ROOT=$(test/e2e/guest-root.sh) npx vitest run test/e2e/guests.test.ts
#
# The folder is used again as long as the distribution has no newer kernel; TAPSTACK_GUEST_CACHE says where it is. Needs apt and, where the lists of
# packages are older than the packages, root or sudo for `apt-get update`.
set -euo pipefail

say() { printf 'guest-root.sh: %s\n' "$*" >&2; }

architecture=$(dpkg --print-architecture)
if [[ $architecture != amd64 ]]; then
  say "the virtual machine of the tests is a PC, whose kernel is a package of amd64; this is $architecture."
  say "Unpack one by hand (dpkg-deb -x linux-image-*-cloud-amd64*.deb DIR) beside a busybox of amd64, and set TAPSTACK_GUEST_ROOT=DIR"
  exit 1
fi
# Debian's, and Ubuntu's, which has the modules in a package of their own.
metas=(linux-image-cloud-amd64 linux-image-virtual)

if [[ -n ${TAPSTACK_GUEST_CACHE:-} ]]; then cache=$TAPSTACK_GUEST_CACHE
elif [[ -n ${XDG_CACHE_HOME:-} ]]; then cache=$XDG_CACHE_HOME/tapstack
elif ((EUID == 0)); then cache=/var/cache/tapstack
else cache=$HOME/.cache/tapstack
fi
mkdir -p "$cache"
work=$(mktemp -d "$cache/work-XXXXXX")
trap 'rm -rf "$work"' EXIT

# What a package needs of this kind; nothing where apt does not know it.
needs() { { apt-cache depends "$1" 2>/dev/null || true; } | sed -n "s/^ *Depends: \\($2-[0-9][^ ]*\\)\$/\\1/p" | sed -n 1p; }
# The package that a name without a version stands for.
resolve() { for meta in "${metas[@]}"; do needs "$meta" linux-image; done | sed -n 1p; }
whole() { compgen -G "$1/boot/vmlinuz-*" >/dev/null && compgen -G "$1/lib/modules/*/kernel" >/dev/null; }
update() {
  say 'apt-get update'
  if ((EUID == 0)); then apt-get update -qq >&2; else sudo apt-get update -qq >&2; fi
}
# Downloads as root say in two lines that they are not done by _apt, which may not write here.
fetch() {
  local modules
  modules=$(needs "$1" linux-modules)
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$1" ${modules:+"$modules"} >&2)
}

# What is here already does when there is nothing better to be had.
settle() {
  for known in "$cache"/linux-image-*; do
    if whole "$known"; then
      say "$1; taking ${known##*/}, which is here"
      printf '%s\n' "$known"
      exit 0
    fi
  done
}

package=$(resolve)
if [[ -z $package ]]; then
  update || true
  package=$(resolve)
fi
if [[ -z $package ]]; then
  settle "apt knows none of ${metas[*]} at the moment"
  say "apt knows none of ${metas[*]}: is this Debian or Ubuntu?"
  exit 1
fi

root=$cache/$package
if ! whole "$root"; then
  if ! fetch "$package"; then
    update || true
    package=$(resolve)
    root=$cache/$package
    if ! fetch "$package"; then
      settle "$package cannot be had at the moment"
      say "$package cannot be downloaded"
      exit 1
    fi
  fi
  say "unpacking $package into $root"
  mkdir "$work/root"
  for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
  whole "$work/root" || { say "$package has no kernel with its modules in it"; exit 1; }
  chmod 755 "$work/root"
  # Somebody else may have been here meanwhile, and use theirs.
  if ! whole "$root"; then
    rm -rf "$root"
    mv -T "$work/root" "$root"
  fi
  # One at a time: those of before are of no more use.
  for known in "$cache"/linux-image-*; do
    [[ $known == "$root" ]] || rm -rf "$known"
  done
fi
printf '%s\n' "$root"
