#!/bin/bash
# A machine of its own for the daemons of container engines: processes, mounts, network, cgroups. It lives as long as somebody holds
# its standard input open; then its first process ends, with which the kernel kills all of it, and its cgroups are removed.
#
# usage: world.sh FOLDER IMMURE
#   FOLDER         removed at the end
#   FOLDER/etc     laid over /etc: the daemons' configuration, at the paths that the documents name
#   FOLDER/run.sh  what runs in it; FOLDER/pid then holds its first process, as seen from outside
# In it /usr/local/bin holds immure-oci and immure-sentry and nothing else; /run and /var/lib are its own.
set -eu
folder=$1 immure=$2

if [ "${3:-}" != inside ]; then
  name=immure-engines-$$
  groups=()
  finish() {
    for group in "${groups[@]}"; do
      # The dead leave their groups one by one; how long that may take is bounded.
      for _ in $(seq 500); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :
        [ -d "$group" ] || break
        read -rt 0.02 <>"$folder/nobody" || :
      done
    done
    rm -rf "$folder"
  }
  mkfifo "$folder/nobody"
  trap finish EXIT
  bash "$(dirname "$0")/hierarchies.sh" || :
  # Below the group that we are in, where it can be seen: its bounds stay ours. On version 2 at the top, for a group with processes
  # has no groups with controllers.
  while IFS=: read -r _ controllers path; do
    group=/sys/fs/cgroup/unified/$name
    [ ! -e /sys/fs/cgroup/cgroup.controllers ] || group=/sys/fs/cgroup/$name
    if [ -n "$controllers" ]; then
      group=/sys/fs/cgroup/${controllers#name=}/$name
      [ ! -d "${group%/*}$path" ] || group=${group%/*}${path%/}/$name
    fi
    # A hierarchy that is mounted in another namespace only is not ours.
    [ -d "${group%/*}" ] || continue
    mkdir "$group"
    groups+=("$group")
    if [ -e "$group/cpuset.mems" ] && [ -n "$controllers" ]; then
      cat "${group%/*}/cpuset.cpus" >"$group/cpuset.cpus"
      cat "${group%/*}/cpuset.mems" >"$group/cpuset.mems"
    fi
  done </proc/self/cgroup
  (
    for group in "${groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
    exec unshare --mount --propagation private --net --cgroup --uts --ipc --pid --fork --kill-child \
      bash "$0" "$folder" "$immure" inside
  )
  exit
fi

# /proc still is the machine's, so this is our number there.
read -r pid _ </proc/self/stat
# The groups anew, as seen from here: the machine's own are out of reach.
while read -r _ mount type options _; do
  case $type in
    cgroup)
      hierarchy=$(tr , '\n' <<<"$options" | grep -vE '^(rw|ro|relatime|nosuid|nodev|noexec|xattr)$' | paste -sd,)
      umount "$mount"
      mount -t cgroup -o "$hierarchy" cgroup "$mount"
      ;;
    cgroup2) umount "$mount" && mount -t cgroup2 cgroup2 "$mount" ;;
  esac
done < <(cat /proc/mounts)
mount -t proc proc /proc
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir /sys/fs/cgroup/daemons
  for process in $(cat /sys/fs/cgroup/cgroup.procs); do echo "$process" >/sys/fs/cgroup/daemons/cgroup.procs || :; done
  for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || :
  done
fi
for place in /run /var/lib /usr/local/bin; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
mkdir /run/lock /run/containerd /run/etc-work
cp -r "$folder/etc" /run/etc
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/etc-work overlay /etc
for name in oci sentry; do ln -s "$immure" "/usr/local/bin/immure-$name"; done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward || :
# A daemon's descriptors go on to the runtime: it gets none of ours.
env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root setsid bash "$folder/run.sh" </dev/null &
echo "$pid" >"$folder/pid.new" && mv "$folder/pid.new" "$folder/pid"
exec 1>/dev/null
cat || :
