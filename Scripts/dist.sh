#!/bin/bash
# One tar.gz that runs unpacked anywhere by any user, and a .deb of the same files: dist.sh BUILD-FOLDER [OUTPUT-FOLDER].
set -euo pipefail
from=$(realpath "$1")
cd "$(dirname "$0")/.."
output=${2:-dist}
version=$("$from/immure" --version | sed 's/^immure //')
case $(uname -m) in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *) architecture=$(uname -m) ;;
esac
# What runs without packages is linked to nothing.
for program in immure immure-front; do
  if readelf -d "$from/$program" 2>/dev/null | grep -q NEEDED; then
    echo "dist.sh: $from/$program is not static: make build" >&2
    exit 1
  fi
done
name="immure-$version-linux-$(uname -m)"
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"
Scripts/install.sh "$from" "$stage/$name"
mkdir -p "$output"
# The same files give the same bytes: order, owner and time are fixed.
moment=$(git log -1 --format=%ct 2>/dev/null || echo 0)
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$moment" -C "$stage" -c "$name" | gzip -n6 >"$output/$name.tar.gz"

root="$stage/deb"
mkdir -p "$root/DEBIAN"
cp -a "$stage/$name" "$root/usr"
gzip -n9 "$root"/usr/share/man/man1/*.1
cat >"$root/DEBIAN/control" <<CONTROL
Package: immure
Version: $version
Architecture: $architecture
Maintainer: The Immure authors <immure@localhost>
Section: admin
Priority: optional
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Recommends: uidmap
Suggests: passt, slirp4netns
Description: run code you don't trust, behind the wall you choose
 One command, one image store (OCI), one policy, several walls. Static: needs no other package.
CONTROL
find "$root" -exec touch -h -d "@$moment" {} +
SOURCE_DATE_EPOCH=$moment dpkg-deb --root-owner-group -Zxz -z1 --build "$root" "$output/immure_${version}_$architecture.deb" >/dev/null
ls -l "$output/$name.tar.gz" "$output/immure_${version}_$architecture.deb"
