#!/usr/bin/python3
"""What a start costs. Called by Scripts/bench.sh: bench.py IMMURE SPAWNER FLOOR INIT [--quick].

Every figure is taken in interleaved rounds by Bench/spawner.c, so that load on the machine falls on all alike; what is printed
are ratios of minima and of medians. Fails where a box is not confined as `run`'s defaults say, or a start fails.
Exit status: 0 all goals met, 3 some goal was missed, 1 something is wrong.
"""
import glob
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

from rounds import fail, goal, missed, ratios, rows as rounds_of, run, table

BWRAP = "bwrap --unshare-all --die-with-parent --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp".split()
# What of /etc a box does not see (HostRoot.standard in Sources/Walls/Wall.swift); the floor is told which of these there are.
HIDDEN = ["shadow*", "gshadow*", "sudoers*", "ssh/*_key", "ssl/private", "machine-id"]
# Read inside the box; what differs from box to box (ids, device numbers) is taken out before two boxes are compared.
PROBE = r"""
grep -E '^(Cap|NoNewPrivs|Seccomp|Groups|Uid|Gid)' /proc/self/status
cat /proc/self/uid_map /proc/self/gid_map
cat /proc/self/limits
cat /proc/self/mountinfo
for f in memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes pids/pids.max memory.max memory.swap.max pids.max; do
  [ -e /sys/fs/cgroup/$f ] && echo "cgroup $f $(cat /sys/fs/cgroup/$f)"; done
ls -lan / /dev /etc /etc/ssh /etc/ssl /etc/shadow /etc/machine-id /home /root 2>&1 | sed 's/[A-Z][a-z][a-z] [ 0-9][0-9] [0-9:]*//'
for n in cgroup ipc mnt net pid user uts; do echo "ns $n $(readlink /proc/self/ns/$n)"; done
cat /proc/1/cmdline | tr '\0' ' '; echo; cat /proc/net/dev | tail -n +3 | cut -d: -f1
"""
EXPECTED = [
    (r"^CapBnd:\s+00000000a80425fb$", "bounding set"), (r"^CapEff:\s+00000000a80425fb$", "effective set"),
    (r"^CapAmb:\s+0{16}$", "ambient set"), (r"^CapInh:\s+0{16}$", "inheritable set"), (r"^NoNewPrivs:\s+1$", "no_new_privs"),
    (r"^Seccomp:\s+2$", "seccomp"), (r"^Seccomp_filters:\s+1$", "seccomp filters"), (r"^ +0 +[1-9]\d+ +65536$", "own id range"),
    (r"^Max open files +4096 +4096 ", "open files"), (r"^Max core file size +0 +0 ", "core size"),
    (r"^Max file size +4294967296 +4294967296 ", "file size"), (r"^cgroup .*pids.max 512$", "pids limit"),
    (r"^cgroup .*memory(\.limit_in_bytes|\.max) \d+$", "memory limit"),
    (r" /proc/sys ro,", "read-only /proc/sys"), (r" /proc/keys ", "masked /proc/keys"), (r" /sys/firmware ro,", "masked /sys/firmware"),
    (r" /usr .* - overlay ", "overlay over /usr"), (r" /tmp rw,nosuid,nodev.*size=1048576k", "bounded /tmp"),
    (r"^ls: cannot access '/etc/shadow'", "no shadow"), (r"^init $", "init as process 1"), (r"^ +lo$", "loopback only"),
]

class Bench:
    def __init__(self, immure, spawner, floor, init, quick):
        self.immure, self.spawner, self.floor, self.init = immure, spawner, floor, init
        self.rounds = 40 if quick else 300
        self.quick = quick
        self.base = tempfile.mkdtemp(prefix="immure-bench.", dir="/var/tmp")
        self.root = self.base + "/root"
        self.work = self.base + "/work"
        os.makedirs(self.work)
        self.hidden = ":".join(path[len("/etc/"):] for pattern in HIDDEN for path in sorted(glob.glob("/etc/" + pattern)))
        for name in ("sandboxes", "names", "ids"):
            os.makedirs(f"{self.base}/floor/{name}")

    def command(self, *arguments, root=None):
        return [self.immure, "run", "--root", root or self.root, *arguments]

    def rows(self, commands, rounds=None):
        return rounds_of(self.spawner, commands, rounds or self.rounds, self.work)

    # ---- the same defences

    def confinement(self):
        """Reads the defences back; gives the floor immure's own seccomp program, and compares the two boxes from inside."""
        print("defences, read back from inside")
        box = run(self.command("--", "/bin/sh", "-c", PROBE), cwd=self.work)
        for pattern, what in EXPECTED:
            if not re.search(pattern, box, re.MULTILINE):
                fail(f"the box has not what `run` gives by default: {what}\n{box}")
        host = {n: os.readlink(f"/proc/self/ns/{n}") for n in ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")}
        for name, own in host.items():
            if f"ns {name} {own}" in box:
                fail(f"the box shares the host's {name} namespace")
        record = max((os.path.getmtime(p), p) for p in self.records())[1]
        words = json.load(open(record))["details"]["filter"].split()[1:]
        self.filter = self.base + "/filter"
        with open(self.filter, "wb") as file:
            file.write(b"".join(struct.pack("<Q", int(word, 16)) for word in words))
        bare = run([*self.floor_command(), "/bin/sh", "-c", PROBE], cwd=self.work)
        mine, theirs = self.comparable(box), self.comparable(bare)
        if mine != theirs:
            different = [f"immure {line}" for line in mine - theirs] + [f"floor  {line}" for line in theirs - mine]
            fail("the floor's box is not immure's:\n" + "\n".join(sorted(different)))
        print(f"  {len(EXPECTED)} defences in place; the floor's box is the same from inside, {len(words)} seccomp instructions each")

    def records(self):
        folder = self.root + "/sandboxes"
        return [f"{folder}/{name}/record.json" for name in os.listdir(folder)]

    def floor_command(self):
        return [self.floor, self.base + "/floor", self.init, self.filter, self.hidden]

    @staticmethod
    def comparable(text):
        lines = set()
        for line in text.splitlines():
            if line.startswith(("ns ", "total")):
                continue
            line = re.sub(r"^\d+ \d+ \d+:\d+ ", "", line)
            line = re.sub(r"[ug]id=\d+", "id", line)
            line = re.sub(r"^ +0 +\d+ +65536", "map", line)
            line = re.sub(r"^(d\S+) +\d+ (.*) \d+ (proc|sys)$", r"\1 \2 \3", re.sub(r" +", " ", line))
            lines.add(line.strip())
        return lines

    # ---- figures

    def start(self):
        names = ["floor (C)", "bubblewrap", "immure run -- /bin/true"]
        rows = self.rows([[*self.floor_command(), "/bin/true"], [*BWRAP, "/bin/true"], self.command("--", "/bin/true")])
        print(f"\nstart of a box, {self.rounds} rounds")
        table(names, rows)
        floor, wrap, own = rows
        for name, other, limit in (("bubblewrap", wrap, 1.0), ("the floor", floor, 1.3)):
            least, middle = ratios(own, other)
            goal(f"start against {name}", least, limit, "x", f" of minima; {middle:.2f}x in the middle of the rounds")
        goal("peak RSS", own["maxrss_kb"] / 1000, 3, " MB")

    def jail(self):
        rows = self.rows([["/bin/true"], self.command("--wall", "jail", "--", "/bin/true")])
        print("\njail")
        table(["bare /bin/true", "immure run --wall jail"], rows)
        bare, own = (sorted(row["wall_us"]) for row in rows)
        goal("jail over bare", (own[0] - bare[0]) / 1e3, 1.5, " ms", f" of minima; {(own[len(own) // 2] - bare[len(bare) // 2]) / 1e3:.2f} ms of medians")

    def image(self):
        front = os.path.join(os.path.dirname(os.path.realpath(self.immure)), "immure-front")
        busybox = shutil.which("busybox")
        if not os.path.exists(front) or not busybox:
            print("\nimage: left out (no immure-front beside immure, or no busybox-static)")
            return
        tree = self.base + "/tree"
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev", "root", "run", "var"):
            os.makedirs(f"{tree}/{name}")
        shutil.copy(busybox, tree + "/bin/busybox")
        for name in ("sh", "true"):
            os.symlink("busybox", f"{tree}/bin/{name}")
        run(["tar", "-C", tree, "--owner=0", "--group=0", "-cf", self.base + "/tree.tar", "."])
        run([self.immure, "import", "--root", self.root, self.base + "/tree.tar", "bench:1"])
        podman = self.podman()
        rows = self.rows([self.command("bench:1", "true")] + ([podman] if podman else []), min(self.rounds, 60))
        print("\nimage that is present")
        table(["immure run bench:1 true", "podman run, " + podman[podman.index("--runtime") + 1] if podman else ""], rows)
        goal("start of an image", min(rows[0]["wall_us"]) / 1e3, 10, " ms", " at least")
        if podman:
            least, middle = ratios(*rows)
            print(f"         against podman run: {least:.3f}x of minima, {middle:.3f}x in the middle of the rounds")
        else:
            print("         podman run: left out (not installed, or it can run nothing here)")

    def podman(self):
        """podman's command for the same image, in a store of its own; None where it is not installed or runs nothing here."""
        if not shutil.which("podman"):
            return None
        store = ["podman", "--root", self.base + "/podman", "--runroot", self.base + "/podman-run", "--cgroup-manager", "cgroupfs"]
        run([*store, "import", self.base + "/tree.tar", "bench:1"])
        for runtime in ("crun", "runc"):
            command = [*store, "--runtime", runtime, "run", "--rm", "--network", "none", "--ulimit", "nofile=4096:4096",
                       "--ulimit", "nproc=4096:4096", "bench:1", "true"]
            if shutil.which(runtime) and subprocess.run(command, capture_output=True).returncode == 0:
                return command
        return None

    def unmount(self):
        """What podman left mounted in its store."""
        for line in reversed(open("/proc/self/mountinfo").readlines()):
            place = line.split()[4]
            if place.startswith(self.base + "/"):
                subprocess.run(["umount", "-l", place], capture_output=True)

    def crowd(self):
        """The same with ended and live sandboxes in the store: ended ones are copies of a real record under new ids."""
        print("\nsandboxes present")
        counts = (1, 100) if self.quick else (1, 100, 1000)
        model = json.load(open(self.records()[0]))
        roots = {}
        for count in counts:
            roots[count] = root = f"{self.base}/crowd{count}"
            run(self.command("--", "/bin/true", root=root))
            for index in range(count - 1):
                name = f"{index:012x}"
                os.makedirs(f"{root}/sandboxes/{name}", mode=0o700)
                with open(f"{root}/sandboxes/{name}/record.json", "w") as file:
                    json.dump({**model, "id": name, "name": name}, file)
                os.symlink(f"../sandboxes/{name}", f"{root}/names/{name}")
        live = counts[-1] // 20
        for _ in range(live):
            run(self.command("-d", "--", "/bin/sleep", "3600", root=roots[counts[-1]]))
        rows = self.rows([self.command("--", "/bin/true", root=root) for root in roots.values()])
        table([f"{count} present" + (f", {live} live" if count == counts[-1] else "") for count in counts], rows)
        for count, row in zip(counts[1:], rows[1:]):
            least, middle = ratios(row, rows[0])
            goal(f"{count} against 1", middle, 1.1, "x", f" in the middle of the rounds; {least:.2f}x of minima")
        run([self.immure, "rm", "--root", roots[counts[-1]], "-f", "--all"])

    def parallel(self):
        count = 200
        line = json.loads(run([self.spawner, "-p", str(count), "++", *self.command("--", "/bin/true")], cwd=self.work).splitlines()[0])
        wall = sorted(line["wall_us"])
        print(f"\n{count} starts at once: p50 {wall[count // 2] / 1e3:.0f} ms, p99 {wall[count * 99 // 100] / 1e3:.0f} ms, all {wall[-1] / 1e3:.0f} ms")
        goal("failures", line["failures"], 0)

    def monitor(self):
        name = run(self.command("-d", "--", "/bin/sleep", "3600"), cwd=self.work).split()[-1]
        pid = json.load(open(f"{self.root}/sandboxes/{name}/record.json"))["supervisor"]["pid"]

        def usage():
            fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
            switches = re.findall(r"ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status").read())
            return int(fields[11]) + int(fields[12]), sum(map(int, switches))

        time.sleep(1)  # it gives its pages back once it waits
        before = usage()
        time.sleep(3)
        after = usage()
        resident = int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
        run([self.immure, "rm", "--root", self.root, "-f", name])
        print("\nmonitor of a detached box that idles")
        goal("RSS", resident / 1000, 2.5, " MB")
        goal("CPU in 3 s", after[0] - before[0], 0, " ticks", f"; {after[1] - before[1]} context switches")

    def all(self):
        try:
            self.confinement()
            for part in (self.start, self.jail, self.image, self.crowd, self.parallel, self.monitor):
                part()
        finally:
            for root in [self.root] + [f"{self.base}/{name}" for name in os.listdir(self.base) if name.startswith("crowd")]:
                subprocess.run([self.immure, "rm", "--root", root, "-f", "--all"], capture_output=True)
            self.unmount()
            shutil.rmtree(self.base, ignore_errors=True)
        print(f"\n{len(missed)} goals missed: {', '.join(missed)}" if missed else "\nall goals met")
        return 3 if missed else 0


def main():
    arguments = [word for word in sys.argv[1:] if word != "--quick"]
    if len(arguments) != 4:
        fail(__doc__.splitlines()[0])
    if os.geteuid() != 0:
        fail("the figures are root's: run as root or with sudo")
    for program in ("bwrap",):
        if not shutil.which(program):
            fail(f"{program} is missing: apt-get install bubblewrap")
    sys.exit(Bench(*map(os.path.abspath, arguments), "--quick" in sys.argv).all())


main()
