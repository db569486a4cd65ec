#!/bin/bash
# Measures starts and memory against bubblewrap and the floor, the OCI verbs against crun and runc, what the sentry costs against nothing, a
# bare notification and PTRACE_SYSEMU, images against umoci, podman, skopeo and ctr, seccomp programs against libseccomp:
# bench.sh BIN_FOLDER [--quick] [start|oci|sentry|images|seccomp …]. As root or with sudo. A part that fails is told at the end, and the others are
# measured all the same. Ends with 3 where a goal is missed, with 1 where something is wrong.
set -euo pipefail

usage="usage: bench.sh BIN_FOLDER [--quick] [start|oci|sentry|images|seccomp …]"
bin=$(realpath "${1:?$usage}")
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$bin" "${@:2}"
shift
quick=()
parts=()
for word in "$@"; do
  case $word in
    --quick) quick=(--quick) ;;
    start | oci | sentry | images | seccomp) parts+=("$word") ;;
    *) echo "bench.sh: \"$word\": $usage" >&2; exit 2 ;;
  esac
done
if [ ${#parts[@]} -eq 0 ]; then
  parts=(start oci sentry images)
  # The filters' part is built first, for minutes.
  [ ${#quick[@]} -gt 0 ] || parts+=(seccomp)
fi

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
for program in spawner floor oci-floor sentry-calls supervisor; do
  gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static "Bench/$program.c" -o "$tools/$program"
done
# With the C library that images have, whose call sites are others.
gcc -std=gnu11 -O2 Bench/sentry-calls.c -o "$tools/calls"
# As installed: the file that the linker wrote lies in the page cache page by page, a copy in larger pieces, which are quicker to map.
mkdir "$tools/bin"
for program in immure immure-front; do [ ! -e "$bin/$program" ] || cp "$bin/$program" "$tools/bin/"; done
ln -s immure "$tools/bin/immure-oci"
bin=$tools/bin
uname -sr
echo "$(nproc) processors, load $(cut -d' ' -f1-3 /proc/loadavg)"
bwrap --version
"$bin/immure" version

measure() {
  case $1 in
    start) /usr/bin/python3 -B Bench/bench.py "$bin/immure" "$tools/spawner" "$tools/floor" .deps/guest/init "${quick[@]}" ;;
    oci) /usr/bin/python3 -B Bench/oci-bench.py "$bin/immure-oci" "$tools/spawner" "$tools/oci-floor" "${quick[@]}" ;;
    sentry)
      /usr/bin/python3 -B Bench/sentry-bench.py "$bin/immure" "$tools/spawner" "$tools/calls" "$tools/sentry-calls" "$tools/supervisor" "${quick[@]}"
      ;;
    images) /usr/bin/python3 -B Bench/images.py "$bin/immure" "$tools/spawner" .build "${quick[@]}" ;;
    seccomp) SCRATCH=.build Bench/seccomp.sh ;;
  esac
}

results=()
status=0
for part in "${parts[@]}"; do
  printf '\n== %s\n' "$part"
  begun=$SECONDS
  ended=0
  measure "$part" || ended=$?
  case $ended in
    0) result="all goals met" ;;
    3) result="goals missed"; [ $status -ne 0 ] || status=3 ;;
    *) result="FAILED ($ended)"; status=1 ;;
  esac
  results+=("$(printf '%-8s %5d s  %s' "$part" $((SECONDS - begun)) "$result")")
done
printf '\n'
printf '%s\n' "${results[@]}"
exit $status
