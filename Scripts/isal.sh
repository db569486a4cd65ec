#!/bin/bash
# Makes ISA-L's inflate a static library, .deps/lib/libisal.a: Debian has it as a shared one only, and our executables are static. The
# source is Debian's, fetched and verified by apt from where the machine's packages come from. Where that is not to be had it says so and
# ends with 0 all the same: layers are then inflated by zlib, which takes more than twice as long.
set -euo pipefail
cd "$(dirname "$0")/.."
library=.deps/lib/libisal.a
[ ! -e $library ] || exit 0

without() {
  echo "isal.sh: $1: layers will be inflated by zlib, more slowly" >&2
  exit 0
}

[ "$(uname -m)" = x86_64 ] || without "this processor's ISA-L was not tried"
Scripts/install-packages.sh isal || without "its packages cannot be installed"
# "500 http://deb.debian.org/debian bookworm/main amd64 Packages"
read -r _ site place _ < <(apt-cache policy libisal-dev | grep -m1 -E '^ +[0-9]+ [a-z]+:.*/main ') || without "apt does not know where libisal-dev comes from"
suite=${place%%/*}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/source"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $suite main" >"$work/sources.list"
options=(-q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$work/lists"
  -o "Dir::Cache=$work" -o APT::Sandbox::User=root -o Acquire::Retries=2)
log=$work/log
{ apt-get "${options[@]}" update && (cd "$work/source" && apt-get "${options[@]}" source --download-only libisal2); } >"$log" 2>&1 ||
  without "its source cannot be fetched ($(grep -m1 -E '^(E|W|Err):?' "$log" || echo "see apt-get source libisal2"))"
# Debian's one patch is for another architecture.
tar -C "$work/source" -xf "$work"/source/*.orig.tar.* --strip-components=1
make -s -C "$work/source" -f Makefile.unx lib units="igzip crc" >"$log" 2>&1 || without "it does not build ($(tail -n 1 "$log"))"
mkdir -p .deps/lib
install -m 644 "$work/source/bin/isa-l.a" $library.new
mv $library.new $library
