#!/usr/bin/python3
"""What a container of the OCI verbs costs, beside crun, runc and the kernel calls alone. Called by Scripts/bench.sh:
oci-bench.py IMMURE-OCI SPAWNER FLOOR [--quick].

Same bundle, same namespaces, control groups and seccomp profile for all; interleaved rounds (Bench/spawner.c); each in a mount namespace of
this program's own, where crun finds control groups that it takes (it refuses a hybrid machine). Fails where a container is not
confined as its configuration says. Exit status: 0 all goals met, 3 some goal was missed, 1 something is wrong.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import traceback

from rounds import fail, goal, missed, ratios, rows, run, table

CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE").split()]
ALL = "memory pids cpu cpuacct cpuset blkio devices freezer".split()
FEW = "memory pids devices freezer".split()
# What differs from one container to the next (numbers of mounts and namespaces) is taken out before two are compared.
PROBE = r"""
grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status
cat /proc/self/limits /proc/self/mountinfo
for f in memory/memory.limit_in_bytes pids/pids.max cpu/cpu.shares devices/devices.list; do
  [ ! -e /sys/fs/cgroup/$f ] || sed "s|^|$f |" /sys/fs/cgroup/$f; done
ls -an / /dev | sed 's/ [A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]* / /'
for n in cgroup ipc mnt net pid uts; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
echo "host $(hostname)"; echo "first $$"; tail -n +3 /proc/net/dev | cut -d: -f1
"""
EXPECTED = [
    (r"^CapBnd:\s+00000000a80425fb$", "bounding set"), (r"^CapEff:\s+00000000a80425fb$", "effective set"),
    (r"^CapAmb:\s+0{16}$", "ambient set"), (r"^CapInh:\s+0{16}$", "inheritable set"), (r"^NoNewPrivs:\s+1$", "no_new_privs"),
    (r"^Max open files +1024 +1024 ", "open files"), (r" / / ro,| /\S* / ro,", "read-only root"), (r" /proc/sys ro,", "read-only /proc/sys"),
    (r" /null /proc/keys ", "masked /proc/keys"), (r" /sys/firmware ro,", "masked /sys/firmware"), (r" /sys ro,", "read-only /sys"),
    (r" /dev/shm rw,nosuid,nodev,noexec.*size=65536k", "bounded /dev/shm"), (r"^host bench$", "host name"), (r"^first 1$", "process namespace"),
    (r"^ +lo$", "loopback only"),
]
LEGACY = [(r"^memory\S+ 536870912$", "memory limit"), (r"^pids/pids.max 100$", "pids limit"), (r"^devices/\S+ c 1:3 rwm$", "device rules")]
SECCOMP = [(r"^Seccomp:\s+2$", "seccomp"), (r"^Seccomp_filters:\s+1$", "one filter")]
libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_BIND, MS_REC, MS_MOVE, MS_PRIVATE = 0x20000, 4096, 16384, 8192, 1 << 18


def checked(result, what):
    if result:
        fail(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags):
    checked(libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None), f"mount {target}")


def own_mounts():
    checked(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_PRIVATE)


def mounted_groups():
    """The version 1 hierarchies, by their folders under /sys/fs/cgroup."""
    lines = [line.split() for line in open("/proc/self/mountinfo")]
    return [line[4].rsplit("/", 1)[1] for line in lines if line[line.index("-") + 1] == "cgroup"]


def docker_profile():
    """Docker's default profile as the daemon gives it to a runtime: what stands for this machine and these capabilities."""
    template = json.load(open("Tests/Fixtures/Seccomp/docker-default.json"))

    def stands(rule):
        needs, bars = rule.get("includes", {}), rule.get("excludes", {})
        return (set(needs.get("caps", [])) <= set(CAPABILITIES) and not set(bars.get("caps", [])) & set(CAPABILITIES)
                and ("arches" not in needs or "amd64" in needs["arches"]) and "amd64" not in bars.get("arches", []))

    keys = ("names", "action", "args", "errnoRet")
    return {"defaultAction": template["defaultAction"], "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{key: rule[key] for key in keys if rule.get(key)} for rule in template["syscalls"] if stands(rule)]}


def only_groups(names, base):
    """Leaves these hierarchies alone in /sys/fs/cgroup: a folder without one under it would be a folder for groups to crun."""
    for name in names:
        os.makedirs(f"{base}/stage/{name}")
        mount(f"/sys/fs/cgroup/{name}", f"{base}/stage/{name}", None, MS_BIND)
    mount("tmpfs", "/sys/fs/cgroup", "tmpfs", 0)
    for name in names:
        os.makedirs(f"/sys/fs/cgroup/{name}")
        mount(f"{base}/stage/{name}", f"/sys/fs/cgroup/{name}", None, MS_MOVE)


class Bench:
    """One layout of control groups, with bundles, state roots, and every runtime's words."""

    def __init__(self, tools, base, world, groups, quick):
        self.immure, self.spawner, self.floor = tools
        self.base, self.world, self.groups, self.quick = base, world, groups, quick
        self.folder = f"{base}/{world.replace(' ', '-')}"
        self.state = f"{base}/state/{world.replace(' ', '-')}"
        self.rounds = 20 if quick else 200
        self.names = ["crun", "runc", "immure-oci"]
        self.prefix = {"crun": ["crun"], "runc": ["runc"], "immure-oci": [self.immure]}
        for name in self.names + ["floor"]:
            os.makedirs(f"{self.state}/{name}", exist_ok=True)
        self.profile = docker_profile()
        self.filters = {False: "-", True: self.folder + "/filter"}

    def words(self, name, verb, *rest):
        return [*self.prefix[name], "--root", f"{self.state}/{name}", verb, *rest]

    def usable(self):
        """Leaves out, and names, whoever cannot run a container in this layout."""
        bundle = self.bundle("bench-trial", ["/bin/true"])
        for name in list(self.names):
            result = subprocess.run(self.words(name, "run", "--bundle", bundle, "bench-trial"), stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if result.returncode:
                if name == "immure-oci":
                    fail(f"{self.world}: {result.stderr}")
                self.names.remove(name)
                subprocess.run(self.words(name, "delete", "--force", "bench-trial"), capture_output=True)
                print(f"\n{self.world}: {name} is left out, for it runs nothing here: {result.stderr.strip().splitlines()[-1]}")

    # ---- the bundle

    def bundle(self, name, arguments, seccomp=False):
        """A folder with config.json for the one root filesystem; its control group is called as it is."""
        path = f"{self.folder}/bundles/{name}"
        os.makedirs(path, exist_ok=True)
        limits = {"memory": {"limit": 512 << 20}, "pids": {"limit": 100}} if self.groups else {}
        if "cpu" in self.groups:
            limits["cpu"] = {"shares": 512}
        configuration = json.load(open(f"{self.base}/spec/config.json"))
        configuration["ociVersion"] = "1.0.2"
        configuration["hostname"] = "bench"
        configuration["root"]["path"] = self.base + "/rootfs"
        configuration["process"].update(
            terminal=False, args=arguments, capabilities={kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")})
        configuration["linux"]["resources"].update(limits)
        configuration["linux"]["cgroupsPath"] = "/" + name
        if seccomp:
            configuration["linux"]["seccomp"] = self.profile
        with open(path + "/config.json", "w") as file:
            json.dump(configuration, file)
        return path

    def floor_words(self, name, seccomp, *command):
        return [self.floor, self.state + "/floor", name, self.base + "/rootfs", self.filters[seccomp], ",".join(self.groups), *command]

    # ---- the same defences

    def confinement(self, seccomp):
        probe = ["/bin/sh", "-c", PROBE]
        bundle = self.bundle("bench-probe", probe, seccomp)
        seen = {name: run(self.words(name, "run", "--bundle", bundle, "bench-probe")) for name in self.names}
        if seccomp:
            self.keep_filter(bundle)
        if self.groups:
            seen["floor"] = run(self.floor_words("bench-probe", seccomp, *probe))
        wanted = EXPECTED + (LEGACY if self.groups else []) + (SECCOMP if seccomp else [])
        for name, text in seen.items():
            for pattern, what in wanted:
                if not re.search(pattern, text, re.MULTILINE):
                    fail(f"{name}: the container has not what its configuration says: {what}\n{text}")
            for kind in ("cgroup", "ipc", "mnt", "net", "pid", "uts"):
                if f"ns {kind} {os.readlink(f'/proc/self/ns/{kind}')}" in text:
                    fail(f"{name}: the container shares the host's {kind} namespace")
        if self.groups:
            mine, theirs = self.comparable(seen["immure-oci"]), self.comparable(seen["floor"])
            if mine != theirs:
                different = [f"immure {line}" for line in mine - theirs] + [f"floor  {line}" for line in theirs - mine]
                fail("the floor's container is not immure's:\n" + "\n".join(sorted(different)))
        print(f"  {len(wanted)} defences read back from {', '.join(seen)}" + ("; the floor's container is immure's" if self.groups else ""))

    @staticmethod
    def comparable(text):
        lines = set()
        for line in text.splitlines():
            if line.startswith(("ns ", "total")) or line.endswith((" proc", " sys", " ..", " .")):
                continue
            lines.add(re.sub(r"^\d+ \d+ \d+:\d+ ", "", re.sub(r" +", " ", line)).strip())
        return lines

    def keep_filter(self, bundle):
        """The instructions that immure-oci installs, for the floor."""
        silent(self.words("immure-oci", "create", "--bundle", bundle, "bench-probe"))
        record = json.load(open(f"{self.state}/immure-oci/sandboxes/bench-probe/record.json"))
        run(self.words("immure-oci", "delete", "--force", "bench-probe"))
        words = record["details"]["filter"].split()[1:]
        with open(self.filters[True], "wb") as file:
            file.write(b"".join(struct.pack("<Q", int(word, 16)) for word in words))

    # ---- figures

    def against(self, what, own, other, limit, name):
        least, middle = ratios(own, other)
        goal(f"{what} against {name}, {self.world}", least, limit, "x", f" of minima; {middle:.2f}x in the middle of the rounds")

    def start(self, seccomp, crun_limit):
        what = "run, Docker's seccomp profile" if seccomp else "run"
        print(f"\n{what}: a static true, {self.world}, {self.rounds} rounds")
        self.confinement(seccomp)
        bundle = self.bundle("bench-run", ["/bin/true"], seccomp)
        commands = [self.words(name, "run", "--bundle", bundle, "bench-run") for name in self.names]
        if self.groups:
            commands.append(self.floor_words("bench-run", seccomp, "/bin/true"))
        measured = rows(self.spawner, commands, self.rounds)
        table([*self.names, "floor (C)"], measured)
        by_name = dict(zip([*self.names, "floor"], measured))
        own = by_name["immure-oci"]
        if self.groups:
            self.against(what, own, by_name["floor"], 1.3, "the floor")
        if "crun" in by_name:
            if self.groups:
                print(f"         the floor itself: {ratios(by_name['floor'], by_name['crun'])[0]:.2f}x crun")
            self.against(what, own, by_name["crun"], crun_limit, "crun")
            goal(f"peak RSS of {what} against crun's, {self.world}", own["maxrss_kb"] / by_name["crun"]["maxrss_kb"], 1, "x")
        if "runc" in by_name:
            self.against(what, own, by_name["runc"], 0.2, "runc")

    def verbs(self):
        print(f"\ncreate, start, delete, and exec in a running container, {self.world}, {self.rounds} rounds")
        bundle = self.bundle("bench-verbs", ["/bin/true"])
        life = []
        for name in self.names:
            life.append([*self.words(name, "create", "--bundle", bundle, "bench-verbs"), "+>", *self.words(name, "start", "bench-verbs"),
                         "+|", *self.words(name, "delete", "bench-verbs")])
        measured = rows(self.spawner, life, self.rounds)
        with Live(self, self.names):
            execs = rows(self.spawner, [self.words(name, "exec", f"live-{name}", "/bin/true") for name in self.names], self.rounds)
        table([f"{name} {verb}" for name in self.names for verb in ("create", "start", "delete")], measured)
        table([f"{name} exec" for name in self.names], execs)
        for index, verb in enumerate(("create", "start", "delete")):
            self.against(verb, measured[6 + index], measured[index], 0.5, "crun")
        self.against("exec", execs[2], execs[0], 0.5, "crun")
        for verb, own, other in [*zip(("create", "start", "delete"), measured[6:], measured), ("exec", execs[2], execs[0])]:
            goal(f"peak RSS of {verb} against crun's", own["maxrss_kb"] / other["maxrss_kb"], 1, "x")

    def rate(self):
        count = 50 if self.quick else 200
        print(f"\nstarts and deletes a second, two workers on {os.cpu_count()} cores, {self.world}: the best of three times {2 * count}")
        for worker in range(2):
            self.bundle(f"bench-{worker}", ["/bin/true"])
        commands = {"floor (C)": self.floor_words("%", False, "/bin/true")}
        for name in self.names:
            commands[name] = self.words(name, "run", "--bundle", "%", "%")
        best = dict.fromkeys(commands, 0)
        for _ in range(3):
            for name, command in commands.items():
                words = [self.spawner, "-j", "2", str(count), "++", *command]
                line = json.loads(run(words, cwd=f"{self.folder}/bundles").splitlines()[0])
                if line["failures"]:
                    fail(f"{line['failures']} of {line['count']} runs of {name} failed")
                best[name] = max(best[name], line["count"] / line["all_us"] * 1e6)
        for name, value in best.items():
            print(f"  {name:26}{value:8.0f}")

    def crowd(self):
        """`run` from state roots with 1, 100 and 1,000 live containers, all of which live at the same time."""
        counts = (1, 100) if self.quick else (1, 100, 1000)
        print(f"\nlive containers, {self.world}")
        bundle = self.bundle("bench-run", ["/bin/true"])
        roots = {count: f"{self.state}/crowd{count}" for count in counts}
        alone = rows(self.spawner, [self.floor_words("bench-run", False, "/bin/true")], self.rounds)[0]
        with Crowd(self, roots):
            commands = [[self.immure, "--root", root, "run", "--bundle", bundle, "bench-run"] for root in roots.values()]
            measured = rows(self.spawner, commands + [self.floor_words("bench-run", False, "/bin/true")], self.rounds)
        table([f"{count} live" for count in counts] + ["floor (C) meanwhile"], measured)
        print(f"         the floor before, with none: {min(alone['wall_us']) / 1e3:.2f} ms at least")
        for count, row in zip(counts[1:], measured[1:]):
            least, middle = ratios(row, measured[0])
            goal(f"{count} live against 1", min(least, middle), 1.1, "x", f": {least:.2f}x of minima, {middle:.2f}x in the middle")

    def mounts(self):
        """The host's mounts: each is copied into a container's mount namespace and taken away again, by the kernel."""
        few, many = 20, 2000
        holders = [self.mount_holder(count) for count in (few, many)]
        bundle = self.bundle("bench-run", ["/bin/true"])
        bare, own = [self.floor, "clone"], self.words("immure-oci", "run", "--bundle", bundle, "bench-run")
        crun = self.words("crun", "run", "--bundle", bundle, "bench-run")
        places = [f"@/proc/{pid}/ns/mnt" for pid, _ in holders]
        try:
            measured = rows(self.spawner, [[place, *words] for words in (bare, own, crun) for place in places], self.rounds)
        finally:
            for pid, _ in holders:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        print(f"\nmounts on the host, {self.world}")
        table([f"{what}, {count} mounts" for what in ("clone alone", "immure-oci", "crun") for _, count in holders], measured)
        more = [min(measured[at + 1]["wall_us"]) - min(measured[at]["wall_us"]) for at in (0, 2, 4)]
        goal("2,000 mounts instead of 20 cost, in clones of the mount namespace", more[1] / more[0], 1.2, "x",
             f": {more[1] / 1e3:.2f} ms of minima, a clone {more[0] / 1e3:.2f}, crun {more[2] / 1e3:.2f}")

    def mount_holder(self, count):
        """A process with about so many mounts; fewer than the machine has are not to be had."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            own_mounts()
            folder = f"{self.base}/mounts"
            os.makedirs(folder, exist_ok=True)
            for _ in range(count - len(open("/proc/self/mountinfo").readlines())):
                mount(folder, folder, None, MS_BIND)
            os.write(write, str(len(open("/proc/self/mountinfo").readlines())).encode())
            signal.pause()
        os.close(write)
        present = int(os.read(read, 16) or b"0")
        os.close(read)
        if not present:
            fail("the mounts could not be made")
        return pid, present


class Live:
    """A container of each runtime that runs until the end of the block."""

    def __init__(self, bench, names):
        self.bench, self.names = bench, names

    def __enter__(self):
        for name in self.names:
            bundle = self.bench.bundle(f"live-{name}", ["/bin/sleep", "3600"])
            silent(self.bench.words(name, "run", "--detach", "--bundle", bundle, f"live-{name}"))

    def __exit__(self, *_):
        for name in self.names:
            silent(self.bench.words(name, "delete", "--force", f"live-{name}"))


class Crowd:
    """So many running containers in each state root."""

    def __init__(self, bench, roots):
        self.bench, self.roots, self.started = bench, roots, []

    def __enter__(self):
        for count, root in self.roots.items():
            for index in range(count):
                name = f"live-{count}-{index}"
                bundle = self.bench.bundle(name, ["/bin/sleep", "3600"])
                self.started.append((root, name))
                silent([self.bench.immure, "--root", root, "run", "--detach", "--bundle", bundle, name])

    def __exit__(self, *_):
        for root, name in self.started:
            subprocess.run([self.bench.immure, "--root", root, "delete", "--force", name], stdin=subprocess.DEVNULL, capture_output=True)


def silent(words):
    """A container that lives on keeps its streams: no pipe of ours."""
    result = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if result.returncode:
        fail(f"{' '.join(words)} ended with {result.returncode}")


def in_world(tools, base, world, quick):
    """Runs one layout's part in a process with mounts of its own; returns what was missed."""
    sys.stdout.flush()
    read, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        names = os.fdopen(read).read()
        _, status = os.waitpid(pid, 0)
        if status:
            sys.exit(1)
        return json.loads(names)
    status = 1
    try:
        os.close(read)
        measure(tools, base, world, quick)
        with os.fdopen(write, "w") as file:
            json.dump(missed, file)
        status = 0
    except SystemExit as error:
        print(error.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(status)


def measure(tools, base, world, quick):
    own_mounts()
    # The state of all in memory, as each runtime's own root is (/run).
    os.makedirs(base + "/state", exist_ok=True)
    mount("tmpfs", base + "/state", "tmpfs", 0)
    wanted = {"eight v1 hierarchies": ALL, "four v1 hierarchies": FEW, "v2 alone": []}[world]
    if not wanted:
        mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0)
    else:
        if os.path.ismount("/sys/fs/cgroup/unified"):
            checked(libc.umount2(b"/sys/fs/cgroup/unified", 0), "umount")
        if wanted != ALL:
            only_groups(wanted, base)
    bench = Bench(tools, base, world, wanted, quick)
    limit = 0.5 if wanted == ALL else 0.4
    bench.usable()
    parts = [lambda: bench.start(False, limit)]
    if wanted:
        parts.append(lambda: bench.start(True, limit))
    if wanted == ALL:
        parts += [bench.verbs, bench.rate, bench.crowd, bench.mounts]
    for part in parts:
        part()


def rootfs(base):
    folder = base + "/rootfs"
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp"):
        os.makedirs(f"{folder}/{name}")
    source = base + "/true.c"
    with open(source, "w") as file:
        file.write("int main(void) { return 0; }\n")
    run(["gcc", "-O2", "-static", source, "-o", folder + "/bin/true"])
    shutil.copy(shutil.which("busybox"), folder + "/bin/busybox")
    for name in "sh grep cat sed ls readlink echo hostname tail cut sleep".split():
        os.symlink("busybox", f"{folder}/bin/{name}")


def main():
    arguments = [word for word in sys.argv[1:] if word != "--quick"]
    if len(arguments) != 3:
        fail(__doc__.splitlines()[0])
    tools, quick = [os.path.abspath(word) for word in arguments], "--quick" in sys.argv
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for program in ("crun", "runc", "busybox", "gcc"):
        if not shutil.which(program):
            print(f"\nthe OCI verbs: left out ({program} is missing)")
            return 0
    for program in ("crun", "runc", tools[0]):
        print(run([program, "--version"]).splitlines()[0])
    base = tempfile.mkdtemp(prefix="immure-oci-bench.", dir="/var/tmp")
    try:
        os.makedirs(base + "/spec")
        run([tools[0], "spec"], cwd=base + "/spec")
        rootfs(base)
        present = mounted_groups()
        worlds = []
        if set(ALL) <= set(present):
            worlds.append("eight v1 hierarchies")
        if set(FEW) <= set(present):
            worlds.append("four v1 hierarchies")
        all_missed = []
        for world in worlds + ["v2 alone"]:
            all_missed += in_world(tools, base, world, quick)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    print(f"\n{len(all_missed)} goals of the OCI verbs missed: {'; '.join(all_missed)}" if all_missed else "\nall goals of the OCI verbs met")
    return 3 if all_missed else 0


if __name__ == "__main__":
    sys.exit(main())
