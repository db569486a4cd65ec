#!/usr/bin/python3
"""What it costs to get from an image's bytes to a root that is ready, and to read from it. Called by Scripts/bench.sh:
images.py IMMURE SPAWNER SCRATCH [--quick] [blobs|reading|registry …].

The image is Debian's minbase with python3 (mmdebstrap's, kept in SCRATCH), as gzip and as zstd, in an OCI layout on disk and in a registry on
the loopback device. Every round runs each program once, one after the other; what is held against a goal is the middle of the rounds' own
ratios. A part ends after its share of time, whatever rounds are left, so that the whole ends on a crowded machine too; two rounds are
always made, with --quick one. All digests are computed by immure, umoci, podman and ctr; the output of gzip, igzip and zstd goes nowhere. Nothing runs with
real-time priority: podman waits in loops for what unpacks its layers, and would take the machine. BENCH_USER names an account with subordinate
ids for what is measured without root; else one is made, and removed. What is not installed is named and left out. Exit status: 0 all goals
met, 3 some goal was missed, 1 something is wrong."""
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from image_rig import Containerd, Meter, Registry, Rows, User, added_tar, entries_tar, has, layout, packed, quietly, root_tar
from rounds import fail, goal, missed, ratios, rows as spawned, table


class Images:
    def __init__(self, immure, spawner, scratch, quick):
        self.immure, self.spawner, self.scratch, self.quick = immure, spawner, scratch, quick
        self.front = os.path.join(os.path.dirname(immure), "immure-front")
        # podman takes no long names.
        self.base = tempfile.mkdtemp(prefix="immure-bench.", dir="/var/tmp")
        self.rounds = 2 if quick else 5
        self.podman = ["podman", "--root", self.base + "/podman", "--runroot", self.base + "/podman-run"]
        self.undo = []

    def store(self, name="store"):
        return ["--root", f"{self.base}/{name}"]

    def forget_store(self, name="store"):
        shutil.rmtree(f"{self.base}/{name}", ignore_errors=True)

    def take(self, rows, turns, seconds, times=1):
        """Rounds of all turns. A turn fills its own rows. What one leaves to be written must not slow down the next."""
        begun = time.monotonic()
        for made in range(self.rounds * times):
            if made >= (1 if self.quick else 2) and time.monotonic() - begun > seconds / (5 if self.quick else 1):
                break
            for turn in turns:
                disk = os.open(self.base, os.O_RDONLY)
                os.fsync(disk)
                os.close(disk)
                turn(rows)

    def intake(self, image, name, pull=()):
        """A turn of immure's own: into an empty store, the first run, out again."""
        def turn(rows):
            fetched = self.meter.run([self.front, *self.store(), "pull", "-q", *pull, image])
            ran = self.meter.run([self.immure, *self.store(), "run", "--rm", name, "/bin/true"])
            removed = self.meter.run([self.front, *self.store(), "rmi", name])
            rows["immure pull"].add(fetched)
            rows["immure pull, first run"].add(fetched, ran)
            rows["immure rmi"].add(removed)
            self.forget_store()
        return turn

    def podman_turn(self, image, pull=(), podman=None):
        podman = podman or self.podman

        def turn(rows):
            rows["podman pull"].add(self.meter.run([*podman, "pull", "-q", *pull, image]))
            quietly([*podman, "rmi", "-a", "-f"])
        return turn

    # ---- from a blob on disk

    def blob(self, kind, seconds):
        folder = f"{self.base}/{kind}"
        blob, bundle, image = packed(self.tar, kind, self.base), self.base + "/bundle", f"oci:{folder}:1"
        floors = [words for words in ([["gzip", "-dc"], ["igzip", "-dc"]] if kind == "gzip" else [["zstd", "-qdc"]]) if has(words[0])]
        if not floors:
            return print(f"\nfrom {kind}: left out (it is not installed)")

        def floor(words):
            return lambda rows: rows[" ".join(words)].add(self.meter.run([*words, blob]))

        def umoci(rows):
            rows["umoci unpack"].add(self.meter.run(["umoci", "unpack", "--image", folder + ":1", bundle]))
            shutil.rmtree(bundle)

        turns = [floor(words) for words in floors] + [self.intake(image, f"{kind}:1")]
        if has("umoci") and kind == "gzip":
            turns.append(umoci)
        if has("podman"):
            turns.append(self.podman_turn(image))
        rows = Rows()
        self.take(rows, turns, seconds)
        rows.table(f"blob to ready root: tar {os.path.getsize(self.tar) / 1e6:.0f} MB, {kind} {os.path.getsize(blob) / 1e6:.0f} MB")
        least = " ".join(floors[-1])
        value, note = rows.ratio("immure pull", least)
        goal(f"{kind}: pull against {least}", value, 2, "x", note)
        for other in ("umoci unpack", "podman pull"):
            if other in rows:
                value, note = rows.ratio(other, "immure pull, first run")
                goal(f"{kind}: {other} against pull and first run", value, 4, "x", note, least=True)
        goal(f"{kind}: peak memory of a pull", rows["immure pull"].memory * 1.048576, self.memory_limit(self.entries), " MB")
        goal(f"{kind}: removing", statistics.median(rows["immure rmi"].seconds) * 1e3, 50, " ms",
             f" in the middle; {min(rows['immure rmi'].seconds) * 1e3:.1f} ms at least")

    @staticmethod
    def memory_limit(entries):
        """MB: 64, and 150 bytes an entry."""
        return 64 + 150 * entries / 1e6

    def many(self):
        """Memory by the number of entries."""
        count = 50_000 if self.quick else 200_000
        tar = entries_tar(self.base + "/entries.tar", count)
        peak = self.meter.run([self.front, *self.store(), "import", tar, "many:1"])[2] * 1.048576
        self.forget_store()
        os.remove(tar)
        print()
        goal(f"peak memory of {count} entries", peak, self.memory_limit(count), " MB")

    # ---- from a registry

    def registry(self):
        if not has("docker-registry", "skopeo"):
            return print("\nfrom a registry: left out (no docker-registry, skopeo)")
        registry = Registry(self.base)
        self.undo.append(registry.close)
        pull = ["--tls-verify=false"]
        image = registry.push(self.base + "/gzip", "base")
        turns = [self.intake(image, image, pull)]

        def copied(rows):
            rows["skopeo and umoci"].add(
                self.meter.run(["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + image, f"oci:{self.base}/copied:1"]),
                self.meter.run(["umoci", "unpack", "--image", self.base + "/copied:1", self.base + "/bundle"]))
            shutil.rmtree(self.base + "/copied")
            shutil.rmtree(self.base + "/bundle")

        if has("podman"):
            turns.append(self.podman_turn(image, pull))
        if has("umoci"):
            turns.append(copied)
        containerd = Containerd(self.base, self.meter.enter) if has("containerd", "ctr") else None
        if containerd:
            ctr = ["ctr", "-a", containerd.socket, "images"]

            def ctr_turn(rows):
                rows["ctr pull"].add(self.meter.run([*ctr, "pull", "--plain-http", image]))
                quietly([*ctr, "rm", "--sync", image])
            turns.append(ctr_turn)
        rows = Rows()
        try:
            self.take(rows, turns, 300)
        finally:
            if containerd:
                containerd.close()
        rows.table("from a registry on the loopback device")
        for other in ("podman pull", "skopeo and umoci", "ctr pull"):
            if other in rows:
                value, note = rows.ratio(other, "immure pull, first run")
                goal(f"registry: {other} against pull and first run", value, 3, "x", note, least=True)
            else:
                print(f"         {other}: left out (not installed)")
        self.second(registry, image, pull)
        self.without_root(image, pull)

    def second(self, registry, image, pull):
        """The base is there: what is fetched is the new layer."""
        small = added_tar(self.base + "/small.tar")
        second = registry.push(layout(self.base + "/second", [self.tar, small], "gzip", self.base), "second")
        alone = registry.push(layout(self.base + "/alone", [small], "gzip", self.base), "alone")
        quietly([self.front, *self.store(), "pull", "-q", *pull, image])

        def turn(row, store, name):
            def work(rows):
                rows[row].add(self.meter.run([self.front, *self.store(store), "pull", "-q", *pull, name]))
                quietly([self.front, *self.store(store), "rmi", name])
            return work
        rows = Rows()
        names = ("second image, base is there", "its own layer alone")
        self.take(rows, [turn(names[0], "store", second), turn(names[1], "other", alone)], 90, 4)
        rows.table("a second image on the same base")
        value, note = rows.ratio(*names)
        goal("second image against its own layer alone", value, 1.25, "x", note)
        self.forget_store()
        self.forget_store("other")

    def without_root(self, image, pull):
        why = User.why_not() or (None if has("podman") else "no podman")
        if why:
            return print(f"\nwithout root: left out ({why})")
        user = User([self.immure, self.front])
        self.undo.append(user.close)
        immure, front = [*user.words, user.place + "/immure"], [*user.words, user.place + "/immure-front"]
        podman = [*user.words, "podman", "--root", user.place + "/podman", "--runroot", user.place + "/podman-run"]
        own = ["--root", user.place + "/store"]

        def turn(rows):
            fetched = self.meter.run([*front, *own, "pull", "-q", *pull, image])
            ran = self.meter.run([*immure, *own, "run", "--rm", image, "/bin/true"])
            rows["immure pull"].add(fetched)
            rows["immure pull, first run"].add(fetched, ran)
            quietly([*front, *own, "rmi", image])

        self.undo.append(lambda: subprocess.run([*podman, "system", "reset", "-f"], capture_output=True))
        # podman's first command makes its store and its user namespace.
        quietly([*podman, "info"])
        rows = Rows()
        self.take(rows, [turn, self.podman_turn(image, pull, podman)], 240)
        rows.table("without root, from the registry")
        value, note = rows.ratio("immure pull, first run", "podman pull")
        goal("without root: pull and first run against podman's pull", value, 1, "x", note)

        quietly([*front, *own, "pull", "-q", *pull, image])
        quietly([self.front, *self.store(), "pull", "-q", *pull, image])
        # Two words name the rung in both, so that both run env.
        commands = [["env", "IMMURE_IMAGE_MOUNT=unpack", self.immure, *self.store(), "run", "--rm", image, "/bin/true"],
                    [*immure, *own, "run", "--rm", image, "/bin/true"]]
        self.starts("later runs, without root against root's folders", ["root, unpacked", "without root"], commands, 1.0)
        self.forget_store()

    def starts(self, title, names, commands, limit=None):
        count = 40 if self.quick else 150
        for command in commands:
            quietly(command)
        rows = spawned(self.spawner, commands, count, self.base)
        print(f"\n{title}, {count} rounds")
        table(names, rows)
        if limit:
            least, middle = ratios(rows[1], rows[0])
            goal(title, middle, limit, "x", f" in the middle of the rounds; {least:.2f}x of minima")
        return rows

    # ---- reading

    def forget_files(self):
        """What a boot forgets: these files' contents, not the whole machine's, and who ran the image."""
        for link in glob.glob(self.base + "/store/images/mounts/*"):
            os.remove(link)
        quietly(["sync", "-f", self.base])
        for path, _, names in os.walk(self.base + "/store"):
            for name in names:
                try:
                    file = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(file)

    def box(self, *words, options=()):
        return [self.immure, *self.store(), "run", "--rm", *options, "gzip:1", *words]

    def reading(self):
        """The same boxes over the mounted image and over its layer unpacked (IMMURE_IMAGE_MOUNT)."""
        quietly([self.front, *self.store(), "pull", "-q", f"oci:{self.base}/gzip:1"])
        # What was just pulled is read from memory (image-mounts.md); what is measured comes later.
        old = time.time() - 3600
        for file in glob.glob(self.base + "/store/images/**/*.erofs", recursive=True):
            os.utime(file, (old, old))
        doctor = subprocess.run([self.immure, *self.store(), "doctor"], capture_output=True, text=True).stdout
        print("\nreading from the mounted image and from its layer unpacked; " +
              " ".join(next((line for line in doctor.splitlines() if "image files" in line), "").split()))
        unpack = {**os.environ, "IMMURE_IMAGE_MOUNT": "unpack"}
        work = {"python3": ["python3", "-c", "import json, subprocess, http.client"],
                "whole tree": ["sh", "-c", "find / -xdev -type f -exec cat {} + >/dev/null"]}
        self.meter.run(self.box("/bin/true"), unpack)

        def turn(row, words, environment, cold):
            def once(rows):
                if cold:
                    self.forget_files()
                rows[row].add(self.meter.run(self.box(*words), environment))
            return once
        for state in ("cold", "warm", "warm, the image runs elsewhere"):
            held = self.hold("echo ready") if state not in ("cold", "warm") else None
            for name, words in work.items():
                rows = Rows()
                if state != "cold":
                    for _ in range(3):
                        self.meter.run(self.box(*words), None)
                        self.meter.run(self.box(*words), unpack)
                self.take(rows, [turn("mounted", words, None, state == "cold"), turn("unpacked", words, unpack, state == "cold")], 60,
                          8 if name == "python3" else 2)
                rows.table(f"{name}, {state}")
                value, note = rows.ratio("mounted", "unpacked")
                goal(f"{name}, {state}", value, 1.1, "x", note)
            if held:
                held.stdin.close()
                held.wait()
        self.mounting()
        self.sharing()
        self.forget_store()

    def mounting(self):
        commands = [["env", "IMMURE_IMAGE_MOUNT=unpack", *self.box("/bin/true")], ["env", "UNUSED=", *self.box("/bin/true")]]
        alone = self.starts("start over a mounted image", ["folder", "mounted"], commands)
        held = self.hold("echo ready")
        shared = self.starts("start over the mount of a box that runs", ["folder", "mounted"], commands)
        held.stdin.close()
        held.wait()
        for name, (folder, mounted) in (("the image's own mount", alone), ("another box's mount", shared)):
            middle = statistics.median(a - b for a, b in zip(mounted["wall_us"], folder["wall_us"]))
            cpu = statistics.median(mounted["cpu_us"]) - statistics.median(folder["cpu_us"])
            goal(f"{name} over a folder, of a start", middle, 150, " us",
                 f" in the middle of the rounds; {min(mounted['wall_us']) - min(folder['wall_us']):.0f} us of minima, {cpu:.0f} us of processor time")

    def hold(self, script):
        """A box that says that it is ready, and ends with its standard input."""
        box = subprocess.Popen(self.box("sh", "-c", script + "; read end", options=["-i"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if box.stdout.readline() != b"ready\n":
            fail("a box of the image did not become ready")
        return box

    def sharing(self):
        """Page cache of boxes that each read the whole image, as their control groups count it."""
        contents = sum(os.path.getsize(file) for file in glob.glob(self.base + "/store/images/layers/*/*.erofs"))
        script = "find / -xdev -type f -exec cat {} + >/dev/null; echo ready"
        count = 5 if self.quick else 20
        cached = {}
        print(f"\npage cache of boxes that read all of the image, {contents / 1e6:.0f} MB")
        for number in (1, count):
            self.forget_files()
            boxes = []
            try:
                # Each is there before the first reads: so it is when a service starts them.
                boxes = [self.hold("echo ready; read begin; " + script) for _ in range(number)]
                for box in boxes:
                    box.stdin.write(b"\n")
                    box.stdin.flush()
                    if box.stdout.readline() != b"ready\n":
                        fail("a box could not read its image")
                cached[number] = sum(map(self.page_cache, boxes))
            finally:
                for box in boxes:
                    box.stdin.close()
                    box.wait()
            print(f"  {number:2} boxes: {cached[number] / 1e6:.0f} MB")
        goal(f"page cache of {count} boxes against the image's contents", cached[count] / contents, 1.25, "x")

    @staticmethod
    def page_cache(box):
        """Bytes of files in memory that a box's group is charged for."""
        children = open(f"/proc/{box.pid}/task/{box.pid}/children").read().split()
        for line in open(f"/proc/{children[0]}/cgroup"):
            number, controllers, path = line.strip().split(":", 2)
            if "memory" in controllers.split(",") or (number == "0" and os.path.exists("/sys/fs/cgroup/cgroup.controllers")):
                root, key = ("/sys/fs/cgroup/memory", "total_cache") if controllers else ("/sys/fs/cgroup", "file")
                stat = dict(each.split() for each in open(f"{root}{path}/memory.stat"))
                return int(stat[key])
        fail("no control group counts a box's memory")

    def all(self, parts):
        if not os.path.exists(self.front):
            fail("no immure-front beside immure")
        self.tar = root_tar(self.scratch)
        if self.tar is None:
            print("\nimages: left out (no mmdebstrap to make Debian with Python)")
            os.rmdir(self.base)
            return 0
        self.meter = Meter()
        self.undo = [self.meter.close]
        self.entries = int(subprocess.run(f"tar -tf '{self.tar}' | wc -l", shell=True, capture_output=True, text=True, check=True).stdout)
        begun = time.monotonic()
        try:
            layout(self.base + "/gzip", [self.tar], "gzip", self.base)
            if "blobs" in parts:
                self.blob("gzip", 300)
                if not self.quick and has("zstd"):
                    layout(self.base + "/zstd", [self.tar], "zstd", self.base)
                    self.blob("zstd", 180)
                self.many()
            if "reading" in parts:
                self.reading()
            if "registry" in parts:
                self.registry()
        finally:
            for step in reversed(self.undo):
                step()
            subprocess.run(["umount", "-l", self.base + "/podman/overlay"], capture_output=True)
            shutil.rmtree(self.base, ignore_errors=True)
        print(f"\nimages: {time.monotonic() - begun:.0f} s; " + (f"{len(missed)} goals missed: {', '.join(missed)}" if missed else "all goals met"))
        return 3 if missed else 0


def main():
    sys.stdout.reconfigure(line_buffering=True)
    words = [word for word in sys.argv[1:] if word != "--quick"]
    parts = words[3:] or ["blobs", "reading", "registry"]
    if len(words) < 3 or not set(parts) <= {"blobs", "reading", "registry"}:
        fail("usage: images.py IMMURE SPAWNER SCRATCH [--quick] [blobs|reading|registry …]")
    if os.geteuid() != 0:
        fail("the figures are root's: run as root or with sudo")
    sys.exit(Images(*map(os.path.abspath, words[:3]), "--quick" in sys.argv).all(parts))


main()
