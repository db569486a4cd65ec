"""What Bench/images.py measures with: an image as OCI layouts, the programs that take it in, a registry, containerd, a user without root."""
import hashlib
import io
import json
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import tarfile
import time

from rounds import fail


def has(*programs):
    return all(shutil.which(program) for program in programs)


def quietly(words):
    """For what is not measured: it must succeed."""
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        fail(f"{' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")


# ---- seconds, processor time, memory


class Meter:
    """Times commands. Processor time is that of all processes, waited for or not, where there is a control group to count it (cpuacct, or
    version 2's cpu); else None. Memory is the largest process's."""

    def __init__(self):
        self.group = self.counter = None
        for place, counter in (("/sys/fs/cgroup/cpuacct", "cpuacct.usage"), ("/sys/fs/cgroup", "cpu.stat")):
            group = f"{place}/immure-bench-{os.getpid()}"
            if os.path.exists(f"{place}/cgroup.procs"):
                try:
                    os.mkdir(group)
                except OSError:
                    continue
                if os.path.exists(f"{group}/{counter}"):
                    self.group, self.counter = group, f"{group}/{counter}"
                    return
                os.rmdir(group)

    def enter(self):
        """In a child, before it is the program."""
        if self.group:
            with open(self.group + "/cgroup.procs", "w") as file:
                file.write("0")

    def used(self):
        """Seconds of processor time until now."""
        if not self.counter:
            return None
        text = open(self.counter).read()
        return int(text.split()[1]) / 1e6 if self.counter.endswith("cpu.stat") else int(text) / 1e9

    def run(self, words, environment=None):
        """(seconds, processor seconds, MB) of a command that must succeed."""
        before = self.used()
        start = time.monotonic()
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
                                 preexec_fn=self.enter)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - start
        child.returncode = status
        child.stderr.close()
        if status:
            fail(f"{' '.join(words)}: {errors.decode(errors='replace').strip()}")
        after = self.used()
        return seconds, None if before is None else after - before, usage.ru_maxrss / 1024

    def close(self):
        if not self.group:
            return
        for _ in range(100):
            try:
                return os.rmdir(self.group)
            except OSError:
                time.sleep(0.1)


class Row:
    """What one program took in each round."""

    def __init__(self):
        self.seconds, self.cpu, self.memory = [], [], 0

    def add(self, *runs):
        """One round's commands, put together."""
        self.seconds.append(sum(each[0] for each in runs))
        if runs[0][1] is not None:
            self.cpu.append(sum(each[1] for each in runs))
        self.memory = max(self.memory, *(each[2] for each in runs))


class Rows:
    """Rows by name, and their ratios: the middle of the rounds' own, of minima, of processor time."""

    def __init__(self):
        self.rows = {}

    def __contains__(self, name):
        return name in self.rows

    def __getitem__(self, name):
        return self.rows.setdefault(name, Row())

    def ratio(self, one, other):
        a, b = self[one], self[other]
        middle = statistics.median(x / y for x, y in zip(a.seconds, b.seconds))
        note = f" in the middle of the rounds; {min(a.seconds) / min(b.seconds):.2f}x of minima"
        if a.cpu and b.cpu:
            note += f", {statistics.median(a.cpu) / statistics.median(b.cpu):.2f}x of processor time"
        return middle, note

    def table(self, title):
        count = max(len(row.seconds) for row in self.rows.values())
        print(f"\n{title}, {count} rounds\n  {'':34}{'minimum':>9}{'median':>9}{'cpu':>8}  s   peak RSS")
        for name, row in self.rows.items():
            cpu = f"{statistics.median(row.cpu):8.2f}" if row.cpu else f"{'':8}"
            print(f"  {name:34}{min(row.seconds):9.3f}{statistics.median(row.seconds):9.3f}{cpu}{row.memory:12.0f} MB")


# ---- the image


def root_tar(scratch):
    """Debian with Python, about 220 MB; made once."""
    tar = os.path.join(scratch, "bench-debian-python.tar")
    if not os.path.exists(tar):
        if not has("mmdebstrap"):
            return None
        quietly(["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=python3", "bookworm", tar + ".new"])
        os.rename(tar + ".new", tar)
    return tar


def added_tar(path):
    """What a second image adds to the first: 2 MB that no compressor makes smaller."""
    with tarfile.open(path, "w") as out:
        for number in range(20):
            member = tarfile.TarInfo(f"opt/added/{number}")
            member.size = 100_000
            out.addfile(member, io.BytesIO(os.urandom(member.size)))
    return path


def entries_tar(path, count):
    """Many small entries: what a layer's memory grows by."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as out:
        for number in range(count):
            member = tarfile.TarInfo(f"d{number // 500}/a-file-of-some-length-{number}")
            member.size = 1
            out.addfile(member, io.BytesIO(b"x"))
    return path


def packed(tar, kind, folder):
    path = f"{folder}/{os.path.basename(tar)}.{kind}"
    if not os.path.exists(path):
        with open(path + ".new", "wb") as out:
            subprocess.run({"gzip": ["gzip", "-nc", tar], "zstd": ["zstd", "-qc", tar]}[kind], stdout=out, check=True)
        os.rename(path + ".new", path)
    return path


def layout(folder, tars, kind, kept):
    """An OCI layout of one image with these tars as its layers, compressed; what is compressed is kept in `kept`."""
    blobs = folder + "/blobs/sha256"
    os.makedirs(blobs)

    def keep(data):
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{blobs}/{digest}", "wb") as out:
            out.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    oci = "application/vnd.oci.image."
    diffs = ["sha256:" + hashlib.sha256(open(tar, "rb").read()).hexdigest() for tar in tars]
    config = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/bin/true"]}, "rootfs": {"type": "layers", "diff_ids": diffs}}
    manifest = {
        "schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
        "config": {"mediaType": oci + "config.v1+json", **keep(json.dumps(config).encode())},
        "layers": [{"mediaType": oci + "layer.v1.tar+" + kind, **keep(open(packed(tar, kind, kept), "rb").read())} for tar in tars],
    }
    entry = {"mediaType": oci + "manifest.v1+json", **keep(json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "1"}}
    with open(folder + "/index.json", "w") as out:
        json.dump({"schemaVersion": 2, "manifests": [entry]}, out)
    with open(folder + "/oci-layout", "w") as out:
        out.write('{"imageLayoutVersion":"1.0.0"}')
    return folder


# ---- servers of the bench's own


class Server:
    """A process that is waited for until it takes connections, and ended."""

    def begin(self, words, family, address, log, enter=None):
        with open(log, "w") as quiet:
            self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=quiet, stderr=quiet, preexec_fn=enter)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket(family) as probe:
                if probe.connect_ex(address) == 0:
                    return
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        fail(f"{words[0]} does not answer: {open(log).read()[-500:]}")

    def close(self):
        self.child.terminate()
        self.child.wait()


class Registry(Server):
    """Debian's docker-registry on a free port of the loopback device."""

    def __init__(self, base):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        with open(base + "/registry.yml", "w") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {base}/registry}}}}\nhttp: {{addr: '{self.address}'}}\n")
        self.begin(["docker-registry", "serve", base + "/registry.yml"], socket.AF_INET, ("127.0.0.1", port), base + "/registry.log")

    def push(self, folder, name):
        quietly(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{folder}:1", f"docker://{self.address}/{name}:1"])
        return f"{self.address}/{name}:1"


class Containerd(Server):
    """Its processor time is counted with ctr's."""

    def __init__(self, base, enter):
        self.socket = base + "/containerd.sock"
        with open(base + "/containerd.toml", "w") as out:
            out.write(f'version = 2\nroot = "{base}/containerd"\nstate = "{base}/containerd-run"\n'
                      f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        self.begin(["containerd", "-c", base + "/containerd.toml"], socket.AF_UNIX, self.socket, base + "/containerd.log", enter)


# ---- without root


class User:
    """The account that BENCH_USER names, else one with subordinate ids that is made and removed."""

    def __init__(self, programs):
        self.name = os.environ.get("BENCH_USER")
        self.made = not self.name
        if self.made:
            self.name = f"bench{os.getpid()}"
            quietly(["useradd", "--create-home", "--shell", "/bin/sh", self.name])
        self.home = pwd.getpwnam(self.name).pw_dir
        self.uid = pwd.getpwnam(self.name).pw_uid
        self.place = self.home + "/immure-bench"
        quietly(["install", "-d", "-o", self.name, "-m", "700", self.place])
        for program in programs:
            quietly(["install", "-m", "755", program, self.place])
        self.words = ["setpriv", "--reuid", self.name, "--regid", self.name, "--init-groups", "--inh-caps=-all", "env", "-i", "-C", self.place,
                      "HOME=" + self.place, "XDG_RUNTIME_DIR=" + self.place, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]

    @staticmethod
    def why_not():
        if not os.environ.get("BENCH_USER") and not has("useradd", "userdel"):
            return "no useradd"
        return None if has("newuidmap", "setpriv") else "no newuidmap or setpriv"

    def close(self):
        # podman leaves a process that keeps its user namespace.
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                owned = os.stat(f"/proc/{pid}").st_uid == self.uid and self.place in open(f"/proc/{pid}/environ").read()
                if owned:
                    os.kill(int(pid), signal.SIGKILL)
            except OSError:
                continue
        if self.made:
            # It complains where there was no mailbox.
            subprocess.run(["userdel", "--remove", self.name], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.place, ignore_errors=True)
