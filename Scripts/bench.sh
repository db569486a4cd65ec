#!/bin/bash
# Measures starts and memory against bubblewrap and the floor, the OCI verbs against crun and runc, images against umoci and podman, seccomp
# programs against libseccomp, and what the sentry costs against nothing, a bare notification and PTRACE_SYSEMU:
# bench.sh BIN_FOLDER [--quick]. As root or with sudo. Ends with 3 where a goal is missed.
set -euo pipefail

bin=$(realpath "${1:?usage: bench.sh BIN_FOLDER [--quick]}")
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$bin" "${@:2}"

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
bwrap --version
"$bin/immure" version
status=0
/usr/bin/python3 -B Bench/bench.py "$bin/immure" "$tools/spawner" "$tools/floor" .deps/guest/init "${@:2}" || status=$?
[ $status -eq 0 ] || [ $status -eq 3 ] || exit $status
echo
/usr/bin/python3 -B Bench/oci-bench.py "$bin/immure-oci" "$tools/spawner" "$tools/oci-floor" "${@:2}" || status=$?
[ $status -eq 0 ] || [ $status -eq 3 ] || exit $status
/usr/bin/python3 -B Bench/sentry-bench.py "$bin/immure" "$tools/spawner" "$tools/calls" "$tools/sentry-calls" "$tools/supervisor" "${@:2}" ||
  status=$?
[ $status -eq 0 ] || [ $status -eq 3 ] || exit $status

if [ "${2:-}" != --quick ]; then
  images=0
  /usr/bin/python3 Bench/images.py "$bin/immure" .build || images=$?
  [ $images -eq 0 ] || [ $images -eq 3 ] || exit $images
  [ $images -eq 0 ] || status=3
  echo
  SCRATCH=.build Bench/seccomp.sh
fi
exit $status
