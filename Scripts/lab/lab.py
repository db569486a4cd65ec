#!/usr/bin/env python3
"""Boots Debian's stock kernels under QEMU's TCG and asks immure within.

  lab.py short BIN LAB [SUITE]   one boot from an initramfs: busybox as PID 1, cgroup v2 alone; fetches the kernel where it is absent
  lab.py try BIN LAB SUITE FILE  the same boot, for a shell script of one's own in place of the checks
  lab.py whole BIN LAB [SUITE…]  each suite's kernel with its own systemd as PID 1, then docs/kernels.md on standard output

BIN is the folder with the static executables, LAB the folder that what is fetched and made goes to. What a check says comes out of the
guest's second serial port, a line each; the first one is the console, kept in LAB/SUITE/console-*.log. Ends with 1 where a check failed.
"""

import lzma
import os
import re
import select
import stat
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUSYBOX = next((p for p in ("/usr/bin/busybox", "/bin/busybox") if os.access(p, os.X_OK)), None)


class Archive:
    """An initramfs: "newc" entries (Documentation/driver-api/early-userspace/buffer-format.rst)."""

    def __init__(self):
        self.parts = []
        self.number = 0
        self.folders = set()

    def add(self, name, mode, data=b"", device=(0, 0)):
        parent = os.path.dirname(name)
        if parent and parent not in self.folders:
            self.folders.add(parent)
            self.add(parent, stat.S_IFDIR | 0o755)
        self.number += 1
        fields = [self.number, mode, 0, 0, 1, 0, len(data), 0, 0, device[0], device[1], len(name) + 1, 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        self.parts += [header + b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def file(self, name, path, mode=0o755):
        with open(path, "rb") as file:
            self.add(name, stat.S_IFREG | mode, file.read())

    def link(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def write(self, path):
        self.add("TRAILER!!!", 0)
        with open(path, "wb") as file:
            file.writelines(self.parts)


def modules(kernel, wanted):
    """The modules of those names and those they depend on, in the order to load them, as (name, bytes). What is built in is left out."""
    files = {}
    for folder, _, names in os.walk(os.path.join(kernel, "modules")):
        for name in names:
            match = re.fullmatch(r"(.+)\.ko(\.xz)?", name)
            if match:
                files[match[1].replace("-", "_")] = os.path.join(folder, name)
    ordered = {}

    def visit(name):
        name = name.replace("-", "_")
        if name in ordered or name not in files:
            return
        with open(files[name], "rb") as file:
            data = file.read()
        if files[name].endswith(".xz"):
            data = lzma.decompress(data)
        # .modinfo is a row of "key=value" strings.
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends[1].decode().split(",") if depends and depends[1] else []:
            visit(other)
        ordered[name] = data

    for name in wanted:
        visit(name)
    return list(ordered.items())


def initramfs(path, binaries, kernel, wanted, mode, script=None):
    archive = Archive()
    archive.file("bin/busybox", BUSYBOX)
    archive.link("bin/sh", "busybox")
    archive.file("init", os.path.join(HERE, "init.sh"))
    archive.file("lab/checks.sh", os.path.join(HERE, "checks.sh"))
    archive.file("lab/systemd.sh", os.path.join(HERE, "systemd.sh"))
    if script:
        archive.file("lab/try.sh", script)
    archive.add("lab/mode", stat.S_IFREG | 0o644, mode.encode() + b"\n")
    archive.file("lab/bin/immure", os.path.realpath(os.path.join(binaries, "immure")))
    for name in ("immure-oci", "immure-container", "immure-jail", "immure-sentry"):
        archive.link("lab/bin/" + name, "immure")
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for index, (name, data) in enumerate(modules(kernel, wanted)):
        archive.add("modules/%02d-%s.ko" % (index, name), stat.S_IFREG | 0o644, data)
    archive.write(path)


class Boot:
    """One guest. Lines of its second serial port are its events; each wait for the next and the whole are bounded."""

    def __init__(self, suite, lab, seconds, silence):
        self.folder = os.path.join(lab, suite)
        self.kernel = os.path.join(self.folder, "kernel")
        self.suite = suite
        self.seconds = seconds
        self.silence = silence
        self.facts = {}
        self.checks = []
        self.trouble = None

    def run(self, binaries, mode, wanted, disk=None, memory=1024, arguments="", script=None):
        console = os.path.join(self.folder, "console-%s.log" % mode)
        with tempfile.TemporaryDirectory(prefix="immure-lab-") as scratch:
            image = os.path.join(scratch, "initramfs")
            initramfs(image, binaries, self.kernel, wanted, mode, script)
            # No device that nothing here uses: each one costs the boot time.
            words = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-M", "q35,sata=off,smbus=off,usb=off,vmport=off,hpet=off"]
            words += ["-cpu", "max,-la57", "-smp", "2", "-m", str(memory), "-nodefaults", "-no-user-config", "-display", "none"]
            words += ["-no-reboot", "-serial", "file:" + console, "-serial", "stdio"]
            words += ["-kernel", os.path.join(self.kernel, "vmlinuz"), "-initrd", image]
            words += ["-append", "console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests no_timer_check tsc=reliable " + arguments]
            if disk:
                words += ["-drive", "file=%s,format=raw,if=virtio,snapshot=on" % disk]
            with open(os.path.join(self.folder, "qemu-%s.log" % mode), "wb") as errors:
                guest = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "TMPDIR": scratch})
                try:
                    self.listen(guest)
                finally:
                    guest.kill()
                    guest.wait()
        if self.trouble:
            self.checks.append(("boot", "the guest", "fail", self.trouble + "; its console: " + console))
        return self

    def listen(self, guest):
        start = heard = time.monotonic()
        rest = b""
        ended = False
        while True:
            now = time.monotonic()
            left = min(start + self.seconds - now, heard + self.silence - now)
            if left <= 0:
                what = "no end after %d s" % self.seconds if now >= start + self.seconds else "silent for %d s" % self.silence
                self.trouble = what + (", after \"%s\"" % self.checks[-1][1] if self.checks else "")
                return
            if not select.select([guest.stdout], [], [], left)[0]:
                continue
            data = os.read(guest.stdout.fileno(), 65536)
            if not data:
                if not ended:
                    self.trouble = "it ended before its checks did"
                return
            heard = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                ended |= self.hear(line.decode(errors="replace").rstrip("\r"), heard - start)

    def hear(self, line, seconds):
        """"LAB<tab>KIND<tab>…": facts, checks and the end; anything else is no line of ours."""
        words = line.split("\t")
        if words[0] != "LAB" or len(words) < 2:
            print("  ? " + line, file=sys.stderr)
            return False
        if words[1] == "fact" and len(words) == 4:
            self.facts[words[2]] = words[3]
        elif words[1] == "check" and len(words) == 6:
            self.checks.append(tuple(words[2:]))
        print("  %5.1f s  %s" % (seconds, "  ".join(words[1:])), file=sys.stderr, flush=True)
        return words[1] == "end"

    @property
    def failures(self):
        return [check for check in self.checks if check[2] == "fail"]


def fetch(what, suite, lab):
    subprocess.run([os.path.join(HERE, "fetch.sh"), what, suite, lab], check=True, timeout=900)


def short(binaries, lab, suite="bookworm"):
    """Prints the guest's lines for whoever asked: facts and checks, tab-separated."""
    try:
        fetch("kernel", suite, lab)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print("absent\tthe kernel of Debian %s: %s" % (suite, error))
        return 3
    boot = Boot(suite, lab, seconds=280, silence=120).run(binaries, "short", ["overlay"])
    for name, value in boot.facts.items():
        print("fact\t%s\t%s" % (name, value))
    for check in boot.checks:
        print("check\t" + "\t".join(check))
    return 1 if boot.failures or not boot.checks else 0


def attempt(binaries, lab, suite, script):
    fetch("kernel", suite, lab)
    Boot(suite, lab, seconds=280, silence=120).run(binaries, "try", ["overlay"], script=script)
    return 0


def whole(binaries, lab, *suites):
    boots = []
    for suite in suites or ("bookworm", "trixie"):
        fetch("kernel", suite, lab)
        fetch("root", suite, lab)
        print("Debian %s" % suite, file=sys.stderr)
        boot = Boot(suite, lab, seconds=1500, silence=300)
        boots.append(boot.run(
            binaries, "systemd", ["virtio_pci", "virtio_blk", "overlay", "autofs4", "fuse", "tun", "veth"], memory=1536,
            disk=os.path.join(lab, suite, "root.ext4"),
            arguments="systemd.unified_cgroup_hierarchy=1 systemd.getty_auto=0 systemd.show_status=0 "
            + " ".join("systemd.mask=podman%s.service" % name for name in ("", "-restart", "-auto-update"))))
    sys.stdout.write(page(boots))
    return 1 if any(boot.failures or not boot.checks for boot in boots) else 0


def page(boots):
    """docs/kernels.md: nothing in a cell that no guest said."""
    def row(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"

    names = ["Linux " + boot.facts.get("kernel", "?") for boot in boots]
    groups = list(dict.fromkeys(check[0] for boot in boots for check in boot.checks))
    text = "# Kernels\n\nWhat `make test-kernels` saw: Debian's stock kernels under QEMU's emulation, systemd as PID 1, control groups of version 2\n"
    text += "alone. Written by it; a cell is what the guest said.\n\n## The machines\n\n"
    text += row([""] + names) + row(["---"] * (len(boots) + 1))
    for fact in dict.fromkeys(fact for boot in boots for fact in boot.facts):
        text += row([fact] + [boot.facts.get(fact, "") for boot in boots])
    text += "\n## Wall by kernel\n\nChecks that passed, of those that were made.\n\n" + row([""] + names) + row(["---"] * (len(boots) + 1))
    for group in groups:
        cells = []
        for boot in boots:
            made = [check for check in boot.checks if check[0] == group and check[2] != "absent"]
            passed = [check for check in made if check[2] == "pass"]
            cells.append("%d of %d" % (len(passed), len(made)))
        text += row([group] + cells)
    text += "\n## Check by kernel\n\n"
    for group in groups:
        text += "### %s\n\n" % (group[0].upper() + group[1:]) + row([""] + names) + row(["---"] * (len(boots) + 1))
        for check in dict.fromkeys(check[1] for boot in boots for check in boot.checks if check[0] == group):
            cells = []
            for boot in boots:
                said = [(c[2], c[3]) for c in boot.checks if c[:2] == (group, check)]
                cells.append("; ".join(result + (": " + detail if detail else "") for result, detail in said) or "not made")
            text += row([check] + cells)
        text += "\n"
    return text.rstrip("\n") + "\n"


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in ("short", "try", "whole"):
        print(__doc__, file=sys.stderr)
        return 2
    lab = os.path.abspath(sys.argv[3])
    os.makedirs(lab, exist_ok=True)
    if BUSYBOX is None:
        print("absent\tbusybox-static is not installed")
        return 3
    return {"short": short, "try": attempt, "whole": whole}[sys.argv[1]](sys.argv[2], lab, *sys.argv[4:])


sys.exit(main())
