"""A pod's life through containerd's CRI, as a kubelet leads it. curl carries the messages; the field numbers are those of
k8s.io/cri-api's runtime.v1. Prints a line of what was seen at each step; an answer that is no success ends it.

usage: cri.py IMAGE
"""
import os
import subprocess
import sys
import time

image = sys.argv[1].encode()


def number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(fields):
    """{number: bytes, text, int, a message as a dict, or a list of those}"""
    out = b""
    for key, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, dict):
                value = message(value)
            if isinstance(value, str):
                value = value.encode()
            if isinstance(value, int):
                out += number(key << 3) + number(value)
            else:
                out += number(key << 3 | 2) + number(len(value)) + value
    return out


def fields(data):
    """The fields of a message, each with its last value: an int or bytes."""
    found, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = read()
        value = read()
        if key & 7 == 2:
            value, at = data[at : at + value], at + value
        found[key >> 3] = value
    return found


def call(method, request):
    body = message(request)
    done = subprocess.run(
        [
            "curl", "-sS", "--max-time", "120", "--http2-prior-knowledge", "--unix-socket", "/run/containerd/containerd.sock",
            "-H", "content-type: application/grpc", "-H", "te: trailers", "-D", "/run/cri-headers", "--data-binary", "@-",
            "-o", "/run/cri-answer", "http://localhost/runtime.v1.RuntimeService/" + method,
        ],
        input=b"\0" + len(body).to_bytes(4, "big") + body,
    )
    with open("/run/cri-headers", encoding="utf-8") as headers:
        told = headers.read()
    if done.returncode != 0 or "grpc-status: 0" not in told:
        sys.exit(f"{method}: curl {done.returncode}: {told}")
    with open("/run/cri-answer", "rb") as answer:
        return fields(answer.read()[5:])


def until(what, is_so):
    deadline = time.monotonic() + 90
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"not after 90 seconds: {what}")
        time.sleep(0.05)


os.makedirs("/run/pod-logs", exist_ok=True)
host_network = {1: {1: 2}}
pod = {
    1: {1: "pod", 2: "uid", 3: "default", 4: 1},
    3: "/run/pod-logs",
    8: {1: "/kube", 2: host_network},
}
sandbox = call("RunPodSandbox", {1: pod, 2: "immure"})[1]
print("pod runs")


def create(name, command, memory):
    configuration = {
        1: {1: name},
        2: {1: image},
        3: command,
        6: [{1: "A", 2: "b"}],
        11: name + ".log",
        15: {1: {4: memory}, 2: {3: host_network[1]}},
    }
    container = call("CreateContainer", {1: sandbox, 2: configuration, 3: pod})[1]
    call("StartContainer", {1: container})
    return container


def status(container):
    return fields(call("ContainerStatus", {1: container})[1])


def execute(container, *command):
    answer = call("ExecSync", {1: container, 2: list(command), 3: 60})
    return answer.get(1, b"").decode().strip(), answer.get(3, 0)


box = create("box", ["sh", "-c", "echo out; trap 'exit 7' TERM; touch /up; while :; do sleep 1000 & wait; done"], 64 << 20)
until("the program has set its trap", lambda: execute(box, "test", "-e", "/up")[1] == 0)
print("exec", *execute(box, "sh", "-c", "echo $A; exit 4"))
print("absent", "1" if execute(box, "sh", "-c", "exec nosuch")[1] == 127 else "0")
stats = fields(fields(call("ContainerStats", {1: box})[1])[3])
print("memory", fields(stats[2]).get(1, 0) > 0)
call("UpdateContainerResources", {1: box, 2: {4: 32 << 20}})
limit = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"
print("limit", *execute(box, "sh", "-c", limit))
call("StopContainer", {1: box, 2: 60})
print("stopped", status(box)[3], status(box).get(7, 0))
with open("/run/pod-logs/box.log", encoding="utf-8") as log:
    print("log", log.read().split()[-1])
call("RemoveContainer", {1: box})

greedy = create("greedy", ["sh", "-c", "x=a; while :; do x=$x$x; done"], 16 << 20)
# The end and its cause are two events, which come in either order.
until("it was killed for its memory", lambda: status(greedy)[3] == 2 and status(greedy).get(10) == b"OOMKilled")
print("greedy", status(greedy).get(7, 0))
call("StopPodSandbox", {1: sandbox})
call("RemovePodSandbox", {1: sandbox})
print("gone")
