"""A hostile program: tries one thing after another against the machine it runs on, and says of each how far it got.

Every attempt is real and bounded: it is run unjailed as well, in a throw-away root. Arguments: the attempt's name, then what it needs.
Prints one JSON line: {"got": true or false, "how": text}.
"""
import ctypes
import json
import os
import resource
import signal
import socket
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)


def error():
    number = ctypes.get_errno()
    return os.strerror(number)


def say(got, how):
    print(json.dumps({"got": got, "how": how}), flush=True)


def see(token):
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if token.encode() in file.read() and int(name) != os.getpid():
                        return say(True, f"found as process {name}")
            except OSError:
                pass
    say(False, "not among the processes in /proc")


def send_signal(pid):
    try:
        os.kill(int(pid), signal.SIGUSR1)
        say(True, "kill() answered 0")
    except OSError as problem:
        say(False, problem.strerror)


def read(*paths):
    reasons = []
    for path in paths:
        try:
            with open(path) as file:
                return say(True, file.read().strip())
        except OSError as problem:
            reasons.append(problem.strerror)
    say(False, ", ".join(sorted(set(reasons))))


def write(*paths):
    reasons = []
    written = []
    for path in paths:
        try:
            with open(path, "w") as file:
                file.write("written by the hostile program\n")
            written.append(path)
        except OSError as problem:
            reasons.append(problem.strerror)
    if written:
        say(True, "wrote " + ", ".join(written))
    else:
        say(False, ", ".join(sorted(set(reasons))))


def connect(port):
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=3) as stream:
            say(True, stream.recv(100).decode())
    except OSError as problem:
        say(False, problem.strerror or str(problem))


def abstract(name):
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(3)
            stream.connect("\0" + name)
            say(True, stream.recv(100).decode())
    except OSError as problem:
        say(False, problem.strerror or str(problem))


def internet():
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
            # Connecting a datagram socket sends nothing: it asks the kernel for a way out (192.0.2.1 is nobody's, RFC 5737).
            stream.connect(("192.0.2.1", 9))
            say(True, "a way out from " + stream.getsockname()[0])
    except OSError as problem:
        say(False, problem.strerror)


def mount():
    os.makedirs("/tmp/m", exist_ok=True)
    if libc.mount(b"none", b"/tmp/m", b"tmpfs", 0, None) == 0:
        libc.umount2(b"/tmp/m", 2)
        return say(True, "mounted a tmpfs")
    say(False, error())


def module():
    image = b"not a module"
    if libc.syscall(175, image, len(image), b"") == 0:
        return say(True, "loaded")
    # The kernel looks at the bytes only after it has let the caller through.
    through = ctypes.get_errno() == 8
    say(through, "reached the loader: " + error() if through else error())


def trace(pid):
    if libc.ptrace(16, int(pid), None, None) == 0:
        os.waitpid(int(pid), 0x40000000)
        libc.ptrace(17, int(pid), None, None)
        return say(True, "attached")
    say(False, error())


def spin():
    print("spinning", flush=True)
    while True:
        pass


def eat(megabytes):
    block = []
    for count in range(int(megabytes)):
        try:
            block.append(bytearray(os.urandom(4096) * 256))
        except MemoryError:
            return say(False, f"refused after {count} MB")
    say(True, f"holds {len(block)} MB")


def fork(count):
    made = 0
    reason = ""
    children = []
    for _ in range(int(count)):
        try:
            child = os.fork()
        except OSError as problem:
            reason = problem.strerror
            break
        if child == 0:
            time.sleep(30)
            os._exit(0)
        children.append(child)
        made += 1
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)
    say(made == int(count), f"{made} processes" + (f", then {reason}" if reason else ""))


def fill(megabytes):
    done = 0
    try:
        with open("/tmp/filler", "wb") as file:
            block = b"x" * (1 << 20)
            for _ in range(int(megabytes)):
                file.write(block)
                file.flush()
                done += 1
        say(True, f"wrote {done} MB")
    except OSError as problem:
        say(False, f"{done} MB, then {problem.strerror}")
    finally:
        if os.path.exists("/tmp/filler"):
            os.unlink("/tmp/filler")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    {
        "see": see, "signal": send_signal, "read": read, "write": write, "connect": connect, "abstract": abstract,
        "internet": internet, "mount": mount, "module": module, "trace": trace, "spin": spin, "eat": eat,
        "fork": fork, "fill": fill,
    }[sys.argv[1]](*sys.argv[2:])
