#!/bin/sh
# The lab's checks where systemd is PID 1: those of checks.sh, the systemd driver as root and in a user's own manager, and podman by both.
# Run by lab.service; as "systemd.sh user" by itself, in a scope of the user's.
lab=/opt/lab
. $lab/checks.sh

show() { systemctl $manager show -p "$2" --value "$1"; }

# What systemd knows of the scope, and that it holds to it when it reads its files anew.
unit_is_known() {
  same "$(show "$unit" ActiveState) $(show "$unit" Slice) $(show "$unit" Delegate)" "active $slice yes"
}
unit_has_limits() {
  same "$(show "$unit" MemoryMax) $(show "$unit" TasksMax) $(show "$unit" CPUWeight) $(show "$unit" CPUQuotaPerSecUSec)" \
    "67108864 40 $weight 500ms"
}
unit_is_updated() {
  same "$(show "$unit" MemoryMax) $(show "$unit" TasksMax) $(show "$unit" CPUQuotaPerSecUSec)" "100663296 50 500ms"
}
survives_reload() {
  folder=$(group_of "$(oci_pid)")
  before="$(cat "$folder/memory.max") $(cat "$folder/pids.max") $(cat "$folder/cpu.max")"
  systemctl $manager daemon-reload || return 1
  same "$(cat "$folder/memory.max") $(cat "$folder/pids.max") $(cat "$folder/cpu.max")" "$before" && echo "$before"
}
reload_keeps_the_device_shut() {
  oci_device '' 'Operation not permitted' >/dev/null || return 1
  systemctl daemon-reload || return 1
  out=$(oci exec box sh -c 'exec 3</tmp/serial && echo came-through' 2>&1)
  case $out in *'Operation not permitted'*) ;; *) echo "$out"; return 1 ;; esac
}
unit_is_gone() {
  [ "$(show "$unit" LoadState)" = not-found ] || { systemctl $manager status "$unit"; return 1; }
}
same_name_again() { oci_creates && oci delete --force box; }
memory_kill_leaves_no_unit() {
  oci_creates || return 1
  oci start box
  # Within the container: what is over its limit is ended by the kernel.
  oci exec box tail -c 200000000 /dev/zero && { echo "nothing was killed"; return 1; }
  oci delete --force box && unit_is_gone
}
annotation_is_held() {
  configure
  sed -i 's|"ociVersion":"1.2.0",|&"annotations":{"org.systemd.property.TimeoutStopSec":"7","org.systemd.property.Documentation":"['"'man:immure(1)'"']"},|' \
    "$bundle/config.json"
  oci create --bundle "$bundle" box </dev/null >/dev/null 2>"$bundle/error" || { cat "$bundle/error"; return 1; }
  same "$(show "$unit" TimeoutStopUSec) $(show "$unit" Documentation | tr -d '"')" "7s man:immure(1)" || return 1
  oci delete --force box
}
annotation_is_refused() {
  configure
  sed -i 's|"ociVersion":"1.2.0",|&"annotations":{"org.systemd.property.Delegate":"false"},|' "$bundle/config.json"
  out=$(oci create --bundle "$bundle" box 2>&1 </dev/null) && { oci delete --force box; return 1; }
  echo "$out"
  case $out in *org.systemd.property.Delegate*) ;; *) return 1 ;; esac
}

driver_checks() { # GROUP
  check "$1" "create makes the scope" oci_creates
  check "$1" "systemctl sees it, in its slice, delegated" unit_is_known
  check "$1" "its limits as properties" unit_has_limits
  check "$1" "memory.max, pids.max, cpu.max, cpu.weight read back" oci_limits
  check "$1" "start" oci_starts
  check "$1" "exec" oci_enters
  check "$1" "its own group at /sys/fs/cgroup" oci_sees_its_group
  check "$1" "pause and resume by the freezer" oci_pauses
  check "$1" "update" oci_updates
  check "$1" "update reaches the properties" unit_is_updated
  check "$1" "daemon-reload undoes no limit" survives_reload
  check "$1" "kill and delete leave no group" oci_ends
  check "$1" "nor a unit" unit_is_gone
  check "$1" "the same name again" same_name_again
  check "$1" "nor after a memory kill" memory_kill_leaves_no_unit
  check "$1" "org.systemd.property annotations" annotation_is_held
  check "$1" "one that is the wall's own is refused" annotation_is_refused
  if [ -z "$own_user" ]; then
    check "$1" "a device is refused by eBPF, after daemon-reload too" reload_keeps_the_device_shut
    check "$1" "a device that a rule allows opens" oci_device ',{"allow":true,"type":"c","major":4,"minor":64,"access":"rwm"}' came-through
    oci delete --force box
  fi
}

# podman with its own choice of cgroup manager, which is systemd here; the image is busybox as a whole root.
image() {
  configure
  tar -C "$bundle/rootfs" --owner=0 --group=0 -cf "$scratch/tiny.tar" . && podman import --quiet "$scratch/tiny.tar" tiny >/dev/null
}
pod() { timeout 250 podman --runtime $lab/bin/immure-oci "$@"; }
podman_runs() { same "$(pod run --rm --network none tiny /bin/echo hello)" hello; }
podman_limits() {
  id=$(pod run -d --network none --memory 64m --pids-limit 44 tiny /bin/sleep 1000) || return 1
  folder=$(group_of "$(pod inspect -f '{{.State.Pid}}' "$id")")
  same "$(cat "$folder/memory.max") $(cat "$folder/pids.max")" "67108864 44" || return 1
  # Its group is a scope: systemd made it.
  case $folder in */libpod-$id.scope*) ;; *) echo "$folder"; return 1 ;; esac
  show "libpod-$id.scope" ActiveState
}
podman_enters() { same "$(pod exec "$id" /bin/echo inside)" inside; }
podman_ends() { pod rm -f -t 0 "$id" >/dev/null && same "$(show "libpod-$id.scope" ActiveState)" inactive; }
podman_checks() { # GROUP
  check "$1" "import" image
  check "$1" "run" podman_runs
  # The checks of one command share its variables: not in the subshell that `check` captures.
  check "$1" "limits read back from its scope" podman_limits
  id=$(pod ps -q --no-trunc | head -1)
  check "$1" "exec" podman_enters
  check "$1" "rm leaves no scope" podman_ends
}

cd /
if [ "${1:-}" = user ]; then
  export HOME=/home/someone
  scratch=$HOME bundle=$HOME/bundle manager=--user
  container_checks "container wall, user" user
  jail_checks "jail wall, user" user
  driver=--systemd-cgroup at=user.slice:lab:box unit=lab-box.scope slice=user.slice
  own_user='"uidMappings":[{"containerID":0,"hostID":1000,"size":1}],"gidMappings":[{"containerID":0,"hostID":1000,"size":1}],'
  driver_checks "systemd driver, user"
  podman_checks "podman with systemd's cgroups, user"
  exit 0
fi

export HOME=/root
manager=
stty -F $port raw -echo
machine_facts
fact systemd "$(systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
fact podman "$(podman --version | sed 's/podman version //')"

container_checks "container wall, root" root
jail_checks "jail wall, root" root
driver= at=/lab/box
oci_checks "OCI runtime, root"
driver=--systemd-cgroup at=lab-deep.slice:lab:box unit=lab-box.scope slice=lab-deep.slice
driver_checks "systemd driver, root"
podman_checks "podman with systemd's cgroups, root"

# What the user's manager makes: everything below runs as that user, in a scope with control groups of its own.
systemctl start user@1000.service || fact trouble "user@1000.service does not start"
chmod 666 $port
as_user() {
  setpriv --reuid 1000 --regid 1000 --init-groups env HOME=/home/someone XDG_RUNTIME_DIR=/run/user/1000 \
    DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
as_user systemd-run --user --scope --quiet -p Delegate=yes sh $lab/systemd.sh user || fact trouble "the user's checks ended with $?"
say end
