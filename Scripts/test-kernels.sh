#!/bin/bash
# Boots each of Debian's stock kernels with its own systemd under QEMU's emulation, and asks immure within: test-kernels.sh BIN [SUITE…].
# What they said is written to docs/kernels.md when every one was asked and every check passed. What is fetched and made stays in .deps/lab.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$1
shift
[ "$(id -u)" -eq 0 ] || { echo "test-kernels.sh: run as root: a Debian is unpacked with its owners" >&2; exit 1; }
page=$(mktemp)
trap 'rm -f "$page"' EXIT
status=0
nice Scripts/lab/lab.py whole "$bin" .deps/lab "$@" >"$page" || status=$?
if [ $status -eq 0 ] && [ $# -eq 0 ]; then
  cp "$page" docs/kernels.md
  chmod 644 docs/kernels.md
else
  cat "$page"
fi
exit $status
