#!/usr/bin/env python3
"""Runs generated configurations through several runtimes and compares what a probe inside sees.

differential.py SEED COUNT FOLDER BUSYBOX NAME=PROGRAM... ; the first runtime is the one that is judged. Prints a line for each difference
that EXPLAINED does not have, with the seed and number that repeat it, and ends with 1 where there was one."""
import json, os, random, re, subprocess, sys

# What differs and why it may: (runtime, key, ours, theirs), each but the first a regular expression of the whole.
EXPLAINED = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "differential.json")))

PROBE = r"""
t() { printf '%s\t%s\n' "$1" "$2"; }
descriptors=
for n in 0 1 2 3 4 5 6 7 8 9 11 12 13 20 50 63 64 65 99; do [ -L /proc/$$/fd/$n ] && descriptors="$descriptors $n"; done
while read -r a b c d point options rest; do
  set -- ${rest#*- }; type=$1
  t "mount $point" "$options $type"
done < /proc/self/mountinfo
while read -r key value; do
  case $key in Uid:|Gid:|Groups:|Umask:|CapInh:|CapPrm:|CapEff:|CapBnd:|CapAmb:|NoNewPrivs:|Seccomp:|SigBlk:|SigIgn:|SigCgt:|TracerPid:) t "status $key" "$value";; esac
done < /proc/self/status
tail -n +2 /proc/self/limits | while read -r line; do
  name=$(echo "$line" | cut -c1-26); t "limit $(echo $name)" "$(echo "$line" | cut -c27-67 | tr -s ' ')"
done
for n in cgroup ipc mnt net pid user uts time; do t "namespace $n" "$(readlink /proc/self/ns/$n)"; done
while IFS=: read -r a b c; do t "group $b" "$c"; done < /proc/self/cgroup
env | grep -v '^_=' | sort | while read -r line; do t "environment ${line%%=*}" "${line#*=}"; done
t umask "$(umask)"; t folder "$(pwd)"; t hostname "$(hostname)"; t domain "$(cat /proc/sys/kernel/domainname)"
t descriptors "$descriptors"
t oom "$(cat /proc/self/oom_score_adj)"; t nice "$(nice)"
for f in /dev/* /dev/.[a-z]*; do [ -e "$f" ] || [ -L "$f" ] || continue; t "device $f" "$(ls -ldn "$f" | tr -s ' ' | cut -d' ' -f1,3,4) $(stat -c '%t:%T' "$f") $(readlink "$f")"; done
for f in kernel/shm_rmid_forced net/ipv4/ip_forward kernel/msgmax; do t "setting $f" "$(cat /proc/sys/$f)"; done
for f in memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.swappiness pids/pids.max cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus; do
  [ -e /sys/fs/cgroup/$f ] && t "file $f" "$(cat /sys/fs/cgroup/$f)"; done
[ -e /sys/fs/cgroup/devices/devices.list ] && sort /sys/fs/cgroup/devices/devices.list | while read -r line; do t "devices.list $line" 1; done
for p in /etc/masked /etc/readonly /bound /copied; do [ -e $p ] && t "path $p" "$(ls -ldn $p | tr -s ' ' | cut -d' ' -f1,3,4) $(cat $p 2>&1 | head -c 40)"; done
for p in /etc/readonly /bound /proc/sys/kernel/hostname /; do (echo x > $p/written || : >> $p) 2>/dev/null && t "writable $p" yes || t "writable $p" no; done
"""

CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
    "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP", "CAP_NET_ADMIN"]


def generate(random, source):
    def maybe(p=0.5): return random.random() < p
    def some(words, p=0.5): return [w for w in words if maybe(p)]
    bounding = some(CAPABILITIES, 0.6)
    permitted = [c for c in bounding if maybe(0.8)]
    effective = [c for c in permitted if maybe(0.8)]
    ambient = some(permitted, 0.2) if maybe(0.3) else []
    process = {
        "terminal": False, "cwd": random.choice(["/", "/tmp", "/etc"]),
        "args": ["/bin/sh", "/probe"], "env": ["PATH=/bin"] + some(["A=b", "EMPTY=", "SPACE=a b", "HOME=/root"]),
        "user": {"uid": random.choice([0, 0, 0, 1000]), "gid": random.choice([0, 0, 1000])},
        "capabilities": {"bounding": bounding, "permitted": permitted, "effective": effective,
            "inheritable": ambient, "ambient": ambient},
        "rlimits": [{"type": t, "soft": s, "hard": h} for t, s, h in some(
            [("RLIMIT_NOFILE", 100, 200), ("RLIMIT_CORE", 0, 0), ("RLIMIT_FSIZE", 1 << 20, 1 << 21), ("RLIMIT_STACK", 1 << 20, 1 << 23),
             ("RLIMIT_NPROC", 500, 600), ("RLIMIT_AS", 1 << 30, 1 << 31), ("RLIMIT_MSGQUEUE", 1000, 2000)])],
        "noNewPrivileges": maybe()}
    if maybe(): process["user"]["umask"] = random.choice([0o22, 0o77, 0o27, 0])
    if maybe(): process["user"]["additionalGids"] = some([5, 10, 1000, 2000])
    if maybe(): process["oomScoreAdj"] = random.choice([0, 100, 1000])
    mounts = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": some(["nosuid", "noexec", "nodev"])},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"] + some(["strictatime", "noexec"])},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}]
    if maybe(): mounts.append({"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]})
    if maybe(): mounts.append({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]})
    if maybe(0.8): mounts.append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})
    for place in some(["/bound", "/new/place", "/tmp"], 0.4):
        mounts.append({"destination": place, "type": "bind", "source": source,
            "options": [random.choice(["bind", "rbind"])] + some(["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime"], 0.3)
                + some([random.choice(["rprivate", "private", "rslave", "slave"])])})
    if maybe(0.3): mounts.append({"destination": "/etc/file", "type": "bind", "source": source + "/file", "options": ["bind", "ro"]})
    if maybe(0.4): mounts.append({"destination": "/var", "type": "tmpfs", "source": "tmpfs", "options": some(["noexec", "nosuid", "nodev", "ro"]) + ["size=1m", "mode=1777"]})
    namespaces = [{"type": "mount"}, {"type": "pid"}] + [{"type": n} for n in ["ipc", "uts", "network", "cgroup"] if maybe(0.75)]
    kinds = [n["type"] for n in namespaces]
    resources = {"devices": [{"allow": False, "access": "rwm"}] + some([
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}, {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "r"}], 0.4)}
    if maybe(): resources["memory"] = {"limit": 64 << 20} | ({"reservation": 32 << 20} if maybe() else {}) | ({"swappiness": 10} if maybe() else {})
    if maybe(): resources["pids"] = {"limit": random.choice([50, 100])}
    if maybe(): resources["cpu"] = {"shares": random.choice([2, 512, 2048])} | ({"quota": 50000, "period": 100000} if maybe() else {}) | ({"cpus": "0"} if maybe() else {})
    linux = {"namespaces": namespaces, "resources": resources, "cgroupsPath": "/immure-differential/%x" % random.getrandbits(48),
        "maskedPaths": some(["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/etc/masked", "/nothing"]),
        "readonlyPaths": some(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger", "/etc/readonly", "/nothing"])}
    if maybe(0.3): linux["devices"] = [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 0o640, "uid": 5, "gid": 6}]
    settings = {}
    if "ipc" in kinds and maybe(): settings["kernel.shm_rmid_forced"] = "1"
    if "ipc" in kinds and maybe(): settings["kernel.msgmax"] = "4096"
    if "network" in kinds and maybe(): settings["net.ipv4.ip_forward"] = "1"
    if settings: linux["sysctl"] = settings
    if maybe(0.3): linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}]}
    configuration = {"ociVersion": "1.0.2", "process": process, "root": {"path": "rootfs", "readonly": maybe(0.3)}, "mounts": mounts, "linux": linux}
    if "uts" in kinds: configuration["hostname"] = "box"
    if maybe(0.25):
        # A new file system for what belongs to a namespace wants that namespace to be of the same user namespace.
        linux["namespaces"] = [{"type": n} for n in ["mount", "pid", "ipc", "uts", "network", "cgroup", "user"]]
        linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    return configuration


def prepare(folder, busybox):
    root = os.path.join(folder, "rootfs")
    for name in ["bin", "etc", "tmp", "proc", "sys", "dev", "root", "run", "var", "bound", "new/place", "etc/readonly"]:
        os.makedirs(os.path.join(root, name), exist_ok=True)
    os.chmod(os.path.join(root, "tmp"), 0o1777)
    subprocess.run(["cp", busybox, root + "/bin/busybox"], check=True)
    for name in subprocess.run([busybox, "--list"], capture_output=True, text=True).stdout.split():
        if name != "busybox" and not os.path.lexists(root + "/bin/" + name): os.symlink("busybox", root + "/bin/" + name)
    open(root + "/probe", "w").write(PROBE)
    open(root + "/etc/masked", "w").write("secret\n")
    source = os.path.join(folder, "source")
    os.makedirs(source, exist_ok=True)
    open(source + "/file", "w").write("file\n")
    # Made beforehand: what one runtime makes the next would find.
    open(root + "/etc/file", "w").close()
    return source


def look(program, folder, name, number):
    done = subprocess.run(["timeout", "-k", "2", "60", program, "--root", os.path.join(folder, "state-" + name), "run", "--bundle", folder,
        "differential-%s-%d-%d" % (name, os.getpid(), number)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seen = {"ends": str(done.returncode)}
    if done.returncode: seen["error"] = " ".join(done.stderr.split())[-300:]
    host = {n: os.readlink("/proc/self/ns/" + n) for n in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time"]}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("\t")
        if key.startswith("namespace "): value = "host" if value == host[key[10:]] else "own"
        # 32 and 33 are the C library's own, and Go's runtime changes what the caller of a test left there.
        if key.startswith("status Sig"): value = "%x" % (int(value, 16) & ~(3 << 31))
        seen[key] = value
    return seen


def explained(runtime, key, ours, theirs):
    for names, pattern, own, other, _ in EXPLAINED:
        if runtime in names.split() and re.fullmatch(pattern, key) and re.fullmatch(own, ours) and re.fullmatch(other, theirs): return True
    return False


def main():
    seed, count, folder, busybox = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    runtimes = [word.split("=", 1) for word in sys.argv[5:]]
    source = prepare(folder, busybox)
    failures = whole = 0
    for number in range(count):
        configuration = generate(random.Random(seed * 1000003 + number), source)
        json.dump(configuration, open(os.path.join(folder, "config.json"), "w"))
        seen = [(name, look(program, folder, name, number)) for name, program in runtimes]
        ours = seen[0][1]
        if ours["ends"] == "0" and len(ours) > 50: whole += 1
        for name, theirs in seen[1:]:
            # One that failed for a reason that is known has seen nothing.
            if "error" in theirs and explained(name, "error", ours.get("error", "absent"), theirs["error"]): continue
            for key in sorted(set(ours) | set(theirs)):
                mine, other = ours.get(key, "absent"), theirs.get(key, "absent")
                if mine != other and not explained(name, key, mine, other):
                    print("seed %d number %d: %s: %s has %r, %s has %r" % (seed, number, key, runtimes[0][0], mine, name, other))
                    failures += 1
    for hierarchy in os.listdir("/sys/fs/cgroup"):
        try: os.rmdir("/sys/fs/cgroup/%s/immure-differential" % hierarchy)
        except OSError: pass
    if whole * 10 < count * 8:
        print("only %d of %d ran to their end" % (whole, count))
        failures += 1
    print("%d configurations, %d ran to their end, %d differences without explanation" % (count, whole, failures))
    sys.exit(1 if failures else 0)


main()
