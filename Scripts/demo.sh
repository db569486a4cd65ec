#!/usr/bin/env bash
# One hostile program, from an image and from this machine's own programs, behind each wall that can be raised, and once unjailed.
set -euo pipefail
bin=$(realpath "$1")
top=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "demo: the control and the walls' full strength need root: sudo make demo" >&2; exit 1; }
tar="$top/.deps/demo/debian.tar"
# mmdebstrap goes by the ending.
part="$top/.deps/demo/unfinished.tar"
if [ ! -f "$tar" ]; then
  mkdir -p "$top/.deps/demo"
  echo "making a Debian image with Python (once, about 20 s) …" >&2
  mmdebstrap --quiet --variant=minbase --include=python3 bookworm "$part" >&2
  mv "$part" "$tar"
fi
exec /usr/bin/python3 "$top/demo/demo.py" "$bin" "$tar"
