#!/usr/bin/env python3
"""seccomp-agent.py SOCKET: takes one listener, prints what it was told with it as a line of JSON, and answers every call with ENOMEDIUM."""
import array, fcntl, socket, struct, sys

RECEIVE, SEND = 0xC0502100, 0xC0182101
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(sys.argv[1])
server.listen(1)
server.settimeout(60)
connection, _ = server.accept()
message, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
print(message.decode(), flush=True)
while True:
    request = bytearray(80)
    try: fcntl.ioctl(descriptors[0], RECEIVE, request)
    except OSError: break
    number = struct.unpack_from("=Q", request)[0]
    try: fcntl.ioctl(descriptors[0], SEND, struct.pack("=QqiI", number, 0, -123, 0))
    except OSError: pass
