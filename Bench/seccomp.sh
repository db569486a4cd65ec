#!/bin/bash
# Docker's profile compiled by Immure and by libseccomp (linear and as a tree): program sizes, instructions executed by the
# commonest calls, and what compiling our own profiles costs. Fails where libseccomp is ahead. Wants python3-seccomp.
set -euo pipefail
cd "$(dirname "$0")/.."
/usr/bin/python3 -c 'import seccomp' 2>/dev/null || {
  echo "ERROR: python3-seccomp is missing: apt-get install python3-seccomp" >&2
  exit 1
}
export IMMURE_PARTS=core
log=$(mktemp)
trap 'rm -f "$log"' EXIT
swift test -c release --scratch-path "${SCRATCH:-.build-bench}" \
  --filter 'SeccompTests\.(LibseccompTests|DefaultProfileTests/speed)' >"$log" 2>&1 || {
  grep -E 'error:|✘' "$log" >&2
  exit 1
}
grep -E "^(Docker's profile|instructions|steps of|compile) " "$log"
