#!/usr/bin/env python3
"""What it costs to get from an image's bytes to a root that is ready, and to read from it. Called by Scripts/bench.sh:
images.py IMMURE SCRATCH [--rounds N] [--urgent].

The image is Debian's minbase with python3 (the demo's, else mmdebstrap's, kept in SCRATCH), as gzip and as zstd, in an OCI layout on disk and in a
registry on the loopback device. Every round runs each program once, one after the other; ratios are those of minima. All digests are computed by
immure, umoci, podman and ctr; gzip's and igzip's output goes nowhere. Memory is the largest process of each. `--urgent` runs every program with
the highest niceness, so that other work on the machine counts little. BENCH_USER names an account with subordinate ids for what is
measured without root. Exit status: 0 all goals met, 3 some goal was missed, 1 something is wrong."""
import hashlib, io, json, os, shutil, socket, subprocess, sys, tarfile, time

immure, scratch = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 5
# No real-time priority: programs that wait for one another in loops, as podman does for what unpacks its layers, would take the machine.
urgent = ["nice", "-n", "-20"] if "--urgent" in sys.argv else []
front = os.path.join(os.path.dirname(immure), "immure-front")
base = os.path.join(scratch, "bench-images")
user = os.environ.get("BENCH_USER")
missed = []


def has(*programs):
    return all(shutil.which(program) for program in programs)


def run(words, environment=None):
    """Seconds and the largest process's MB; the program must succeed."""
    errors = open(base + "/errors", "w+")
    start = time.monotonic()
    child = subprocess.Popen(urgent + words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    child.returncode = status
    if status:
        errors.seek(0)
        sys.exit(f"bench: {' '.join(words)}: {errors.read()}")
    return seconds, usage.ru_maxrss / 1024


def goal(what, value, limit, least=False):
    good = value >= limit if least else value <= limit
    if not good:
        missed.append(what)
    print(f"  {'met   ' if good else 'MISSED'} {what}: {value:.2f} (goal: at {'least' if least else 'most'} {limit})")


def fastest(rows, name):
    return min(each[0] for each in rows[name])


def table(title, rows):
    print(f"\n{title}, {rounds} rounds")
    for program, row in rows.items():
        seconds = sorted(each[0] for each in row)
        print(f"  {program:32} least {seconds[0]:6.3f} s, middle {seconds[len(seconds) // 2]:6.3f} s, {max(each[1] for each in row):5.0f} MB")


def interleave(programs):
    """A program is one command or several, whose seconds are added up, and what clears up after it. What one leaves to be written must not
    slow down the next."""
    rows = {name: [] for name in programs}
    for _ in range(rounds):
        for name, (commands, clear) in programs.items():
            os.sync()
            ran = [run(words) for words in commands]
            rows[name].append((sum(each[0] for each in ran), max(each[1] for each in ran)))
            clear()
    return rows


def nothing():
    pass


# The image


def root_tar():
    made = ".deps/demo/debian.tar"
    if os.path.exists(made):
        return made
    tar = os.path.join(scratch, "bench-debian-python.tar")
    if not os.path.exists(tar):
        if not has("mmdebstrap"):
            return None
        subprocess.run(["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", "--include=python3", "bookworm", tar + ".new"], check=True)
        os.rename(tar + ".new", tar)
    return tar


def small_tar():
    """What a second image adds to the first: 2 MB."""
    path = base + "/small.tar"
    with tarfile.open(path, "w") as out:
        for number in range(20):
            member = tarfile.TarInfo(f"opt/added/{number}")
            member.size = 100_000
            out.addfile(member, io.BytesIO(os.urandom(member.size)))
    return path


def packed(tar, kind):
    path = f"{tar if tar.startswith(base) else base + '/layer'}.{kind}"
    if not os.path.exists(path):
        with open(path, "wb") as out:
            subprocess.run({"gzip": ["gzip", "-nc", tar], "zstd": ["zstd", "-qc", tar]}[kind], stdout=out, check=True)
    return path


def layout(name, tars, kind):
    """An OCI layout of one image with these tars as its layers, compressed."""
    folder = os.path.join(base, name)
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
        "layers": [{"mediaType": oci + "layer.v1.tar+" + kind, **keep(open(packed(tar, kind), "rb").read())} for tar in tars],
    }
    entry = {"mediaType": oci + "manifest.v1+json", **keep(json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "1"}}
    json.dump({"schemaVersion": 2, "manifests": [entry]}, open(folder + "/index.json", "w"))
    open(folder + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
    return folder


def store(name="store"):
    return ["--root", f"{base}/{name}"]


def remove_images(name="store"):
    shutil.rmtree(f"{base}/{name}", ignore_errors=True)


PODMAN = ["podman", "--root", base + "/podman", "--runroot", base + "/podman-run"]


def podman_clear():
    subprocess.run([*PODMAN, "rmi", "-a", "-f"], stdout=subprocess.DEVNULL, check=True)


# From a blob on disk


def from_layout(tar, kind):
    folder = layout(kind, [tar], kind)
    blob, bundle, image = packed(tar, kind), base + "/bundle", f"oci:{folder}:1"
    floors = {"gzip": [["gzip", "-dc", blob], ["igzip", "-dc", blob]], "zstd": [["zstd", "-qdc", blob]]}[kind]
    programs = {" ".join(words[:2]): ([words], nothing) for words in floors if has(words[0])}
    programs["immure pull"] = ([[front, *store(), "pull", "-q", image]], nothing)
    programs["immure rmi"] = ([[front, *store(), "rmi", f"{kind}:1"]], remove_images)
    programs["immure pull, first run"] = (
        [[front, *store(), "pull", "-q", image], [immure, *store(), "run", "--rm", f"{kind}:1", "/bin/true"]], remove_images)
    if has("umoci") and kind == "gzip":
        programs["umoci unpack"] = ([["umoci", "unpack", "--image", folder + ":1", bundle]], lambda: shutil.rmtree(bundle))
    if has("podman"):
        programs["podman pull"] = ([[*PODMAN, "pull", "-q", image]], podman_clear)
    rows = interleave(programs)
    table(f"blob to ready root: tar {os.path.getsize(tar) / 1e6:.0f} MB, {kind} {os.path.getsize(blob) / 1e6:.0f} MB", rows)
    floor = "igzip -dc" if "igzip -dc" in rows else next(iter(rows))
    goal(f"against {floor}", fastest(rows, "immure pull") / fastest(rows, floor), 2)
    for other in ("umoci unpack", "podman pull"):
        if other in rows:
            goal(f"{other} against pull and first run", fastest(rows, other) / fastest(rows, "immure pull, first run"), 4, least=True)
    goal("peak memory, MB", max(each[1] for each in rows["immure pull"]), 65)
    goal("removing, ms", fastest(rows, "immure rmi") * 1e3, 50)


# From a registry


class Registry:
    """Debian's docker-registry on a free port of the loopback device."""

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        with open(base + "/registry.yml", "w") as out:
            out.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {base}/registry}}}}\nhttp: {{addr: '{self.address}'}}\n")
        quiet = open(base + "/registry.log", "w")
        self.child = subprocess.Popen(["docker-registry", "serve", base + "/registry.yml"], stdout=quiet, stderr=quiet)
        host, port = self.address.split(":")
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex((host, int(port))) == 0:
                    return self
            time.sleep(0.01)
        sys.exit("bench: docker-registry does not answer")

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()

    def push(self, folder, name):
        subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{folder}:1", f"docker://{self.address}/{name}:1"], check=True)
        return f"{self.address}/{name}:1"


class Containerd:
    """A containerd of the bench's own."""

    def __enter__(self):
        self.socket = base + "/containerd.sock"
        with open(base + "/containerd.toml", "w") as out:
            out.write(f'version = 2\nroot = "{base}/containerd"\nstate = "{base}/containerd-run"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{self.socket}"\n')
        quiet = open(base + "/containerd.log", "w")
        self.child = subprocess.Popen(["containerd", "-c", base + "/containerd.toml"], stdout=quiet, stderr=quiet)
        for _ in range(1000):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.socket) == 0:
                    return self
            time.sleep(0.01)
        sys.exit("bench: containerd does not answer")

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()

    def clear(self, image):
        def work():
            subprocess.run(["ctr", "-a", self.socket, "images", "rm", "--sync", image], stdout=subprocess.DEVNULL, check=True)
        return work


def from_registry(tar):
    if not has("docker-registry", "skopeo"):
        return print("\nfrom a registry: left out (no docker-registry, skopeo)")
    small = small_tar()
    with Registry() as registry:
        image = registry.push(base + "/gzip", "base")
        second = registry.push(layout("second", [tar, small], "gzip"), "second")
        alone = registry.push(layout("alone", [small], "gzip"), "alone")
        pull = ["pull", "-q", "--tls-verify=false"]
        programs = {
            "immure pull, first run": (
                [[front, *store(), *pull, image], [immure, *store(), "run", "--rm", image, "/bin/true"]], remove_images),
        }
        if has("podman"):
            programs["podman pull"] = ([[*PODMAN, *pull, image]], podman_clear)
        if has("umoci"):
            def clear():
                shutil.rmtree(base + "/copied")
                shutil.rmtree(base + "/bundle")
            programs["skopeo and umoci"] = (
                [["skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + image, f"oci:{base}/copied:1"],
                 ["umoci", "unpack", "--image", base + "/copied:1", base + "/bundle"]], clear)
        containerd = Containerd() if has("containerd", "ctr") else None
        if containerd:
            containerd.__enter__()
            programs["ctr pull"] = (
                [["ctr", "-a", containerd.socket, "images", "pull", "--plain-http", image]], containerd.clear(image))
        try:
            rows = interleave(programs)
        finally:
            if containerd:
                containerd.__exit__()
        table("from a registry on the loopback device", rows)
        for other in list(rows)[1:]:
            goal(f"{other} against it", fastest(rows, other) / fastest(rows, "immure pull, first run"), 3, least=True)
        # The base is there: what is fetched is the new layer.
        run([front, *store(), *pull, image])

        def forget(words):
            return lambda: run(words)
        rows = interleave({
            "second image, base is there": ([[front, *store(), *pull, second]], forget([front, *store(), "rmi", second])),
            "its own layer alone": ([[front, *store("other"), *pull, alone]], forget([front, *store("other"), "rmi", alone])),
        })
        table("a second image on the same base", rows)
        goal("against its own layer alone", fastest(rows, "second image, base is there") / fastest(rows, "its own layer alone"), 1.25)
        remove_images()
        remove_images("other")
        if user and has("podman"):
            without_root(image)
        else:
            print("\nwithout root: left out (BENCH_USER names no account)" if has("podman") else "\nwithout root: left out (no podman)")


def without_root(image):
    home = f"/home/{user}" if os.path.isdir(f"/home/{user}") else os.path.expanduser(f"~{user}")
    place = home + "/immure-bench"
    subprocess.run(["install", "-d", "-o", user, "-m", "700", place], check=True)
    us = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--inh-caps=-all", "env", "-i", "-C", home, "HOME=" + home,
          "XDG_RUNTIME_DIR=" + place, "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    podman = [*us, "podman", "--root", place + "/podman", "--runroot", place + "/podman-run"]
    ours = ["--root", place + "/store"]

    def clear_podman():
        subprocess.run([*podman, "rmi", "-a", "-f"], stdout=subprocess.DEVNULL, check=True)

    def clear():
        subprocess.run([*us, front, *ours, "rmi", image], stdout=subprocess.DEVNULL, check=True)

    try:
        rows = interleave({
            "immure pull, first run": (
                [[*us, front, *ours, "pull", "-q", "--tls-verify=false", image], [*us, immure, *ours, "run", "--rm", image, "/bin/true"]], clear),
            "podman pull": ([[*podman, "pull", "-q", "--tls-verify=false", image]], clear_podman),
        })
        table("without root, from the registry", rows)
        goal("against podman's pull", fastest(rows, "immure pull, first run") / fastest(rows, "podman pull"), 1)
    finally:
        subprocess.run([*podman, "system", "reset", "-f"], stdout=subprocess.DEVNULL)
        shutil.rmtree(place, ignore_errors=True)


# Reading


def forget_files(folder):
    """Lets the kernel drop these files' contents, not those of the whole machine."""
    os.sync()
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                file = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def reading(tar):
    """The same boxes over the mounted image and over its layer unpacked (IMMURE_IMAGE_MOUNT)."""
    run([front, *store(), "pull", "-q", f"oci:{base}/gzip:1"])
    # The first minute a fresh image is read from memory as it was written (image-mounts.md); what is measured comes after.
    old = time.time() - 3600
    for path, _, names in os.walk(base + "/store/images"):
        for name in names:
            if name.endswith(".erofs"):
                os.utime(os.path.join(path, name), (old, old))
    box = [immure, *store(), "run", "--rm", "gzip:1"]
    work = {
        "start": ["/bin/true"],
        "python3": ["python3", "-c", "import json, subprocess, http.client"],
        "whole tree": ["sh", "-c", "find / -xdev -type f -exec cat {} + >/dev/null"],
    }
    print(f"\nreading from the mounted image and from its layer unpacked, {rounds} rounds")
    for mode in ("file", "unpack"):
        run([*box, "/bin/true"], {**os.environ, "IMMURE_IMAGE_MOUNT": mode})
    for name, words in work.items():
        for cold in (False, True):
            if name == "start" and cold:
                continue
            seconds = {"file": [], "unpack": []}
            for _ in range(rounds * (20 if name == "start" else 1)):
                for mode, row in seconds.items():
                    if cold:
                        forget_files(base + "/store")
                    row.append(run([*box, *words], {**os.environ, "IMMURE_IMAGE_MOUNT": mode})[0])
            middle = {mode: sorted(row)[len(row) // 2] for mode, row in seconds.items()}
            least = {mode: min(row) for mode, row in seconds.items()}
            heat = "cold" if cold else "warm"
            print(f"  {name + ', ' + heat:18} mounted {least['file'] * 1e3:7.1f} ms (middle {middle['file'] * 1e3:.1f}), "
                  f"unpacked {least['unpack'] * 1e3:7.1f} ms (middle {middle['unpack'] * 1e3:.1f})")
            if name == "start":
                goal("a mounted image over a folder, us of a start", (least["file"] - least["unpack"]) * 1e6, 150)
            else:
                goal(f"{name}, {heat}", least["file"] / least["unpack"], 1.1)
    remove_images()


if not os.path.exists(front):
    sys.exit("bench: images left out: no immure-front beside immure")
tar = root_tar()
if tar is None:
    print("\nimages: left out (no mmdebstrap to make Debian with Python)")
    sys.exit(0)
shutil.rmtree(base, ignore_errors=True)
os.makedirs(base)
try:
    for kind in ("gzip", "zstd"):
        if has(kind):
            from_layout(tar, kind)
    reading(tar)
    from_registry(tar)
finally:
    shutil.rmtree(base, ignore_errors=True)
if missed:
    print(f"\nmissed: {', '.join(missed)}")
sys.exit(3 if missed else 0)
