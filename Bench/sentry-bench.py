#!/usr/bin/python3
"""What the sentry wall costs. Called by Scripts/bench.sh: sentry-bench.py IMMURE SPAWNER CALLS STATIC_CALLS SUPERVISOR [--quick].

Single calls: several Bench/sentry-calls run at once, each in one place (native, behind the sentry under either policy, under Bench/supervisor.c), on
one processor or on all, and are asked by turns, so that load on the machine falls on all alike. Work: whole commands in interleaved rounds by
Bench/spawner.c, the sentry's start included. What is printed are ratios to native: of minima, and in the middle of the rounds.
Exit status: 0 all goals met, 3 some goal was missed, 1 something is wrong.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

from rounds import fail, goal, missed, ratios, rows as rounds_of, run, table

# Operation, times a round, and the goal: a ratio to native, or (copies across, descriptors injected) for calls that may cost a notification
# and 30 %, and 1.5 us for each of those.
OPERATIONS = [
    ("getpid", 3000, 0.1), ("clock", 3000, 0.1), ("getppid", 300, (0, 0)),
    ("stat", 300, 0.5), ("stat-none", 300, (1, 0)), ("fstat", 300, 0.5), ("lseek", 300, (0, 0)),
    ("pread-1", 300, 0.5), ("pread-4k", 300, 0.5), ("pread-64k", 100, 0.5), ("read-4k", 300, (1, 0)),
    ("write-null", 300, (1, 0)), ("pwrite-4k", 300, (1, 0)), ("open-read-close", 100, (2, 0)),
    ("mmap", 200, 1.1), ("mmap-file", 100, (0, 1)), ("thread", 20, 1.4), ("fork", 10, 1.5), ("fork-exec", 10, 1.5),
    ("pipe", 100, None), ("epoll-socket", 100, None),
]
# How many notifications one of it is.
NOTIFICATIONS = {"open-read-close": 3, "mmap-file": 1}
# The old way's files are the supervisor's own, so the kernel can map none, and it follows no children.
NOT_EMULATED = {"mmap-file", "thread", "fork", "fork-exec", "pipe", "epoll-socket"}
# What a native clock is held against: the call, not the vDSO that answers without one.
NATIVE = {"clock": "clock-call"}
FILE = "/usr/bin/bash"

WORK = [
    ("python3 -c pass", 1.3, "/usr/bin/python3 -I -S -c pass"),
    ("python3, 40 modules", None, "/usr/bin/python3 -I -c 'import json,email,http.client,sqlite3,ssl,decimal,unittest,asyncio,ctypes,csv,xml.dom.minidom'"),
    ("gcc -c", 1.5, "cd /tmp && cp {work}/hello.c . && gcc -O1 -c hello.c -o hello.o"),
    ("make, 6 files", 1.5, "rm -rf /tmp/m && cp -r {work}/project /tmp/m && cd /tmp/m && make -s"),
    ("git", 1.7, "rm -rf /tmp/g && mkdir /tmp/g && cd /tmp/g && export HOME=/tmp GIT_CONFIG_NOSYSTEM=1 && git init -q . && cp -r {work}/project . && "
     "git add . && git -c user.name=a -c user.email=a@b commit -qm one && git status --short && git log --stat | cat"),
    ("node -e 0", 1.1, "node -e 0"),
    ("find", 3, "find /usr/lib/python3 /usr/share/perl /usr/include -name '*.q'"),
    ("grep -r", 3, "grep -r no-such-word /usr/include/linux; :"),
    ("50 commands of a shell", None, "i=0; while [ $i -lt 50 ]; do /bin/true; i=$((i+1)); done"),
    ("tar | gzip", None, "tar -C /usr/include -cf - linux | gzip -1 | wc -c"),
]
REDIS = ("redis-server --port 6399 --save '' --appendonly no --daemonize no >/dev/null & "
         "until redis-cli -p 6399 ping >/dev/null 2>&1; do :; done; redis-benchmark -p 6399 -n {count} -c 20 -t get,set --csv; "
         "redis-cli -p 6399 shutdown nosave; wait")


class Voice:
    """A Bench/sentry-calls somewhere, that answers how long something took."""

    def __init__(self, command, pinned, where):
        command = (["taskset", "-c", "0"] if pinned else []) + command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=where)
        self.name = " ".join(command)

    def ask(self, operation, count):
        self.process.stdin.write(f"{operation} {count}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            fail(f"{self.name} ended with {self.process.wait()} at {operation}")
        return float(answer)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Bench:
    def __init__(self, immure, spawner, calls, static_calls, supervisor, quick):
        self.immure, self.spawner, self.supervisor, self.quick = immure, spawner, supervisor, quick
        self.base = tempfile.mkdtemp(prefix="immure-sentry-bench.", dir="/var/tmp")
        self.root, self.work = self.base + "/root", self.base + "/work"
        os.makedirs(self.work + "/project")
        self.calls, self.static_calls = self.work + "/calls", self.work + "/static-calls"
        shutil.copy(calls, self.calls)
        shutil.copy(static_calls, self.static_calls)
        help_text = run([immure, "run", "--help"])
        self.policies = {"native-harmless": []}
        if "--syscalls" in help_text:
            self.policies["strict"] = ["--syscalls", "strict"]

    def sandbox(self, *command, wall="sentry", options=()):
        return [self.immure, "run", "--root", self.root, "--wall", wall, *options, "--", *command]

    # ---- single calls

    def image(self):
        """A box from an image that has what is asked for: what the stub answers of files, it answers of an image's."""
        libraries = re.findall(r"(/\S+) \(0x", run(["ldd", self.calls]))
        with tarfile.open(self.work + "/calls.tar", "w") as archive:
            for path, name in [(self.calls, "bin/calls"), (FILE, FILE[1:])] + [(path, path[1:]) for path in libraries]:
                entry = archive.gettarinfo(os.path.realpath(path), name)
                with open(path, "rb") as file:
                    archive.addfile(entry, file)
            for name in ("tmp", "usr/lib"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
        run([self.immure, "import", "--root", self.root, self.work + "/calls.tar", "calls:1"])

    def single(self):
        self.image()
        for pinned in (True, False):
            self.measure(pinned)

    def measure(self, pinned):
        voices = {"native": Voice([self.calls, FILE, "/tmp"], pinned, self.work),
                  "notification": Voice([self.supervisor, "notify", self.calls, FILE, "/tmp"], pinned, self.work),
                  "SYSEMU": Voice([self.supervisor, "sysemu", self.static_calls, FILE, "/tmp"], pinned, self.work)}
        for policy, options in self.policies.items():
            box = [self.immure, "run", "--root", self.root, "--wall", "sentry", "-i", *options, "calls:1"]
            voices[policy] = Voice([*box, "/bin/calls", FILE, "/tmp"], pinned, self.work)
        rounds = 15 if self.quick else 100
        found = {}
        try:
            for number in range(-1, rounds):
                for operation, count, _ in OPERATIONS:
                    names = list(voices)
                    for name in names[number % len(names):] + names[:number % len(names)]:
                        if name == "SYSEMU" and operation in NOT_EMULATED or name == "notification" and operation != "getppid":
                            continue
                        asked = NATIVE.get(operation, operation) if name == "native" else operation
                        took = voices[name].ask(asked, count)
                        if number >= 0:  # the first warms caches
                            found.setdefault((operation, name), []).append(took)
        finally:
            for voice in voices.values():
                voice.end()
        self.show(found, pinned)

    def show(self, found, pinned):
        bare = min(found["getppid", "notification"])
        where = "all on one processor" if pinned else "on all processors"
        print(f"\nsingle calls, {where}: ratios to native, minima | in the middle; a bare notification is {bare / 1e3:.2f} us")
        columns = [*self.policies, "SYSEMU"]
        print(f"  {'':17}{'native':>10}" + "".join(f"{name:>20}" for name in columns) + "  goal")
        for operation, _, limit in OPERATIONS:
            native = found[operation, "native"]
            if isinstance(limit, tuple):
                limit = (1.3 * bare * NOTIFICATIONS.get(operation, 1) + 1500 * sum(limit)) / min(native)
            cells = []
            for name in columns:
                took = found.get((operation, name))
                if not took:
                    cells.append(f"{'–':>20}")
                    continue
                least, middle = min(took) / min(native), statistics.median(a / b for a, b in zip(took, native))
                cells.append(f"{least:10.2f} |{middle:7.2f}" + (" *" if self.judge(operation, name, least, limit, pinned) else "  "))
            print(f"  {operation:17}{min(native) / 1e3:8.2f}us" + "".join(cells) + (f"  {limit:.2f}" if limit else "  –"))
        print("  * misses its goal")

    @staticmethod
    def judge(operation, name, value, limit, pinned):
        if limit is None or name == "SYSEMU" or value <= limit:
            return False
        if name == "strict" and operation in ("mmap", "thread", "fork", "fork-exec"):
            return False  # goals of native-harmless
        missed.append(f"{operation} ({name}, {'one processor' if pinned else 'all'})")
        return True

    # ---- work

    def prepare(self):
        with open(self.work + "/hello.c", "w") as file:
            file.write('#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { return printf("hello\\n") != 6; }\n')
        for index in range(6):
            with open(f"{self.work}/project/part{index}.c", "w") as file:
                file.write(f"#include <stdio.h>\nint part{index}(int x) {{ return x * {index} + puts(\"{index}\"); }}\n")
        with open(self.work + "/project/main.c", "w") as file:
            file.write("int part0(int);\nint main(void) { return part0(1) < 0; }\n")
        with open(self.work + "/project/Makefile", "w") as file:
            file.write("program: $(patsubst %.c,%.o,$(wildcard *.c))\n\tgcc -o $@ $^\n")

    def whole(self):
        self.prepare()
        added, rounds = [], 5 if self.quick else 30
        print(f"\nwork, the sentry's start included, {rounds} rounds: ratios to native, minima | in the middle")
        for name, limit, script in WORK:
            command = ["/bin/sh", "-c", script.format(work=self.work)]
            if not shutil.which(script.split()[0] if script.split()[0] not in ("cd", "rm", "i=0;") else "sh"):
                print(f"  {name:26} left out: not installed")
                continue
            places = [command] + [self.sandbox(*command, options=options) for options in self.policies.values()]
            rows = rounds_of(self.spawner, places, rounds, self.work)
            text = f"  {name:26}{min(rows[0]['wall_us']) / 1e3:8.1f} ms"
            for policy, row in zip(self.policies, rows[1:]):
                least, middle = ratios(row, rows[0])
                text += f"   {policy} {least:.2f} | {middle:.2f}"
                if policy == "native-harmless":
                    added.append(least)
                    if limit and least > limit:
                        missed.append(name)
                        text += " *"
            print(text + (f"   goal {limit}" if limit else ""))
        goal("mean of the list", statistics.mean(added), 1.3, "x")

    def redis(self):
        if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
            return print("\nRedis: left out (redis-server is not installed)")
        count = 2000 if self.quick else 20000
        command = ["/bin/sh", "-c", REDIS.format(count=count)]
        speeds = {}
        for _ in range(2 if self.quick else 5):
            for name, place in (("native", command), ("sentry", self.sandbox(*command))):
                for test, speed in re.findall(r'^"(SET|GET)","([\d.]+)"', run(place, cwd=self.work), re.MULTILINE):
                    speeds.setdefault((test, name), []).append(float(speed))
        print("\nRedis with its load beside it, requests a second")
        for test in ("SET", "GET"):
            ratio = max(speeds[test, "sentry"]) / max(speeds[test, "native"])
            print(f"  {test}: native {max(speeds[test, 'native']):.0f}, sentry {max(speeds[test, 'sentry']):.0f}")
            # As a slowness, so that less is better like elsewhere.
            goal(f"Redis {test}, native to sentry", 1 / ratio, 1 / 0.3, "x")

    def start(self):
        rounds = 20 if self.quick else 200
        true = ["/bin/true"]
        rows = rounds_of(self.spawner, [true, self.sandbox(*true, wall="container"), self.sandbox(*true)], rounds, self.work)
        print(f"\nstart, {rounds} rounds")
        table(["bare", "container", "sentry"], rows)
        bare, box, own = rows
        least = (min(own["wall_us"]) - min(box["wall_us"])) / 1e3
        middle = statistics.median(a - b for a, b in zip(own["wall_us"], box["wall_us"])) / 1e3
        goal("start over the container wall", least, 5, " ms", f" of minima; {middle:.2f} ms in the middle of the rounds")

    def memory(self):
        print("\nthe sentry's own memory")
        for name, script in (("at rest", "exec sleep 3600"), ("after find", "find /usr/lib/python3 >/dev/null; exec sleep 3600")):
            box = run(self.sandbox("/bin/sh", "-c", script, options=["-d"]), cwd=self.work).split()[-1]
            sentry = json.load(open(f"{self.root}/sandboxes/{box}/record.json"))["process"]["pid"]

            def usage():
                fields = open(f"/proc/{sentry}/stat").read().rsplit(")", 1)[1].split()
                return int(fields[11]) + int(fields[12])
            while b"sleep" not in b"".join(self.commands(sentry)):
                time.sleep(0.05)
            before = usage()
            time.sleep(1 if self.quick else 3)
            after = usage()
            text = open(f"/proc/{sentry}/smaps_rollup").read()
            anonymous, resident = (int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)[1]) / 1000 for key in ("Anonymous", "Rss"))
            goal(f"anonymous memory {name}", anonymous, 6, " MB", f"; resident {resident:.1f} MB")
            goal(f"processor time while idle, {name}", after - before, 0, " ticks")
            run([self.immure, "rm", "--root", self.root, "-f", box])

    @staticmethod
    def commands(process):
        """What runs beneath a process."""
        for thread in os.listdir(f"/proc/{process}/task"):
            for child in open(f"/proc/{process}/task/{thread}/children").read().split():
                yield open(f"/proc/{child}/comm", "rb").read()
                yield from Bench.commands(child)

    def all(self, parts):
        print(f"\nsentry: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors at the beginning")
        try:
            for part in parts or ("single", "whole", "redis", "start", "memory"):
                getattr(self, part)()
        finally:
            subprocess.run([self.immure, "rm", "--root", self.root, "-f", "--all"], capture_output=True)
            shutil.rmtree(self.base, ignore_errors=True)
        print(f"\nload {os.getloadavg()[0]:.1f} at the end")
        print(f"{len(missed)} goals missed: {', '.join(missed)}" if missed else "all goals met")
        return 3 if missed else 0


def main():
    words = sys.argv[1:]
    quick = "--quick" in words
    words = [word for word in words if word != "--quick"]
    if len(words) < 5:
        fail(__doc__.splitlines()[0])
    if os.geteuid() != 0:
        fail("the figures are root's: run as root or with sudo")
    sys.exit(Bench(*map(os.path.abspath, words[:5]), quick).all(words[5:]))


main()
