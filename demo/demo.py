"""Runs demo/hostile.py behind every wall this machine can raise, and once unjailed in a throw-away root, and prints what got through.

No cell is a constant: each is what the program reported, held against what a canary outside saw.
Usage: demo.py FOLDER_WITH_IMMURE DEBIAN_ROOT_TAR
"""
import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BIN, TAR = sys.argv[1], sys.argv[2]
HERE = os.path.dirname(os.path.abspath(__file__))
IMMURE = os.path.join(BIN, "immure")
TOKEN = "canary-" + secrets.token_hex(6)
WORK = tempfile.mkdtemp(prefix="immure-demo-")
ROOT = os.path.join(WORK, "state")
CONTROL = os.path.join(WORK, "control")
IMAGE = "immure-demo:latest"
FORKS, MEMORY, DISK = 400, 400, 200


def immure(*words, **keywords):
    return subprocess.run([IMMURE, "--root", ROOT, *words], capture_output=True, text=True, **keywords)


class Canaries:
    """What stands outside: a process, a loopback listener, an abstract socket, and secrets in files."""

    def __init__(self):
        # It counts SIGUSR1; at SIGUSR2 it says how many there were since. The kernel delivers the lower number first, so none is missed.
        program = (
            "import signal,time\n"
            "count = 0\n"
            "def note(*_):\n"
            "  global count\n"
            "  count += 1\n"
            "def tell(*_):\n"
            "  global count\n"
            "  print(count, flush=True)\n"
            "  count = 0\n"
            "signal.signal(signal.SIGUSR1, note)\n"
            "signal.signal(signal.SIGUSR2, tell)\n"
            "print('ready', flush=True)\n"
            "while True: time.sleep(1000)\n"
        )
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", program, TOKEN], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.connections = {"loopback": 0, "abstract": 0}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + TOKEN)
        self.abstract.listen()
        for name, listener in (("loopback", self.listener), ("abstract", self.abstract)):
            threading.Thread(target=self.serve, args=(name, listener), daemon=True).start()
        self.secrets = [f"/root/.{TOKEN}", f"/home/.{TOKEN}", f"/var/tmp/.{TOKEN}", f"/etc/shadow-{TOKEN}"]
        self.written = [f"/usr/local/{TOKEN}", f"/etc/{TOKEN}", f"/opt/{TOKEN}"]
        for base in ("", CONTROL):
            for path in self.secrets:
                os.makedirs(os.path.dirname(base + path), exist_ok=True)
                with open(base + path, "w") as file:
                    file.write(TOKEN + "\n")

    def serve(self, name, listener):
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            self.connections[name] += 1
            stream.sendall(TOKEN.encode())
            stream.close()

    def signalled(self):
        """Whether it got a signal since this was asked last."""
        self.process.send_signal(signal.SIGUSR2)
        return int(self.process.stdout.readline()) > 0

    def forget(self):
        self.connections = {"loopback": 0, "abstract": 0}
        self.signalled()
        for base in ("", CONTROL):
            for path in self.written:
                if os.path.exists(base + path):
                    os.unlink(base + path)

    def close(self):
        self.forget()
        self.process.kill()
        self.listener.close()
        self.abstract.close()
        for path in self.secrets:
            if os.path.exists(path):
                os.unlink(path)


class Column:
    """One place to run the program in."""

    def __init__(self, title, wall, image):
        self.title, self.wall, self.image = title, wall, image
        self.base = CONTROL if wall is None else ""

    def command(self, attempt, limits):
        program = ["python3", "/hostile.py", *attempt]
        if self.wall is None:
            return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                    'mount -t proc proc "$0/proc" && mount -t tmpfs -o size=1g none "$0/tmp" && exec chroot "$0" "$@"',
                    CONTROL, *program]
        words = [IMMURE, "--root", ROOT, "run", "--rm", "-q", "--wall", self.wall, *limits]
        words += ["-v", f"{HERE}/hostile.py:/hostile.py:ro"]
        if self.image:
            return words + [IMAGE, *program]
        return words + ["-w", "/", "--", "/usr/bin/python3", *program[1:]]

    def run(self, attempt, limits=(), seconds=60):
        """What the program reported, immure's last line, and the exit status (None: it ran until it was killed)."""
        process = subprocess.Popen(
            self.command(attempt, list(limits)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/",
            start_new_session=True)
        try:
            output, complaint = process.communicate(timeout=seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, complaint = process.communicate()
            status = None
        report = None
        for line in output.splitlines():
            if line.startswith("{"):
                report = json.loads(line)
        lines = [line for line in complaint.splitlines() if line]
        return report, lines[-1] if lines else "", status


def cell(report, complaint, status, outside):
    """"THROUGH …" or "stopped: …", from the program's report and what was seen outside."""
    if report is None:
        return "stopped: " + (complaint.removeprefix("immure: ") or f"ended with {status}")
    if outside is None:
        return ("THROUGH: " if report["got"] else "stopped: ") + report["how"]
    if outside:
        return "THROUGH: " + report["how"]
    return "stopped: " + report["how"] if not report["got"] else "stopped: only inside the box (" + report["how"] + ")"


def attempts(canaries):
    """(title, the program's words, limits, what the canary saw; None where only the program can tell)."""
    pid = str(canaries.process.pid)
    yield "see other processes", ["see", TOKEN], [], lambda column, report: report["got"]
    yield "signal another process", ["signal", pid], [], lambda column, report: canaries.signalled()
    yield "ptrace another process", ["trace", pid], [], None
    yield "read secrets of the host", ["read", *canaries.secrets], [], lambda column, report: report["how"] == TOKEN
    yield "write to the host's folders", ["write", *canaries.written], [], lambda column, report: any(
        os.path.exists(column.base + path) for path in canaries.written)
    yield "find a way to the network", ["internet"], [], None
    yield "reach the host's loopback", ["connect", str(canaries.port)], [], lambda column, report: (
        canaries.connections["loopback"] > 0)
    yield "reach an abstract socket", ["abstract", TOKEN], [], lambda column, report: canaries.connections["abstract"] > 0
    yield "mount a file system", ["mount"], [], None
    yield "load a kernel module", ["module"], [], None
    yield "eat memory (400 MB)", ["eat", str(MEMORY)], ["--memory", "128m"], None
    yield "make 400 processes", ["fork", str(FORKS)], ["--pids", "64"], None
    yield "fill the disk (200 MB)", ["fill", str(DISK)], ["--scratch", "64m"], None


def table(header, rows):
    widths = [max(len(row[index]) for row in [header] + rows) for index in range(len(header))]
    for row in [header, ["-" * width for width in widths]] + rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def short(text, width=34):
    return text if len(text) <= width else text[: width - 1] + "…"


def spinning(column):
    """The CPU for ever: two seconds of wall-clock time are allowed."""
    began = time.monotonic()
    _, complaint, status = column.run(["spin"], ["--timeout", "2s"], seconds=6)
    took = time.monotonic() - began
    if status is None:
        return f"THROUGH: still ran after {took:.0f} s"
    return f"stopped: after {took:.1f} s, " + complaint.removeprefix("immure: ")


def kilobytes(pid):
    """KiB resident, a twentieth of a second from now."""
    time.sleep(0.05)
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def costs(column):
    """Milliseconds from the command to its end for `true`, and KiB of the process that stays beside a running box."""
    words = [IMMURE, "--root", ROOT, "run", "--rm", "-q", "--wall", column.wall]
    tail = [IMAGE, "true"] if column.image else ["-w", "/", "--", "true"]
    times = []
    for _ in range(15):
        began = time.perf_counter()
        subprocess.run(words + tail, check=True, capture_output=True, cwd="/")
        times.append((time.perf_counter() - began) * 1000)
    name = "cost-" + secrets.token_hex(3)
    tail = [IMAGE, "sleep", "100"] if column.image else ["-w", "/", "--", "sleep", "100"]
    subprocess.run(words[:4] + ["-d", "--name", name] + words[5:] + tail, check=True, capture_output=True, cwd="/")
    record = json.loads(immure("inspect", name).stdout)[0]
    # Once it waits it gives back the pages of its own start.
    resident = min(kilobytes(record["supervisorPid"]) for _ in range(20))
    immure("rm", "-f", name)
    return [column.title, f"{statistics.median(times):.1f} ms", f"{min(times):.1f} ms", f"{resident} KiB"]


def main():
    os.makedirs(CONTROL)
    subprocess.run(["tar", "-C", CONTROL, "-xf", TAR, "--exclude=./dev/*"], check=True)
    shutil.copy(f"{HERE}/hostile.py", f"{CONTROL}/hostile.py")
    made = immure("import", "--quiet", TAR, IMAGE)
    if made.returncode != 0:
        sys.exit("the demo's image could not be imported: " + made.stderr)
    ready = json.loads(immure("doctor", "--format", "json").stdout)["walls"]
    walls = [entry["wall"] for entry in ready if entry["ready"]]
    for entry in ready:
        if not entry["ready"]:
            print(f"the wall {entry['wall']} cannot be raised here: {entry['lacks'][0]['what']}")
    columns = [Column("unjailed (control)", None, False)]
    for wall in reversed(walls):
        columns += [Column(f"{wall}, image", wall, True), Column(f"{wall}, host's programs", wall, False)]
    canaries = Canaries()
    rows = []
    try:
        for title, words, limits, outside in attempts(canaries):
            row = [title]
            for column in columns:
                canaries.forget()
                report, complaint, status = column.run(words, limits if column.wall else [])
                seen = outside(column, report) if outside and report else None
                row.append(short(cell(report, complaint, status, seen)))
            rows.append(row)
        rows.append(["use the CPU for ever"] + [short(spinning(column)) for column in columns])
    finally:
        canaries.close()
    print()
    table(["what the program tried"] + [column.title for column in columns], rows)
    print("\nWhat each wall cost here:\n")
    table(["wall", "start, median", "start, minimum", "process beside the box"],
          [costs(column) for column in columns if column.wall])
    control = sum(row[1].startswith("THROUGH") for row in rows)
    print(f"\nUnjailed, {control} of {len(rows)} attempts got through; "
          + "; ".join(f"{column.title}: {sum(row[index].startswith('THROUGH') for row in rows)}"
                      for index, column in enumerate(columns, 1) if column.wall) + ".")


try:
    main()
finally:
    if os.path.isdir(ROOT):
        immure("rm", "-f", "--all")
    shutil.rmtree(WORK, ignore_errors=True)
