#!/bin/sh
# What immure does on this machine, told on the second serial port: "LAB<tab>check<tab>GROUP<tab>WHAT<tab>pass|fail|absent<tab>DETAIL".
# Alone (the short boot) it is PID 1 of a busybox root and makes all of its own checks; systemd.sh reads it for its functions.
# Nothing here waits by the clock: every command ends by itself or is ended by `timeout`.
lab=${lab:-/lab}
port=${port:-/dev/ttyS1}
export lab port
export PATH=$lab/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
scratch=${scratch:-/tmp}

say() { printf 'LAB\t%s\n' "$1" >"$port"; }
fact() { say "$(printf 'fact\t%s\t%s' "$1" "$2")"; }
one_line() { tr '\n\t' '  ' | sed 's/  */ /g; s/ $//' | tail -c 300; }

# check GROUP WHAT COMMAND…: passes where the command ends with 0; what it prints is the detail. 77 means that this machine lacks what
# the check is about.
check() {
  group=$1 what=$2
  shift 2
  detail=$("$@" 2>&1) && status=0 || status=$?
  detail=$(printf '%s' "$detail" | one_line)
  case $status in 0) verdict=pass ;; 77) verdict=absent ;; *) verdict=fail detail="($status) $detail" ;; esac
  say "$(printf 'check\t%s\t%s\t%s\t%s' "$group" "$what" "$verdict" "$detail")"
}

# same GOT WANTED: says what is otherwise.
same() { [ "$1" = "$2" ] || { echo "got \"$1\", wanted \"$2\""; return 1; }; }

# A process's group of version 2, as a folder.
group_of() { echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; }
pid_of() { immure inspect "$1" | sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' | head -1; }
value() { sed -n "s/^$2 //p" "$1"; } # FILE KEY

# --- a wall by `immure run`; $wall is its name ---

runs() { same "$(immure run -q --rm --wall "$wall" -- echo hello)" hello; }
status_comes_back() {
  status=0
  immure run -q --rm --wall "$wall" -- sh -c 'exit 42' || status=$?
  same $status 42
}
# The program itself fills its memory: nothing else of the box can be killed in its place.
memory_kills() {
  status=0
  timeout 100 immure run --rm --wall "$wall" --memory 24m -- /bin/busybox tail -c 200000000 /dev/zero >"$scratch/out" 2>&1 || status=$?
  same $status 137 || { cat "$scratch/out"; return 1; }
  tail -1 "$scratch/out"
}
# Thirty that live at once; the last word comes when all could be made.
pids_bound() {
  out=$(timeout 100 immure run -q --rm --wall "$wall" --pids 12 -- sh -c 'i=0; while [ $i -lt 30 ]; do sleep 60 & i=$((i+1)); done; echo thirty' 2>&1)
  echo "$out" | tail -1
  case $out in *thirty*) return 1 ;; *fork*) ;; *) return 1 ;; esac
}
# What a wall cannot hold is refused with the rule's name, not dropped.
pids_refused() {
  status=0
  out=$(immure run --rm --wall "$wall" --pids 12 -- true 2>&1) || status=$?
  same $status 125 || return 1
  case $out in *limits.pids*) ;; *) echo "$out"; return 1 ;; esac
  echo "$out" | cut -c1-120
}
filtered() {
  out=$(immure run -q --rm --wall "$wall" -- sh -c 'grep -E "^(Seccomp|NoNewPrivs|CapEff):" /proc/$$/status') || return 1
  is_filtered "$out"
}
is_filtered() {
  case $1 in *"NoNewPrivs:	1"*) ;; *) echo "$1"; return 1 ;; esac
  case $1 in *"Seccomp:	2"*) ;; *) echo "$1"; return 1 ;; esac
  echo "$1"
}
# Where the box may not read /proc at all.
filtered_from_outside() {
  immure run -q -d --name filtered --wall "$wall" -- sleep 1000 >/dev/null || return 1
  out=$(grep -E "^(Seccomp|NoNewPrivs|CapEff):" "/proc/$(pid_of filtered)/status")
  immure kill filtered >/dev/null; immure rm -f filtered >/dev/null
  is_filtered "$out"
}
writes_are_thrown_away() {
  out=$(immure run --rm --wall "$wall" -- sh -c 'echo x >/usr/lab-was-here && cat /usr/lab-was-here' 2>&1) || { echo "$out"; return 1; }
  [ ! -e /usr/lab-was-here ] || { echo "it is on the host"; return 1; }
}
# Without an id range of its own the box sees the host's programs as they are.
writes_are_refused() {
  out=$(immure run -q --rm --wall "$wall" -- sh -c 'echo x >/usr/lab-was-here' 2>&1) && return 1
  [ ! -e /usr/lab-was-here ] || { echo "it is on the host"; return 1; }
  echo "$out"
  case $out in *"Read-only file system"* | *"ermission denied"*) ;; *) return 1 ;; esac
}
host_is_hidden() {
  mkdir -p "$HOME/.ssh"
  echo secret >"$HOME/.ssh/id_lab"
  out=$(immure run -q --rm --wall "$wall" -- cat "$HOME/.ssh/id_lab" 2>&1) && { echo "read: $out"; return 1; }
  echo "$out"
  case $out in *"No such file"* | *"ermission denied"*) ;; *) return 1 ;; esac
}
# What the box's own group says: FILE… are those with a limit; the wanted values come first.
limits_stand() { # WANTED OPTION…
  wanted=$1
  shift
  immure run -q -d --name limited --wall "$wall" "$@" -- sleep 1000 >/dev/null || return 1
  folder=$(group_of "$(pid_of limited)")
  same "$(cat "$folder/memory.max") $(cat "$folder/pids.max") $(cat "$folder/cpu.max")" "$wanted"
}
freezes() {
  folder=$(group_of "$(pid_of limited)")
  immure pause limited >/dev/null || return 1
  # Where the freezer is another group than the one with the limits, processes stand in that one.
  same "$(value "$folder/cgroup.events" frozen)" 1 || return 1
  immure resume limited >/dev/null || return 1
  same "$(value "$folder/cgroup.events" frozen)" 0
}
enters() { same "$(immure exec limited echo inside)" inside; }
ends() {
  folder=$(group_of "$(pid_of limited)")
  immure kill limited >/dev/null; immure rm -f limited >/dev/null || return 1
  [ ! -e "$folder" ] || { echo "$folder is left"; return 1; }
}

container_checks() { # GROUP root|user
  wall=container
  check "$1" "runs a program" runs
  check "$1" "its status comes back" status_comes_back
  check "$1" "no new privileges, seccomp" filtered
  if [ "$2" = root ]; then
    check "$1" "writes are thrown away" writes_are_thrown_away
  else
    check "$1" "writes are refused" writes_are_refused
  fi
  check "$1" "secrets of home are hidden" host_is_hidden
  check "$1" "--memory kills" memory_kills
  check "$1" "--pids bounds" pids_bound
  check "$1" "memory.max, pids.max, cpu.max read back" limits_stand "50331648 33 50000 100000" --memory 48m --pids 33 --cpus 0.5
  check "$1" "pause and resume by the freezer" freezes
  check "$1" "exec" enters
  check "$1" "kill and rm leave no group" ends
}
jail_checks() { # GROUP root|user
  wall=jail
  check "$1" "runs a program" runs
  check "$1" "its status comes back" status_comes_back
  if [ "$2" = root ]; then
    check "$1" "no new privileges, seccomp" filtered
    check "$1" "--pids bounds" pids_bound
  else
    check "$1" "no new privileges, seccomp" filtered_from_outside
    check "$1" "--pids is refused by name" pids_refused
  fi
  check "$1" "writes are refused" writes_are_refused
  check "$1" "secrets of home are hidden" host_is_hidden
  check "$1" "--memory kills" memory_kills
  check "$1" "memory.max, cpu.max read back" limits_stand "50331648 max 50000 100000" --memory 48m --cpus 0.5
  check "$1" "kill and rm leave no group" ends
}

# --- the sentry: its own group and its guests', below the one with the sandbox's limits ---

find_parts() {
  pid=$(pid_of parted)
  whole=$(group_of "$pid")
  whole=${whole%/sentry}
}
parts_stand() {
  immure run -q -d --name parted --wall sentry --memory 64m -- \
    sh -c 'sh -c "x=a; while :; do x=\$x\$x; done"; echo lived; exec sleep 1000' >/dev/null || return 1
  find_parts
  read -r keeper _ <"/proc/$pid/task/$pid/children"
  same "$(group_of "$pid") $(group_of "$keeper")" "$whole/sentry $whole/guests" || return 1
  same "$(cat "$whole/memory.max") $(cat "$whole/guests/memory.max")" "67108864 58720256"
}
# The victim was looked for among the guests, and the others live.
parts_hold() {
  find_parts
  mkfifo "$scratch/parted"
  timeout 100 immure logs -f parted >"$scratch/parted" 2>/dev/null &
  read -r line <"$scratch/parted"
  same "$line" lived || return 1
  same "$(value "$whole/guests/memory.events" oom_kill) $(value "$whole/memory.events.local" oom_kill)" "1 0" || return 1
  same "$(value "$whole/memory.events" oom_kill)" 1 || return 1
  same "$(immure exec parted echo alive)" alive
}
parts_freeze() {
  find_parts
  immure pause parted >/dev/null || return 1
  # A guest that waits for the sentry's answer is not frozen before it has it.
  same "$(cat "$whole/cgroup.freeze")" 1 || return 1
  immure resume parted >/dev/null || return 1
  same "$(cat "$whole/cgroup.freeze") $(immure exec parted echo alive)" "0 alive"
}
parts_end() {
  find_parts
  immure rm -f parted >/dev/null || return 1
  [ ! -e "$whole" ] || { echo "$whole is left"; return 1; }
}
# Engines read the group of the container's process when it is created.
parts_of_engines() {
  at=/lab/guarded
  configure ''
  # This kernel translates owners neither of the first root's file system nor of a tmpfs: an overlay is served without.
  mkdir -p /run/guarded
  mount -t tmpfs none /run/guarded && mkdir /run/guarded/upper /run/guarded/work || return 1
  mount -t overlay -o "lowerdir=$bundle/rootfs,upperdir=/run/guarded/upper,workdir=/run/guarded/work" overlay "$bundle/rootfs" || return 1
  immure-sentry create --bundle "$bundle" guarded </dev/null >/dev/null 2>"$bundle/error" ||
    { cat "$bundle/error"; umount "$bundle/rootfs" /run/guarded; return 1; }
  pid=$(immure-sentry state guarded | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')
  whole=/sys/fs/cgroup/lab/guarded
  same "$(group_of "$pid")" $whole || return 1
  immure-sentry start guarded || return 1
  same "$(group_of "$pid") $(cat $whole/guests/memory.max)" "$whole/sentry 58720256" || return 1
  immure-sentry update --memory 100663296 guarded || return 1
  same "$(cat $whole/memory.max) $(cat $whole/guests/memory.max)" "100663296 88080384" || return 1
  same "$(immure-sentry exec guarded echo inside)" inside || return 1
  immure-sentry delete --force guarded || return 1
  umount "$bundle/rootfs" && umount /run/guarded || return 1
  [ ! -e $whole ] || { echo "$whole is left"; return 1; }
}
sentry_checks() { # GROUP root|user
  wall=sentry
  check "$1" "runs a program" runs
  check "$1" "its status comes back" status_comes_back
  check "$1" "--memory kills" memory_kills
  check "$1" "groups of their own for guests and sentry" parts_stand
  check "$1" "out of memory ends a guest, and the rest lives" parts_hold
  check "$1" "pause and resume by the freezer" parts_freeze
  check "$1" "rm leaves no group" parts_end
  [ "$2" = root ] || return 0
  check "$1" "as an OCI runtime: divided at the start, update, delete" parts_of_engines
}

# --- the OCI runtime; $driver holds its global flags, $at the configuration's cgroupsPath, $own_user the user namespace ---

bundle=${bundle:-/var/lib/lab-bundle}
own_user=
configure() { # RULES: further device rules, each with a comma before it
  mkdir -p "$bundle/rootfs/bin" "$bundle/rootfs/proc" "$bundle/rootfs/dev" "$bundle/rootfs/sys" "$bundle/rootfs/tmp"
  cp /bin/busybox "$bundle/rootfs/bin/busybox"
  for name in sh sleep cat echo mknod head id tail; do ln -sf busybox "$bundle/rootfs/bin/$name"; done
  namespaces='{"type":"mount"},{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"network"},{"type":"cgroup"}'
  rules='"devices":[{"allow":false,"access":"rwm"}'$1'],'
  if [ -n "$own_user" ]; then
    namespaces="$namespaces,{\"type\":\"user\"}"
    rules=
  fi
  cat >"$bundle/config.json" <<JSON
{"ociVersion":"1.2.0","root":{"path":"rootfs"},"hostname":"lab",
 "process":{"args":["sleep","1000"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0},"noNewPrivileges":true,
  "capabilities":{"bounding":["CAP_MKNOD","CAP_KILL"],"effective":["CAP_MKNOD","CAP_KILL"],"permitted":["CAP_MKNOD","CAP_KILL"]}},
 "mounts":[{"destination":"/proc","type":"proc","source":"proc"},{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["mode=755"]},
  {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["ro"]}],
 "linux":{"namespaces":[$namespaces],$own_user"cgroupsPath":"$at",
  "resources":{$rules"memory":{"limit":67108864},"pids":{"limit":40},"cpu":{"shares":512,"quota":25000,"period":50000}}}}
JSON
}
oci() { immure-oci $driver "$@"; }
oci_status() { oci state box | sed -n 's/.*"status": *"\([a-z]*\)".*/\1/p'; }
oci_pid() { oci state box | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'; }
oci_creates() {
  configure "$1" && oci create --bundle "$bundle" box </dev/null >/dev/null 2>"$bundle/error" || { cat "$bundle/error"; return 1; }
  same "$(oci_status)" created
}
oci_limits() {
  folder=$(group_of "$(oci_pid)")
  got="$(cat "$folder/memory.max") $(cat "$folder/pids.max") $(cat "$folder/cpu.max") $(cat "$folder/cpu.weight")"
  same "$got" "67108864 40 25000 50000 $weight"
}
oci_starts() { oci start box && same "$(oci_status)" running; }
oci_enters() { same "$(oci exec box echo inside)" inside; }
oci_sees_its_group() { same "$(oci exec box cat /sys/fs/cgroup/pids.max)" 40; }
# The node can be made (CAP_MKNOD), and opening it is refused by the group's program alone: the serial line opens where a rule lets it.
oci_device() { # RULE WANTED
  oci delete --force box
  oci_creates "$1" && oci start box || return 1
  out=$(oci exec box sh -c '[ -e /tmp/serial ] || mknod /tmp/serial c 4 64; exec 3</tmp/serial && echo came-through' 2>&1)
  case $out in *"$2"*) echo "$2" ;; *) echo "$out"; return 1 ;; esac
}
oci_pauses() {
  folder=$(group_of "$(oci_pid)")
  oci pause box && same "$(oci_status)" paused && same "$(value "$folder/cgroup.events" frozen)" 1 || return 1
  oci resume box && same "$(oci_status)" running && same "$(value "$folder/cgroup.events" frozen)" 0
}
oci_updates() {
  folder=$(group_of "$(oci_pid)")
  oci update --memory 100663296 --pids-limit 50 --cpu-quota 30000 --cpu-period 60000 box || return 1
  same "$(cat "$folder/memory.max") $(cat "$folder/pids.max") $(cat "$folder/cpu.max")" "100663296 50 30000 60000"
}
oci_ends() {
  folder=$(group_of "$(oci_pid)")
  oci kill --all box KILL && oci delete --force box || return 1
  oci state box >/dev/null 2>&1 && { echo "it is still known"; return 1; }
  [ ! -e "$folder" ] || { echo "$folder is left"; return 1; }
}
# cpu.shares 512, as this runtime writes it.
weight=20

oci_checks() { # GROUP
  check "$1" "create" oci_creates
  check "$1" "memory.max, pids.max, cpu.max, cpu.weight read back" oci_limits
  check "$1" "start" oci_starts
  check "$1" "exec" oci_enters
  check "$1" "its own group at /sys/fs/cgroup" oci_sees_its_group
  check "$1" "pause and resume by the freezer" oci_pauses
  check "$1" "update" oci_updates
  if [ -z "$own_user" ]; then
    check "$1" "a device is refused by eBPF" oci_device '' 'Operation not permitted'
    check "$1" "a device that a rule allows opens" oci_device ',{"allow":true,"type":"c","major":4,"minor":64,"access":"rwm"}' came-through
  fi
  check "$1" "kill and delete leave no group" oci_ends
}

machine_facts() {
  fact kernel "$(uname -r)"
  fact "first process" "$(cat /proc/1/comm)"
  fact "control groups" "$(immure doctor | sed -n 's/.*control groups: //p')"
  fact controllers "$(cat /sys/fs/cgroup/cgroup.controllers)"
  fact Landlock "$(immure doctor | sed -n 's/.*Landlock: //p')"
}

[ "$(cat $lab/mode)" != systemd ] || return 0

if [ "${1:-}" = user ]; then
  scratch=$HOME
  container_checks "container wall, user" user
  jail_checks "jail wall, user" user
  exit 0
fi

if [ "$(cat $lab/mode)" = try ]; then
  export HOME=/root
  cd /
  sh $lab/try.sh >$port 2>&1
  say end
  poweroff -f
fi

if [ "$(cat $lab/mode)" = short ]; then
  export HOME=/root
  cd /
  # What limits are made of stands on for all below the top, as systemd would have it.
  echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
  machine_facts
  container_checks "container wall, root" root
  jail_checks "jail wall, root" root
  sentry_checks "sentry wall, root" root
  driver= at=/lab/box
  oci_checks "OCI runtime, root"
  # Delegation without root: a folder of one's own, the caller in a leaf of it.
  mkdir -p /sys/fs/cgroup/someone/leaf /home/someone
  echo '+memory +pids +cpu' >/sys/fs/cgroup/someone/cgroup.subtree_control
  for file in /sys/fs/cgroup/someone /sys/fs/cgroup/someone/leaf; do
    chown 1000:1000 $file $file/cgroup.procs $file/cgroup.subtree_control $file/cgroup.threads
  done
  chown 1000:1000 /home/someone
  chmod 666 $port
  export HOME=/home/someone
  ( # A process moves itself, then becomes the user.
    sh -c 'echo $$ >/sys/fs/cgroup/someone/leaf/cgroup.procs; exec start-stop-daemon -S -p /none -a /bin/sh -c 1000:1000 -- /lab/checks.sh user' )
  say end
  sync
  poweroff -f
fi
