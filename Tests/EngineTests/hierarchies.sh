#!/bin/bash
# hierarchies.sh: ends the version-1 hierarchies that no mount shows any more and that only a test's groups (immure*) held.
#
# A removed group leaves its hierarchy some time after rmdir(2) returns, and a hierarchy unmounted before that stays with the machine: every
# process has a line for it in /proc/self/cgroup, and daemons that want a mount for each line then count nothing. So it is mounted and
# unmounted once more. The kernel lets it go when it likes and tells nobody: how long that may take is bounded.
set -euo pipefail

unmounted() {
  local controllers
  while IFS=: read -r number controllers _; do
    [ "$number" != 0 ] || continue
    controllers=${controllers#name=}
    [ -e "/sys/fs/cgroup/${controllers%%,*}/tasks" ] || [ -e "/sys/fs/cgroup/$controllers/tasks" ] || echo "$controllers"
  done </proc/self/cgroup
}

isGone() {
  for _ in $(seq "$1"); do
    [ -n "$(unmounted)" ] || return 0
    read -rt 0.02 <>"$folder/nobody" || :
  done
  return 1
}

[ -n "$(unmounted)" ] || exit 0
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir "$folder/mount"
mkfifo "$folder/nobody"
! isGone 25 || exit 0
for _ in 1 2 3; do
  for controllers in $(unmounted); do
    option=$controllers
    ! grep -q ":name=$controllers:" /proc/self/cgroup || option=none,name=$controllers
    unshare --mount --propagation private sh -c '
      mount -t cgroup -o "$1" cgroup "$2" || exit 0
      find "$2" -mindepth 1 -depth -type d -path "$2/immure*" -exec rmdir {} +' sh "$option" "$folder/mount"
  done
  ! isGone 100 || exit 0
done
echo "hierarchies.sh: $(unmounted | paste -sd' ') stay: something still has groups there" >&2
