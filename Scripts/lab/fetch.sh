#!/bin/bash
# What the lab boots, from Debian's mirror into a folder that is not in git: fetch.sh kernel|root SUITE FOLDER.
# kernel: FOLDER/SUITE/kernel/vmlinuz and modules/, the suite's stock kernel (the cloud flavour: the same sources, fewer drivers).
# root:   FOLDER/SUITE/root.ext4, a small Debian with systemd, dbus and podman; wants root.
# Nothing is fetched where it lies there already. apt works on lists of its own, so that this machine's stay as they are, and
# checks the archive's signature as ever.
set -euo pipefail
what=$1 suite=$2 folder=$3
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The archive that this machine's own packages come from.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/$' || true)
mirror=${mirror:-http://deb.debian.org/debian/}
mkdir -p "$folder/$suite"
folder=$(cd "$folder/$suite" && pwd)

private_apt() { # STATE COMMAND…
  local state=$1
  shift
  "$@" -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::sourcelist="$state/sources.list" -o APT::Sandbox::User=root -o Acquire::Retries=3 -o APT::Architecture=amd64
}

kernel() {
  [ -e "$folder/kernel/vmlinuz" ] && return
  local state=$folder/apt part=$folder/kernel.part packages package
  rm -rf "$state" "$part"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$part/tree"
  : >"$state/status"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$state/sources.list"
  private_apt "$state" apt-get update -q >&2
  # The meta package says which kernel is the suite's.
  package=$(private_apt "$state" apt-cache depends linux-image-cloud-amd64 | sed -nE 's/^ *Depends: (linux-image-[0-9].*)/\1/p' | head -1)
  [ -n "$package" ] || { echo "fetch.sh: $suite has no linux-image-cloud-amd64" >&2; return 1; }
  (cd "$part" && private_apt "$state" apt-get download -q "$package" >&2)
  packages=("$part"/*.deb)
  dpkg -x "${packages[0]}" "$part/tree"
  cp "$part"/tree/boot/vmlinuz-* "$part/vmlinuz"
  # Modules lie in /usr/lib where the suite has merged it.
  for modules in "$part"/tree/lib/modules/* "$part"/tree/usr/lib/modules/*; do
    [ -d "$modules" ] && cp -a "$modules" "$part/modules"
  done
  basename "${packages[0]}" .deb >"$part/package"
  rm -rf "$part/tree" "${packages[@]}" "$state" "$folder/kernel"
  mv "$part" "$folder/kernel"
}

root() {
  [ -e "$folder/root.ext4" ] && return
  local tree=$folder/root.part disk=$folder/root.ext4.part
  rm -rf --one-file-system "$tree" "$disk"
  mmdebstrap --quiet --mode=root --variant=minbase --keyring="$keyring" \
    --include=systemd,systemd-sysv,libpam-systemd,dbus,dbus-user-session,uidmap,podman,crun,conmon,catatonit,busybox-static,procps \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --aptopt='Acquire::Retries "3"' "$suite" "$tree" "$mirror" >&2
  rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/*
  # Nothing of a first boot: no questions, no waiting for a network or a second disk.
  echo lab >"$tree/etc/hostname"
  echo 0123456789abcdef0123456789abcdef >"$tree/etc/machine-id"
  : >"$tree/etc/fstab"
  rm -f "$tree/etc/resolv.conf"
  chroot "$tree" useradd -m -u 1000 -s /bin/sh someone
  chroot "$tree" sh -c 'grep -q ^someone: /etc/subuid || { echo someone:100000:65536 >>/etc/subuid; echo someone:100000:65536 >>/etc/subgid; }'
  truncate -s 1500M "$disk"
  mkfs.ext4 -q -d "$tree" -O ^has_journal -E lazy_itable_init=1 "$disk"
  rm -rf --one-file-system "$tree"
  mv "$disk" "$folder/root.ext4"
}

case $what in
  kernel) kernel ;;
  root) root ;;
  *) echo "fetch.sh: kernel or root, not \"$what\"" >&2; exit 2 ;;
esac
