#!/usr/bin/env python3
"""What it costs to get from a layer's blob to a root that is ready. Called by Scripts/bench.sh: images.py IMMURE SCRATCH [--rounds N].

The image is Debian's minbase with python3 (the demo's, else mmdebstrap's, kept in SCRATCH), as gzip and as zstd, in an OCI layout on disk, so that no network is
in it. Every round runs each program once, one after the other; ratios are those of minima and of each round's pair. All digests are computed
by immure, umoci and podman; gzip's and igzip's output goes nowhere. Memory is the largest process of each."""
import hashlib, json, os, shutil, subprocess, sys, time

immure, scratch = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
rounds = int(sys.argv[sys.argv.index("--rounds") + 1]) if "--rounds" in sys.argv else 5
front = os.path.join(os.path.dirname(immure), "immure-front")
base = os.path.join(scratch, "bench-images")


def run(words, **more):
    """Seconds and the largest process's MB; the program must succeed."""
    start = time.monotonic()
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=more.get("stdout", subprocess.DEVNULL), stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"bench: {' '.join(words)}: {said.decode()}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def image():
    made = ".deps/demo/debian.tar"
    if os.path.exists(made):
        return made
    tar = os.path.join(scratch, "bench-debian-python.tar")
    if not os.path.exists(tar):
        if not shutil.which("mmdebstrap"):
            return None
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=python3", "bookworm", tar + ".new"], check=True)
        os.rename(tar + ".new", tar)
    return tar


def layout(tar, kind):
    """An OCI layout with the tar as its one layer, compressed."""
    folder = os.path.join(base, kind)
    blobs = folder + "/blobs/sha256"
    os.makedirs(blobs)
    packed = os.path.join(base, "layer." + kind)
    with open(packed, "wb") as out:
        subprocess.run({"gzip": ["gzip", "-nc", tar], "zstd": ["zstd", "-qc", tar]}[kind], stdout=out, check=True)

    def keep(path, data=None):
        data = data if data is not None else open(path, "rb").read()
        digest = hashlib.sha256(data).hexdigest()
        with open(f"{blobs}/{digest}", "wb") as out:
            out.write(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    diff = "sha256:" + hashlib.sha256(open(tar, "rb").read()).hexdigest()
    oci = "application/vnd.oci.image."
    config = {"os": "linux", "architecture": "amd64", "config": {"Cmd": ["/bin/true"]}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
    manifest = {
        "schemaVersion": 2, "mediaType": oci + "manifest.v1+json",
        "config": {"mediaType": oci + "config.v1+json", **keep(None, json.dumps(config).encode())},
        "layers": [{"mediaType": oci + "layer.v1.tar+" + kind, **keep(packed)}],
    }
    entry = {"mediaType": oci + "manifest.v1+json", **keep(None, json.dumps(manifest).encode()), "annotations": {"org.opencontainers.image.ref.name": "1"}}
    json.dump({"schemaVersion": 2, "manifests": [entry]}, open(folder + "/index.json", "w"))
    open(folder + "/oci-layout", "w").write('{"imageLayoutVersion":"1.0.0"}')
    return folder, packed


def measure(tar, kind):
    folder, packed = layout(tar, kind)
    root, bundle, store = base + "/root", base + "/bundle", base + "/podman"
    name = f"oci:{folder}:1"
    floors = {"gzip": [["gzip", "-dc", packed], ["igzip", "-dc", packed]], "zstd": [["zstd", "-qdc", packed]]}[kind]
    programs = {" ".join(words[:2]): words for words in floors if shutil.which(words[0])}
    programs["immure pull"] = [front, "--root", root, "pull", "-q", name]
    programs["immure rmi"] = [front, "--root", root, "rmi", name]
    if shutil.which("umoci") and kind == "gzip":
        programs["umoci unpack"] = ["umoci", "unpack", "--image", folder + ":1", bundle]
    if shutil.which("podman"):
        programs["podman pull"] = ["podman", "--root", store, "--runroot", base + "/podman-run", "pull", "-q", name]
    rows = {name: [] for name in programs}
    for _ in range(rounds):
        for program, words in programs.items():
            rows[program].append(run(words))
            if program == "umoci unpack":
                shutil.rmtree(bundle)
            if program == "podman pull":
                subprocess.run(words[:5] + ["rmi", "-a", "-f"], stdout=subprocess.DEVNULL, check=True)
            # What one leaves to be written must not slow down the next.
            os.sync()
    size, small = os.path.getsize(tar), os.path.getsize(packed)
    print(f"\nblob to ready root: Debian with Python, tar {size / 1e6:.0f} MB, {kind} {small / 1e6:.0f} MB, {rounds} rounds")
    for program, row in rows.items():
        seconds = sorted(each[0] for each in row)
        print(f"  {program:14} least {seconds[0]:6.3f} s, middle {seconds[len(seconds) // 2]:6.3f} s, {max(each[1] for each in row):5.0f} MB")
    pulls = [each[0] for each in rows["immure pull"]]
    met = True

    def goal(what, value, limit, least=False):
        nonlocal met
        good = value >= limit if least else value <= limit
        met = met and good
        print(f"  {'met   ' if good else 'MISSED'} {what}: {value:.2f} (goal: at {'least' if least else 'most'} {limit})")

    floor = "igzip -dc" if "igzip -dc" in rows else next(iter(rows))
    goal(f"against {floor}", min(pulls) / min(each[0] for each in rows[floor]), 2)
    for other in ("umoci unpack", "podman pull"):
        if other in rows:
            goal(f"{other} against it", min(each[0] for each in rows[other]) / min(pulls), 4, least=True)
    goal("peak memory, MB", max(each[1] for each in rows["immure pull"]), 65)
    goal("removing, ms", min(each[0] for each in rows["immure rmi"]) * 1e3, 50)
    return met


if not os.path.exists(front):
    sys.exit("bench: images left out: no immure-front beside immure")
tar = image()
if tar is None:
    print("\nimages: left out (no mmdebstrap to make Debian with Python)")
    sys.exit(0)
shutil.rmtree(base, ignore_errors=True)
os.makedirs(base)
try:
    met = [measure(tar, kind) for kind in ("gzip", "zstd") if shutil.which(kind)]
finally:
    shutil.rmtree(base, ignore_errors=True)
sys.exit(0 if all(met) else 3)
